#include "sim/calculator.h"

#include <algorithm>
#include <type_traits>

#include "sim/check.h"
#include "sim/verifier.h"

namespace ascendsim {

namespace {

template <class Scalar>
auto function_of(const Compute& compute) {
  if constexpr (std::is_same_v<Scalar, double>)
    return compute.in_double;
  else
    return compute.in_float;
}

// Rows of share number `index` that are no padding.
std::int64_t rows_in_share(std::int64_t rows, std::int64_t share, std::int64_t index) {
  return std::clamp<std::int64_t>(rows - index * share, 0, share);
}

}  // namespace

template <class Scalar>
Calculator<Scalar>::Calculator(std::span<const Program* const> programs, std::span<const GroupKind> kinds,
                               NumberFormats formats, Calibration* calibration)
    : programs_(programs), kinds_(kinds), formats_(formats) {
  for (const Program* p : programs) {
    tensors_.emplace_back(*p, formats.round_inputs);
    tensors_.back().set_calibration(calibration);
  }
}

template <class Scalar>
void Calculator<Scalar>::run() {
  const Folding folding = unfolded(programs_.size(), kinds_);
  verify(programs_, folding);
  drive(programs_, folding, *this);
}

template <class Scalar>
void Calculator<Scalar>::run(std::uint64_t order) {
  const Folding folding = unfolded(programs_.size(), kinds_);
  verify(programs_, folding);
  drive_streams(programs_, folding, *this, order);
}

template <class Scalar>
void Calculator<Scalar>::local(int rank, std::size_t op) {
  const auto r = static_cast<std::size_t>(rank);
  const OperatorView v = programs_[r]->view(op);
  if (v.op().inputs + v.op().outputs == 0) return;  // a fence
  if (function_of<Scalar>(v.op().type->compute) == nullptr)
    check(false, fmt::format("the calculator cannot execute '{}' yet ('{}', operator {} of rank {}, layer {})",
                             v.op().type->name, v.op().label, op, rank, v.op().layer));
  compute(r, v);
  if (!formats_.round_results) return;
  for (std::size_t i = 0; i < v.op().outputs; ++i) tensors_[r].round(v.out(i));
}

template <class Scalar>
void Calculator<Scalar>::compute(std::size_t rank, const OperatorView& op) {
  const std::size_t operands = std::size_t{op.op().inputs} + op.op().outputs;
  tensors_[rank].restrict_to({programs_[rank]->values.data() + op.op().operands, operands});
  function_of<Scalar>(op.op().type->compute)(op, tensors_[rank]);
  tensors_[rank].restrict_to({});
}

template <class Scalar>
void Calculator<Scalar>::exchange(const Folding::Meeting& meeting, std::span<const Arrival> arrivals) {
  const std::vector<Member> group = in_group_order(meeting, arrivals);
  const OperatorType& type = *group[0].op.op().type;
  if (function_of<Scalar>(type.compute) != nullptr) {
    deliver(group);
  } else {
    switch (type.primitive) {
      case Primitive::kAllGather:
        all_gather(group);
        break;
      case Primitive::kReduceScatter:
        reduce_scatter(group);
        break;
      case Primitive::kAllReduce:
        all_reduce(group);
        break;
      case Primitive::kAllToAll:
        all_to_all(group);
        break;
      case Primitive::kShift:
        shift(group);
        break;
      case Primitive::kBroadcast:
        broadcast(group);
        break;
      case Primitive::kNone:
      case Primitive::kDispatch:
      case Primitive::kCombine:
        check(false, fmt::format("the calculator cannot execute '{}' yet ('{}')", type.name, group[0].op.op().label));
    }
  }
  if (!formats_.round_results) return;
  for (const Member& m : group) tensors_[m.rank].round(m.op.out());
}

// Snapshots what is sent: outputs may be the same buffers.
template <class Scalar>
std::vector<typename Calculator<Scalar>::Member> Calculator<Scalar>::in_group_order(const Folding::Meeting& meeting,
                                                                                    std::span<const Arrival> arrivals) {
  std::vector<Member> out;
  for (const int rank : kinds_[meeting.kind].groups[static_cast<std::size_t>(meeting.representative_group)]) {
    const auto arrival = std::ranges::find(arrivals, rank, &Arrival::rank_class);
    check(arrival != arrivals.end(), "a member of a group has not arrived");
    const auto r = static_cast<std::size_t>(rank);
    const OperatorView op = programs_[r]->view(arrival->op);
    const auto* deals = tensors_[r].deals(op.in(0));
    out.push_back({r, op, tensors_[r].real(op.in(0)), deals == nullptr ? std::vector<Deal>{} : *deals});
    if (function_of<Scalar>(op.op().type->compute) != nullptr) compute(r, op);
  }
  return out;
}

template <class Scalar>
void Calculator<Scalar>::copy(const Member& from, const Member& to, View target,
                              const Eigen::Ref<const Matrix>& source) {
  check(target.rows() == source.rows() && target.cols() == source.cols(),
        fmt::format("'{}': rank {} has no room of {} x {} for what rank {} sends", to.op.op().label, to.rank,
                    source.rows(), source.cols(), from.rank));
  target = source;
  if (from.rank != to.rank)
    tensors_[from.rank].ledger().bytes_sent += ceil_div(source.size() * bits(from.op.in(0).dtype), 8);
}

template <class Scalar>
void Calculator<Scalar>::all_gather(std::span<const Member> group) {
  const bool by_rows = group[0].op.template params<CollectiveParams>().axis == Axis::kRows;
  for (const Member& to : group) {
    std::int64_t at = 0;
    for (const Member& from : group) {
      const Value out = to.op.out();
      const Value part = by_rows ? out.row_slice(at, from.sent.rows()) : out.column_slice(at, from.sent.cols());
      copy(from, to, tensors_[to.rank][part], from.sent);
      at += by_rows ? from.sent.rows() : from.sent.cols();
    }
  }
}

// Shares are padded to equal rows: the padding travels as zeros.
template <class Scalar>
void Calculator<Scalar>::reduce_scatter(std::span<const Member> group) {
  for (std::size_t i = 0; i < group.size(); ++i) {
    const Member& to = group[i];
    const std::int64_t share = to.op.out().rows,
                       rows = rows_in_share(to.sent.rows(), share, static_cast<std::int64_t>(i));
    Matrix sum = Matrix::Zero(share, to.sent.cols()), part = sum;
    for (const Member& from : group) {
      part.setZero();
      part.topRows(rows) = from.sent.middleRows(static_cast<std::int64_t>(i) * share, rows);
      Matrix received(share, part.cols());
      copy(from, to, View(received.data(), share, part.cols(), Eigen::OuterStride<>(part.cols())), part);
      sum += received;
    }
    tensors_[to.rank][to.op.out()] = sum;
  }
}

// Reduce-scatter of the elements, then all-gather.
template <class Scalar>
void Calculator<Scalar>::all_reduce(std::span<const Member> group) {
  const std::int64_t elements = group[0].sent.size(), n = static_cast<std::int64_t>(group.size());
  const auto piece = [&](const Member& m, std::int64_t i) {
    const std::int64_t first = elements * i / n, count = elements * (i + 1) / n - first;
    return Eigen::Map<const Matrix>(m.sent.data() + first, 1, count);
  };
  std::vector<Matrix> result(group.size(), Matrix(group[0].sent.rows(), group[0].sent.cols()));
  for (std::int64_t i = 0; i < n; ++i) {
    const Member& owner = group[static_cast<std::size_t>(i)];
    Matrix sum = Matrix::Zero(1, piece(owner, i).cols()), received = sum;
    for (const Member& from : group) {
      copy(from, owner, View(received.data(), 1, received.cols(), Eigen::OuterStride<>(received.cols())),
           piece(from, i));
      sum += received;
    }
    for (std::size_t t = 0; t < group.size(); ++t)
      copy(owner, group[t], View(result[t].data() + elements * i / n, 1, sum.cols(), Eigen::OuterStride<>(sum.cols())),
           sum);
  }
  for (std::size_t t = 0; t < group.size(); ++t) tensors_[group[t].rank][group[t].op.out()] = result[t];
}

template <class Scalar>
void Calculator<Scalar>::all_to_all(std::span<const Member> group) {
  const std::int64_t n = static_cast<std::int64_t>(group.size());
  if (!group[0].deals.empty())
    for (std::int64_t t = 0; t < n; ++t) {
      const Member& to = group[static_cast<std::size_t>(t)];
      std::vector<Deal> deals;
      for (const Member& from : group) {
        const std::size_t share = from.deals.size() / group.size(), first = share * static_cast<std::size_t>(t);
        for (std::size_t i = first; i < first + share; ++i) deals.push_back(from.deals[i]);
      }
      check(to.op.out().columns == to.sent.cols(), "addressed rows are exchanged whole");
      tensors_[to.rank].deal(to.op.out(), std::move(deals));
    }
  for (std::int64_t t = 0; t < n; ++t)
    for (std::int64_t f = 0; f < n; ++f) {
      const Member &to = group[static_cast<std::size_t>(t)], &from = group[static_cast<std::size_t>(f)];
      const Value out = to.op.out();
      const bool cut_columns = out.columns * n == from.sent.cols(), join_columns = out.columns == from.sent.cols() * n;
      check(cut_columns || join_columns || out.columns == from.sent.cols(), "an all-to-all of shapes that do not fit");
      const std::int64_t rows = cut_columns ? from.sent.rows() : from.sent.rows() / n;
      const std::int64_t columns = cut_columns ? out.columns : from.sent.cols();
      const Value part = join_columns ? out.column_slice(f * columns, columns) : out.row_slice(f * rows, rows);
      copy(from, to, tensors_[to.rank][part],
           from.sent.block(cut_columns ? 0 : t * rows, cut_columns ? t * columns : 0, rows, columns));
    }
}

template <class Scalar>
void Calculator<Scalar>::shift(std::span<const Member> group) {
  for (std::size_t f = 0; f < group.size(); ++f) {
    const Member& to = group[(f + 1) % group.size()];
    copy(group[f], to, tensors_[to.rank][to.op.out()], group[f].sent);
  }
}

template <class Scalar>
void Calculator<Scalar>::broadcast(std::span<const Member> group) {
  const Member& root = group[static_cast<std::size_t>(group[0].op.template params<CollectiveParams>().detail)];
  for (const Member& to : group) copy(root, to, tensors_[to.rank][to.op.out()], root.sent);
}

template <class Scalar>
void Calculator<Scalar>::deliver(std::span<const Member> group) {
  for (std::size_t t = 0; t < group.size(); ++t) {
    const auto addressed = [&](const Deal& d) { return d.member == static_cast<std::int32_t>(t); };
    std::vector<Deal> deals;
    for (std::size_t f = 0; f < group.size(); ++f)
      for (Deal d : tensors_[group[f].rank].outbox.deals) {
        if (!addressed(d)) continue;
        d.member = static_cast<std::int32_t>(f);
        deals.push_back(d);
      }
    View received = tensors_[group[t].rank].deal(group[t].op.out(), std::move(deals));
    Eigen::Index at = 0;
    for (const Member& from : group) {
      const auto& outbox = tensors_[from.rank].outbox;
      for (std::size_t i = 0; i < outbox.deals.size(); ++i) {
        if (!addressed(outbox.deals[i])) continue;
        received.row(at++) = outbox.rows.row(static_cast<Eigen::Index>(i));
        Ledger& ledger = tensors_[from.rank].ledger();
        const std::int64_t bytes =
            ceil_div(outbox.rows.cols() * bits(from.op.out().dtype), 8) + outbox.extra_bytes_a_row;
        ledger.routed_buffers += bytes;
        if (from.rank == group[t].rank) continue;
        ledger.bytes_sent += bytes;
        ledger.routed_bytes += bytes;
      }
    }
  }
}

template class Calculator<double>;
template class Calculator<float>;

}  // namespace ascendsim
