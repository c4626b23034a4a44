// Prefill attention where context parallelism cuts prompts, and over prefixes that the cache holds; ContextScheme says
// how.
//
// Gathered: the latent of the whole prompt reaches every cp rank in one all-gather, is put in order, goes to the cache
// and is expanded there (kv_b over all keys, on every cp rank). MindIE then calls the kernel chunk by chunk in ring
// order, vLLM-Ascend and SGLang once for the masked keys of each chunk and again for those that need no mask
// (npu_ring_mla goes on from out and lse). Round-robin shares see each other through triangles: row i of rank r sees
// rows 0 .. i of ranks up to r, 0 .. i - 1 of the others (striped attention, Brandon et al. 2023); no dense kernel here
// takes such queries in one call.
//
// Ring: the latent goes from neighbour to neighbour while the kernel works on what has come (Liu, Zaharia, Abbeel 2023;
// zigzag as in zhuzilin/ring-flash-attention), and only the keys that some query sees are expanded.
#include <algorithm>
#include <array>
#include <vector>

#include "strategies/programs/mla_parts.h"
#include "workloads/operators/elementwise.h"

namespace ascendsim {

namespace {

class PromptAttention {
 public:
  PromptAttention(RankStep& step, Value q, Value out, Value lse)
      : s_(step),
        core_(prefill_core(step)),
        q_(q),
        out_(out),
        lse_(lse),
        part_rows_(step.load.sequences * step.split.chunk) {}

  void gathered(Value latent, Value cache);
  void ring(Value latent, Value cache);

 private:
  using Blocks = std::vector<AttentionBlock>;
  [[nodiscard]] std::int32_t chunk() const { return static_cast<std::int32_t>(s_.split.chunk); }
  // Index of the rank's zigzag chunk `part` in the prompt.
  [[nodiscard]] std::int64_t index(std::int64_t part) const { return s_.split.first(s_.at.cp, part) / s_.split.chunk; }
  // `rows` rows of queries, from the first of part `part` on.
  void call(const char* label, const Blocks& blocks, std::int64_t part, std::int64_t rows, const Expanded& kv) {
    if (blocks.empty()) return;
    core_.accumulate = begun_[static_cast<std::size_t>(part)];
    const auto queries = [&](Value x) { return x.row_slice(part * part_rows_, rows); };
    s_.category(Category::kAttention);
    attend(s_.p, label, core_, blocks, queries(q_), kv.k, kv.v, queries(out_), queries(lse_));
    for (std::int64_t i = part; i * part_rows_ < part * part_rows_ + rows; ++i)
      begun_[static_cast<std::size_t>(i)] = true;
  }
  void chunk_by_chunk(const Expanded& kv);
  void masked_first(const Expanded& kv);
  void striped(const Expanded& kv);
  [[nodiscard]] Blocks triangle_with(std::int64_t rank, std::int64_t first_key_row) const;

  RankStep& s_;
  PrefillCore core_;
  Value q_, out_, lse_;
  std::int64_t part_rows_;
  std::array<bool, 2> begun_{};  // out and lse of a part hold something
};

// Keys lie chunk after chunk, in each chunk sequence after sequence, as queries do.
void PromptAttention::chunk_by_chunk(const Expanded& kv) {
  for (std::int64_t part = 0; part < 2; ++part)
    for (std::int64_t j = 0; j <= index(part); ++j) {
      Blocks blocks;
      for (std::int32_t first = 0; first < part_rows_; first += chunk())
        blocks.push_back(
            {.q_row = first, .q_rows = chunk(), .k_row = first, .k_rows = chunk(), .causal = j == index(part)});
      const auto keys = [&](Value x) { return x.row_slice(j * part_rows_, part_rows_); };
      call("ring_mla", blocks, part, part_rows_, {keys(kv.k), keys(kv.v)});
    }
}

// Keys lie sequence after sequence.
void PromptAttention::masked_first(const Expanded& kv) {
  for (std::int64_t part = 0; part < 2; ++part) {
    // Of every sequence, keys [first, first + rows) of the prompt.
    const auto blocks = [&](std::int64_t first, std::int64_t rows, bool causal) {
      Blocks out;
      for (std::int64_t i = 0; i < s_.load.sequences; ++i)
        out.push_back({.q_row = static_cast<std::int32_t>(i * chunk()),
                       .q_rows = chunk(),
                       .k_row = static_cast<std::int32_t>(s_.gathered_row(i, first)),
                       .k_rows = static_cast<std::int32_t>(rows),
                       .causal = causal});
      return out;
    };
    const std::int64_t before = index(part) * chunk();
    // The kernel reads the keys of its call only; of several sequences they lie apart, so it is given all.
    const auto over = [&](const char* label, std::int64_t first, std::int64_t rows, bool causal) {
      Blocks b = blocks(first, rows, causal);
      if (s_.load.sequences > 1) return call(label, b, part, part_rows_, kv);
      const std::int64_t at = b[0].k_row;
      b[0].k_row = 0;
      call(label, b, part, part_rows_, {kv.k.row_slice(at, rows), kv.v.row_slice(at, rows)});
    };
    over("masked_attention", before, chunk(), true);
    const std::int64_t segment =
        s_.context.unmasked_segment > 0 ? s_.context.unmasked_segment : std::max<std::int64_t>(before, 1);
    for (std::int64_t first = 0; first < before; first += segment)
      over("unmasked_attention", first, std::min(segment, before - first), false);
  }
}

// Queries of this round-robin rank against keys of another, which begin at a row.
PromptAttention::Blocks PromptAttention::triangle_with(std::int64_t rank, std::int64_t first_key_row) const {
  const std::int32_t hidden = rank > s_.at.cp ? 1 : 0;  // the first row sees no key of a later rank
  Blocks out;
  for (std::int32_t first = 0; first < part_rows_ && chunk() > hidden; first += chunk())
    out.push_back({.q_row = first + hidden,
                   .q_rows = chunk() - hidden,
                   .k_row = static_cast<std::int32_t>(first_key_row) + first,
                   .k_rows = chunk(),
                   .causal = 1});
  return out;
}

// Keys lie as ranks sent them. The rank's own come first: every row sees one of them.
void PromptAttention::striped(const Expanded& kv) {
  for (std::int64_t step = 0; step < s_.l.cp; ++step) {
    const std::int64_t rank = (s_.at.cp - step + s_.l.cp) % s_.l.cp;
    const auto keys = [&](Value x) { return x.row_slice(rank * part_rows_, part_rows_); };
    call("striped_attention", triangle_with(rank, 0), 0, part_rows_, {keys(kv.k), keys(kv.v)});
  }
}

void PromptAttention::gathered(Value latent, Value cache) {
  const GatheredRows all = gather_over_cp(s_, "latent_gather", "latent_reorder", latent);
  write_gathered(s_, all.ordered, cache, s_.gathered_cache_writes);
  const bool stripes = s_.context.partition == PromptPartition::kRoundRobin;
  const Expanded kv = expand(s_, stripes ? all.by_rank : all.ordered, "kv_b_k", "kv_b_v");
  if (stripes)
    striped(kv);
  else if (s_.context.calls == ContextScheme::Calls::kChunkByChunk)
    chunk_by_chunk(kv);
  else
    masked_first(kv);
}

// Step i of cp: the rank works on what started on rank r - i while it hands it on to r + 1. Two buffers take turns.
void PromptAttention::ring(Value latent, Value cache) {
  const bool stripes = s_.context.partition == PromptPartition::kRoundRobin;
  const std::array buffers{s_.p.activation(latent.dtype, latent.rows, latent.columns),
                           s_.p.activation(latent.dtype, latent.rows, latent.columns)};
  TransposedExpansion weights;
  Value now = latent;
  for (std::int64_t step = 0; step < s_.l.cp; ++step) {
    const std::int64_t rank = (s_.at.cp - step + s_.l.cp) % s_.l.cp;
    const Value next = buffers[static_cast<std::size_t>(step % 2)];
    if (step + 1 < s_.l.cp) s_.p.shift("latent_shift", now, next, s_.group(Group::kAttnCp));
    if (const Moves writes = s_.passing_cache_writes[static_cast<std::size_t>(rank)]; writes.rows > 0)
      write_gathered(s_, now, cache, writes);
    // Zigzag: all queries see the first chunk of an earlier rank and none of its second; of a later rank the second
    // chunk of queries sees both.
    const bool own = rank == s_.at.cp, earlier = rank < s_.at.cp;
    const Value seen = stripes || own || !earlier ? now : now.row_slice(0, part_rows_);
    const Expanded kv = expand(s_, seen, "kv_b_k", "kv_b_v", &weights);
    if (stripes) {
      call("ring_attention", triangle_with(rank, 0), 0, part_rows_, kv);
    } else {
      Blocks blocks;
      const std::int64_t first_part = own || earlier ? 0 : 1;
      for (std::int64_t part = first_part; part < 2; ++part)
        for (std::int64_t keys = 0; keys < (own ? part + 1 : seen.rows / part_rows_); ++keys)
          for (std::int64_t i = 0; i < s_.load.sequences; ++i)
            blocks.push_back({.q_row = static_cast<std::int32_t>((part - first_part) * part_rows_ + i * chunk()),
                              .q_rows = chunk(),
                              .k_row = static_cast<std::int32_t>(keys * part_rows_ + i * chunk()),
                              .k_rows = chunk(),
                              .causal = own && keys == part});
      call("ring_attention", blocks, first_part, (2 - first_part) * part_rows_, kv);
    }
    now = next;
  }
}

}  // namespace

GatheredRows gather_over_cp(RankStep& s, const char* gather, const char* reorder, Value own) {
  GatheredRows all;
  all.by_rank = s.p.all_gather(gather, own, s.group(Group::kAttnCp));
  s.category(Category::kVector);
  all.ordered = place_rows(s.p, reorder, all.by_rank, all.by_rank.rows, s.gathered_order);
  return all;
}

void attend_context_parallel(RankStep& s, Value q, Value latent, Value cache, Value out, Value lse) {
  if (s.load.sequences == 0)
    return attend(s.p, "no_prompt", prefill_core(s), {}, q, q, q, out, lse);  // the whole cp group idles
  PromptAttention attention(s, q, out, lse);
  if (s.context.exchange == LatentExchange::kRing)
    attention.ring(latent, cache);
  else
    attention.gathered(latent, cache);
  attend_history(s, q, out, lse, cache, true);
}

void attend_history(RankStep& s, Value q, Value out, Value lse, Value cache, bool accumulate) {
  PrefillCore core = prefill_core(s);
  core.accumulate = accumulate;
  for (const RankStep::HistoryPiece& piece : s.history) {
    s.category(Category::kVector);
    Value latent = place_rows(s.p, "history_load", cache, s.load.sequences * piece.local_rows, piece.load);
    if (s.context.history_in_two_gathers) {
      latent = s.p.all_gather("history_gather_sp", latent, s.group(Group::kAttnSp));
      if (!s.l.cp_whole_cache) latent = s.p.all_gather("history_gather", latent, s.group(Group::kAttnCp));
    } else {
      latent = s.p.all_gather("history_gather", latent, s.group(Group::kKvShards));
    }
    s.category(Category::kVector);
    if (s.l.kv_shards() > 1)
      latent = place_rows(s.p, "history_reorder", latent, s.load.sequences * piece.tokens, piece.order);
    const Expanded kv = expand(s, latent, "history_kv_b_k", "history_kv_b_v");

    // Queries lie part after part, in each part sequence after sequence.
    std::vector<AttentionBlock> blocks;
    for (std::int64_t first = 0; first < s.rows; first += s.split.chunk)
      blocks.push_back({.q_row = static_cast<std::int32_t>(first),
                        .q_rows = static_cast<std::int32_t>(s.split.chunk),
                        .k_row = static_cast<std::int32_t>(first / s.split.chunk % s.load.sequences * piece.tokens),
                        .k_rows = static_cast<std::int32_t>(piece.tokens)});
    s.category(Category::kAttention);
    attend(s.p, "history_attention", core, blocks, q, kv.k, kv.v, out, lse);
    core.accumulate = 1;
  }
}

}  // namespace ascendsim
