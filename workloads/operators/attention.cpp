#include "workloads/operators/attention.h"

#include <algorithm>
#include <cmath>

#include "workloads/kernels.h"

namespace ascendsim {

namespace {

struct Merge {
  std::int32_t parts;
};

Work prefill_work(const OperatorView& v) {
  const auto& core = v.params<PrefillCore>();
  const auto blocks = v.tail<PrefillCore, AttentionBlock>(static_cast<std::size_t>(core.blocks));
  std::int64_t pairs = 0, masked_pairs = 0, rows = 0;
  for (const AttentionBlock& b : blocks) {
    pairs += b.pairs();
    rows += b.q_rows;
    // Each mask tile on the diagonal is computed whole: t (t - 1) / 2 pairs too many for t rows.
    if (b.causal) masked_pairs += std::int64_t{b.q_rows} * (std::min(core.tile, b.q_rows) - 1) / 2;
  }
  if (pairs == 0) return {.launches = 0};
  const std::int64_t flop_per_pair = 2 * std::int64_t{core.heads} * (core.key_width + core.value_width);
  const double softmax_ops = static_cast<double>(pairs + masked_pairs) * core.softmax_ops_per_score +
                             static_cast<double>(rows) * core.softmax_ops_per_row;
  Work work{.family = family(Kernel::kAttentionPrefill),
            .matrix_type = MatrixType::k16Bit,
            .matrix = Flops(flop_per_pair * pairs),
            .matrix_rounding = Flops(flop_per_pair * masked_pairs),
            .vector = Flops(std::llround(core.heads * softmax_ops)),
            .read = v.in(0).bytes() + v.in(1).bytes() + v.in(2).bytes(),
            .written = v.out(0).bytes() + v.out(1).bytes()};
  if (core.accumulate) work.read += work.written;
  return work;
}

Work decode_work(const OperatorView& v) {
  const auto& core = v.params<DecodeCore>();
  const Value &q = v.in(0), &cache = v.in(1);
  if (q.rows == 0 || core.context == 0) return {.launches = 0};
  return {.family = family(Kernel::kMlaDecode),
          .matrix_type = MatrixType::k16Bit,
          .matrix = Flops(2 * std::int64_t{core.heads} * (core.key_width + core.latent_width) * core.context),
          .read = Bytes(core.cache_rows * cache.columns * bits(cache.dtype) / 8) + q.bytes(),
          .written = v.out(0).bytes() + v.out(1).bytes()};
}

Work merge_work(const OperatorView& v) {
  if (v.out().rows == 0) return {.launches = 0};
  return {.family = family(Kernel::kMerge),
          .vector = Flops(4 * v.in(0).elements()),   // subtract, exp shared by a head, multiply, add
          .read = v.in(0).bytes(),
          .written = v.out().bytes()};
}

constexpr OperatorType kAttention{"attention_prefill", prefill_work};
constexpr OperatorType kAbsorbedAttention{"attention_decode", decode_work};
Work pack_work(const OperatorView& v) {
  if (v.out().rows == 0) return {.launches = 0};
  return {.family = family(Kernel::kDataMovement), .read = v.in(0).bytes() + v.in(1).bytes(), .written = v.out().bytes()};
}

constexpr OperatorType kPackPartial{"pack_partial", pack_work};
constexpr OperatorType kMerge{"merge_partials", merge_work};

}  // namespace

std::int64_t AttentionBlock::pairs() const {
  if (!causal) return std::int64_t{q_rows} * k_rows;
  // Rows see 1 + shift, 2 + shift, ... keys, until the block's keys are exhausted.
  const std::int64_t rising = std::clamp<std::int64_t>(k_rows - shift, 0, q_rows);
  return rising * shift + rising * (rising + 1) / 2 + (q_rows - rising) * k_rows;
}

void attend(ProgramBuilder& p, const char* label, PrefillCore core, std::span<const AttentionBlock> blocks, Value q, Value k,
            Value v, Value out, Value lse) {
  core.blocks = static_cast<std::int32_t>(blocks.size());
  p.apply(kAttention, label, core, blocks, {q, k, v}, {out, lse});
}

Partial attend_absorbed(ProgramBuilder& p, const char* label, DecodeCore core, Value q, Value cache, Dtype lse_type) {
  check(q.columns == core.heads * core.key_width, "absorbed queries need the width of a cached key for every head");
  const Partial partial{p.activation(q.dtype, q.rows, std::int64_t{core.heads} * core.latent_width),
                        p.activation(lse_type, q.rows, core.heads)};
  p.apply(kAbsorbedAttention, label, core, {q, cache}, {partial.out, partial.lse});
  return partial;
}

Value pack_partial(ProgramBuilder& p, const char* label, const Partial& partial, std::int64_t columns) {
  const Value y = p.activation(partial.out.dtype, partial.out.rows, columns);
  p.apply(kPackPartial, label, Merge{1}, {partial.out, partial.lse}, {y});
  return y;
}

Value merge_partials(ProgramBuilder& p, const char* label, Value stacked, int parts, std::int64_t rows, std::int64_t columns) {
  const Value y = p.activation(stacked.dtype, rows, columns);
  p.apply(kMerge, label, Merge{parts}, {stacked}, {y});
  return y;
}

}  // namespace ascendsim
