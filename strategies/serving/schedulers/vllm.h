// The scheduler of vLLM V1, deciding exactly as the real one does: which requests compute how many tokens in a step, who
// is admitted, who is thrown out, and which KV block goes to whom (vLLM, v1/core/sched/scheduler.py, async_scheduler.py,
// v1/core/kv_cache_manager.py; vLLM-Ascend, core/recompute_scheduler.py). Checked against recordings of the real
// schedulers, decision by decision: tests/data/schedules/vllm.
//
// One request in a few words. `computed` tokens have their keys and values; scheduling advances it at once. `known` tokens
// have been told: the prompt and the outputs so far. A request asks for what is known and not computed, plus its drafts,
// plus the outputs that are under way and not yet told (`placeholders`, asynchronous scheduling only). There is no other
// difference between prefill and decode.
//
// Covered: synchronous and asynchronous scheduling, chunked prefill, priorities, MTP drafts, prefill and decode instances,
// batches in flight of a pipeline, the throttle of data-parallel ranks, one KV cache group (MLA or full attention).
// Not covered: sliding windows, multimodal inputs, LoRA, structured output, pipelines together with drafts.
//
// Memory is bounded by the requests in flight and the block pool; a step allocates nothing once its vectors have grown.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "strategies/serving/scheduler.h"
#include "strategies/serving/schedulers/vllm_blocks.h"
#include "strategies/serving/schedulers/vllm_config.h"
#include "strategies/serving/schedulers/vllm_queue.h"
#include "workloads/requests/request.h"

namespace ascendsim {

// How the KV of a request travels where prefill and decode are apart.
enum class VllmTransfer : std::uint8_t {
  kNone,
  kSend,  // prefill instance: its blocks stay taken after its end until kv_sent()
  kPull,  // decode instance: the prompt's KV comes from elsewhere, complete with kv_received()
};

struct VllmRequest {
  enum class State : std::uint8_t { kWaiting, kLoading, kRunning, kEnded };

  std::int64_t prompt = 0, limit = 0;  // tokens of the prompt; outputs after which it ends
  VllmRank rank{};
  std::vector<PromptSegment> shared{};  // cut to the prompt, none empty

  State state = State::kEnded;
  std::int64_t output = 0;        // tokens emitted
  std::int64_t computed = 0;      // whose KV is there or under way
  std::int64_t drafts = 0;        // to be verified with the next token
  std::int64_t placeholders = 0;  // outputs under way, as many as may come
  std::int64_t under_way = 0;     // tokens scheduled whose result is not processed
  std::int64_t stale = 0;         // the part of them that was scheduled before a preemption
  std::int64_t preemptions = 0;
  std::uint64_t last_step = 0;  // the last step with tokens of it
  bool in_prompt = false;       // after its last step there was more of the prompt to compute
  bool pulls = false;           // its KV is still to be asked for
  bool sends = false;           // its KV has to be sent after its end
  bool loaded = false;          // its pull is complete, and not yet looked at
  bool sending = false;         // ended, blocks not yet sent
  bool end_told = false;        // a result has said that it ended

  std::vector<BlockIndex> blocks{};
  ContentChain chain{};       // up to the last block that entered the cache
  std::size_t labelled = 0;   // blocks that entered the cache
  std::size_t half_done = 0;  // place in the list of half-done requests plus one; 0: not in it

  [[nodiscard]] std::int64_t known() const { return prompt + output; }
};

// What the engine asks of a step for the sake of the other data-parallel ranks.
struct VllmHold {
  // prefill_schedule_interval: prompts should wait in this step, as the number of calls since the ranks were last idle is
  // no multiple of it.
  bool prompts = false;
  // Nobody is admitted. vLLM-Ascend's balance scheduling (patch/platform/patch_balance_schedule.py) asks for it when the
  // counts of running requests that the ranks last exchanged have reached max_num_seqs - 1 somewhere.
  bool admissions = false;
};

// What a call of schedule() decided beside the step itself. Vectors are kept between calls.
struct VllmDecisions {
  struct Admission {
    RequestIndex request = 0;
    std::int64_t cached = 0;  // tokens found in the prefix cache
    std::int64_t loaded = 0;  // tokens whose KV a pull brought, less the last one, which is computed
    bool resumed = false;     // it had been preempted
    bool padded = false;      // its drafts are placeholders, all of them rejected whatever complete() is told
  };
  struct Load {
    RequestIndex request = 0;
    std::int64_t cached = 0, pulled = 0, new_blocks = 0;
  };
  // Why requests were left waiting; the first that holds.
  enum class Left : std::uint8_t {
    kNobody,
    kPreempted,
    kBlocks,
    kSequences,
    kBudget,
    kLoading,
    kThrottle,
    kOther,
    kNoChunk
  };

  std::vector<std::int64_t> new_blocks{};  // of each request of the step, in its order
  std::vector<Admission> admitted{};
  std::vector<Load> loads{};  // pulls that start; not running, no tokens of the step
  std::vector<RequestIndex> preempted{};
  std::vector<RequestIndex> recomputed{};  // given back to the proxy; they end with the result of this step
  std::optional<RequestIndex> blocked{};   // the waiting request for which no blocks were to be had
  Left left = Left::kNobody;
};

struct VllmResult {
  struct Tokens {
    RequestIndex request = 0;
    std::int64_t tokens = 0;
  };
  struct End {
    RequestIndex request = 0;
    bool recomputed = false;  // given back to the proxy instead of having reached its length
    bool sending = false;     // its blocks stay until kv_sent()
  };
  std::vector<Tokens> emitted{};
  std::vector<End> ended{};
};

class VllmScheduler {
 public:
  // REQUIRES: vllm_config_problem(config) has nothing to say.
  explicit VllmScheduler(const VllmConfig& config);

  // ---- Requests

  // False: the front end refuses it, the prompt leaves no room for an output.
  [[nodiscard]] bool accepts(const Request& request) const { return request.input_tokens < config_.max_model_len; }
  // Puts it at the end of the waiting queue. REQUIRES: accepts(request), lengths of at least 1. The arrival is not
  // looked at: requests are added in the order of their arrivals. Segments of the prompt beyond its length are cut off.
  RequestIndex add(const Request& request, VllmTransfer transfer = VllmTransfer::kNone);

  // ---- Steps

  // The engine calls schedule() as long as this holds: somebody waits or runs, blocks wait to be sent, or the workers
  // have not been told yet of requests that ended (which is done by a call that may schedule nothing).
  [[nodiscard]] bool has_work() const;
  // Decides one step and takes it as under way. The references are good until the next call.
  const ScheduledStep& schedule(VllmHold hold = {});
  [[nodiscard]] const ScheduledStep& step() const { return step_; }  // the one that was decided last
  [[nodiscard]] const VllmDecisions& decisions() const { return decisions_; }
  // The result of the oldest step under way. `emitted`: for each of its requests, in its order, the tokens that come
  // out: 1 + accepted drafts where the step samples, anything where it does not.
  const VllmResult& complete(std::span<const std::int64_t> emitted);
  [[nodiscard]] std::size_t steps_under_way() const { return under_way_; }
  // Requests in the oldest step under way. REQUIRES: there is one.
  [[nodiscard]] std::size_t size_of_next_result() const { return ring_[oldest_].parts.size(); }

  // ---- Transfers between instances, told between a result and the next call

  void kv_received(RequestIndex request);  // the pull of a request of decisions().loads is complete
  void kv_sent(RequestIndex request);      // the blocks of a request that ended `sending` are free

  // ---- Runs of equal steps

  // So many following steps, each a call of schedule() and one of complete(), are certain to compute one token and its
  // drafts for each running request, without admission, preemption, end or shortage of blocks, as long as nothing is
  // added and no transfer is told. A bound: longer runs are possible. Always 0 for pipelines.
  [[nodiscard]] std::int64_t steady_steps();
  // Takes `steps` of them at once and ends in the state in which they one by one would have ended, to the order of the
  // free list. REQUIRES: steps <= steady_steps(). `emitted`: a row for each result that is processed, running() in order,
  // where drafts are verified; empty where every result is one token. step() and decisions() stay those of the last call.
  void take_steady_steps(std::int64_t steps, std::span<const std::int64_t> emitted = {});

  // ---- What there is

  [[nodiscard]] const VllmConfig& config() const { return config_; }
  [[nodiscard]] std::span<const RequestIndex> running() const { return running_; }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size() + aside_.size(); }  // loading ones included
  [[nodiscard]] std::int64_t free_blocks() const { return pool_.free_blocks(); }
  [[nodiscard]] const VllmRequest& request(RequestIndex request) const { return requests_[request]; }
  // Calls f(request) for all that wait, those set aside first.
  template <class F>
  void for_each_waiting(F&& f) const {
    for (const RequestIndex request : aside_) f(request);
    waiting_.for_each(f);
  }
  // Of everything that decides what comes. Equal for equal states.
  [[nodiscard]] std::uint64_t fingerprint() const;

 private:
  // What is left of a step while it is decided.
  struct Pass {
    std::int64_t budget = 0;
    bool hold_prompts = false;      // throttled
    bool prompt_scheduled = false;  // a running request got tokens of its prompt
  };
  // What the request at the head of the queue would get; its hits are in hits_.
  struct Plan {
    enum class Verdict : std::uint8_t { kGoes, kWaits, kTooLong, kNoBlocks };
    Verdict verdict = Verdict::kWaits;
    std::int64_t cached = 0, pulled = 0, computed = 0, tokens = 0, new_blocks = 0;
    bool padded = false;
    bool whole_prompt_lacks = false;  // kNoBlocks already for the whole prompt
    ContentChain chain{};
  };
  struct UnderWay {
    struct Part {
      RequestIndex request = 0;
      std::int64_t tokens = 0, drafts = 0;
      bool samples = false, padded = false;
      bool operator==(const Part&) const = default;
    };
    std::vector<Part> parts;
    std::vector<RequestIndex> recomputed;
  };
  struct Taking {  // of one block in a run of steps
    std::int64_t step = 0;
    RequestIndex request = 0;
    std::uint32_t place = 0;  // in the running list
  };
  struct Parked {
    std::uint64_t until = 0;  // result with which they come back
    std::vector<BlockIndex> blocks;
  };

  // Blocks and cache (vllm.cpp)
  [[nodiscard]] std::int64_t blocks_for(std::int64_t slots) const;
  void take_blocks(VllmRequest& r, std::int64_t count);
  void enter_cache(VllmRequest& r, std::int64_t tokens);
  void give_back(std::vector<BlockIndex>&& blocks);
  void release(VllmRequest& r);
  void set_half_done(RequestIndex request, bool on);
  [[nodiscard]] std::int64_t blocks_of_half_done() const;
  [[nodiscard]] std::int64_t without_short_tail(const VllmRequest& r, std::int64_t computed, std::int64_t tokens) const;

  // The running pass and the step itself (vllm_steps.cpp)
  void schedule_running(Pass& pass);
  [[nodiscard]] std::int64_t wanted_tokens(const VllmRequest& r, std::int64_t budget) const;
  bool make_room(std::size_t& position, std::int64_t blocks, Pass& pass);
  void throw_out(RequestIndex victim);
  void put_into_step(RequestIndex request, std::int64_t tokens, std::int64_t new_blocks, std::int64_t drafts);
  void launch();
  void process(const UnderWay::Part& part, std::int64_t emitted);
  void end(RequestIndex request);
  void leave(RequestIndex request);
  [[nodiscard]] VllmDecisions::Left why_left(bool throttled) const;

  // The waiting pass (vllm_admission.cpp)
  enum class Line : std::uint8_t { kNone, kAside, kWaiting };
  [[nodiscard]] Line better_line(std::size_t next_aside) const;
  [[nodiscard]] std::int64_t find_hits(const VllmRequest& r, ContentChain& chain);
  [[nodiscard]] Plan plan_admission(const VllmRequest& r, const Pass& pass, bool pads);
  [[nodiscard]] std::int64_t first_chunk(const VllmRequest& r, Plan& plan, const Pass& pass, bool pads) const;
  void admit_waiting(Pass& pass);
  void admit(RequestIndex request, const Plan& plan, Pass& pass);

  // Runs (vllm_runs.cpp)
  [[nodiscard]] bool is_steady(const VllmRequest& r) const;
  [[nodiscard]] bool queue_stays();
  [[nodiscard]] bool blocks_suffice(std::int64_t steps) const;
  void take_blocks_of_steady_steps(std::int64_t steps);

  VllmConfig config_;
  std::int64_t block_;        // tokens of a block
  std::int64_t drafts_;       // of a decode step
  std::int64_t budget_;       // tokens of a step
  std::int64_t watermark_;    // blocks
  std::int64_t module_tail_;  // shortest prompt tail that a chunk may leave; 0: any
  bool by_priority_;
  bool parks_;  // blocks of requests whose step is under way come back late

  VllmBlockPool pool_;
  std::vector<VllmRequest> requests_;
  std::vector<RequestIndex> unused_;  // places in requests_
  std::uint64_t added_ = 0;

  std::vector<RequestIndex> running_;  // in the order of admission
  VllmWaitingQueue waiting_;
  std::vector<RequestIndex> aside_;  // passed over: loading, loaded, or with results of a preempted run still to come;
                                     // they stand before all others (by priority: sorted)
  std::vector<RequestIndex> half_done_;  // prompts and loads of which a part is still to come
  std::size_t sending_ = 0;
  bool untold_ends_ = false;
  bool left_over_ = false;  // the last call that was not throttled left requests in the queue

  std::vector<UnderWay> ring_;  // steps under way: the oldest at `oldest_`, as many as `under_way_`
  std::size_t oldest_ = 0, under_way_ = 0;
  std::uint64_t launched_ = 0, processed_ = 0;  // steps with tokens; counted only where blocks are parked
  std::deque<Parked> parked_;

  ScheduledStep step_;
  VllmDecisions decisions_;
  VllmResult result_;
  std::vector<BlockIndex> hits_;
  std::vector<RequestIndex> passed_;
  std::vector<std::vector<BlockIndex>> spare_;  // block lists of requests that released them, for their capacity
  std::vector<Taking> takings_;
};

}  // namespace ascendsim
