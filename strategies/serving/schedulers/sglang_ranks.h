// SGLang's data-parallel attention: ranks that decide alone and then step together, since they share their experts.
//
// SGLang v0.5.18, managers/scheduler.py and scheduler_dp_attn_mixin.py. Without MTP a rank may decode while another
// prefills; with MTP, while any rank prefills, the ranks without a prefill do nothing but take part (unless
// speculative_skip_dp_mlp_sync). One rank is an ordinary engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "strategies/serving/schedulers/sglang.h"

namespace ascendsim {

class SglangRanks {
 public:
  SglangRanks(const SglangConfig& config, std::size_t count, bool skip_mlp_sync = false);

  [[nodiscard]] std::size_t size() const { return ranks_.size(); }
  [[nodiscard]] SglangScheduler& rank(std::size_t i) { return ranks_[i]; }
  [[nodiscard]] const SglangScheduler& rank(std::size_t i) const { return ranks_[i]; }

  // One pass of all ranks; each completes on its own afterwards. form() is the part after begin_pass() of each.
  void schedule();
  void form();

  [[nodiscard]] bool launched() const { return launched_; }  // some rank has a batch: all step
  [[nodiscard]] bool prefills() const { return prefills_; }  // some rank computes prompts
  // What the rank tells the others: the tokens of its batch; of a decode its requests, however many tokens they verify.
  [[nodiscard]] std::int64_t gathered_tokens(std::size_t i) const;
  [[nodiscard]] bool done() const;

  // As of SglangScheduler, for all ranks: those that have nothing take part without tokens.
  [[nodiscard]] std::int64_t steady_passes() const;
  void advance(std::int64_t passes);

 private:
  std::deque<SglangScheduler> ranks_;
  bool waits_for_prefills_;
  bool launched_ = false;
  bool prefills_ = false;
};

}  // namespace ascendsim
