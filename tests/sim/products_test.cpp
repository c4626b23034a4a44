// Matrix products: every element is the sum that products.h defines, to the last bit, whatever the processor.
#include "sim/products.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include "sim/check.h"
#include "sim/tensors.h"

namespace ascendsim {
namespace {

template <class Scalar>
using Dense = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

template <class Scalar>
Dense<Scalar> numbers(const char* key, std::int64_t rows, std::int64_t columns) {
  Dense<Scalar> m(rows, columns);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c)
      m(r, c) = static_cast<Scalar>(hashed_element({.key = key}, BufferKind::kInput, r, c, 0));
  return m;
}

// The definition, one element at a time.
template <class Scalar>
Dense<Scalar> by_definition(Dense<Scalar> out, const Dense<Scalar>& a, const Dense<Scalar>& b, bool accumulate) {
  for (Eigen::Index r = 0; r < out.rows(); ++r)
    for (Eigen::Index c = 0; c < out.cols(); ++c) {
      Scalar element = accumulate ? out(r, c) : Scalar{0};
      for (Eigen::Index first = 0; first < b.rows(); first += kPanelDepth) {
        Scalar panel = 0;
        for (Eigen::Index k = first; k < std::min<Eigen::Index>(first + kPanelDepth, b.rows()); ++k) {
          const Scalar product = a(r, k) * b(k, c);
          panel += product;
        }
        element += panel;
      }
      out(r, c) = element;
    }
  return out;
}

std::vector<Vectors> all_vectors() {
  return wide_vectors() ? std::vector{Vectors::kPortable, Vectors::kWide} : std::vector{Vectors::kPortable};
}

// Parts of larger matrices, as slices of buffers are, with and without a transposed right factor.
template <class Scalar>
void expect_by_definition(std::int64_t m, std::int64_t k, std::int64_t n, bool transposed, bool accumulate) {
  const Dense<Scalar> a = numbers<Scalar>("a", m + 1, k + 3),
                      b = transposed ? numbers<Scalar>("b", n + 2, k + 1) : numbers<Scalar>("b", k + 2, n + 1);
  const Dense<Scalar> before = numbers<Scalar>("out", m + 2, n + 5);
  const auto a_part = a.block(1, 2, m, k);
  const Dense<Scalar> b_part =
      transposed ? Dense<Scalar>(b.block(1, 1, n, k).transpose()) : Dense<Scalar>(b.block(1, 1, k, n));
  Dense<Scalar> expected = before;
  expected.block(1, 3, m, n) = by_definition<Scalar>(before.block(1, 3, m, n), a_part, b_part, accumulate);
  for (const Vectors vectors : all_vectors()) {
    Dense<Scalar> out = before;
    const Operand<Scalar> to{out.data() + out.cols() + 3, m, n, out.cols(), 1};
    if (transposed)
      multiply<Scalar>(to, operand_of(a_part), operand_of(b.block(1, 1, n, k).transpose()), accumulate, vectors);
    else
      multiply<Scalar>(to, operand_of(a_part), operand_of(b.block(1, 1, k, n)), accumulate, vectors);
    EXPECT_EQ(out, expected) << m << " x " << k << " x " << n << (transposed ? ", transposed" : "")
                             << (vectors == Vectors::kWide ? ", wide" : ", portable");
  }
}

// Around the edges of panels (256), packed blocks (128), strips (4 to 16) and rows in registers (4 and 8).
TEST(Products, AreSumsInPanelsWhateverTheVectors) {
  for (const bool transposed : {false, true})
    for (const bool accumulate : {false, true})
      for (const auto& [m, k, n] : std::vector<std::array<std::int64_t, 3>>{{1, 1, 1},
                                                                            {1, 600, 33},
                                                                            {2, 576, 128},
                                                                            {8, 513, 129},
                                                                            {9, 256, 130},
                                                                            {13, 255, 17},
                                                                            {4, 257, 16},
                                                                            {5, 3, 300},
                                                                            {131, 40, 7},
                                                                            {3, 0, 5},
                                                                            {0, 4, 4},
                                                                            {4, 4, 0}}) {
        expect_by_definition<float>(m, k, n, transposed, accumulate);
        expect_by_definition<double>(m, k, n, transposed, accumulate);
      }
}

RC_GTEST_PROP(Products, OfAnyShapeAreSumsInPanels, ()) {
  const auto m = *rc::gen::inRange<std::int64_t>(1, 40), n = *rc::gen::inRange<std::int64_t>(1, 150),
             k = *rc::gen::inRange<std::int64_t>(1, 700);
  const bool transposed = *rc::gen::arbitrary<bool>(), accumulate = *rc::gen::arbitrary<bool>();
  expect_by_definition<float>(m, k, n, transposed, accumulate);
  expect_by_definition<double>(m, k, n, transposed, accumulate);
  RC_ASSERT(!::testing::Test::HasFailure());
}

// Eigen 3.4 cuts an inner dimension by the cache sizes that the processor reports: with a small core's and with a large
// one's, its own product of 4,096-deep factors differs in the fourth to sixth digit.
TEST(Products, DoNotDependOnTheProcessorsCaches) {
  ProgramBuilder p;
  const Value x = p.input(Dtype::kFp32, 64, 4096), w = p.weight(Dtype::kFp32, 4096, 48, {.key = "w"});
  const Value y = p.activation(Dtype::kFp32, 64, 48);
  const Program program = p.take();
  const auto product_on = [&]<class Scalar>(std::ptrdiff_t l1, std::ptrdiff_t l2, std::ptrdiff_t l3, Scalar) {
    Eigen::setCpuCacheSizes(l1, l2, l3);
    Tensors<Scalar> t(program, false);
    t[x] = numbers<Scalar>("x", 64, 4096);
    t.multiply(t[y], t[x], t[w]);
    return Dense<Scalar>(t[y]);
  };
  const auto expect_same = [&](auto scalar) {
    const auto small = product_on(32 << 10, 512 << 10, 16 << 20, scalar);
    const auto large = product_on(48 << 10, 1280 << 10, 24 << 20, scalar);
    EXPECT_EQ(small, large) << (small - large).cwiseAbs().maxCoeff();
  };
  expect_same(float{});
  expect_same(double{});
}

TEST(Products, RefuseShapesThatDoNotFit) {
  Dense<float> a = numbers<float>("a", 2, 3), out(2, 2);
  EXPECT_THROW(multiply(out, a, a), InternalError);
}

}  // namespace
}  // namespace ascendsim
