#include "strategies/prediction/program_price.h"

#include <algorithm>
#include <cmath>

#include "strategies/programs/expert_loads.h"
#include "workloads/operators/linear.h"
#include "workloads/operators/routing.h"

namespace ascendsim {

Flops PricedProgram::matrix() const {
  Flops sum{};
  for (std::size_t i = 0; i < program.operators.size(); ++i) sum += works[built(i)].matrix;
  return sum;
}

std::int64_t PricedProgram::slowed(Duration t) const {
  return slowness == 1 ? t.count() : std::llround(static_cast<double>(t.count()) * slowness);
}

ProgramPricer::ProgramPricer(const Deployment& deployment, const Cluster& cluster, ClusterNetwork* degraded,
                             const KernelCost& kernels, const KernelFacts& facts, std::span<const GroupKind> groups,
                             const Folding& folding)
    : deployment_(deployment),
      cluster_(cluster),
      degraded_(degraded),
      kernels_(kernels),
      kernel_gap_(facts.kernel_gap),
      fused_overlap_(facts.fused_moe_overlap),
      groups_(groups),
      folding_(folding) {}

PricedProgram ProgramPricer::operator()(Program program, std::size_t rank_class, double slowness) {
  const std::size_t n = program.operators.size();
  PricedProgram priced{.program = std::move(program), .slowness = slowness};
  priced.ticks.resize(n);
  priced.works.resize(n);
  priced.bounds.resize(n);
  priced.collectives.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    const OperatorView v = priced.program.view(i);
    if (v.op().type->primitive == Primitive::kNone) {
      const Work& work = priced.works[i] = v.op().type->work(v);
      const KernelTime t = kernels_.price(work);
      priced.ticks[i] = Duration(t.total.count() > 0 ? priced.slowed(t.total + kernel_gap_) : 0);
      priced.bounds[i] = t.bound;
    } else {
      priced.collectives[i] = collective(v, rank_class);
      priced.ticks[i] = times_[priced.collectives[i]].time;
    }
  }
  overlap_fused(priced);
  return priced;
}

// Dispatch, products and combine of one kernel work on the rows of one expert after another: of exchange and products
// the shorter hides a share of itself. The products keep their time, the exchange what shows of it.
void ProgramPricer::overlap_fused(PricedProgram& priced) const {
  std::size_t dispatch = 0;
  std::int64_t products = 0;
  for (std::size_t i = 0; i < priced.ticks.size(); ++i) {
    const Operator& op = priced.program.operators[i];
    if (op.type == &kFusedDispatch) {
      dispatch = i;
      products = 0;
    } else if (op.type == &kFusedCombine) {
      const std::int64_t exchange = (priced.ticks[dispatch] + priced.ticks[i]).count();
      if (exchange == 0) continue;
      const double hidden = fused_overlap_ * static_cast<double>(std::min(exchange, products));
      for (const std::size_t part : {dispatch, i})
        priced.ticks[part] -= Duration(
            std::llround(static_cast<double>(priced.ticks[part].count()) * hidden / static_cast<double>(exchange)));
    } else if (op.type->primitive == Primitive::kNone) {
      products += priced.ticks[i].count();
    }
  }
}

void ProgramPricer::note_slowed(const OperatorView& v, const CollectiveCall& call, const std::string& group,
                                Duration time, Duration added) {
  const auto known = std::ranges::find_if(
      slowed_, [&](const SlowedCollective& s) { return s.label == v.op().label && s.bytes == call.bytes; });
  if (known != slowed_.end()) {
    known->time = std::max(known->time, time + added);
    return;
  }
  slowed_.push_back(
      {v.op().label, std::string(to_text(call.primitive)), group, call.span.ranks, call.bytes, time + added, time});
}

std::uint32_t ProgramPricer::collective(const OperatorView& v, std::size_t rank_class) {
  const Key key{v.op().type, folding_.meeting_of[rank_class][v.op().group], v.params<CollectiveParams>().bytes};
  const auto [known, fresh] = known_.emplace(key, static_cast<std::uint32_t>(times_.size()));
  if (fresh) times_.push_back(price(v, key));
  return known->second;
}

CollectiveTime ProgramPricer::price(const OperatorView& v, const Key& key) {
  const Folding::Meeting& where = folding_.meetings[static_cast<std::size_t>(key.meeting)];
  const std::vector<int>& ranks = groups_[where.kind].groups[static_cast<std::size_t>(where.representative_group)];
  CollectiveCall call{.primitive = key.type->primitive, .bytes = key.bytes, .span = cluster_.span_of(ranks)};
  call.moe_rows = key.type == &kAllToAllRows;
  std::vector<double> loads;
  if (moves_rows(call) && !deployment_.experts.rank_loads.empty())
    for (const int rank : ranks)
      loads.push_back(static_cast<double>(routed_load(deployment_, rank)) / RoutedRows::kEven);
  call.loads = loads;
  CollectiveTime time = collective_time(call, cluster_.server(), {nullptr, deployment_.expansion});
  if (degraded_ == nullptr) return time;
  const Duration added = added_by_faults(call, cluster_.server(), *degraded_, ranks);
  if (added > Duration{}) note_slowed(v, call, groups_[where.kind].name, time.time, added);
  time.time += added;
  time.transfer += added;
  return time;
}

}  // namespace ascendsim
