#include "sim/rounding.h"

#include <bit>
#include <cstdint>
#include <type_traits>

namespace ascendsim {

namespace {

// Floats without their sign, as integers: in the order of their values, infinity and NaNs last. Signed, as older
// processors compare no others in vectors.
using Magnitude = std::int32_t;
constexpr Magnitude kInfinity = 0x7f800000, kQuietNan = 0x7fc00000;

constexpr Magnitude magnitude_of(float x) { return std::bit_cast<Magnitude>(x) & 0x7fffffff; }
constexpr float with_sign_of(float x, Magnitude magnitude) {
  return std::bit_cast<float>(magnitude | (std::bit_cast<Magnitude>(x) & ~0x7fffffff));
}

// A choice without a branch, so that compilers take several numbers at a time.
constexpr Magnitude choose(bool first, Magnitude a, Magnitude b) {
  const Magnitude mask = -static_cast<Magnitude>(first);
  return (a & mask) | (b & ~mask);
}

// Of the bits of a float without sign, the last `kDropped` go. Halves are added below the last bit that stays; a tie
// gets there only from an odd one. A carry into the exponent is right too.
template <int kDropped>
constexpr Magnitude round_magnitude(Magnitude magnitude) {
  constexpr std::uint32_t kHalf = 1U << (kDropped - 1);
  const auto bits = static_cast<std::uint32_t>(magnitude);
  return static_cast<Magnitude>((bits + (kHalf - 1) + ((bits >> kDropped) & 1)) & ~(2 * kHalf - 1));
}

constexpr float to_fp16(float x) {
  constexpr Magnitude kTooLarge = 0x47800000, kSmallestNormal = 0x38800000;  // 2^16, 2^-14
  const Magnitude magnitude = magnitude_of(x), normal = round_magnitude<13>(magnitude);
  // Subnormal numbers are multiples of 2^-24, which is the last place of floats in [0.5, 1).
  const auto subnormal = std::bit_cast<Magnitude>((std::bit_cast<float>(magnitude) + 0.5F) - 0.5F);
  const Magnitude finite =
      choose(magnitude < kSmallestNormal, subnormal, choose(normal < kTooLarge, normal, kInfinity));
  return with_sign_of(x, choose(magnitude > kInfinity, kQuietNan, finite));
}

constexpr float to_bf16(float x) {
  const Magnitude magnitude = magnitude_of(x);
  return with_sign_of(x, choose(magnitude > kInfinity, kQuietNan, round_magnitude<16>(magnitude)));
}

template <class Scalar, class Round>
void each(std::span<Scalar> numbers, Round round) {
  constexpr std::size_t kTogether = 16;
  Scalar* x = numbers.data();
  std::size_t left = numbers.size();
  for (; left >= kTogether; left -= kTogether, x += kTogether)
    for (std::size_t i = 0; i < kTogether; ++i) x[i] = static_cast<Scalar>(round(static_cast<float>(x[i])));
  for (std::size_t i = 0; i < left; ++i) x[i] = static_cast<Scalar>(round(static_cast<float>(x[i])));
}

}  // namespace

template <class Scalar>
void round_all(std::span<Scalar> numbers, Dtype type) {
  switch (type) {
    case Dtype::kFp16:
      return each(numbers, [](float x) { return to_fp16(x); });
    case Dtype::kBf16:
      return each(numbers, [](float x) { return to_bf16(x); });
    case Dtype::kFp32:
      if constexpr (std::is_same_v<Scalar, double>) each(numbers, [](float x) { return x; });
      return;
    case Dtype::kInt8:
    case Dtype::kInt4:
    case Dtype::kInt32:
      return;
  }
}

template <class Scalar>
Scalar rounded(Scalar x, Dtype type) {
  round_all(std::span<Scalar>(&x, 1), type);
  return x;
}

template void round_all(std::span<double>, Dtype);
template void round_all(std::span<float>, Dtype);
template double rounded(double, Dtype);
template float rounded(float, Dtype);

}  // namespace ascendsim
