// A2. Inside a server every pair of dies has its own HCCS link:
//   floor + n/p / (link * efficiency) + ramp x / sqrt(x^2 + ramp_bytes^2)   (twice the transfer for an all-reduce)
// where the ramp is what small payloads lose before the links are busy, fitted to the vendor's all-reduce formula.
// Across servers (HCCL hierarchical algorithms): between dies of equal index over RoCE, with one software step per doubling
// of servers, and the mesh inside; from pipeline_threshold on the two stages overlap. Ignores: leaf / spine contention.
#include <algorithm>
#include <cmath>

#include "strategies/collectives/collective_cost.h"

namespace ascendsim {

namespace {

std::string_view efficiency_key(Primitive primitive) {
  switch (primitive) {
    case Primitive::kAllGather: return "all_gather_efficiency";
    case Primitive::kAllToAll: return "all_to_all_efficiency";
    default: return "reduce_scatter_efficiency";
  }
}

// One pass over the mesh that puts bytes / p on every link; an all-reduce is two passes.
double mesh_seconds(Primitive primitive, double bytes, const Cluster::Span& span, int ranks, const Server& server) {
  const int passes = primitive == Primitive::kAllReduce ? 2 : 1;
  const double link = span.mesh_link.count() * server.collectives.ratio(efficiency_key(primitive)).count();
  const double ramp_bytes = static_cast<double>(server.collectives.bytes("mesh_ramp_bytes").count());
  const double ramp = seconds(server.collectives.duration("mesh_ramp")) * bytes / std::sqrt(bytes * bytes + ramp_bytes * ramp_bytes);
  return seconds(server.collectives.duration("mesh_floor")) + passes * (bytes / ranks / link + ramp / 2);
}

}  // namespace

bool hccs_mesh_applies(const CollectiveCall& call, const Server& server) {
  return server.fabric == Fabric::kHccsMesh && call.span.servers == 1;
}

Duration hccs_mesh_time(const CollectiveCall& call, const Server& server) {
  return duration_from_seconds(
      mesh_seconds(call.primitive, static_cast<double>(call.bytes.count()), call.span, call.span.ranks, server));
}

bool hccs_roce_applies(const CollectiveCall& call, const Server& server) {
  return server.fabric == Fabric::kHccsMesh && call.span.servers > 1;
}

Duration hccs_roce_time(const CollectiveCall& call, const Server& server) {
  const double n = static_cast<double>(call.bytes.count());
  const double servers = call.span.servers, inside = call.span.ranks_per_server;
  const double nic = (server.nic.bandwidth.value * server.nic.efficiency.value).count();
  const double step = seconds(server.collectives.duration("inter_server_step")) * std::ceil(octaves(servers));
  const bool all_to_all = call.primitive == Primitive::kAllToAll;
  const int passes = call.primitive == Primitive::kAllReduce ? 2 : 1;
  // All-to-all: a rank's rows for other servers leave through its own NIC; otherwise each NIC carries its share only.
  const double crossing = (servers - 1) / servers * (all_to_all ? n : n / inside);
  const double between = passes * (step + crossing / nic);
  const double within = inside > 1 ? mesh_seconds(call.primitive, all_to_all ? n / servers : n, call.span,
                                                  call.span.ranks_per_server, server)
                                   : 0;
  const bool pipelined = call.bytes / call.span.ranks >= server.collectives.bytes("pipeline_threshold");
  return duration_from_seconds(pipelined ? std::max(between, within) : between + within);
}

}  // namespace ascendsim
