#include "strategies/programs/ring/attention_case.h"

#include <fmt/format.h>

#include "workloads/operators/elementwise.h"
#include "workloads/operators/linear.h"

namespace ascendsim {

std::vector<GroupKind> attention_groups(const AttentionCase& c) {
  GroupKind tp, cp;
  tp.name = "tp";
  cp.name = "cp";
  cp.ordered = true;
  tp.groups.resize(static_cast<std::size_t>(c.cp));
  cp.groups.resize(static_cast<std::size_t>(c.tp));
  for (std::int64_t r = 0; r < c.world(); ++r) {
    tp.groups[static_cast<std::size_t>(r / c.tp)].push_back(static_cast<int>(r));
    cp.groups[static_cast<std::size_t>(r % c.tp)].push_back(static_cast<int>(r));
  }
  return {tp, cp};
}

Value CaseRank::latent(std::span<const Run> runs) {
  return p.input(c.input, c.latent_width(), {.key = "latent"}, global_rows(runs));
}

Value CaseRank::query_part(const char* key, std::int64_t width, std::span<const Run> runs) {
  return p.input(c.input, c.local_heads() * width, {.key = key, .column = static_cast<std::int32_t>(first_head * width)},
                 global_rows(runs));
}

Value CaseRank::queries(std::span<const Run> runs) {
  const Value nope = query_part("q_nope", c.nope, runs), rope = query_part("q_rope", c.rope, runs);
  return concat_heads(p, "q_concat", nope, rope, static_cast<int>(c.local_heads()));
}

Value CaseRank::expansion_weight(const char* key, std::int64_t width) {
  return p.weight(c.input, c.kv_rank, c.local_heads() * width,
                  {.key = key, .column = static_cast<std::int32_t>(first_head * width)});
}

CaseRank::KeysAndValues CaseRank::expand(Value latent) {
  const Value compressed = latent.column_slice(0, c.kv_rank), k_rope = latent.column_slice(c.kv_rank, c.rope);
  const Value k_nope = linear(p, "kv_b_k", compressed, expansion_weight("w_uk", c.nope), c.input);
  const Value v = linear(p, "kv_b_v", compressed, expansion_weight("w_uv", c.value), c.input);
  return {concat_key(p, "k_concat", k_nope, k_rope, static_cast<int>(c.local_heads())), v};
}

PrefillCore CaseRank::core() const {
  return {.heads = static_cast<std::int32_t>(c.local_heads()),
          .key_width = static_cast<std::int32_t>(c.key_width()),
          .value_width = static_cast<std::int32_t>(c.value)};
}

Partial CaseRank::empty_partial(Value q, const KeysAndValues& kv, Dtype out, Dtype lse) {
  const Partial partial{p.activation(out, q.rows, c.local_heads() * c.value), p.activation(lse, q.rows, c.local_heads())};
  attend(p, "no_keys_yet", core(), {}, q, kv.k, kv.v, partial.out, partial.lse);
  return partial;
}

RankAttention CaseRank::result(const Partial& partial, Runs runs) {
  return {p.take(), partial.out, partial.lse, std::move(runs), first_head};
}

namespace {

void general_rules(const AttentionCase& c, std::vector<std::string>& broken) {
  if (c.heads % c.tp != 0) broken.push_back(fmt::format("{} heads are not divisible by {} ranks", c.heads, c.tp));
}

std::vector<std::string> ring_rules(const AttentionCase& c) {
  std::vector<std::string> broken;
  general_rules(c, broken);
  for (const std::int64_t tokens : c.tokens)
    if (tokens < c.cp) broken.push_back(fmt::format("{} ranks are more than {} tokens", c.cp, tokens));
  return broken;
}

std::vector<std::string> tp_rules(const AttentionCase& c) {
  std::vector<std::string> broken;
  general_rules(c, broken);
  if (c.cp != 1) broken.emplace_back("tp shares heads only: cp must be 1");
  return broken;
}

std::vector<std::string> mindie_rules(const AttentionCase& c) {
  std::vector<std::string> broken;
  general_rules(c, broken);
  if (c.cp > 2) broken.push_back(fmt::format("MindIE knows cp 1 and 2, not {}", c.cp));
  return broken;
}

std::vector<std::string> mindie_cp_rules(const AttentionCase& c) {
  std::vector<std::string> broken = mindie_rules(c);
  for (const std::int64_t tokens : c.tokens)
    if (tokens < c.cp) broken.push_back(fmt::format("{} ranks are more than {} tokens", c.cp, tokens));
  return broken;
}

std::vector<std::string> dcp_rules(const AttentionCase& c) {
  std::vector<std::string> broken;
  general_rules(c, broken);
  if (c.block_tokens % c.interleave != 0)
    broken.push_back(fmt::format("a block of {} tokens is no multiple of the interleave size {}", c.block_tokens, c.interleave));
  return broken;
}

constexpr AttentionStrategy kStrategies[] = {
    {"ring", "point-to-point ring of keys and values, double-buffered, over cp ranks; heads over tp", false, true, Dtype::kFp32,
     point_to_point_ring, ring_rules},
    {"tp", "heads over tp ranks, every rank has all tokens", false, false, Dtype::kFp32, head_parallel, tp_rules},
    {"mindie-cp", "MindIE context parallelism: latent gathered once, zigzag chunks, calls in ring order", false, false,
     Dtype::kFp32, mindie_context_parallel, mindie_cp_rules},
    {"vllm-pcp", "vLLM-Ascend prefill context parallelism: latent gathered, head and tail, masked and unmasked keys apart", false,
     false, Dtype::kFp32, vllm_prefill_context_parallel, ring_rules},
    {"mindie-sp", "MindIE sequence-parallel decode: cached blocks over the ranks, output and lse exchanged in 16 bits", true,
     false, Dtype::kFp16, mindie_sequence_parallel_decode, mindie_rules},
    {"vllm-dcp", "vLLM-Ascend decode context parallelism: interleaved cache, output and lse exchanged in 32 bits", true, false,
     Dtype::kFp32, vllm_decode_context_parallel, dcp_rules},
};

}  // namespace

std::span<const AttentionStrategy> attention_strategies() { return kStrategies; }

}  // namespace ascendsim
