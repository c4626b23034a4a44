#include "workloads/operators/routing.h"

#include "workloads/kernels.h"

namespace ascendsim {

namespace {

struct TopK {
  std::int32_t top_k;
};

Work top_k_work(const OperatorView& v) {
  const Value& scores = v.in(0);
  if (scores.rows == 0) return {.launches = 0};
  return {.family = family(Kernel::kTopK),
          // sigmoid, bias, and one compare a score for each of the group and expert selections
          .vector = Flops(scores.elements() * (2 + v.params<TopK>().top_k)),
          .read = scores.bytes(),
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
  const Value& copies = v.in(0);
  if (v.in(1).rows == 0) return {.launches = 0};
  return {.family = family(Kernel::kVector),
          .vector = Flops(2 * copies.elements()),
          .read = copies.bytes() + v.in(1).bytes(),
          .written = v.out().bytes(),
          .rows = v.in(1).rows};
}

constexpr OperatorType kTopK{"grouped_top_k", top_k_work};
constexpr OperatorType kDealOut{"deal_out", deal_out_work};
constexpr OperatorType kSumUp{"sum_up", sum_up_work};

}  // namespace

constexpr OperatorType kMoeDispatch{"moe_dispatch", nullptr, Primitive::kDispatch};
constexpr OperatorType kMoeCombine{"moe_combine", nullptr, Primitive::kCombine};
constexpr OperatorType kAllToAllRows{"all_to_all_rows", nullptr, Primitive::kAllToAll};

Routing grouped_top_k(ProgramBuilder& p, const char* label, Value scores, int top_k) {
  const Routing r{p.activation(Dtype::kInt32, scores.rows, top_k), p.activation(Dtype::kFp32, scores.rows, top_k)};
  p.apply(kTopK, label, TopK{top_k}, {scores}, {r.experts, r.weights});
  return r;
}

Value deal_out(ProgramBuilder& p, const char* label, Value x, const Routing& routing, std::int64_t expected,
               std::int64_t capacity, Dtype out) {
  const Value y = p.activation(out, expected, x.columns, capacity);
  p.apply(kDealOut, label, TopK{routing.experts.columns}, {x, routing.experts}, {y});
  return y;
}

Value sum_up(ProgramBuilder& p, const char* label, Value copies, const Routing& routing, std::int64_t rows,
             std::int64_t padded_rows) {
  const Value y = p.activation(Dtype::kFp16, padded_rows, copies.columns);
  p.apply(kSumUp, label, TopK{routing.experts.columns}, {copies, routing.weights}, {y.row_slice(0, rows)});
  return y;
}

}  // namespace ascendsim
