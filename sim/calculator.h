// The calculator: carries the programs of all ranks out on real numbers, every rank with only the tensors that it owns;
// collectives copy between ranks. Operators do their mathematics (OperatorType::compute); one that has none is an
// InternalError with its name.
//
// Collectives are performed so that every byte that crosses from one rank to another is copied once and counted:
// all-gather = each member's share to each other member; reduce-scatter = each member's part of a share to the share's
// owner, summed in group order; all-reduce = both; all-to-all = the part for each other member. Shares of an all-to-all
// follow from the shapes: columns are cut and rows stacked ([r, n c] -> [n r, c]), rows cut and columns joined
// ([n r, c] -> [r, n c]), or rows cut and stacked when the shape stays. Rows that data decided (tensors.h, Deal) keep
// their addresses on the way.
//
// A collective type with a compute function of its own packs its rank's outbox with it; each row then goes to the
// member that it is addressed to and is there addressed to the one that it came from: dispatch and combine are the same
// step.
#pragma once

#include <span>
#include <vector>

#include "sim/drive.h"
#include "sim/tensors.h"

namespace ascendsim {

// Whether numbers are rounded to the type of the buffer that they are written to (16-bit types are emulated), or kept
// in the precision of the arithmetic.
struct NumberFormats {
  bool round_inputs = false;   // weights, inputs, state
  bool round_results = false;  // whatever operators and collectives write
};

// REQUIRES: one program a rank; they and the groups outlive the calculator.
template <class Scalar>
class Calculator {
 public:
  // calibration: null = integer types stand for plain numbers.
  Calculator(std::span<const Program* const> programs, std::span<const GroupKind> kinds, NumberFormats formats,
             Calibration* calibration = nullptr);

  void run();  // every rank in program order
  // In order number `order` of those that the streams allow (drive_streams). The numbers are the same to the last bit,
  // or a wait is missing. A calculator runs once.
  void run(std::uint64_t order);

  Tensors<Scalar>& rank(std::size_t r) { return tensors_[r]; }

  // The machine's part (drive.h). Operators reach their operands only.
  void local(int rank, std::size_t op);
  void exchange(const Folding::Meeting& meeting, std::span<const Arrival> arrivals);

 private:
  using Matrix = typename Tensors<Scalar>::Matrix;
  using View = typename Tensors<Scalar>::View;
  struct Member {
    std::size_t rank;
    OperatorView op;
    Matrix sent;
    std::vector<Deal> deals;  // of the rows sent, where data decided them
  };

  void compute(std::size_t rank, const OperatorView& op);
  std::vector<Member> in_group_order(const Folding::Meeting& meeting, std::span<const Arrival> arrivals);
  void copy(const Member& from, const Member& to, View target, const Eigen::Ref<const Matrix>& source);
  void all_gather(std::span<const Member> group);
  void reduce_scatter(std::span<const Member> group);
  void all_reduce(std::span<const Member> group);
  void all_to_all(std::span<const Member> group);
  void shift(std::span<const Member> group);
  void broadcast(std::span<const Member> group);
  void deliver(std::span<const Member> group);

  std::span<const Program* const> programs_;
  std::span<const GroupKind> kinds_;
  NumberFormats formats_;
  std::vector<Tensors<Scalar>> tensors_;
};

}  // namespace ascendsim
