// Memory is one more reading of a program: weights by the slices that operators use, states by their capacity,
// activations by buffer lifetimes (from first write to last read in program order), residents that nothing reads
// included.
#pragma once

#include <string>
#include <vector>

#include "sim/program.h"

namespace ascendsim {

struct TensorBytes {
  TensorSlice slice;
  Bytes elements{}, extra{};
};
// Every tensor slice that weight (or state) buffers of the program hold, once each, in order of first use.
std::vector<TensorBytes> tensors(const Program& program, BufferKind kind);

struct ActivationPeak {
  Bytes bytes{};
  std::size_t at = 0;  // the operator during which it is reached
  struct Live {
    const char* label;  // of the operator that wrote it first
    Bytes bytes;
  };
  std::vector<Live> live;  // largest first
};
ActivationPeak activation_peak(const Program& program);

}  // namespace ascendsim
