#include "strategies/programs/context/prompt_attention.h"

#include "workloads/operators/elementwise.h"

namespace ascendsim {

PromptAttention::PromptAttention(RankStep& step, Value q, Value out, Value lse)
    : s(step),
      core_(prefill_core(step)),
      q_(q),
      out_(out),
      lse_(lse),
      part_rows_(step.rows.load.sequences * step.rows.split.chunk) {}

void PromptAttention::call(const char* label, const Blocks& blocks, std::int64_t part, std::int64_t rows,
                           const Expanded& kv) {
  if (blocks.empty()) return;
  core_.accumulate = begun_[static_cast<std::size_t>(part)];
  const auto queries = [&](Value x) { return x.row_slice(part * part_rows_, rows); };
  attend(s.p, label, core_, blocks, queries(q_), kv.k, kv.v, queries(out_), queries(lse_));
  for (std::int64_t i = part; i * part_rows_ < part * part_rows_ + rows; ++i)
    begun_[static_cast<std::size_t>(i)] = true;
}

GatheredRows PromptAttention::gather(Value latent, Value cache) {
  GatheredRows all;
  all.by_rank = s.p.all_gather("latent_gather", latent, s.group(Group::kAttnCp));
  all.ordered = place_rows(s.p, "latent_reorder", all.by_rank, all.by_rank.rows, s.moves.gathered_order());
  write_gathered(s, all.ordered, cache, s.moves.gathered_cache_writes());
  return all;
}

PromptAttention::Blocks PromptAttention::triangle_with(std::int64_t rank) const {
  const std::int32_t hidden = rank > s.at.cp ? 1 : 0;  // the first row sees no key of a later rank
  Blocks out;
  for (std::int32_t first = 0; first < part_rows_ && chunk() > hidden; first += chunk())
    out.push_back(
        {.q_row = first + hidden, .q_rows = chunk() - hidden, .k_row = first, .k_rows = chunk(), .causal = 1});
  return out;
}

void attend_cut_prompts(RankStep& s, Value q, Value latent, Value cache, Value out, Value lse) {
  if (s.rows.load.sequences == 0)
    return attend(s.p, "no_prompt", prefill_core(s), {}, q, q, q, out, lse);  // the whole cp group idles
  PromptAttention attention(s, q, out, lse);
  context_attention(s.context).attend(attention, latent, cache);
  attend_history(s, q, out, lse, cache, true);
}

}  // namespace ascendsim
