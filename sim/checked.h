// Integer arithmetic that cannot wrap silently: bytes x ranks of a large group exceed 2^63 easily.
#pragma once

#include <cstdint>
#include <optional>

#include "sim/check.h"

namespace ascendsim {

constexpr std::optional<std::int64_t> multiply(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// For amounts that were checked before: an overflow is our bug.
inline std::int64_t checked_product(std::int64_t a, std::int64_t b) {
  const std::optional<std::int64_t> product = multiply(a, b);
  check(product.has_value(), "an amount exceeds 2^63");
  return *product;
}
inline std::int64_t checked_sum(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  check(!__builtin_add_overflow(a, b, &sum), "an amount exceeds 2^63");
  return sum;
}

}  // namespace ascendsim
