#include "workloads/operators/mla_prolog.h"

#include "workloads/kernels.h"

namespace ascendsim {

namespace {

struct PrologParams {
  std::int32_t heads;
};

// inputs: x, norm, qkv_a, q_norm, kv_norm, q_b, w_uk
Work prolog_work(const OperatorView& v) {
  const std::int64_t rows = v.in(0).rows;
  if (rows == 0) return {.launches = 0};
  const Value &qkv_a = v.in(2), &q_b = v.in(5), &w_uk = v.in(6);
  const bool int8 = qkv_a.dtype == Dtype::kInt8;
  const Flops projections(2 * rows * (qkv_a.elements() + q_b.elements()));
  const Flops absorb(2 * rows * w_uk.elements());
  Work work{.family = family(Kernel::kMlaProlog),
            .matrix_type = int8 ? MatrixType::kInt8 : MatrixType::k16Bit,
            .matrix = projections + absorb,
            // q W_UK is a 16-bit product: at the int8 rate each of its FLOPs takes twice the time.
            .matrix_rounding = int8 ? absorb : Flops(0)};
  for (std::size_t i = 0; i < v.op().inputs; ++i) work.read += v.in(i).bytes();
  for (std::size_t i = 0; i < v.op().outputs; ++i) work.written += v.out(i).bytes();
  return work;
}

constexpr OperatorType kMlaProlog{"mla_prolog", prolog_work};

}  // namespace

Value mla_prolog(ProgramBuilder& p, const char* label, Value x, const MlaPrologWeights& w, Value cache_rows, int heads,
                 std::int64_t latent_width, std::int64_t rope_width) {
  const Value q = p.activation(Dtype::kFp16, x.rows, heads * (latent_width + rope_width));
  p.apply(kMlaProlog, label, PrologParams{heads}, {x, w.input_norm, w.qkv_a, w.q_norm, w.kv_norm, w.q_b, w.w_uk},
          {q, cache_rows});
  return q;
}

}  // namespace ascendsim
