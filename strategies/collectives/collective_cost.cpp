#include "strategies/collectives/collective_cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace ascendsim {

namespace {

constexpr TransferKind kKinds[] = {TransferKind::kGather, TransferKind::kReduce, TransferKind::kExchange,
                                   TransferKind::kDispatch, TransferKind::kCombine};

constexpr std::size_t index(LinkClass c) { return static_cast<std::size_t>(c); }
constexpr std::size_t index(TransferKind k) { return static_cast<std::size_t>(k); }

// Floors are known for 8 and 16 dies; beyond, the same step per doubling.
double floor_seconds(const Server& server, std::string_view at_8, std::string_view at_16, int ranks) {
  const double low = seconds(server.collectives.duration(at_8)), high = seconds(server.collectives.duration(at_16));
  return low + (high - low) * std::max(0.0, octaves(ranks) - 3);
}

// Kernels in a serving trace take longer than alone; known for these cases, the nearest one stands for the others.
Duration in_network_surcharge(const CollectiveCall& call, const Server& server, Expansion expansion) {
  if (call.alone || expansion != Expansion::kAiv) return {};
  const bool reduces = call.primitive == Primitive::kAllReduce || call.primitive == Primitive::kReduceScatter;
  if (call.span.ranks <= 8)
    return server.collectives.duration(reduces ? "production_add_reduce_scatter_8" : "production_add_all_gather_8");
  return server.collectives.duration(reduces ? "production_add_all_reduce_16" : "production_add_all_gather_16");
}

// From launch to the first byte and after the last one, with one step over die links in each phase.
double floor_of(const CollectiveCall& call, const Server& server, Expansion expansion, int phases) {
  const FigureTable& f = server.collectives;
  switch (expansion) {
    case Expansion::kAiv:
      return phases * floor_seconds(server, "aiv_floor_8", "aiv_floor_16", call.span.ranks);
    case Expansion::kAiCpu:
      return floor_seconds(server, "aicpu_floor_8", "aicpu_floor_16", call.span.ranks);
    case Expansion::kHost: {
      // Small payloads end before the links are busy.
      const double bytes = static_cast<double>(call.bytes.count()),
                   ramp_bytes = static_cast<double>(f.bytes("mesh_ramp_bytes").count());
      const double ramp = seconds(f.duration("mesh_ramp")) * bytes / std::sqrt(bytes * bytes + ramp_bytes * ramp_bytes);
      return seconds(f.duration("mesh_floor")) + phases * ramp / 2;
    }
    case Expansion::kFused: {
      const bool dispatch = call.primitive == Primitive::kDispatch;
      return seconds(f.duration(dispatch ? "moe_dispatch_setup" : "moe_combine_setup")) +
             octaves(call.span.ranks) *
                 seconds(f.duration(dispatch ? "moe_dispatch_setup_per_octave" : "moe_combine_setup_per_octave"));
    }
  }
  return 0;
}

Duration die_step(const Server& server, Expansion expansion) {
  switch (expansion) {
    case Expansion::kAiv:
      return server.collectives.duration("aiv_step");
    case Expansion::kAiCpu:
      return server.collectives.duration("aicpu_step");
    case Expansion::kHost:
      return server.collectives.duration("host_step");
    case Expansion::kFused:
      return {};
  }
  return {};
}

std::int64_t whole(Ratio count) { return std::llround(count.count()); }

void set_link(CollectiveCosts& costs, LinkClass c, BytesPerSecond bandwidth, const LinkType* link,
              Expansion expansion) {
  costs.bandwidth[index(c)] = bandwidth;
  if (link == nullptr || bandwidth.count() == 0) return;
  costs.sustained[index(c)] = link->efficiency.value.count();
  for (const TransferKind kind : kKinds) {
    // Rows that no fused kernel moves are an exchange like any other.
    const bool moe = kind == TransferKind::kDispatch || kind == TransferKind::kCombine;
    const TransferKind priced = moe && expansion != Expansion::kFused ? TransferKind::kExchange : kind;
    const std::string key = fmt::format("{}_efficiency", to_text(priced));
    // What vector cores reach was measured end to end in gathers (aiv_bandwidth) and as a share of the link in
    // exchanges.
    costs.efficiency[index(c)][index(kind)] = expansion == Expansion::kAiv && priced != TransferKind::kExchange ? 1.0
                                              : link->transfers.has_ratio(key) ? link->transfers.ratio(key).count()
                                                                               : link->efficiency.value.count();
  }
}

}  // namespace

CollectiveShape shape_of(const CollectiveCall& call, const Server& server, const CollectiveAlgorithm& algorithm) {
  CollectiveShape shape = shape_of(call.primitive, call.bytes, call.span, server.fabric);
  shape.copies = call.copies;
  shape.padding = call.padding;
  shape.all_rdma = algorithm.rdma && server.fabric == Fabric::kHccsMesh && call.span.servers > 1;
  return shape;
}

CollectiveCosts costs_of(const CollectiveCall& call, const Server& server, const CollectiveChoice& choice,
                         const StepPlan& plan) {
  const bool mesh = server.fabric == Fabric::kHccsMesh;
  CollectiveCosts costs;
  set_link(costs, LinkClass::kPackage, call.span.package_link, server.package_link ? &*server.package_link : nullptr,
           choice.expansion);
  set_link(costs, LinkClass::kDie, mesh ? call.span.mesh_link : call.span.switched_port, &server.die_link,
           choice.expansion);
  set_link(costs, LinkClass::kNic, call.span.nic, &server.nic, choice.expansion);
  const Duration step = die_step(server, choice.expansion);
  costs.step[index(LinkClass::kPackage)] = costs.step[index(LinkClass::kDie)] = step;
  if (choice.expansion != Expansion::kFused)
    costs.step[index(LinkClass::kNic)] = server.collectives.duration("inter_server_step");
  const bool covers_a_step = std::ranges::any_of(plan.loads, [](const StepLoad& l) { return l[LinkClass::kNic] == 0; });
  costs.setup = duration_from_seconds(floor_of(call, server, choice.expansion, plan.phases)) -
                (covers_a_step ? plan.phases * step : Duration{});
  check(costs.setup >= Duration{}, "the steps of a collective cost more than its measured floor");
  if (choice.expansion == Expansion::kAiv && call.primitive != Primitive::kAllToAll)
    costs.engine = server.collectives.rate("aiv_bandwidth");
  if (choice.expansion == Expansion::kAiv) {
    costs.message = step;
    costs.messages_at_once = whole(server.collectives.ratio("aiv_cores"));
    costs.exchanges_only = false;
  } else if (choice.expansion == Expansion::kAiCpu && moves_rows(call)) {
    costs.message = server.die_link.transfers.duration("exchange_message");
  } else if (choice.expansion == Expansion::kAiCpu) {
    costs.message = step;
    costs.messages_at_once = whole(server.collectives.ratio("aicpu_copies_at_once"));
  }
  return costs;
}

namespace {

struct StepTime {
  double transfer = 0;  // s, with the step cost
  double moving = 0;    // of that: without it
  double posting = 0;   // of messages, beyond the step cost
};

StepTime time_of(const StepLoad& load, const CollectiveCosts& costs) {
  StepTime t;
  double step = 0;
  for (std::size_t c = 0; c < kLinkClasses; ++c) {
    if (load.bytes[c] == 0) continue;
    const auto bytes = static_cast<double>(load.bytes[c]);
    const double rate = costs.bandwidth[c].count() * costs.efficiency[c][index(load.kind)];
    check(rate > 0, "a collective uses links that the group does not have");
    t.transfer = std::max(t.transfer, seconds(costs.step[c]) + bytes / rate);
    step = std::max(step, seconds(costs.step[c]));
  }
  if (costs.engine.count() > 0)
    t.transfer = std::max(t.transfer, step + static_cast<double>(load.of_a_rank) / costs.engine.count());
  t.moving = t.transfer - step;
  const bool exchange = load.kind != TransferKind::kGather && load.kind != TransferKind::kReduce;
  if (exchange || !costs.exchanges_only)
    t.posting = std::max(
        0.0, static_cast<double>(ceil_div(load.messages, costs.messages_at_once)) * seconds(costs.message) - step);
  return t;
}

double posting_seconds(const StepPlan& plan, const CollectiveCosts& costs) {
  double sum = 0;
  for (const StepLoad& l : plan.loads) sum += static_cast<double>(l.count) * time_of(l, costs).posting;
  return sum;
}

Ratio vector_cores_taken(const CollectiveCall& call, const Server& server, Expansion expansion) {
  if (expansion == Expansion::kFused) return server.collectives.ratio("fused_vector_share");
  if (expansion != Expansion::kAiv) return {};
  // What needs vector cores waits when all are taken; one is left, so that speeds stay above zero.
  const std::int64_t cores = server.die.vector_cores.value.count();
  const std::int64_t taken =
      std::min({std::int64_t{call.span.ranks}, whole(server.collectives.ratio("aiv_cores")), cores - 1});
  return Ratio(static_cast<double>(taken) / static_cast<double>(cores));
}

// How much longer the fullest port takes than with even loads. Every rank has equally many tokens; combine is dispatch
// backwards.
Duration beyond_even_loads(const CollectiveCall& call, const CollectiveShape& shape, const CollectiveCosts& costs) {
  const auto p = static_cast<std::size_t>(shape.ranks);
  check(call.loads.size() == p, "loads are of another group");
  std::vector<std::int64_t> even(p * p, shape.block()), uneven(p * p);
  for (std::size_t from = 0; from < p; ++from)
    for (std::size_t to = 0; to < p; ++to)
      uneven[from * p + to] = std::llround(static_cast<double>(shape.block()) *
                                           call.loads[call.primitive == Primitive::kCombine ? from : to]);
  const TransferKind kind = kind_of(call.primitive);
  return std::max(Duration{},
                  port_load_time(shape, uneven, 1, kind, costs) - port_load_time(shape, even, 1, kind, costs));
}

}  // namespace

Duration time_of(const StepPlan& plan, const CollectiveCosts& costs) {
  double sum = seconds(costs.setup) + posting_seconds(plan, costs);
  for (const StepLoad& l : plan.loads) sum += static_cast<double>(l.count) * time_of(l, costs).transfer;
  return duration_from_seconds(sum);
}

LinkClass LinkTimes::longest() const {
  return static_cast<LinkClass>(std::ranges::max_element(full) - std::begin(full));
}

LinkTimes link_times(const StepPlan& plan, const CollectiveCosts& costs) {
  double moving = 0, full[kLinkClasses] = {};
  for (const StepLoad& l : plan.loads) {
    const auto count = static_cast<double>(l.count);
    moving += count * time_of(l, costs).moving;
    for (std::size_t c = 0; c < kLinkClasses; ++c)
      if (l.bytes[c] > 0)
        full[c] += count * static_cast<double>(l.bytes[c]) /
                   (costs.bandwidth[c].count() * std::max(costs.sustained[c], costs.efficiency[c][index(l.kind)]));
  }
  LinkTimes times{.moving = duration_from_seconds(moving)};
  for (std::size_t c = 0; c < kLinkClasses; ++c) times.full[c] = duration_from_seconds(full[c]);
  return times;
}

CollectiveTime collective_time(const CollectiveCall& call, const Server& server,
                               const CollectivePreference& preference) {
  check(call.span.ranks >= 2, "a collective needs two ranks");
  const CollectiveChoice choice = select_collective(call, server, preference);
  const CollectiveShape shape = shape_of(call, server, *choice.algorithm);
  const StepPlan plan = choice.algorithm->plan(shape);
  const CollectiveCosts costs = costs_of(call, server, choice, plan);
  const LinkTimes busy = link_times(plan, costs);
  CollectiveTime out{.time = time_of(plan, costs) + in_network_surcharge(call, server, choice.expansion),
                     .choice = choice,
                     .port = busy.longest(),
                     .transfer = busy.moving,
                     .vector_cores = vector_cores_taken(call, server, choice.expansion)};
  if (!call.loads.empty()) {
    const Duration longer = beyond_even_loads(call, shape, costs);
    out.time += longer;
    out.transfer += longer;
  }
  if (choice.expansion == Expansion::kFused && !call.alone) {
    // What a running network adds lies on all of the kernel.
    const double factor = server.collectives.ratio("moe_in_network_factor").count();
    out.time = duration_from_seconds(seconds(out.time) * factor);
    out.transfer = duration_from_seconds(seconds(out.transfer) * factor);
  }
  out.transfer = std::min(out.transfer, out.time);  // each is rounded for itself
  if (out.transfer > Duration{})
    out.load = Ratio(std::min(1.0, seconds(busy.full[index(out.port)]) / seconds(out.transfer)));
  return out;
}

double octaves(double p) {
  int exponent = 0;
  const double mantissa = std::frexp(p, &exponent);  // p = mantissa * 2^exponent, mantissa in [0.5, 1)
  return exponent - 1 + (2 * mantissa - 1);
}

double received_bytes(const CollectiveCall& call) {
  const double p = call.span.ranks, n = static_cast<double>(call.bytes.count());
  if (call.primitive == Primitive::kBroadcast || call.primitive == Primitive::kShift) return n;
  return (call.primitive == Primitive::kAllReduce ? 2 : 1) * (p - 1) / p * n;
}

}  // namespace ascendsim
