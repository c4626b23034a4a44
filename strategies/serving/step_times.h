// How long a step takes that a scheduler has formed, of all data-parallel groups of an instance together. Exact prices
// (prediction/predict.h) are remembered by the shape of the batch; between priced shapes times are interpolated.
//
// What a price depends on, and what is taken for it:
//   decode   sequences of the fullest group, tokens that the group with most of them attends to, sequences of the others.
//            Interpolated over sequences between sizes at which a price may jump (captured graphs, rows that a product
//            is padded to, carriers of experts), linearly over the mean context between a few contexts.
//   prompts  rows of the group, tokens cached before them, attended pairs of a new and an older token. n equal prompts
//            with the same rows, cached tokens and pairs stand for the prompts of a group: n between powers of two.
//   mixed    steps with both: one set of rows through the linear layers and experts of a prefill program, the attention
//            of its prompts, and the attention of its decodes, which is what a decode step takes longer for their
//            contexts. The engines run the two attentions one after the other (vllm_ascend/attention/mla_v1.py, forward:
//            decode and prefill parts; MindIE SplitFuse and SGLang mixed chunks alike); a kernel start a layer is left
//            out.
// A group that idles takes part with dummy rows, as programs do.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
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

class StepTimes {
 public:
  // REQUIRES: one stage of layers (pp = 1).
  explicit StepTimes(const Scenario& scenario, std::optional<EqualLengths> lengths = {});

  // One entry a data-parallel group.
  [[nodiscard]] Duration time(std::span<const GroupRows> groups);

  // Decode steps with the same rows and growing contexts.
  struct DecodeLine {
    std::int64_t per_sequence = 1;         // rows of a sequence
    std::int64_t sequences = 0, others = 0;  // of the fullest group; of each other one
    std::vector<std::int64_t> ticks{};     // at each context that is priced; -1 = not yet
  };
  // Good as long as this lives. sequences: of each group.
  [[nodiscard]] DecodeLine& decode_line(std::span<const GroupRows> groups);
  // context: of all sequences of the group that has most.
  [[nodiscard]] Duration at(DecodeLine& line, std::int64_t context) {
    return Duration(ticks_at(line, context));
  }

  // Without interpolation and memory: groups of equal sequences with the mean context, prompts of the mean length. The
  // measure of what time() says of such steps. REQUIRES: prompts or decodes, not both.
  [[nodiscard]] Duration exact(std::span<const GroupRows> groups) const;
  [[nodiscard]] std::int64_t priced() const { return priced_; }  // steps that were priced so far

 private:
  struct Span {  // between two values that are priced
    std::int64_t low = 0, high = 0;
  };
  struct PromptShape {
    std::int64_t prompts = 1, tokens = 0, cached = 0, others = 0;  // of each prompt; rows of each other group
    bool operator==(const PromptShape&) const = default;
  };
  struct Hash {
    std::size_t operator()(const PromptShape& s) const;
    std::size_t operator()(const std::array<std::int64_t, 3>& key) const;
  };

  [[nodiscard]] DecodeLine& line(std::int64_t per_sequence, std::int64_t sequences, std::int64_t others);
  [[nodiscard]] std::int64_t ticks_at(DecodeLine& line, std::int64_t context);
  [[nodiscard]] std::int64_t node(DecodeLine& line, std::size_t place);
  [[nodiscard]] std::int64_t node_between_sequences(const DecodeLine& line, std::size_t place, Span span);
  [[nodiscard]] std::int64_t node_between_others(const DecodeLine& line, std::size_t place, Span span);
  [[nodiscard]] std::int64_t price_decode(const DecodeLine& line, std::int64_t context);
  [[nodiscard]] Span sequences_around(std::int64_t per_sequence, std::int64_t sequences) const;
  [[nodiscard]] Span others_around(std::int64_t sequences, std::int64_t others) const;
  [[nodiscard]] std::int64_t attention_of_decodes(const GroupRows& group);

  [[nodiscard]] std::int64_t mixed(std::span<const GroupRows> groups);
  [[nodiscard]] std::int64_t prompts(std::int64_t rows, std::int64_t twice_pairs, std::int64_t cached,
                                     std::int64_t others);
  [[nodiscard]] double prompts_at(std::int64_t rows, std::int64_t cached, std::int64_t others,
                                  std::int64_t twice_pairs);
  [[nodiscard]] double prompts_between_others(std::int64_t rows, std::int64_t cached, double share,
                                              std::int64_t twice_pairs);
  [[nodiscard]] std::int64_t price_prompts(const PromptShape& shape);
  [[nodiscard]] Span rows_around(std::int64_t rows) const;

  [[nodiscard]] std::int64_t price(const Step& step);
  [[nodiscard]] GroupLoad decoding(std::int64_t sequences, std::int64_t per_sequence, std::int64_t context) const;

  const Scenario& scenario_;
  std::int64_t groups_;
  std::optional<EqualLengths> lengths_;
  std::vector<std::int64_t> contexts_;      // at which decode steps are priced
  // Rows at which a step is the last of its kind, and rows that are priced between these.
  std::vector<std::int64_t> decode_edges_, decode_rows_, prompt_edges_, prompt_rows_;
  std::int64_t padded_to_ = 1;  // rows of a step with prompts
  std::unordered_map<std::array<std::int64_t, 3>, DecodeLine, Hash> lines_;
  std::unordered_map<PromptShape, std::int64_t, Hash> prompts_;
  std::int64_t single_prompts_ = 0;  // shapes of one prompt that were priced as they are
  std::int64_t priced_ = 0;
};

}  // namespace ascendsim
