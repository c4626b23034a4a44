// The scheduler of MindIE-LLM for one data-parallel rank: who is in the next step, decision by decision as the engine
// (source: mindie_config.h). Ranks that vote on what to run next are in mindie_ranks.h.
//
// The serving loop plays MindIE's engine thread. One pass of it is
//     transfer()             roles P and D: caches are handed over
//     complete(results, now) what came back since the pass before
//     schedule(now)          the next step, or an empty one; after an empty one the engine sleeps for a millisecond
// With async_inference the results of a step are handed to complete() after the next step has been scheduled.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "strategies/serving/scheduler.h"
#include "strategies/serving/schedulers/mindie_blocks.h"
#include "strategies/serving/schedulers/mindie_config.h"
#include "strategies/serving/schedulers/mindie_queue.h"
#include "strategies/serving/schedulers/mindie_stages.h"
#include "workloads/requests/request.h"

namespace ascendsim {

enum class MindieStage : unsigned char { kPrefill, kDecode, kMixed };

// A round. Everything is in the order of the engine and is kept until the next round.
struct MindieStep {
  ScheduledStep batch{};
  bool prefill = false;                    // requests got in from the waiting queue
  std::vector<std::int64_t> handed{};      // tokens as MindIE hands them on, by place in the batch: of a prompt with
                                           // what is cached (of SplitFuse in the first chunk only), 1 for a decode
  std::vector<std::int64_t> hit_blocks{};  // with a prefix cache, by place in the batch and rank
  std::vector<RequestIndex> recomputed{}, swapped_out{}, swapped_in{}, ignored{};
  std::int64_t blocks_swapped_out = 0, blocks_swapped_in = 0;
  std::vector<RequestIndex> left{};  // their numbers are free again: ended, ignored, or (roles P and D) preempted

  // Nothing for the engine to execute.
  [[nodiscard]] bool empty() const { return batch.empty() && swapped_out.empty() && swapped_in.empty(); }
};

struct MindieTransfer {
  std::vector<RequestIndex> pulls_started{};  // role D: their blocks are taken; say kv_arrived() when they are there
  std::vector<RequestIndex> released{};       // role P: blocks are free and the numbers too
};

// What a step has brought for a request. Tokens of one that has finished are not delivered any more.
struct MindieResult {
  RequestIndex request = 0;
  std::int64_t tokens = 1;
  bool finished = false;
};

// The next `steps` rounds, as long as they begin before `until` and no request arrives, decode the batch of the last
// one again: nobody gets in, is preempted or finishes.
struct MindieRun {
  std::int64_t steps = 0;
  Duration until = Duration::max();
};

class MindieScheduler {
 public:
  explicit MindieScheduler(const MindieConfig& config);  // REQUIRES: unsupported(config) is empty

  // The request waits from request.arrival on; in order of arrival. With role D its prompt ends with the token that
  // prefill has brought, and output_tokens are those that follow. `shared` may reach beyond the prompt: it names
  // output tokens there.
  RequestIndex add(const Request& request);

  const MindieTransfer& transfer();
  void kv_pulled(RequestIndex request) { pulled_.push_back(request); }    // role P: the decode side has the cache
  void kv_arrived(RequestIndex request) { arrived_.push_back(request); }  // role D: a pull has ended

  const MindieStep& schedule(Duration now) { return schedule(now, choose(now)); }
  void complete(std::span<const MindieResult> results, Duration now);

  // The two halves of schedule(now), for ranks that vote. choose() is to be asked once a round: it has a memory.
  MindieStage choose(Duration now);
  const MindieStep& schedule(Duration now, MindieStage stage);
  void set_last_round_empty(bool empty) { last_round_empty_ = empty; }
  [[nodiscard]] std::size_t seen() const { return seen_; }  // waiting and running requests after the last round

  // Decode steps at once. advance(n, last) leaves everything as n times schedule() with complete() after it, the last
  // one at `last`. tokens: what complete() delivers after each step, in the order of the batch, step by step; may be
  // left out without drafts, where it is one each. REQUIRES: n <= decode_run().steps.
  [[nodiscard]] MindieRun decode_run() const;
  void advance(std::int64_t n, Duration last, std::span<const std::int64_t> tokens = {});

  [[nodiscard]] const RingQueue<RequestIndex>& waiting() const { return waiting_; }
  [[nodiscard]] const RingQueue<RequestIndex>& running() const { return running_; }
  [[nodiscard]] const RingQueue<RequestIndex>& swapped() const { return swapped_; }
  [[nodiscard]] std::int64_t transferring() const { return transferring_; }
  [[nodiscard]] const MindieBlocks& blocks() const { return blocks_; }
  [[nodiscard]] bool new_request_first() const { return new_request_first_; }
  [[nodiscard]] std::int64_t max_batch() const { return max_batch_; }
  [[nodiscard]] std::int64_t max_prefill_batch() const { return max_prefill_batch_; }
  // Output tokens that the scheduler knows of, and prompt tokens of the request as it came.
  [[nodiscard]] std::int64_t known_outputs(RequestIndex request) const;

 private:
  enum class Place : unsigned char { kWaiting, kRunning, kSwapped, kTransferring, kGone };
  struct Sequence {
    std::int64_t order = 0;  // of arrival
    Duration arrival{};
    std::int64_t input = 0, limit = 0;     // as the request came
    std::int64_t prompt = 0, outputs = 0;  // SplitFuse makes outputs prompt when they are computed again
    std::int64_t holes = 0;                // placeholders behind the outputs
    std::int64_t pending = 0;              // tokens that came back and are looked at when its turn comes
    std::int64_t computed = 0;             // as MindIE counts: one a decode step
    bool prefilling = true, last_chunk = false, finished = false;
    Place place = Place::kWaiting;
    std::int64_t answers = 0;
    Duration last_answer{};
    [[nodiscard]] std::int64_t length() const { return prompt + outputs + holes; }
  };
  struct Part {
    RequestIndex request;
    std::int64_t tokens;
  };
  struct Budget {
    std::int64_t tokens = 0, requests = 0;            // of the round
    std::int64_t used_tokens = 0, used_requests = 0;  // so far
    [[nodiscard]] bool admits(std::int64_t n) const {
      return used_tokens + n <= tokens && used_requests + 1 <= requests;
    }
    void use(std::int64_t n) {
      used_tokens += n;
      ++used_requests;
    }
  };
  struct Tokens {
    std::int64_t uncached = 0, cached = 0;
  };

  [[nodiscard]] bool below_reserve() const;
  [[nodiscard]] bool batch_is_full() const;
  void begin_round(MindieStage stage);
  void take_candidates(MindieStage stage);
  void take(RingQueue<RequestIndex>& queue, std::vector<RequestIndex>& to, std::size_t most);
  void take_waiting_new_first(std::size_t most);
  void settle(Sequence& s) const;
  void end(RequestIndex request);

  void run_pass();
  void preempt(RequestIndex victim);
  void swap_in_pass();
  void admit_pass(Duration now);
  [[nodiscard]] Tokens tokens_to_compute(RequestIndex request);
  [[nodiscard]] bool is_long(const Sequence& s) const;
  void set_chunk(Sequence& s, std::int64_t tokens) const;

  void put_back();
  void describe(Duration now);
  void prepare_next();
  void add_holes(Sequence& s) const;
  void after_round();
  void measure(std::span<const MindieResult> results, Duration now);
  void start_pulls();
  [[nodiscard]] bool may_repeat() const;
  [[nodiscard]] std::int64_t budget_for_decodes() const;
  [[nodiscard]] std::int64_t steps_before_shortage(std::int64_t most) const;

  MindieConfig config_;
  MindieBlocks blocks_;
  MindieSelectBatch select_batch_;
  MindieTimes times_{};
  MindieDynamicBatch dynamic_batch_;
  std::int64_t max_batch_, max_prefill_batch_;

  std::vector<Sequence> sequences_{};
  std::vector<RequestIndex> free_numbers_{};
  std::int64_t arrivals_ = 0, transferring_ = 0;
  RingQueue<RequestIndex> waiting_{}, running_{}, swapped_{}, pulled_{}, arrived_{};
  bool new_request_first_ = false;  // somebody has waited too long for blocks
  bool last_round_empty_ = false, pulls_blocked_ = true;
  std::size_t seen_ = 0;

  // Of the round under way.
  bool chunked_ = false;
  Budget budget_{};
  std::int64_t long_partial_prefills_ = 0;
  std::vector<RequestIndex> candidates_waiting_{}, candidates_running_{}, candidates_swapped_{}, withdrawn_{};
  std::size_t next_running_ = 0;
  std::vector<Part> decodes_{}, fresh_{}, swapped_chunks_{}, chunks_{};
  MindieStep step_{};
  MindieTransfer transfer_{};
  // Of the last step that was not empty, for measuring.
  Duration started_{};
  bool measured_prefill_ = false, measured_decode_ = false;
  std::int64_t measured_tokens_ = 0, measured_blocks_ = 0;
};

}  // namespace ascendsim
