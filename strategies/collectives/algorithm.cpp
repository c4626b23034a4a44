#include "strategies/collectives/algorithm.h"

#include <algorithm>

namespace ascendsim {

CollectiveShape shape_of(Primitive primitive, Bytes bytes, const Cluster::Span& span, Fabric fabric) {
  return {.primitive = primitive,
          .bytes = bytes,
          .ranks = span.ranks,
          .servers = span.servers,
          .ranks_per_server = span.ranks_per_server,
          .package_peers = span.package_peers,
          .fabric = fabric};
}

LinkClass link_between(const CollectiveShape& shape, int a, int b) {
  if (shape.package_peers > 0 && a / 2 == b / 2) return LinkClass::kPackage;
  if (shape.all_rdma) return LinkClass::kNic;
  const bool same_server = a / shape.ranks_per_server == b / shape.ranks_per_server;
  return same_server || shape.fabric == Fabric::kUnifiedBus ? LinkClass::kDie : LinkClass::kNic;
}

std::string_view to_text(TransferKind kind) {
  switch (kind) {
    case TransferKind::kGather:
      return "gather";
    case TransferKind::kReduce:
      return "reduce";
    case TransferKind::kExchange:
      return "exchange";
    case TransferKind::kDispatch:
      return "dispatch";
    case TransferKind::kCombine:
      return "combine";
  }
  return "";
}

TransferKind kind_of(Primitive primitive) {
  switch (primitive) {
    case Primitive::kReduceScatter:
      return TransferKind::kReduce;
    case Primitive::kAllToAll:
      return TransferKind::kExchange;
    case Primitive::kDispatch:
      return TransferKind::kDispatch;
    case Primitive::kCombine:
      return TransferKind::kCombine;
    default:
      return TransferKind::kGather;
  }
}

std::int64_t StepPlan::steps() const {
  std::int64_t sum = 0;
  for (const StepLoad& l : loads) sum += l.count;
  return sum;
}

StepLoad to_all(const CollectiveShape& shape, TransferKind kind, std::int64_t bytes) {
  if (shape.all_rdma) {
    StepLoad load{.kind = kind, .of_a_rank = checked_product(shape.ranks - 1, bytes), .messages = shape.ranks - 1};
    load[LinkClass::kNic] = load.of_a_rank;
    return load;
  }
  StepLoad load = to_all_of_server(shape, kind, bytes);
  const std::int64_t elsewhere = shape.ranks - shape.ranks_per_server;
  LinkClass between = shape.fabric == Fabric::kUnifiedBus ? LinkClass::kDie : LinkClass::kNic;
  load[between] = checked_sum(load[between], checked_product(elsewhere, bytes));
  load.messages = shape.ranks - 1;
  load.of_a_rank = checked_product(load.messages, bytes);
  return load;
}

StepLoad to_all_of_server(const CollectiveShape& shape, TransferKind kind, std::int64_t bytes) {
  StepLoad load{.kind = kind, .messages = shape.ranks_per_server - 1};
  load.of_a_rank = checked_product(load.messages, bytes);
  const std::int64_t beside = shape.ranks_per_server - 1 - shape.package_peers;
  load[LinkClass::kPackage] = shape.package_peers * bytes;
  if (beside > 0) load[LinkClass::kDie] = shape.fabric == Fabric::kHccsMesh ? bytes : checked_product(beside, bytes);
  return load;
}

Members whole_group(const CollectiveShape& shape) {
  Members members;
  for (int r = 0; r < shape.ranks; ++r) {
    members.ranks.push_back(r);
    members.parts.push_back({part(shape.n(), shape.ranks, r)});
  }
  return members;
}

Schedule gather_schedule(const CollectiveShape& shape, Schedule all_gather) {
  switch (shape.primitive) {
    case Primitive::kAllGather:
      return all_gather;
    case Primitive::kReduceScatter:
      return reversed(all_gather);
    default: {
      Schedule both = reversed(all_gather);
      both.append(all_gather);
      return both;
    }
  }
}

StepPlan gather_plan(const CollectiveShape& shape, std::vector<StepLoad> loads) {
  if (shape.primitive == Primitive::kAllGather) return {1, std::move(loads)};
  std::vector<StepLoad> reduce(loads.rbegin(), loads.rend());
  for (StepLoad& l : reduce) l.kind = TransferKind::kReduce;
  if (shape.primitive == Primitive::kReduceScatter) return {1, std::move(reduce)};
  reduce.insert(reduce.end(), loads.begin(), loads.end());
  return {2, std::move(reduce)};
}

bool any_group(const CollectiveShape&) { return true; }
bool several_servers(const CollectiveShape& shape) { return shape.servers > 1 && shape.even(); }

}  // namespace ascendsim
