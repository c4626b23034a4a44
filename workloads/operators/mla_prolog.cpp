#include "workloads/operators/mla_prolog.h"

#include "workloads/kernels.h"
#include "workloads/operators/row_math.h"

namespace ascendsim {

namespace {

struct PrologParams {
  std::int64_t heads, written_rows;
};

// inputs: x, qkv_a, q_norm, kv_norm, q_b, w_uk, positions, and the input norm's weight unless x is normed; outputs:
// queries, cache, and the compressed queries where somebody else needs them
Work prolog_work(const OperatorView& v) {
  const std::int64_t rows = v.in(0).rows;
  if (rows == 0) return {.launches = 0};
  const Value &qkv_a = v.in(1), &q_b = v.in(4), &w_uk = v.in(5), &cache = v.out(1);
  const bool int8 = qkv_a.dtype == Dtype::kInt8;
  const Flops projections(2 * rows * (qkv_a.elements() + q_b.elements()));
  const Flops absorb(2 * rows * w_uk.elements());
  Work work{.family = family(Kernel::kMlaProlog),
            .matrix_type = int8 ? MatrixType::kInt8 : MatrixType::k16Bit,
            .matrix = projections + absorb,
            // q W_UK is a 16-bit product: at the int8 rate each of its FLOPs takes twice the time.
            .matrix_rounding = int8 ? absorb : Flops(0)};
  for (std::size_t i = 0; i < v.op().inputs; ++i) work.read += v.in(i).bytes();
  work.written =
      v.out(0).bytes() + Bytes(v.params<PrologParams>().written_rows * cache.columns * bits(cache.dtype) / 8);
  if (v.op().outputs > 2) work.written += v.out(2).bytes();
  return work;
}

template <class Scalar>
void prolog_math(const OperatorView& op, Tensors<Scalar>& t) {
  using Matrix = typename Tensors<Scalar>::Matrix;
  const auto x = t[op.in(0)], qkv_a = t[op.in(1)], q_b = t[op.in(4)], w_uk = t[op.in(5)], positions = t[op.in(6)];
  const Eigen::Index heads = op.params<PrologParams>().heads, rows = x.rows();
  const Eigen::Index q_rank = q_b.rows(), latent_width = w_uk.rows(), rope = qkv_a.cols() - q_rank - latent_width;
  const Eigen::Index width = q_b.cols() / heads, nope = width - rope;

  if (rows == 0) return;
  Matrix h(rows, x.cols()), a(rows, qkv_a.cols()), q_c(rows, q_rank), q(rows, q_b.cols());
  if (op.op().inputs > 7)
    norm_rows<Scalar>(x, t[op.in(7)], h);
  else
    h = x;
  if (op.in(1).dtype == Dtype::kInt8) quantise_static(t, op, 0, h);
  t.multiply(a, h, qkv_a);
  norm_rows<Scalar>(a.leftCols(q_rank), t[op.in(2)], q_c);
  if (op.op().outputs > 2) t[op.out(2)] = q_c;
  if (op.in(4).dtype == Dtype::kInt8) quantise_static(t, op, 1, q_c);
  t.multiply(q, q_c, q_b);

  Matrix latent = a.rightCols(latent_width + rope);
  norm_rows<Scalar>(a.middleCols(q_rank, latent_width), t[op.in(3)], latent.leftCols(latent_width));
  const Rotation<Scalar> rotation(positions, rope);
  rotation.turn_pairs(latent.rightCols(rope));
  store_latent<Scalar>(t, op, 2, latent, latent_width, op.out(1), op.moves());

  auto absorbed = t[op.out(0)];
  for (Eigen::Index h_at = 0; h_at < heads; ++h_at) {
    auto out = absorbed.middleCols(h_at * (latent_width + rope), latent_width + rope);
    rotation.turn_pairs(q.middleCols(h_at * width + nope, rope));
    t.multiply(out.leftCols(latent_width), q.middleCols(h_at * width, nope),
               w_uk.middleCols(h_at * nope, nope).transpose());
    out.rightCols(rope) = q.middleCols(h_at * width + nope, rope);
  }
}

constexpr Compute kPrologMath{prolog_math<double>, prolog_math<float>};
constexpr OperatorType kMlaProlog{"mla_prolog", prolog_work, Primitive::kNone, kPrologMath,
                                  category(Category::kLinear)};

}  // namespace

Value mla_prolog(ProgramBuilder& p, const char* label, Value x, const MlaPrologWeights& w, Value positions, Value cache,
                 Moves writes, int heads, std::int64_t latent_width, std::int64_t rope_width, Dtype out) {
  const Value q = p.activation(out, x.rows, heads * (latent_width + rope_width));
  const PrologParams params{heads, writes.rows};
  if (w.input_norm)
    p.apply(kMlaProlog, label, params, {x, w.qkv_a, w.q_norm, w.kv_norm, w.q_b, w.w_uk, positions, *w.input_norm},
            {q, cache});
  else
    p.apply(kMlaProlog, label, params, {x, w.qkv_a, w.q_norm, w.kv_norm, w.q_b, w.w_uk, positions}, {q, cache});
  p.moving(writes);
  return q;
}

PrologQueries mla_prolog_of_normed(ProgramBuilder& p, const char* label, Value x, const MlaPrologWeights& w,
                                   Value positions, Value cache, Moves writes, int heads, std::int64_t latent_width,
                                   std::int64_t rope_width, Dtype out) {
  const PrologQueries q{p.activation(out, x.rows, heads * (latent_width + rope_width)),
                        p.activation(out, x.rows, w.q_b.rows)};
  p.apply(kMlaProlog, label, PrologParams{heads, writes.rows},
          {x, w.qkv_a, w.q_norm, w.kv_norm, w.q_b, w.w_uk, positions}, {q.absorbed, cache, q.compressed});
  p.moving(writes);
  return q;
}

}  // namespace ascendsim
