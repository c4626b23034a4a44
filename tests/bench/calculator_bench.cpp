// What the calculator costs: float attention of one rank at the model's widths, 8 heads (keys and values expanded, the
// causal triangle in tiles), how much of it is the inputs from the hash, and a tile of scores in either width of vectors.
#include <benchmark/benchmark.h>

#include "sim/calculator.h"
#include "strategies/reference/attention/attention_case.h"

namespace ascendsim {
namespace {

AttentionCase one_rank(std::int64_t tokens) {
  AttentionCase c;
  c.tokens = {tokens};
  return c;
}

template <class Scalar>
void attention(benchmark::State& state) {
  const AttentionCase c = one_rank(state.range(0));
  const RankAttention rank = head_parallel(c, 0);
  const Program* const program = &rank.program;
  const std::vector<GroupKind> groups = attention_groups(c);
  std::int64_t flops = 0;
  for (auto _ : state) {
    Calculator<Scalar> calculator({&program, 1}, groups, {});
    calculator.run();
    benchmark::DoNotOptimize(calculator.rank(0)[rank.out].data());
    flops = calculator.rank(0).ledger().matrix_flops;
  }
  state.counters["flops"] =
      benchmark::Counter(static_cast<double>(flops), benchmark::Counter::kIsIterationInvariantRate);
}

void inputs(benchmark::State& state) {
  const RankAttention rank = head_parallel(one_rank(state.range(0)), 0);
  for (auto _ : state) {
    Tensors<float> tensors(rank.program, false);
    benchmark::DoNotOptimize(tensors[rank.out].data());
  }
}

// Queries of 128 tokens by keys of 256 at the model's width, keys row by row.
template <class Scalar, Vectors kVectors>
void scores(benchmark::State& state) {
  if (kVectors == Vectors::kWide && !wide_vectors()) return state.SkipWithError("no wide vectors here");
  using Matrix = typename Tensors<Scalar>::Matrix;
  const Matrix q = Matrix::Constant(128, 192, Scalar{1}), k = Matrix::Constant(256, 192, Scalar{2});
  Matrix out(128, 256);
  for (auto _ : state) {
    multiply<Scalar>({out.data(), out.rows(), out.cols(), out.cols(), 1}, operand_of(q), operand_of(k.transpose()),
                     false, kVectors);
    benchmark::DoNotOptimize(out.data());
  }
  state.counters["flops"] = benchmark::Counter(2.0 * 128 * 192 * 256, benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK(scores<float, Vectors::kPortable>);
BENCHMARK(scores<float, Vectors::kWide>);
BENCHMARK(scores<double, Vectors::kPortable>);
BENCHMARK(scores<double, Vectors::kWide>);
BENCHMARK(attention<float>)->Arg(512)->Arg(4096)->Unit(benchmark::kMillisecond);
BENCHMARK(attention<double>)->Arg(512)->Unit(benchmark::kMillisecond);
BENCHMARK(inputs)->Arg(512)->Arg(4096)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ascendsim
