// Rows of a rank in one pass of a step, as all parts of a program count them: the model's pass, or one of its drafts'.
#pragma once

#include <span>
#include <vector>

#include "strategies/deployment/partitions.h"
#include "strategies/programs/step.h"

namespace ascendsim {

struct RankPlace;

// Real rows are computed; padded rows only travel in collectives (an idle DP group sends nothing but padding).
struct StreamRows {
  std::int64_t real = 0;       // tokens of the rank in attention
  std::int64_t padded = 0;     // the same on every rank: the largest, a multiple of tp where scattered
  std::int64_t scattered = 0;  // padded / tp
  std::int64_t routed = 0;     // like `padded`, but for what a captured graph adds: experts never see that
  // Of the share that TP rank `tp` keeps where rows are scattered.
  [[nodiscard]] std::int64_t real_in_share(std::int64_t tp) const;
};
// Rows of one attention stream: with context parallelism a rank's padded share of every prompt.
std::int64_t attention_rows(const Layout& l, Phase phase, const GroupLoad& load);
StreamRows stream_rows(const Deployment& d, Phase phase, std::span<const GroupLoad> loads, std::int64_t dp);
// Loads of draft pass `pass`, 0 being the one over all rows that were verified.
std::vector<GroupLoad> draft_loads(const Deployment& d, std::span<const GroupLoad> loads, Phase phase,
                                   std::int64_t pass);
// Cached tokens of one sequence in a rank's shard of the KV cache, once the step is done.
std::vector<PlacedTokens> cached_tokens(const Deployment& d, Phase phase, const GroupLoad& load, std::int64_t shard);
// Position of the first token that the step computes.
std::int64_t first_position(Phase phase, const GroupLoad& load);
std::int64_t sampled_rows(Phase phase, const GroupLoad& load);

struct PassRows : StreamRows {
  PassRows(const RankPlace& place, std::vector<GroupLoad> loads_of_pass, std::int64_t first_sequence_of_group,
           int number, bool writes);

  int pass;                      // 0: the model itself, 1...: its drafts
  bool writes_cache;             // Step
  std::vector<GroupLoad> loads;  // of every DP group
  GroupLoad load;                // of this rank's
  std::int64_t first_sequence;   // number of the DP group's first

  std::int64_t world = 0;             // real rows of all attention streams together
  std::int64_t routed_world = 0;      // `routed` of all streams
  std::int64_t sampled = 0;           // rows of logits of this rank's DP group
  std::int64_t sampled_of_world = 0;  // of all DP groups
  std::int64_t sampled_padded = 0;    // of the busiest one
  bool real_rows_first = true;        // no padding between the streams' real rows

  PromptSplit split;                  // of a prompt's new tokens over cp
  std::vector<PlacedTokens> placed;   // one sequence's cached tokens in this rank's KV shard
  std::vector<PlacedTokens> stored;   // ... with room for what later passes draft
  std::int64_t cached = 0;            // tokens of `placed`
  std::int64_t cache_stride = 0;      // rows between sequences in the cache
  std::vector<std::int64_t> visible;  // cached tokens that row i of a sequence sees here (decode)

  // Whether cp cuts prompts in this pass, so that ranks compute rows that others cache.
  bool cut = false;
  // The row of a prompt's token on the rank that computes it; and once all are gathered and in order, where
  // `gathered_run` tokens of a sequence follow each other.
  [[nodiscard]] std::int64_t own_row(std::int64_t sequence, std::int64_t part, std::int64_t row) const {
    return (part * load.sequences + sequence) * split.chunk + row;
  }
  [[nodiscard]] std::int64_t gathered_row(std::int64_t sequence, std::int64_t token) const {
    return (token / gathered_run * load.sequences + sequence) * gathered_run + token % gathered_run;
  }
  std::int64_t gathered_run = 0;

 private:
  void count_streams(const RankPlace& place);
  void count_cache(const RankPlace& place);
};

}  // namespace ascendsim
