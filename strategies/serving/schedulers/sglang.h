// The scheduler of SGLang v0.5.18, decision for decision: one data-parallel rank. Ranks that step together are in
// sglang_ranks.h, recordings of the real scheduler and their replay in sglang_recording.h.
//
// Rules: tests/data/schedules/sglang/README.md names the recordings that show them. They come from SGLang v0.5.18
// (commit 71de97b264): managers/scheduler.py, schedule_policy.py, schedule_batch.py, mem_cache/radix_cache.py,
// disaggregation/{prefill,decode}.py.
//
// A pass of the engine's event loop is schedule(), then complete() with what the step computed. With overlap the engine
// launches a step before it looks at the results of the step before; complete() then takes those, so an end is noticed
// one pass late. All lengths are tokens.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "strategies/serving/scheduler.h"
#include "strategies/serving/schedulers/sglang_radix.h"
#include "workloads/requests/request.h"

namespace ascendsim {

enum class SglangPolicy : unsigned char { kFcfs, kLongestPrefix, kLongestOutput };  // fcfs, lpm, lof
enum class SglangRetraction : unsigned char { kLength, kPriority };
enum class SglangRole : unsigned char { kBoth, kPrefill, kDecode };

// Server arguments by SGLang's names, with its defaults; what SGLang works out itself (pool, running requests, chunk)
// has none. The last block are environment variables of the same names, with SGLANG_ before them where it has it.
struct SglangConfig {
  std::int64_t page_size = 1;
  std::int64_t pool_tokens = 0;  // KV slots of the rank; whole pages of them are used
  std::int64_t context_len = 131072;
  std::int64_t max_running_requests = 48;
  std::int64_t chunked_prefill_size = 8192;  // of a prefill batch; -1: prompts are not cut
  std::int64_t max_prefill_tokens = 16384;
  std::optional<std::int64_t> prefill_max_requests{};
  std::optional<std::int64_t> min_free_slots{};  // new requests wait until so many slots are free
  SglangPolicy schedule_policy = SglangPolicy::kFcfs;
  double schedule_conservativeness = 1.0;
  bool enable_mixed_chunk = false;
  bool disable_radix_cache = false;
  bool disable_overlap_schedule = false;
  bool enable_priority_scheduling = false;
  bool schedule_low_priority_values_first = false;
  bool disable_priority_preemption = false;
  std::int64_t priority_scheduling_preemption_threshold = 10;
  SglangRetraction retraction_policy = SglangRetraction::kLength;
  std::int64_t num_draft_tokens = 0;  // verified in a decode step of EAGLE and MTP; 0: neither

  SglangRole role = SglangRole::kBoth;            // disaggregation_mode
  std::int64_t num_reserved_decode_tokens = 512;  // decode side: kept free for each active request
  std::int64_t extra_slots = 0;                   // decode side: of the request pool, beyond max_running_requests

  double init_new_token_ratio = 0.7;
  double min_new_token_ratio_factor = 0.14;
  std::int64_t new_token_ratio_decay_steps = 600;
  std::int64_t clip_max_new_tokens_estimation = 4096;
  std::int64_t retract_decode_steps = 20;
  std::int64_t in_batch_prefix_caching_check_threshold = 32;
  std::int64_t in_batch_prefix_caching_deprioritize_threshold = 32;
};

// Why a configuration is none, or is beyond what this scheduler reproduces; empty if it is fine.
std::string why_refused(const SglangConfig& config);

// What SGLang knows of a request besides its prompt. One that has fewer output tokens than max_new_tokens ends by its
// end token, which nobody foresees; priority is SGLang's: larger goes first unless schedule_low_priority_values_first.
struct SglangSampling {
  std::optional<std::int64_t> max_new_tokens{};  // empty: the request's output tokens
  bool ignore_eos = false;                       // runs to max_new_tokens
};

// The engine would stop here too: out of memory with nothing left to retract, or nothing that can ever go on.
struct SglangStop : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// kIdleBatch: joins the collectives of the other ranks with no tokens.
enum class SglangPassKind : unsigned char { kIdle, kExtend, kDecode, kMixed, kIdleBatch };

// Keys and values handed to the transfer to the decode side; of the last ones `last` is set.
struct SglangSent {
  RequestIndex request = 0;
  std::int64_t tokens = 0;
  std::int64_t pages = 0;
  bool last = false;
};

// Tokens that a verified step gained for a request.
struct SglangGain {
  RequestIndex request = 0;
  std::int64_t tokens = 0;
};

// What a pass did besides the step it formed. Kept between passes; indices are valid until the next pass begins.
struct SglangPass {
  SglangPassKind kind = SglangPassKind::kIdle;
  std::int64_t evicted = 0;
  double ratio_before = 0;                // that this pass's admission went by
  std::vector<RequestIndex> retracted{};  // for lack of memory, in this order
  std::vector<RequestIndex> preempted{};  // for a higher priority
  std::vector<RequestIndex> allocated{};  // decode side: has its memory now, the transfer may begin
  std::vector<SglangSent> sent{};         // prefill side
  std::vector<SglangGain> gained{};       // with num_draft_tokens
  std::vector<RequestIndex> finished{};
};

// A request's part of a step whose results are to come.
struct SglangRow {
  RequestIndex request = 0;
  std::uint32_t epoch = 0;  // the result is void if the request has been taken off the device since
  bool prompt = false;
  bool whole = false;    // the step ends with a token: not the open chunk
  std::int64_t end = 0;  // of the prompt's piece
};

class SglangScheduler {
 public:
  explicit SglangScheduler(const SglangConfig& config);
  SglangScheduler(const SglangScheduler&) = delete;
  SglangScheduler& operator=(const SglangScheduler&) = delete;

  // Received when the next pass begins. Empty: refused, the prompt is too long for the pool or the context.
  std::optional<RequestIndex> add(const Request& request, const SglangSampling& sampling = {});

  // One pass: the step to launch, empty if there is none; then the results. `gained`: with num_draft_tokens, tokens
  // gained by each of results_due(), in their order; those of prompts and of void rows are not looked at.
  const ScheduledStep& schedule();
  void complete(std::span<const std::int32_t> gained = {});
  [[nodiscard]] std::span<const SglangRow> results_due() const;
  [[nodiscard]] bool awaited(const SglangRow& row) const {
    return row.whole && row.epoch == requests_[row.request].epoch;
  }

  // The parts of schedule() and complete(), for ranks that agree in between and for transfers that begin and end
  // within a pass.
  void begin_pass();    // receive, cache the open chunk, merge the last prefill; PD: handshakes, memory
  bool form_prefill();  // a prefill batch, if there is one
  bool form_decode();   // a decode batch, if there is one
  void form_idle();     // nothing, but take part in the collectives
  void take_results(std::span<const std::int32_t> gained = {});
  void end_pass();  // PD prefill side: let go what has been transferred

  // PD. Prefill side: the decode side has memory for the request; it has got all keys and values. Decode side: the
  // prefill side has answered; all keys and values and the first token are here.
  void handshake_done(RequestIndex request) { requests_[request].handshaken = true; }
  void transfer_done(RequestIndex request) { requests_[request].transferred = true; }

  // How many of the next passes are decode steps of the batch that runs now in which nobody is admitted, retracted or
  // ends, as long as nothing arrives and no handshake or transfer is done. Not a bound from above: 0 is always allowed,
  // and is the answer with num_draft_tokens. advance() takes so many of them at once; the state is then, bit for bit,
  // the one after as many calls of schedule() and complete().
  [[nodiscard]] std::int64_t steady_passes() const;
  void advance(std::int64_t passes);
  // Passes of this rank form nothing, as long as nothing arrives and no handshake or transfer is done.
  [[nodiscard]] bool rests() const;

  [[nodiscard]] const SglangPass& pass() const { return pass_; }
  [[nodiscard]] const ScheduledStep& step() const { return step_; }
  [[nodiscard]] std::optional<RequestIndex> open_chunk() const { return open_chunk_; }
  [[nodiscard]] std::span<const RequestIndex> running() const { return running_; }  // some may have ended
  [[nodiscard]] std::span<const RequestIndex> waiting() const { return waiting_; }
  [[nodiscard]] std::span<const RequestIndex> bootstrapping() const { return bootstrap_; }  // PD prefill side
  [[nodiscard]] std::span<const RequestIndex> inflight() const { return inflight_; }        // PD prefill side
  [[nodiscard]] std::span<const RequestIndex> preallocating() const { return prealloc_; }   // PD decode side
  [[nodiscard]] std::span<const RequestIndex> transferring() const { return transfer_; }    // PD decode side
  [[nodiscard]] std::span<const RequestIndex> retracted() const {
    return retracted_;
  }  // PD decode side, in host memory
  [[nodiscard]] bool batch_is_full() const { return full_; }
  [[nodiscard]] double new_token_ratio() const { return ratio_; }
  [[nodiscard]] std::int64_t pool_tokens() const { return pool_; }
  [[nodiscard]] std::int64_t free_tokens() const { return free_; }
  [[nodiscard]] std::int64_t evictable_tokens() const { return tree_.evictable(); }
  [[nodiscard]] std::int64_t free_slots() const { return slots_ - held_slots_; }
  // Tokens that are free, in the prefix tree or owned by one request: pool_tokens() after every pass.
  [[nodiscard]] std::int64_t accounted_tokens() const;
  [[nodiscard]] std::int64_t in_flight() const { return in_flight_; }  // added and not ended
  [[nodiscard]] bool done() const;                                     // nothing in flight, no results to come
  [[nodiscard]] std::string state() const;                             // of the queues, for messages

  [[nodiscard]] std::int64_t output_tokens(RequestIndex r) const { return requests_[r].output; }
  [[nodiscard]] std::int64_t max_new_tokens(RequestIndex r) const { return requests_[r].max_new; }  // as cut on arrival
  [[nodiscard]] std::int64_t retractions(RequestIndex r) const { return requests_[r].returns; }

 private:
  struct Held {  // a request, from add() until nothing of it is left
    std::int64_t input = 0;
    std::int64_t output = 0;
    std::int64_t max_new = 0;
    std::int64_t end_at = 0;     // ends with so many output tokens
    std::int64_t kv = 0;         // tokens whose keys and values count
    std::int64_t allocated = 0;  // slots taken; with num_draft_tokens more than that
    std::int64_t start = 0;      // piece of the prompt in the present step
    std::int64_t end = 0;
    std::int64_t matched = 0;  // of the prompt, needs no computing
    std::int64_t in_tree = 0;  // of the slots, belong to the tree
    std::int64_t sent = 0;
    std::int64_t priority = 0;
    std::int64_t hit = 0;     // lpm: tokens in the tree
    std::uint64_t entry = 0;  // when it entered the waiting queue last
    std::int64_t returns = 0;
    TokenTexts::Id text = 0;
    PrefixTree::Node node = PrefixTree::kRoot;  // held
    std::uint32_t epoch = 0;
    std::uint32_t place = 0;     // in the list that is being sorted: equal ones keep their order
    bool runs_to_limit = false;  // ignore_eos
    bool finished = false;
    bool in_running = false;
    bool has_slot = false;
    bool handshaken = false;
    bool transferred = false;
    bool behind = false;  // lpm: shares a prefix with one that waits before it
    [[nodiscard]] std::int64_t size() const { return input + output; }
  };
  struct Batch {
    SglangPassKind kind = SglangPassKind::kIdle;
    std::vector<SglangRow> rows{};
  };
  // What a prefill batch may still take. Sums of SGLang's in SGLang's order: the ratio makes them fractions.
  struct Budget {
    std::int64_t chunk = 0;
    std::int64_t prefill = 0;
    double reserved = 0;     // with what running requests may still need
    std::int64_t taken = 0;  // without
    bool looked_ahead = false;
  };
  struct FutureEnd {  // look-ahead: tokens until the end, and what it then frees
    double left = 0;
    std::int64_t held = 0;
  };

  [[nodiscard]] std::int64_t up(std::int64_t tokens) const { return (tokens + page_ - 1) / page_ * page_; }
  [[nodiscard]] std::int64_t available() const { return free_ + tree_.evictable(); }
  [[nodiscard]] std::int64_t reservation(const Held& r) const;
  [[nodiscard]] std::int64_t still_to_come(const Held& r) const;
  [[nodiscard]] std::int64_t slots_wanted(const Held& r) const;
  [[nodiscard]] std::int64_t growth(const Held& r) const { return up(slots_wanted(r)) - up(r.allocated); }
  [[nodiscard]] bool nothing_to_do() const;

  // sglang.cpp
  void clear_pass();
  void make_room(std::int64_t tokens);
  void take(std::int64_t tokens);
  void remember(Held& r, std::int64_t tokens);
  void give_back(Held& r, bool keep);
  void enter_queue(RequestIndex r);
  void send_back(RequestIndex r);
  void finish(RequestIndex r);
  void merge_last_prefill();
  void drop_finished();
  void extend_decodes(std::span<const RequestIndex> requests);
  [[nodiscard]] bool fits(std::span<const RequestIndex> requests);
  void retract();
  void process(const Batch& batch, std::span<const std::int32_t> gained);

  // sglang_prefill.cpp
  [[nodiscard]] std::int64_t room_for_new() const;
  [[nodiscard]] bool tries_no_admission() const;
  void sort_queue();
  void sort_by_longest_prefix();
  void continue_chunk();
  void admit_from_queue();
  void charge(std::int64_t tokens, std::int64_t future);
  [[nodiscard]] std::int64_t piece(Held& r, PrefixTree::Match hit);
  [[nodiscard]] std::int64_t piece_by_look_ahead(const Held& r);
  [[nodiscard]] std::int64_t refuse_for_memory();
  [[nodiscard]] bool preempt_for(const Held& r);
  void launch_prefill();

  // sglang_disaggregation.cpp
  void leave_bootstrap();
  void send(RequestIndex r, std::int64_t end, bool last);
  void process_prefill_side(const Batch& batch);
  void release_transferred();
  [[nodiscard]] std::int64_t active() const;
  void occupy(Held& r, std::int64_t tokens);
  [[nodiscard]] std::int64_t kept(const Held& r) const;
  [[nodiscard]] bool may_resume(const Held& r, std::int64_t room) const;
  void resume_retracted();
  struct PreallocationLimits {
    std::int64_t held = 0;     // tokens of running requests
    std::int64_t longest = 0;  // of one of them at its end
  };
  [[nodiscard]] PreallocationLimits preallocation_limits() const;
  [[nodiscard]] bool may_preallocate(const Held& r, const PreallocationLimits& limits, std::int64_t free) const;
  void preallocate();
  void take_transferred();
  void join_running();

  // sglang_steady.cpp
  [[nodiscard]] std::int64_t passes_to_first_end() const;
  [[nodiscard]] bool queues_are_steady() const;
  void count_page_ends() const;
  [[nodiscard]] std::int64_t next_growth(std::int64_t pass) const;

  SglangConfig config_;
  std::int64_t page_;
  std::int64_t pool_;
  std::int64_t slots_;
  std::int64_t longest_request_;
  bool radix_;
  bool overlap_;
  bool chunked_;
  bool mixed_;
  bool preempts_;
  std::int64_t sign_;  // of priorities: larger goes first, or smaller
  double ratio_start_;
  double ratio_floor_;
  double ratio_step_;

  TokenTexts texts_;
  PrefixTree tree_;
  PrefixTree queue_tree_;  // lpm: prefixes that waiting requests share
  std::vector<Held> requests_;
  std::vector<RequestIndex> unused_;
  std::vector<RequestIndex> leaving_;  // free for others when the next pass begins
  std::vector<RequestIndex> arrived_, waiting_, running_;
  std::vector<RequestIndex> bootstrap_, inflight_, prealloc_, transfer_, retracted_;
  std::vector<RequestIndex> batch_, stay_, victims_;  // scratch
  std::vector<FutureEnd> future_ends_;
  mutable std::vector<std::int64_t> page_ends_;  // scratch of the steady passes
  std::optional<RequestIndex> open_chunk_;
  Batch now_, last_;  // of this pass, of the pass before
  Budget budget_;
  SglangPass pass_;
  ScheduledStep step_;
  double ratio_ = 0;
  std::int64_t free_ = 0;
  std::int64_t held_slots_ = 0;
  std::int64_t past_handshake_ = 0;  // PD prefill side
  std::int64_t in_flight_ = 0;
  std::uint64_t entries_ = 0;
  bool full_ = false;  // batch_is_full
};

}  // namespace ascendsim
