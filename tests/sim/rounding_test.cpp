// Rounding to 16-bit types: what Eigen's half and bfloat16 do, number by number.
#include "sim/rounding.h"

#include <gtest/gtest.h>

#include <Eigen/Core>
#include <bit>
#include <cmath>
#include <vector>

namespace ascendsim {
namespace {

TEST(Rounding, IsWhatEigensTypesHold) {
  std::vector<float> numbers;
  // Every half and bfloat16 with either sign: itself, its neighbours, the middle to the next and the middle's
  // neighbours; NaNs, infinities and subnormal numbers are among them.
  for (std::uint32_t high = 0; high < 0x10000; ++high)
    for (const std::uint32_t low : {0U, 1U, 0xfffU, 0x1000U, 0x1001U, 0x2000U, 0x7fffU, 0x8000U, 0x8001U, 0xffffU})
      numbers.push_back(std::bit_cast<float>(high << 16 | low));
  // Subnormal halves are multiples of 2^-24, their middles odd multiples of 2^-25.
  for (std::uint32_t i = 0; i < 4096; ++i)
    for (const float near : {0.0F, 1.0F, 2.0F}) {
      const float x = std::ldexp(static_cast<float>(i), -25);
      numbers.push_back(std::nextafter(x, near == 0 ? x : near == 1 ? -1.0F : 1.0F));
    }
  std::vector<float> fp16 = numbers, bf16 = numbers;
  round_all<float>(fp16, Dtype::kFp16);
  round_all<float>(bf16, Dtype::kBf16);
  const auto expect_same = [](float x, float got, float expected) {
    if (std::isnan(expected))
      EXPECT_TRUE(std::isnan(got)) << x;
    else
      EXPECT_EQ(std::bit_cast<std::uint32_t>(got), std::bit_cast<std::uint32_t>(expected)) << x;
  };
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    expect_same(numbers[i], fp16[i], static_cast<float>(Eigen::half(numbers[i])));
    expect_same(numbers[i], bf16[i], static_cast<float>(Eigen::bfloat16(numbers[i])));
  }
}

TEST(Rounding, LeavesIntegersAlone) {
  for (const Dtype type : {Dtype::kInt8, Dtype::kInt4, Dtype::kInt32}) EXPECT_EQ(rounded(0.3, type), 0.3);
  EXPECT_EQ(rounded(0.1, Dtype::kFp32), static_cast<double>(0.1F));
}

}  // namespace
}  // namespace ascendsim
