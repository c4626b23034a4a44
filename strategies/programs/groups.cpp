#include "strategies/programs/groups.h"

namespace ascendsim {

namespace {

// Everything that collective costs depend on, packed: equal spans cost the same, unless links have faults; then every
// group is its own.
std::uint64_t signature_of(const Cluster& cluster, const std::vector<int>& members, std::size_t group) {
  if (!cluster.faults().empty()) return group;
  const Cluster::Span span = cluster.span_of(members);
  return static_cast<std::uint64_t>(span.servers) << 32 | static_cast<std::uint64_t>(span.ranks_per_server) << 8 |
         static_cast<std::uint64_t>(span.package_peers);
}

// Partition of 0..world-1 into groups of `size` ranks that are `stride` apart.
GroupKind strided(const char* name, std::int64_t world, std::int64_t size, std::int64_t stride,
                  const Cluster* cluster) {
  GroupKind k;
  k.name = name;
  const std::int64_t block = size * stride;
  for (std::int64_t base = 0; base < world; base += block)
    for (std::int64_t offset = 0; offset < stride; ++offset) {
      std::vector<int> members;
      for (std::int64_t i = 0; i < size; ++i) members.push_back(static_cast<int>(base + offset + i * stride));
      if (cluster != nullptr) k.signature.push_back(signature_of(*cluster, members, k.signature.size()));
      k.groups.push_back(std::move(members));
    }
  return k;
}

// Ranks that hold the shards of one copy of a cache: neighbours in the TP group, and the same ones of every cp rank
// where cp cuts the cache.
GroupKind shard_groups(const Layout& l, const Cluster* cluster) {
  const std::int64_t cut_over = l.kv_shards() / l.sp;  // cp ranks
  GroupKind k{.name = "kv_shards", .groups = {}, .signature = {}};
  for (std::int64_t base = 0; base < l.world(); base += cut_over * l.tp)
    for (std::int64_t copy = 0; copy < l.tp / l.sp; ++copy) {
      std::vector<int> members;
      for (std::int64_t c = 0; c < cut_over; ++c)
        for (std::int64_t i = 0; i < l.sp; ++i) members.push_back(static_cast<int>(base + c * l.tp + copy * l.sp + i));
      if (cluster != nullptr) k.signature.push_back(signature_of(*cluster, members, k.signature.size()));
      k.groups.push_back(std::move(members));
    }
  return k;
}

std::vector<GroupKind> groups_of(const Layout& l, const Cluster* cluster) {
  const std::int64_t world = l.world();
  check(l.moe_ep * l.moe_tp == world && l.tp % l.sp == 0, "groups of an illegal layout");
  std::vector<GroupKind> kinds;
  kinds.push_back(strided("attn_tp", world, l.tp, 1, cluster));
  kinds.push_back(strided("attn_sp", world, l.sp, 1, cluster));
  kinds.push_back(strided("attn_dp", world, l.dp, l.cp * l.tp, cluster));
  kinds.push_back(strided("attn_cp", world, l.cp, l.tp, cluster));
  kinds.back().ordered = l.cp_exchange == LatentExchange::kRing;
  kinds.push_back(strided("moe_tp", world, l.moe_tp, 1, cluster));
  kinds.push_back(strided("moe_ep", world, l.moe_ep, l.moe_tp, cluster));
  kinds.push_back(strided("world", world, world, 1, cluster));
  kinds.push_back(shard_groups(l, cluster));
  kinds.push_back(strided("o_proj_tp", world, l.o_proj_parts(), 1, cluster));
  kinds.push_back(strided("lm_head_tp", world, l.lm_head_parts(), 1, cluster));
  kinds.push_back(strided("embedding_tp", world, l.embedding_parts(), l.cp * l.tp, cluster));
  kinds.push_back(strided("mlp_tp", world, l.mlp_parts(), l.cp * l.tp, cluster));
  return kinds;
}

}  // namespace

std::vector<GroupKind> rank_groups(const Layout& l, const Cluster& cluster) { return groups_of(l, &cluster); }
std::vector<GroupKind> rank_groups(const Layout& l) { return groups_of(l, nullptr); }

RankCoordinates coordinates(const Layout& l, std::int64_t rank) {
  return {.dp = rank / (l.cp * l.tp),
          .cp = rank / l.tp % l.cp,
          .tp = rank % l.tp,
          .moe_ep = rank / l.moe_tp,
          .moe_tp = rank % l.moe_tp};
}

}  // namespace ascendsim
