// What a collective costs when nothing else uses its links: closed forms over the cluster's links, by named algorithm,
// chosen as HCCL chooses (by fabric, size and scale). One file an algorithm family, one list: builtin.cpp.
//   n = bytes as in sim/program.h (full output of an all-gather, full input of a reduce-scatter, the vector of an
//   all-reduce, the local buffer of an all-to-all), p = ranks.
// Figures come from the `collectives` section of the server's catalogue file, nominal bandwidths from the link graph.
#pragma once

#include <span>

#include "hardware/link_graph.h"
#include "sim/program.h"

namespace ascendsim {

struct CollectiveCall {
  Primitive primitive = Primitive::kNone;
  Bytes bytes{};
  Cluster::Span span;
  bool alone = false;                  // as in a benchmark: without what a running network adds
};

struct CollectiveAlgorithm {
  const char* name;
  const char* summary;
  bool (*applies)(const CollectiveCall&, const Server&);
  Duration (*time)(const CollectiveCall&, const Server&);
};
// In the order of preference: the first that applies is what HCCL would take.
std::span<const CollectiveAlgorithm> builtin_collectives();

struct CollectiveTime {
  Duration time{};
  const CollectiveAlgorithm* algorithm = nullptr;
};
// REQUIRES: at least two ranks. A primitive that no algorithm covers on this fabric is our bug (check).
CollectiveTime collective_time(const CollectiveCall& call, const Server& server);

// log2 of p, linear between powers of two: exact there and the same on every machine.
double octaves(double p);
// What each rank receives in all: (p-1)/p n, twice that for an all-reduce.
double received_bytes(const CollectiveCall& call);

bool unified_bus_vector_applies(const CollectiveCall&, const Server&);
Duration unified_bus_vector_time(const CollectiveCall&, const Server&);
bool unified_bus_copy_applies(const CollectiveCall&, const Server&);
Duration unified_bus_copy_time(const CollectiveCall&, const Server&);
bool hccs_mesh_applies(const CollectiveCall&, const Server&);
Duration hccs_mesh_time(const CollectiveCall&, const Server&);
bool hccs_roce_applies(const CollectiveCall&, const Server&);
Duration hccs_roce_time(const CollectiveCall&, const Server&);
bool moe_exchange_applies(const CollectiveCall&, const Server&);
Duration moe_exchange_time(const CollectiveCall&, const Server&);

}  // namespace ascendsim
