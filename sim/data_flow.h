// Whether another order of the streams can change a number, without computing one.
//
// In an order of the streams every operator finds in its operands what some operators wrote last. Where these are the
// same as in program order, for all operators, all numbers are the same to the last bit: an operator is a function of
// what it reads, it reaches nothing but its operands (Tensors::restrict_to), and so, operator after operator, it reads
// the same and writes the same. Buffers count as wholes, as for the waits that the builder derives (program.h).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/fold.h"
#include "sim/program.h"

namespace ascendsim {

class DataFlow {
 public:
  // REQUIRES: one program a rank, programs that the verifier accepts; they and the groups outlive this.
  DataFlow(std::span<const Program* const> programs, std::span<const GroupKind> kinds);

  // Order number `order` (drive_streams) reads what program order reads. False: its numbers may differ.
  [[nodiscard]] bool same_in(std::uint64_t order) const;

 private:
  // Operator + 1 that wrote last, 0: the content that a buffer starts with.
  struct Writers {
    std::vector<std::vector<std::uint32_t>> found;  // [rank][position in Program::values], when its operator ran
    std::vector<std::vector<std::uint32_t>> last;   // [rank][buffer], at the end
    bool operator==(const Writers&) const = default;
  };
  class Observer;

  std::span<const Program* const> programs_;
  Folding folding_;
  Writers in_program_order_;
};

}  // namespace ascendsim
