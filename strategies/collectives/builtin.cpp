#include <cmath>

#include "strategies/collectives/collective_cost.h"

namespace ascendsim {

namespace {

constexpr CollectiveAlgorithm kBuiltin[] = {
    {"mc2", "fused MoE dispatch / combine kernels, all pairs at once", moe_exchange_applies, moe_exchange_time},
    {"ub-aiv", "A3, small payloads: vector cores copy over UB (HCCL expansion mode AIV)", unified_bus_vector_applies,
     unified_bus_vector_time},
    {"ub-aicpu", "A3, large payloads: copy engines over UB planes and SIO (HCCL expansion mode AI_CPU)", unified_bus_copy_applies,
     unified_bus_copy_time},
    {"hccs-mesh", "A2, one server: full mesh, every peer over its own HCCS link", hccs_mesh_applies, hccs_mesh_time},
    {"hccs-roce", "A2, several servers: mesh inside, RoCE between dies of equal index, pipelined", hccs_roce_applies,
     hccs_roce_time},
};

}  // namespace

std::span<const CollectiveAlgorithm> builtin_collectives() { return kBuiltin; }

CollectiveTime collective_time(const CollectiveCall& call, const Server& server) {
  check(call.span.ranks >= 2, "a collective needs two ranks");
  for (const CollectiveAlgorithm& a : kBuiltin)
    if (a.applies(call, server)) return {a.time(call, server), &a};
  check(false, "no collective algorithm applies");
  return {};
}

double octaves(double p) {
  int exponent = 0;
  const double mantissa = std::frexp(p, &exponent);   // p = mantissa * 2^exponent, mantissa in [0.5, 1)
  return exponent - 1 + (2 * mantissa - 1);
}

double received_bytes(const CollectiveCall& call) {
  const double p = call.span.ranks;
  const double once = (p - 1) / p * static_cast<double>(call.bytes.count());
  return call.primitive == Primitive::kAllReduce ? 2 * once : once;
}

}  // namespace ascendsim
