// A3: every die has one port into the UB planes, which do not block, and the other die of its package beside it (SIO).
//   vector cores (AIV):  floor(p) + received / aiv_bandwidth, two floors for an all-reduce (reduce-scatter, all-gather)
//   copy engines (AICPU): floor(p) + max(bytes over UB / (port * efficiency), bytes over SIO / SIO)
// Peers share the payload evenly, so 1/(p-1) of it goes over SIO when the package mate is in the group.
// Ignores: contention with other collectives, unequal shares.
#include <algorithm>

#include "strategies/collectives/collective_cost.h"

namespace ascendsim {

namespace {

// Floors are known for 8 and 16 dies; beyond, the same step per doubling.
double floor_seconds(const Server& server, std::string_view at_8, std::string_view at_16, int ranks) {
  const double low = seconds(server.collectives.duration(at_8)), high = seconds(server.collectives.duration(at_16));
  return low + (high - low) * std::max(0.0, octaves(ranks) - 3);
}

// Kernels in a serving trace take longer than alone; known for these cases, the nearest one stands for the others.
Duration in_network_surcharge(const CollectiveCall& call, const Server& server) {
  if (call.alone) return {};
  const bool reduces = call.primitive == Primitive::kAllReduce || call.primitive == Primitive::kReduceScatter;
  if (call.span.ranks <= 8)
    return server.collectives.duration(reduces ? "production_add_reduce_scatter_8" : "production_add_all_gather_8");
  return server.collectives.duration(reduces ? "production_add_all_reduce_16" : "production_add_all_gather_16");
}

Bytes vector_threshold(const CollectiveCall& call, const Server& server) {
  switch (call.primitive) {
    case Primitive::kAllGather: return server.collectives.bytes("aiv_threshold_all_gather");
    case Primitive::kReduceScatter: return server.collectives.bytes("aiv_threshold_reduce_scatter");
    case Primitive::kAllReduce: return server.collectives.bytes("aiv_threshold_all_reduce");
    default: return server.collectives.bytes("aiv_threshold_all_to_all");
  }
}

// What HCCL calls the size per rank: the shard of a gather or scatter, the whole buffer otherwise.
Bytes size_per_rank(const CollectiveCall& call) {
  const bool sharded = call.primitive == Primitive::kAllGather || call.primitive == Primitive::kReduceScatter;
  return sharded ? call.bytes / call.span.ranks : call.bytes;
}

double copy_seconds(const CollectiveCall& call, const Server& server, std::string_view efficiency) {
  const double p = call.span.ranks, payload = static_cast<double>(call.bytes.count());
  const double port = call.span.switched_port.count() * server.collectives.ratio(efficiency).count();
  const double over_ub = (p - 1 - call.span.package_peers) / p * payload;
  const double over_sio = call.span.package_peers / p * payload;
  const double sio = call.span.package_peers > 0 ? over_sio / (server.package_link->bandwidth.value * server.package_link->efficiency.value).count() : 0;
  return std::max(over_ub > 0 ? over_ub / port : 0, sio);
}

}  // namespace

bool unified_bus_vector_applies(const CollectiveCall& call, const Server& server) {
  return server.fabric == Fabric::kUnifiedBus && size_per_rank(call) <= vector_threshold(call, server);
}

Duration unified_bus_vector_time(const CollectiveCall& call, const Server& server) {
  const int phases = call.primitive == Primitive::kAllReduce ? 2 : 1;
  const double floor = phases * floor_seconds(server, "aiv_floor_8", "aiv_floor_16", call.span.ranks);
  return duration_from_seconds(floor + received_bytes(call) / server.collectives.rate("aiv_bandwidth").count()) +
         in_network_surcharge(call, server);
}

bool unified_bus_copy_applies(const CollectiveCall&, const Server& server) { return server.fabric == Fabric::kUnifiedBus; }

Duration unified_bus_copy_time(const CollectiveCall& call, const Server& server) {
  const double floor = floor_seconds(server, "aicpu_floor_8", "aicpu_floor_16", call.span.ranks);
  double transfer = 0;
  switch (call.primitive) {
    case Primitive::kAllGather: transfer = copy_seconds(call, server, "all_gather_efficiency"); break;
    case Primitive::kReduceScatter: transfer = copy_seconds(call, server, "reduce_scatter_efficiency"); break;
    case Primitive::kAllReduce:
      transfer = copy_seconds(call, server, "reduce_scatter_efficiency") + copy_seconds(call, server, "all_gather_efficiency");
      break;
    default: transfer = copy_seconds(call, server, "all_to_all_efficiency"); break;
  }
  return duration_from_seconds(floor + transfer);
}

}  // namespace ascendsim
