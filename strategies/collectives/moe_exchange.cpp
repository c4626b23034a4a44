// Fused MoE dispatch and combine (MC2, DeepEP-like low-latency kernels): setup + per doubling of the group + payload of a
// rank / bandwidth, all measured on CloudMatrix384 at 8 to 256 dies; A2 figures are assumed (none published).
#include "strategies/collectives/collective_cost.h"

namespace ascendsim {

bool moe_exchange_applies(const CollectiveCall& call, const Server&) {
  return call.primitive == Primitive::kDispatch || call.primitive == Primitive::kCombine;
}

Duration moe_exchange_time(const CollectiveCall& call, const Server& server) {
  const bool dispatch = call.primitive == Primitive::kDispatch;
  const FigureTable& f = server.collectives;
  const double setup = seconds(f.duration(dispatch ? "moe_dispatch_setup" : "moe_combine_setup")) +
                       octaves(call.span.ranks) *
                           seconds(f.duration(dispatch ? "moe_dispatch_setup_per_octave" : "moe_combine_setup_per_octave"));
  const double payload = static_cast<double>(call.bytes.count()) /
                         f.rate(dispatch ? "moe_dispatch_bandwidth" : "moe_combine_bandwidth").count();
  const double in_network = call.alone ? 1 : f.ratio("moe_in_network_factor").count();
  return duration_from_seconds((setup + payload) * in_network);
}

}  // namespace ascendsim
