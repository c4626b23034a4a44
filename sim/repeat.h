// Equal stretches of a program: built once, carried out many times. A model has dozens of layers with the same
// operators on the same shapes; the clock needs all of them in time, but not each of them as text.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/program.h"

namespace ascendsim {

// Operators [first, end), which are to occur `times` times.
struct Stretch {
  std::size_t first = 0, end = 0;
  std::int64_t times = 1;
  [[nodiscard]] std::size_t length() const { return end - first; }
};

// The operators of `layer`, when those of the layer before it are the same but for that they wait for operators one
// stretch earlier: then any number of such layers would follow one another so. Nothing when they are not, or are not in
// one piece.
std::optional<Stretch> stretch_of(const Program& program, int layer, std::int64_t times);

// Puts `times` copies where the stretch is. Operands are those of the one that was built: fit for readings of shapes
// and times, not of numbers, buffers or layers. origin: of each operator of the result, the operator that was built.
std::vector<std::uint32_t> repeat(Program& program, const Stretch& stretch);

}  // namespace ascendsim
