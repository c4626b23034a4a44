// How long a step takes that a scheduler has formed, of all data-parallel groups of an instance together. Exact prices
// (prediction/predict.h) are remembered by the shape of the batch; between priced shapes times are interpolated.
//
// What a price depends on, and what is taken for it:
//   rows     of the fullest data-parallel group, and of all groups together: experts see all, everything else of a step
//            waits for the fullest. The others have equal shares of the rest. Few rows are priced as they are; of more,
//            the ends of stretches on which time is smooth. Numbers at which a product is padded to another tile, experts
//            included, a graph ends, or another carrier of experts takes over, end a stretch; others are found by
//            halving it until what lies in the middle is what the ends say.
//   decode   rows are sequences, and the tokens that the group with most of them attends to; linear between a few mean
//            contexts.
//   prompts  attended pairs of a new and an older token, and tokens cached before: what n equal prompts take longer than
//            one without a cache, n between whole numbers.
//   mixed    steps with both: one set of rows through the linear layers and experts of a prefill program, the attention
//            of its prompts, and the attention of its decodes, which is what a decode step takes longer for their
//            contexts. The engines run the two attentions one after the other (vllm_ascend/attention/mla_v1.py, forward:
//            decode and prefill parts; MindIE SplitFuse and SGLang mixed chunks alike); a kernel start a layer is left
//            out.
// A group that idles takes part with dummy rows, as programs do.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "strategies/prediction/predict.h"
#include "strategies/serving/scheduler.h"

namespace ascendsim {

// What one data-parallel group computes in a step.
struct GroupRows {
  std::int64_t prompts = 0, prompt_rows = 0;  // chunks of prompts, and their tokens
  std::int64_t cached = 0;                    // tokens before these chunks
  std::int64_t twice_pairs = 0;               // sum of tokens x (2 x cached + tokens)
  std::int64_t sequences = 0, rows = 0;       // that decode, and their tokens, drafts included
  std::int64_t context = 0;                   // that they attend to, the first token of each step included

  void add(const ScheduledRequest& part) {
    if (part.prompt) {
      ++prompts;
      prompt_rows += part.tokens;
      cached += part.context;
      twice_pairs += part.tokens * (2 * part.context + part.tokens);
    } else {
      ++sequences;
      rows += part.tokens;
      context += part.context + 1;
    }
  }
  [[nodiscard]] std::int64_t all_rows() const { return prompt_rows + rows; }
};

// Requests of one size each: their decode steps are priced at the contexts that `predict` prices, so that one request
// alone takes the same time to the tick.
struct EqualLengths {
  std::int64_t input_tokens = 0, output_tokens = 0;
};

// Numbers of rows, where a price is taken for each, and stretches between two that are priced.
class RowLadder {
 public:
  struct Span {
    std::int64_t low = 0, high = 0;
  };
  // Each number up to `exact`; above, stretches of at most a part in `parts` (a power of two), or of `multiple`.
  RowLadder(std::int64_t exact, std::int64_t parts, std::int64_t multiple)
      : exact_(exact), parts_(parts), multiple_(multiple) {}

  // No stretch has rows on both sides of an edge, which is the last number of its kind.
  void edge(std::int64_t rows) { edges_.push_back(rows); }
  // Edges at all whole numbers of numerator / denominator, rounded down, up to `most`.
  void edge_every(std::int64_t numerator, std::int64_t denominator,
                  std::int64_t most = std::numeric_limits<std::int64_t>::max()) {
    periods_.push_back({numerator, denominator, most});
  }
  [[nodiscard]] Span around(std::int64_t rows) const;

 private:
  struct Period {
    std::int64_t numerator, denominator, most;
  };
  std::int64_t exact_, parts_, multiple_;
  std::vector<std::int64_t> edges_;
  std::vector<Period> periods_;
};

class StepTimes {
 public:
  // REQUIRES: one stage of layers (pp = 1).
  explicit StepTimes(const Scenario& scenario, std::optional<EqualLengths> lengths = {});

  // One entry a data-parallel group.
  [[nodiscard]] Duration time(std::span<const GroupRows> groups);

  // Decode steps with the same rows and growing contexts.
  struct DecodeLine {
    std::int64_t per_sequence = 1;          // rows of a sequence
    std::int64_t sequences = 0, total = 0;  // of the fullest group; of all
    bool halves = false;                    // a half of every group's sequences runs beside the other half
    bool gaps = false;                  // rows of groups, each as long as the fullest, have gaps before the last row
    std::vector<std::int64_t> ticks{};  // at each context that is priced; -1 = not yet
  };
  // Good as long as this lives. sequences: of each group.
  [[nodiscard]] DecodeLine& decode_line(std::span<const GroupRows> groups);
  // context: of all sequences of the group that has most.
  [[nodiscard]] Duration at(DecodeLine& line, std::int64_t context) { return Duration(ticks_at(line, context)); }

  // Without interpolation and memory: groups of equal sequences with the mean context, prompts of the mean length. The
  // measure of what time() says of such steps. REQUIRES: prompts or decodes, not both.
  [[nodiscard]] Duration exact(std::span<const GroupRows> groups);
  [[nodiscard]] std::int64_t priced() const { return priced_; }  // steps that were priced so far

 private:
  // Steps of which only the rows differ.
  struct Kind {
    std::int64_t per_sequence = 0, place = 0;  // decode: of a sequence, of contexts_; 0: prompts
    bool halves = false, gaps = false;         // as in DecodeLine
    std::int64_t cached = 0;                   // prompts: before the tokens of each group
    bool operator==(const Kind&) const = default;
  };
  struct Rows {
    Kind kind;
    std::int64_t rows = 0, total = 0;  // of the fullest group, of all; sequences of decodes
    bool operator==(const Rows&) const = default;
  };
  struct Prompts {                                     // of every group alike
    std::int64_t prompts = 1, tokens = 0, cached = 0;  // of each prompt
    bool halves = false;
    bool operator==(const Prompts&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Rows& r) const;
    std::size_t operator()(const Prompts& p) const;
    std::size_t operator()(const std::array<std::int64_t, 5>& key) const;
  };

  [[nodiscard]] double time_of(const Kind& kind, std::int64_t rows, std::int64_t total);
  [[nodiscard]] double where_all_are_full(const Kind& kind, std::int64_t rows);
  [[nodiscard]] double where_one_lacks_a_row(const Kind& kind, std::int64_t rows);
  [[nodiscard]] double where_others_idle(const Kind& kind, std::int64_t rows);
  [[nodiscard]] double between_totals(const Kind& kind, std::int64_t rows, std::int64_t total);
  [[nodiscard]] double node(const Kind& kind, std::int64_t rows, std::int64_t total);
  [[nodiscard]] const RowLadder& ladder(const Kind& kind) const;
  [[nodiscard]] std::int64_t whole_shares(const Kind& kind) const;
  [[nodiscard]] const RowLadder& totals(const Kind& kind) const;

  [[nodiscard]] DecodeLine& line(std::int64_t per_sequence, std::int64_t sequences, std::int64_t total, bool halves,
                                 bool gaps);
  [[nodiscard]] std::int64_t ticks_at(DecodeLine& line, std::int64_t context);
  [[nodiscard]] std::int64_t at_place(DecodeLine& line, std::size_t place);
  [[nodiscard]] std::int64_t attention_of_decodes(const GroupRows& group);

  [[nodiscard]] std::int64_t with_prompts(std::span<const GroupRows> groups);
  [[nodiscard]] double time_of_prompts(Kind kind, std::int64_t rows, std::int64_t total, std::int64_t unpadded,
                                       const GroupRows& group);
  [[nodiscard]] double attention_of_prompts(const Kind& kind, std::int64_t rows, std::int64_t cached, double part,
                                            std::int64_t than_cached);
  [[nodiscard]] double prompts_at(const Kind& kind, std::int64_t rows, std::int64_t cached, double part,
                                  std::int64_t than_cached);
  [[nodiscard]] std::int64_t rows_of_prompts(std::int64_t prompts, std::int64_t tokens) const;
  [[nodiscard]] std::optional<std::int64_t> price_alone(std::int64_t tokens, std::int64_t cached);
  [[nodiscard]] std::int64_t price_prompts(const Prompts& prompts);

  [[nodiscard]] std::int64_t price(const Step& step);
  [[nodiscard]] GroupLoad load_of(const Kind& kind, std::int64_t rows) const;
  [[nodiscard]] GroupLoad decoding(std::int64_t sequences, std::int64_t per_sequence, std::int64_t context) const;

  const Scenario& scenario_;
  PipelineTimer timer_;
  std::int64_t groups_;
  std::optional<EqualLengths> lengths_;
  std::vector<std::int64_t> contexts_;                  // at which decode steps are priced
  std::vector<RowLadder> decode_rows_, decode_totals_;  // by rows of a sequence, from 1
  RowLadder prompt_rows_, prompt_totals_, attention_rows_;
  std::unordered_map<Rows, std::int64_t, Hash> rows_;
  std::unordered_map<std::array<std::int64_t, 5>, DecodeLine, Hash> lines_;
  std::unordered_map<Prompts, std::int64_t, Hash> prompts_;
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> alone_;  // one prompt in the whole step
  std::int64_t priced_ = 0;
};

}  // namespace ascendsim
