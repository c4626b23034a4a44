#include "strategies/groups.h"

namespace ascendsim {

namespace {

// Partition of 0..world-1 into groups of `size` ranks that are `stride` apart.
GroupKind strided(const char* name, std::int64_t world, std::int64_t size, std::int64_t stride, const Cluster* cluster) {
  GroupKind k;
  k.name = name;
  const std::int64_t block = size * stride;
  for (std::int64_t base = 0; base < world; base += block)
    for (std::int64_t offset = 0; offset < stride; ++offset) {
      std::vector<int> members;
      for (std::int64_t i = 0; i < size; ++i) members.push_back(static_cast<int>(base + offset + i * stride));
      if (cluster != nullptr) {
        const Cluster::Span span = cluster->span_of(members);
        // Everything that collective costs depend on, packed: equal spans cost the same, unless links have faults.
        const bool alike = cluster->faults().empty();
        k.signature.push_back(alike ? static_cast<std::uint64_t>(span.servers) << 32 |
                                          static_cast<std::uint64_t>(span.ranks_per_server) << 8 |
                                          static_cast<std::uint64_t>(span.package_peers)
                                    : k.signature.size());
      }
      k.groups.push_back(std::move(members));
    }
  return k;
}

std::vector<GroupKind> groups_of(const Layout& l, const Cluster* cluster) {
  const std::int64_t world = l.world();
  check(l.moe_ep * l.moe_tp == world && (l.sp == 1 || l.sp == l.tp), "groups of an illegal layout");
  std::vector<GroupKind> kinds;
  kinds.push_back(strided("attn_tp", world, l.tp, 1, cluster));
  kinds.push_back(strided("attn_sp", world, l.sp, 1, cluster));
  kinds.push_back(strided("attn_dp", world, l.dp, l.cp * l.tp, cluster));
  kinds.push_back(strided("attn_cp", world, l.cp, l.tp, cluster));
  kinds.push_back(strided("moe_tp", world, l.moe_tp, 1, cluster));
  kinds.push_back(strided("moe_ep", world, l.moe_ep, l.moe_tp, cluster));
  kinds.push_back(strided("world", world, world, 1, cluster));
  kinds.push_back(strided("kv_shards", world, l.kv_shards(), l.sp > 1 ? 1 : l.tp, cluster));
  kinds.push_back(strided("o_proj_tp", world, l.o_proj_parts(), 1, cluster));
  kinds.push_back(strided("lm_head_tp", world, l.lm_head_parts(), 1, cluster));
  return kinds;
}

}  // namespace

std::vector<GroupKind> mindie_groups(const Layout& l, const Cluster& cluster) { return groups_of(l, &cluster); }
std::vector<GroupKind> mindie_groups(const Layout& l) { return groups_of(l, nullptr); }

RankCoordinates coordinates(const Layout& l, std::int64_t rank) {
  return {.dp = rank / (l.cp * l.tp),
          .cp = rank / l.tp % l.cp,
          .tp = rank % l.tp,
          .moe_ep = rank / l.moe_tp,
          .moe_tp = rank % l.moe_tp};
}

}  // namespace ascendsim
