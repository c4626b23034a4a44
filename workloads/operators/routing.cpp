#include "workloads/operators/routing.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "workloads/kernels.h"
#include "workloads/operators/row_math.h"

namespace ascendsim {

namespace {

struct Summing {
  SummedBy by;
};

struct Dealing {
  std::int32_t top_k;
  std::int32_t held;  // by each rank, when all experts are dealt to
};

struct NoRoutingParams {};

struct Shares {
  std::int64_t members;
};

Work top_k_work(const OperatorView& v) {
  const Value& scores = v.in(0);
  if (scores.rows == 0) return {.launches = 0};
  return {.family = family(Kernel::kTopK),
          // sigmoid, bias, and one compare a score for each of the group and expert selections
          .vector = Flops(scores.elements() * (2 + v.params<Router>().top_k)),
          .read = scores.bytes() + v.in(1).bytes(),
          .written = v.out(0).bytes() + v.out(1).bytes(),
          .rows = scores.rows};
}

Work deal_out_work(const OperatorView& v) {
  const Value &x = v.in(0), &out = v.out();
  if (x.rows == 0) return {.launches = 0};
  return {.family = family(Kernel::kDataMovement),
          .read = x.bytes() + v.in(1).bytes(),
          .written = out.bytes(),
          .rows = out.rows};
}

Work sum_up_work(const OperatorView& v) {
  const Value &copies = v.in(0), &weights = v.in(1);
  if (weights.rows == 0 || v.params<Summing>().by == SummedBy::kCombine) return {.launches = 0};
  // A fixed-size buffer has more rows than copies.
  const std::int64_t elements = std::min<std::int64_t>(copies.rows, weights.elements()) * copies.columns;
  return {.family = family(Kernel::kFinalizeRouting),
          .vector = Flops(2 * elements),
          .read = Bytes(elements * bits(copies.dtype) / 8) + weights.bytes(),
          .written = v.out().bytes(),
          .rows = weights.rows};
}

Work copy_work(const OperatorView& v) {
  if (v.in(0).rows == 0) return {.launches = 0};
  const Bytes read = std::min(v.in(0).bytes(), v.out().bytes());
  return {.family = family(Kernel::kDataMovement), .read = read, .written = v.out().bytes(), .rows = v.out().rows};
}

// The `count` largest of values[first, last), largest first; of equals the one that comes first.
std::vector<Eigen::Index> largest(const std::vector<double>& values, Eigen::Index first, Eigen::Index last,
                                  std::size_t count) {
  std::vector<Eigen::Index> at(static_cast<std::size_t>(last - first));
  std::iota(at.begin(), at.end(), first);
  std::ranges::stable_sort(at, std::greater{}, [&](Eigen::Index i) { return values[static_cast<std::size_t>(i)]; });
  at.resize(std::min(count, at.size()));
  return at;
}

template <class Scalar>
void top_k_math(const OperatorView& op, Tensors<Scalar>& t) {
  const auto& router = op.params<Router>();
  const auto scores = t[op.in(0)], bias = t[op.in(1)];
  auto experts = t[op.out(0)], weights = t[op.out(1)];
  const Eigen::Index count = scores.cols(), in_group = count / router.groups;
  for (Eigen::Index r = 0; r < scores.rows(); ++r) {
    const auto gate = [&](Eigen::Index e) { return 1 / (1 + portable_exp(-scores(r, e))); };
    std::vector<double> selection, groups;
    for (Eigen::Index e = 0; e < count; ++e) selection.push_back(static_cast<double>(gate(e) + bias(0, e)));
    for (Eigen::Index g = 0; g < router.groups; ++g) {
      double best_two = 0;
      for (const Eigen::Index e : largest(selection, g * in_group, (g + 1) * in_group, 2))
        best_two += selection[static_cast<std::size_t>(e)];
      groups.push_back(best_two);
    }
    const auto kept = largest(groups, 0, router.groups, static_cast<std::size_t>(router.kept_groups));
    for (Eigen::Index e = 0; e < count; ++e)
      if (std::ranges::find(kept, e / in_group) == kept.end())
        selection[static_cast<std::size_t>(e)] = -std::numeric_limits<double>::infinity();
    const auto chosen = largest(selection, 0, count, static_cast<std::size_t>(router.top_k));
    Scalar sum = 0;
    for (const Eigen::Index e : chosen) sum += gate(e);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      experts(r, static_cast<Eigen::Index>(i)) = static_cast<Scalar>(chosen[i]);
      weights(r, static_cast<Eigen::Index>(i)) = gate(chosen[i]) / sum * static_cast<Scalar>(router.scale);
    }
  }
}

// Copies for experts [first, end), by expert, then by token; `held` of them lie on each rank.
template <class Scalar, class Experts>
std::vector<Deal> deals_of(const Experts& experts, std::int32_t first, std::int32_t end, std::int32_t held) {
  std::vector<Deal> deals;
  for (Eigen::Index r = 0; r < experts.rows(); ++r)
    for (Eigen::Index i = 0; i < experts.cols(); ++i) {
      const auto expert = static_cast<std::int32_t>(experts(r, i));
      if (expert >= first && expert < end)
        deals.push_back({expert, (expert - first) / held, static_cast<std::int32_t>(r * experts.cols() + i)});
    }
  std::ranges::stable_sort(deals, {}, &Deal::bin);
  return deals;
}

template <class Scalar>
void deal_out_math(const OperatorView& op, Tensors<Scalar>& t) {
  const auto& dealing = op.params<Dealing>();
  const auto x = t[op.in(0)];
  std::int32_t first = 0, end = std::numeric_limits<std::int32_t>::max(), held = dealing.held;
  if (op.op().inputs > 2) {
    const TensorSlice& own = op.slice(op.in(2));
    first = own.first_expert;
    end = first + own.experts;
    held = own.experts;
  }
  auto y = t.deal(op.out(), deals_of<Scalar>(t[op.in(1)], first, end, held));
  const auto& deals = *t.deals(op.out());
  for (std::size_t i = 0; i < deals.size(); ++i)
    y.row(static_cast<Eigen::Index>(i)) = x.row(deals[i].row / dealing.top_k);
  if (op.out().dtype == Dtype::kInt8) quantise_rows(t, y);
}

template <class Scalar>
void sum_up_math(const OperatorView& op, Tensors<Scalar>& t) {
  const auto* deals = t.deals(op.in(0));
  check(deals != nullptr, "only copies that were dealt out can be summed up");
  const auto copies = t.real(op.in(0)), weights = t[op.in(1)];
  auto y = t[op.out()];
  y.setZero();
  const Eigen::Index top_k = weights.cols();
  // In the order of choices, so that no sum depends on how the copies travelled.
  std::vector<Eigen::Index> copy_of(static_cast<std::size_t>(weights.size()), -1);
  for (std::size_t i = 0; i < deals->size(); ++i)
    if ((*deals)[i].bin >= 0) copy_of[static_cast<std::size_t>((*deals)[i].row)] = static_cast<Eigen::Index>(i);
  for (std::size_t c = 0; c < copy_of.size(); ++c) {
    if (copy_of[c] < 0) continue;
    const Eigen::Index token = static_cast<Eigen::Index>(c) / top_k;
    y.row(token) += weights(token, static_cast<Eigen::Index>(c) % top_k) * copies.row(copy_of[c]);
  }
}

template <class Scalar>
void pad_math(const OperatorView& op, Tensors<Scalar>& t) {
  const std::int64_t members = op.params<Shares>().members, share = op.out().rows / members;
  const auto copies = t.real(op.in(0));
  const std::vector<Deal> from = *t.deals(op.in(0));
  std::vector<Deal> deals(static_cast<std::size_t>(share * members));
  std::vector<std::int64_t> filled(static_cast<std::size_t>(members), 0), source(deals.size(), -1);
  for (std::size_t i = 0; i < from.size(); ++i) {
    std::int64_t& used = filled[static_cast<std::size_t>(from[i].member)];
    if (used == share) continue;
    const auto at = static_cast<std::size_t>(from[i].member * share + used++);
    deals[at] = from[i];
    source[at] = static_cast<std::int64_t>(i);
  }
  auto y = t.deal(op.out(), std::move(deals));
  y.setZero();
  for (std::size_t i = 0; i < source.size(); ++i)
    if (source[i] >= 0) y.row(static_cast<Eigen::Index>(i)) = copies.row(source[i]);
}

template <class Scalar>
void collect_math(const OperatorView& op, Tensors<Scalar>& t) {
  const auto buffer = t.real(op.in(0));
  std::vector<Deal> deals;
  std::vector<Eigen::Index> source;
  const std::vector<Deal> from = *t.deals(op.in(0));
  for (std::size_t i = 0; i < from.size(); ++i)
    if (from[i].bin >= 0) {
      deals.push_back(from[i]);
      source.push_back(static_cast<Eigen::Index>(i));
    }
  auto y = t.deal(op.out(), std::move(deals));
  for (std::size_t i = 0; i < source.size(); ++i) y.row(static_cast<Eigen::Index>(i)) = buffer.row(source[i]);
}

// inputs: results, the buffer that says where they belong
template <class Scalar>
void return_math(const OperatorView& op, Tensors<Scalar>& t) {
  const auto results = t.real(op.in(0));
  auto y = t.follow(op.out(), op.in(1));
  y.setZero();
  const auto& deals = *t.deals(op.out());
  Eigen::Index next = 0;
  for (std::size_t i = 0; i < deals.size(); ++i)
    if (deals[i].bin >= 0) y.row(static_cast<Eigen::Index>(i)) = results.row(next++);
}

// Copies that were dealt out before go as they are.
template <class Scalar>
void send_as_addressed(const OperatorView& op, Tensors<Scalar>& t) {
  check(t.deals(op.in(0)) != nullptr, "only copies that were dealt out can be sent to their experts");
  t.outbox = {t.real(op.in(0)), *t.deals(op.in(0)), op.out().dtype == Dtype::kInt8 ? bits(Dtype::kFp32) / 8 : 0};
}

// inputs: tokens, experts
template <class Scalar>
void dispatch_math(const OperatorView& op, Tensors<Scalar>& t) {
  const auto x = t[op.in(0)], experts = t[op.in(1)];
  const auto& params = op.params<CollectiveParams>();
  const auto held = static_cast<std::int32_t>(params.detail);
  t.outbox.deals = deals_of<Scalar>(experts, 0, held * params.ranks, held);
  t.outbox.rows.resize(static_cast<Eigen::Index>(t.outbox.deals.size()), x.cols());
  for (std::size_t i = 0; i < t.outbox.deals.size(); ++i)
    t.outbox.rows.row(static_cast<Eigen::Index>(i)) = x.row(t.outbox.deals[i].row / experts.cols());
  t.outbox.extra_bytes_a_row = 0;
  if (op.out().dtype != Dtype::kInt8) return;
  quantise_rows(t, t.outbox.rows);
  t.outbox.extra_bytes_a_row = bits(Dtype::kFp32) / 8;
}

constexpr Compute kTopKMath{top_k_math<double>, top_k_math<float>};
constexpr Compute kDealOutMath{deal_out_math<double>, deal_out_math<float>};
constexpr Compute kSumUpMath{sum_up_math<double>, sum_up_math<float>};
constexpr Compute kPadMath{pad_math<double>, pad_math<float>};
constexpr Compute kCollectMath{collect_math<double>, collect_math<float>};
constexpr Compute kReturnMath{return_math<double>, return_math<float>};
constexpr Compute kSendMath{send_as_addressed<double>, send_as_addressed<float>};
constexpr Compute kDispatchMath{dispatch_math<double>, dispatch_math<float>};

constexpr OperatorType kTopK{"grouped_top_k", top_k_work, Primitive::kNone, kTopKMath, category(Category::kMoe)};
constexpr OperatorType kDealOut{"deal_out", deal_out_work, Primitive::kNone, kDealOutMath, category(Category::kMoe)};
constexpr OperatorType kSumUp{"sum_up", sum_up_work, Primitive::kNone, kSumUpMath, category(Category::kMoe)};
constexpr OperatorType kPadShares{"pad_shares", copy_work, Primitive::kNone, kPadMath, category(Category::kMoe)};
constexpr OperatorType kCollect{"collect_copies", copy_work, Primitive::kNone, kCollectMath, category(Category::kMoe)};
constexpr OperatorType kReturn{"return_copies", copy_work, Primitive::kNone, kReturnMath, category(Category::kMoe)};

}  // namespace

constexpr OperatorType kMoeDispatch{"moe_dispatch", nullptr, Primitive::kDispatch, kDispatchMath};
constexpr OperatorType kMoeCombine{"moe_combine", nullptr, Primitive::kCombine, kSendMath};
constexpr OperatorType kFusedDispatch{"fused_dispatch", nullptr, Primitive::kDispatch, kDispatchMath};
constexpr OperatorType kFusedCombine{"fused_combine", nullptr, Primitive::kCombine, kSendMath};
constexpr OperatorType kAllToAllRows{"all_to_all_rows", nullptr, Primitive::kAllToAll, kSendMath};

Routing grouped_top_k(ProgramBuilder& p, const char* label, Value scores, Value bias, const Router& router) {
  check(router.groups > 0 && scores.columns % router.groups == 0 &&
            router.kept_groups * (scores.columns / router.groups) >= router.top_k,
        "a router's groups do not fit its experts");
  const Routing r{p.activation(Dtype::kInt32, scores.rows, router.top_k),
                  p.activation(Dtype::kFp32, scores.rows, router.top_k)};
  p.apply(kTopK, label, router, {scores, bias}, {r.experts, r.weights});
  return r;
}

Value deal_out_all(ProgramBuilder& p, const char* label, Value x, const Routing& routing, int held,
                   std::int64_t expected, std::int64_t capacity, Dtype out) {
  const Value y = p.activation(out, expected, x.columns, capacity);
  p.apply(kDealOut, label, Dealing{routing.experts.columns, held}, {x, routing.experts}, {y});
  return y;
}

// The weight only says which experts: none of its rows is read, and where they begin is no part of the work.
Value deal_out(ProgramBuilder& p, const char* label, Value x, const Routing& routing, Value w, std::int64_t expected,
               std::int64_t capacity, Dtype out) {
  const Value y = p.activation(out, expected, x.columns, capacity);
  p.apply(kDealOut, label, Dealing{routing.experts.columns, 0}, {x, routing.experts, w.row_slice(0, 0)}, {y});
  return y;
}

Value sum_up(ProgramBuilder& p, const char* label, Value copies, const Routing& routing, std::int64_t rows,
             std::int64_t padded_rows, Dtype out, SummedBy by) {
  check(routing.weights.rows == rows && rows <= padded_rows, "copies are summed up for the tokens that were routed");
  const Value y = p.activation(out, padded_rows, copies.columns);
  p.apply(kSumUp, label, Summing{by}, {copies, routing.weights}, {y});
  return y;
}

Value pad_shares(ProgramBuilder& p, const char* label, Value copies, std::int64_t rows, std::int64_t members) {
  check(rows % members == 0, "shares of a buffer are equal");
  const Value y = p.activation(copies.dtype, rows, copies.columns);
  p.apply(kPadShares, label, Shares{members}, {copies}, {y});
  return y;
}

Value collect_copies(ProgramBuilder& p, const char* label, Value buffer, std::int64_t expected, std::int64_t capacity) {
  const Value y = p.activation(buffer.dtype, expected, buffer.columns, capacity);
  p.apply(kCollect, label, NoRoutingParams{}, {buffer}, {y});
  return y;
}

Value return_copies(ProgramBuilder& p, const char* label, Value results, Value buffer) {
  const Value y = p.activation(results.dtype, buffer.rows, results.columns);
  p.apply(kReturn, label, NoRoutingParams{}, {results, buffer}, {y});
  return y;
}

}  // namespace ascendsim
