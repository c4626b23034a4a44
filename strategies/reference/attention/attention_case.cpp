#include "strategies/reference/attention/attention_case.h"

#include <fmt/format.h>

#include "workloads/operators/elementwise.h"
#include "workloads/operators/linear.h"

namespace ascendsim {

std::vector<GroupKind> attention_groups(const AttentionCase& c) {
  std::vector<GroupKind> kinds(4);
  const auto kind = [&](CaseGroup g, const char* name, auto group_of) {
    GroupKind& k = kinds[static_cast<std::size_t>(g)];
    k.name = name;
    for (std::int64_t r = 0; r < c.world(); ++r) {
      const auto group = static_cast<std::size_t>(group_of(r));
      if (k.groups.size() <= group) k.groups.resize(group + 1);
      k.groups[group].push_back(static_cast<int>(r));
    }
  };
  kind(CaseGroup::kTp, "tp", [&](std::int64_t r) { return r / c.tp; });
  kind(CaseGroup::kCp, "cp", [&](std::int64_t r) { return r % c.tp; });
  kind(CaseGroup::kDcp, "dcp", [&](std::int64_t r) { return r / c.dcp; });
  kind(CaseGroup::kWorld, "world", [](std::int64_t) { return 0; });
  kinds[static_cast<std::size_t>(CaseGroup::kCp)].ordered = true;
  return kinds;
}

Runs cached_tokens(const AttentionCase& c) {
  Runs runs;
  for (std::size_t s = 0; s < c.tokens.size(); ++s)
    if (c.history_of(s) > 0)
      runs.push_back({.sequence = static_cast<std::int32_t>(s), .rows = static_cast<std::int32_t>(c.history_of(s))});
  return laid_out(std::move(runs));
}

Value CaseRank::positions(std::span<const Run> runs) {
  std::vector<std::int32_t> out;
  for (const Run& r : runs)
    for (std::int32_t i = 0; i < r.rows; ++i) out.push_back(r.first + i * r.stride);
  return p.input(Dtype::kInt32, 1, {.key = "positions"}, std::move(out));
}

Value CaseRank::latent(std::span<const Run> runs) {
  if (!norm_) norm_ = p.weight(c.input, 1, c.kv_rank, {.key = "kv_a_layernorm", .fan_in = 1});
  const Value raw = p.input(c.input, c.latent_width(), {.key = "latent"}, global_rows(runs));
  return kv_norm_rope(p, "kv_norm_rope", raw, *norm_, positions(runs));
}

CaseRank::QueryParts CaseRank::query_parts(std::span<const Run> runs) {
  const auto part = [&](const char* key, std::int64_t width) {
    return p.input(c.input, c.local_heads() * width,
                   {.key = key, .column = static_cast<std::int32_t>(first_head * width)}, global_rows(runs));
  };
  const QueryParts parts{part("q_nope", c.nope), part("q_rope", c.rope)};
  rope(p, "q_rope", parts.rope, positions(runs), static_cast<int>(c.local_heads()), static_cast<int>(c.rope));
  return parts;
}

Value CaseRank::queries(std::span<const Run> runs) {
  const QueryParts parts = query_parts(runs);
  return concat_heads(p, "q_concat", parts.nope, parts.rope, static_cast<int>(c.local_heads()));
}

Value CaseRank::w_uk() {
  if (!w_uk_) w_uk_ = expansion_weight("w_uk", c.nope);
  return *w_uk_;
}

Value CaseRank::w_uv() {
  if (!w_uv_) w_uv_ = expansion_weight("w_uv", c.value);
  return *w_uv_;
}

Value CaseRank::expansion_weight(const char* key, std::int64_t width) {
  return p.weight(c.input, c.kv_rank, c.local_heads() * width,
                  {.key = key, .column = static_cast<std::int32_t>(first_head * width)});
}

CaseRank::KeysAndValues CaseRank::expand(Value latent) {
  const Value compressed = latent.column_slice(0, c.kv_rank), k_rope = latent.column_slice(c.kv_rank, c.rope);
  const Value k_nope = linear(p, "kv_b_k", compressed, w_uk(), c.input);
  const Value v = linear(p, "kv_b_v", compressed, w_uv(), c.input);
  return {concat_key(p, "k_concat", k_nope, k_rope, static_cast<int>(c.local_heads())), v};
}

PrefillCore CaseRank::core() const {
  return {.heads = static_cast<std::int32_t>(c.local_heads()),
          .key_width = static_cast<std::int32_t>(c.key_width()),
          .value_width = static_cast<std::int32_t>(c.value)};
}

Partial CaseRank::room(std::int64_t rows, Dtype out, Dtype lse) {
  return {p.activation(out, rows, c.local_heads() * c.value), p.activation(lse, rows, c.local_heads())};
}

Partial CaseRank::empty_partial(Value q, const KeysAndValues& kv, Dtype out, Dtype lse) {
  const Partial partial = room(q.rows, out, lse);
  attend(p, "no_keys_yet", core(), {}, q, kv.k, kv.v, partial.out, partial.lse);
  return partial;
}

Value CaseRank::gather_shards(std::span<const Runs> shares, std::span<const Run> wanted,
                              std::initializer_list<CaseGroup> groups) {
  std::int64_t longest = 0;
  for (const Runs& share : shares) longest = std::max(longest, rows_of(share));
  Value cached = latent(shares[static_cast<std::size_t>(shard())]);
  if (cached.rows < longest) cached = copy_rows(p, "history_pad", cached, longest);
  for (const CaseGroup g : groups) cached = p.all_gather("history_gather", cached, group(g));
  return select_rows(p, "history_reorder", cached, rows_holding(wanted, shares, longest));
}

RankAttention CaseRank::result(const Partial& partial, Runs runs) {
  return {p.take(), partial.out, partial.lse, std::move(runs), first_head};
}

namespace {

constexpr const char* kContextPage = "MindIE documentation, Context Parallelism";
constexpr const char* kSequencePage = "MindIE documentation, Sequence Parallelism";
constexpr const char* kMindieCache =
    "MindIE documentation, Prefix Cache and SplitFuse: a hit counts in whole blocks; SplitFuse excludes SP and CP";
constexpr const char* kVllmGuide =
    "vLLM-Ascend v0.15.0rc1, docs/source/developer_guide/feature_guide/context_parallel.md";
constexpr const char* kVllmTp = "vLLM-Ascend v0.15.0rc1: tp % dcp == 0, DCP groups are parts of the TP group";

using Rules = std::vector<BrokenRule>;

void heads_divide(const AttentionCase& c, Rules& broken) {
  if (c.heads % c.tp != 0) broken.push_back({fmt::format("{} heads are not divisible by {} ranks", c.heads, c.tp)});
}

void ranks_have_tokens(const AttentionCase& c, Rules& broken) {
  for (const std::int64_t tokens : c.tokens)
    if (tokens < c.cp) broken.push_back({fmt::format("{} ranks are more than {} tokens", c.cp, tokens)});
}

// A sequence of a decode step is all cached: there is nothing before it.
void no_history(const AttentionCase& c, Rules& broken) {
  if (c.has_history())
    broken.push_back({"a decode step has no history beside its cache: --tokens says how long that is"});
}

Rules ring_rules(const AttentionCase& c) {
  Rules broken;
  heads_divide(c, broken);
  ranks_have_tokens(c, broken);
  if (c.dcp != 1) broken.push_back({"a ring shares cached tokens over its ranks only: dcp must be 1"});
  return broken;
}

Rules tp_rules(const AttentionCase& c) {
  Rules broken;
  heads_divide(c, broken);
  if (c.cp != 1 || c.dcp != 1) broken.push_back({"tp shares heads only: cp and dcp must be 1"});
  return broken;
}

void mindie_degrees(const AttentionCase& c, Rules& broken) {
  heads_divide(c, broken);
  if (c.cp > 2) broken.push_back({fmt::format("MindIE knows cp 1 and 2, not {}", c.cp), kContextPage});
  if (c.dcp != c.tp)
    broken.push_back(
        {fmt::format("MindIE's sp is tp where it is switched on, got sp {} and tp {}", c.dcp, c.tp), kSequencePage});
}

Rules mindie_prefill_rules(const AttentionCase& c) {
  Rules broken;
  mindie_degrees(c, broken);
  ranks_have_tokens(c, broken);
  for (std::size_t s = 0; s < c.tokens.size(); ++s)
    if (c.history_of(s) % c.block_tokens != 0)
      broken.push_back(
          {fmt::format("a history of {} tokens is no multiple of the block of {}: with CP it can only come from "
                       "the prefix cache",
                       c.history_of(s), c.block_tokens),
           kMindieCache});
  return broken;
}

Rules mindie_decode_rules(const AttentionCase& c) {
  Rules broken;
  mindie_degrees(c, broken);
  no_history(c, broken);
  return broken;
}

void vllm_degrees(const AttentionCase& c, Rules& broken) {
  heads_divide(c, broken);
  if (c.tp % c.dcp != 0) broken.push_back({fmt::format("tp {} is not divisible by dcp {}", c.tp, c.dcp), kVllmTp});
  if (c.block_tokens % c.interleave != 0)
    broken.push_back(
        {fmt::format("a block of {} tokens is no multiple of the interleave size {}", c.block_tokens, c.interleave),
         kVllmGuide});
}

Rules vllm_prefill_rules(const AttentionCase& c) {
  Rules broken;
  vllm_degrees(c, broken);
  ranks_have_tokens(c, broken);
  return broken;
}

Rules vllm_decode_rules(const AttentionCase& c) {
  Rules broken;
  vllm_degrees(c, broken);
  no_history(c, broken);
  return broken;
}

Rules sglang_rules(const AttentionCase& c) {
  Rules broken = ring_rules(c);
  if (c.partition == Partition::kContiguous)
    broken.push_back({"SGLang cuts prompts in zigzag or round-robin", "sglang/srt/layers/utils/cp_utils.py"});
  return broken;
}

Rules dsa_rules(const AttentionCase& c) {
  Rules broken;
  if (c.cp != 1 || c.dcp != 1) broken.push_back({"DSA-CP divides tokens over the TP group: cp and dcp must be 1"});
  return broken;
}

const std::vector<Partition> kAnyPartition{Partition::kContiguous, Partition::kZigzag, Partition::kRoundRobin};
const std::vector<Partition> kBalanced{Partition::kZigzag, Partition::kRoundRobin};

const AttentionStrategy kStrategies[] = {
    {"ring",
     "point-to-point ring of keys and values, double-buffered, over cp ranks; heads over tp",
     {"ranks", "tp"},
     false,
     kAnyPartition,
     Dtype::kFp32,
     nullptr,
     point_to_point_ring,
     ring_rules},
    {"latent-ring",
     "point-to-point ring of latents, expanded where they arrive, over cp ranks; heads over tp",
     {"ranks", "tp"},
     false,
     kAnyPartition,
     Dtype::kFp32,
     nullptr,
     ring_of_latents,
     ring_rules,
     {{3, 2, 1}}},
    {"tp",
     "heads over tp ranks, every rank has all tokens",
     {"tp"},
     false,
     {},
     Dtype::kFp32,
     nullptr,
     head_parallel,
     tp_rules},
    {"mindie-cp",
     "MindIE context parallelism: latent gathered once, zigzag chunks, calls in ring order",
     {"cp", "sp", "tp"},
     false,
     {},
     Dtype::kFp32,
     kContextPage,
     mindie_context_parallel,
     mindie_prefill_rules},
    {"vllm-pcp",
     "vLLM-Ascend prefill context parallelism: latent gathered, head and tail, masked and unmasked keys apart",
     {"pcp", "dcp", "tp"},
     false,
     {},
     Dtype::kFp32,
     nullptr,
     vllm_prefill_context_parallel,
     vllm_prefill_rules,
     {{2, 4, 2}, {3, 2, 2}},
     false,
     "vllm-pcp-dcp"},
    {"sglang-cp",
     "SGLang context parallelism: latent gathered, whole caches on every cp rank; heads over tp",
     {"cp", "tp"},
     false,
     kBalanced,
     Dtype::kFp32,
     nullptr,
     sglang_context_parallel,
     sglang_rules,
     {{3, 2, 1}}},
    {"mindie-sp",
     "MindIE sequence-parallel decode: cached blocks over the ranks, output and lse exchanged in 16 bits",
     {"cp", "sp", "tp"},
     true,
     {},
     Dtype::kFp16,
     kSequencePage,
     mindie_sequence_parallel_decode,
     mindie_decode_rules},
    {"vllm-dcp",
     "vLLM-Ascend decode context parallelism: interleaved cache, output and lse exchanged in 32 bits",
     {"pcp", "dcp", "tp"},
     true,
     {},
     Dtype::kFp32,
     nullptr,
     vllm_decode_context_parallel,
     vllm_decode_rules,
     {{1, 4, 2}, {2, 4, 2}, {2, 4, 1}},
     false,
     "vllm-pcp-dcp"},
};

const AttentionStrategy kSparseStrategies[] = {
    {"sparse-tp",
     "DeepSeek-V3.2: heads over tp ranks, the indexer whole on each",
     {"tp"},
     false,
     {},
     Dtype::kFp32,
     nullptr,
     sparse_head_parallel,
     tp_rules,
     {},
     true},
    {"sparse-cp",
     "DeepSeek-V3.2 with SGLang's context parallelism: latents and index keys gathered; heads over tp",
     {"cp", "tp"},
     false,
     kBalanced,
     Dtype::kFp32,
     nullptr,
     sparse_context_parallel,
     sglang_rules,
     {{3, 2, 1}},
     true},
    {"dsa-cp",
     "DeepSeek-V3.2 with vLLM-Ascend's DSA-CP: tokens over the TP group, all heads on every rank",
     {"tp"},
     false,
     {},
     Dtype::kFp32,
     nullptr,
     sparse_tokens_over_tp,
     dsa_rules,
     {{1, 3, 1}},
     true},
};

}  // namespace

std::span<const AttentionStrategy> attention_strategies() { return kStrategies; }
std::span<const AttentionStrategy> sparse_attention_strategies() { return kSparseStrategies; }

}  // namespace ascendsim
