#include "hardware/link_graph.h"

#include <algorithm>

#include "hardware/link_graph_storage.h"
#include "tests/hardware/catalogue_under_test.h"

namespace ascendsim {
namespace {

int count_links(const Cluster& cluster, LinkKind kind) {
  const auto [first, last] = boost::edges(cluster.graph());
  return static_cast<int>(std::count_if(first, last, [&](auto edge) { return cluster.graph()[edge].kind == kind; }));
}

int count_vertices(const Cluster& cluster, VertexKind kind) {
  const auto [first, last] = boost::vertices(cluster.graph());
  return static_cast<int>(
      std::count_if(first, last, [&](auto vertex) { return cluster.graph()[vertex].kind == kind; }));
}

Cluster::Span span_of(const Cluster& cluster, std::vector<int> ranks) { return cluster.span_of(ranks); }

BytesPerSecond gigabytes(double count) { return BytesPerSecond(count * 1e9); }

TEST(LinkGraph, OneA2ServerIsAFullMesh) {
  const Cluster cluster(shipped_server("atlas-800i-a2"), 1);
  EXPECT_EQ(cluster.ranks(), 8);
  EXPECT_EQ(count_vertices(cluster, VertexKind::kDie), 8);
  EXPECT_EQ(count_links(cluster, LinkKind::kHccs), 8 * 7);
  EXPECT_EQ(count_links(cluster, LinkKind::kSio), 0);
  EXPECT_EQ(count_links(cluster, LinkKind::kUbPlane), 0);
  EXPECT_EQ(count_links(cluster, LinkKind::kRoce), 8 * 4);  // die - NIC - switch, both ways
  EXPECT_EQ(count_links(cluster, LinkKind::kHostLink), 8 * 2);
}

TEST(LinkGraph, TwoA2ServersMeetOnlyInTheRoceSwitch) {
  const Cluster cluster(shipped_server("atlas-800i-a2"), 2);
  EXPECT_EQ(count_links(cluster, LinkKind::kHccs), 2 * 8 * 7);
  EXPECT_EQ(count_vertices(cluster, VertexKind::kNic), 16);
  EXPECT_EQ(count_vertices(cluster, VertexKind::kRoceLeaf), 1);
  EXPECT_EQ(count_vertices(cluster, VertexKind::kHost), 2);
}

TEST(LinkGraph, OneA3ServerHasEightPackagesAndSevenPlanes) {
  const Cluster cluster(shipped_server("atlas-800i-a3"), 1);
  EXPECT_EQ(cluster.ranks(), 16);
  EXPECT_EQ(count_links(cluster, LinkKind::kSio), 8 * 2);
  EXPECT_EQ(count_vertices(cluster, VertexKind::kUbSwitchL1), 7);
  EXPECT_EQ(count_vertices(cluster, VertexKind::kUbSwitchL2), 0);
  EXPECT_EQ(count_links(cluster, LinkKind::kUbPlane), 16 * 7 * 2);
}

// Every plane: 2 servers x 16 dies below the L1 switches, 2 L1 switches below the L2 one.
TEST(LinkGraph, TwoA3ServersAreJoinedPlaneByPlane) {
  const Cluster cluster(shipped_server("atlas-800t-a3"), 2);
  EXPECT_EQ(count_vertices(cluster, VertexKind::kUbSwitchL1), 14);
  EXPECT_EQ(count_vertices(cluster, VertexKind::kUbSwitchL2), 7);
  EXPECT_EQ(count_links(cluster, LinkKind::kUbPlane), 7 * (32 + 2) * 2);
}

TEST(LinkGraph, RanksAreTheFirstVerticesServerByServer) {
  const Cluster cluster(shipped_server("atlas-800i-a3"), 3);
  for (int rank = 0; rank < cluster.ranks(); ++rank) {
    const Vertex& vertex = cluster.graph()[static_cast<std::size_t>(rank)];
    EXPECT_EQ(vertex.kind, VertexKind::kDie);
    EXPECT_EQ(vertex.server, cluster.server_of(rank));
    EXPECT_EQ(vertex.server * 16 + vertex.index, rank);
    EXPECT_EQ(cluster.card_of(rank), rank / 2);
  }
}

// A2: 7 mesh links, NIC, host. A3: SIO, 7 planes, NIC, host. A UB switch of CloudMatrix384: 16 dies and one link up,
// which is as wide as the 16 x 28 GB/s below it.
TEST(LinkGraph, DegreesAndUplinks) {
  const Cluster mesh(shipped_server("atlas-800i-a2"), 2);
  for (std::size_t rank = 0; rank < 16; ++rank) {
    EXPECT_EQ(boost::out_degree(rank, mesh.graph()), 9U);
    EXPECT_EQ(boost::in_degree(rank, mesh.graph()), 9U);
  }
  const Cluster matrix(shipped_server("cloudmatrix384"), 48);
  EXPECT_EQ(matrix.ranks(), 768);
  const LinkGraphStorage& graph = matrix.graph();
  for (std::size_t v = 0; v < boost::num_vertices(graph); ++v) {
    const auto degree = boost::out_degree(v, graph);
    switch (graph[v].kind) {
      case VertexKind::kDie:
        EXPECT_EQ(degree, 10U);
        break;
      case VertexKind::kUbSwitchL1:
        EXPECT_EQ(degree, 17U);
        break;
      case VertexKind::kUbSwitchL2:
        EXPECT_EQ(degree, 48U);
        break;
      case VertexKind::kHost:
        EXPECT_EQ(degree, 16U);
        break;
      case VertexKind::kNic:
        EXPECT_EQ(degree, 2U);
        break;
      case VertexKind::kRoceLeaf:
        EXPECT_EQ(degree, 65U);  // 64 NICs and the spine
        break;
      case VertexKind::kRoceSpine:
        EXPECT_EQ(degree, 12U);
        break;
    }
  }
  const auto [first, last] = boost::edges(graph);
  for (auto edge = first; edge != last; ++edge) {
    if (graph[boost::target(*edge, graph)].kind != VertexKind::kUbSwitchL2) continue;
    EXPECT_EQ(graph[*edge].bandwidth, gigabytes(448));
    EXPECT_EQ(graph[*edge].latency, std::chrono::nanoseconds(350));  // (1.9 - 1.2) us over the two links
  }
}

TEST(LinkGraph, SpanOfAPackage) {
  const Cluster cluster(shipped_server("atlas-800i-a3"), 2);
  const Cluster::Span span = span_of(cluster, {4, 5});
  EXPECT_EQ(span.ranks, 2);
  EXPECT_EQ(span.servers, 1);
  EXPECT_EQ(span.ranks_per_server, 2);
  EXPECT_EQ(span.package_peers, 1);
  EXPECT_EQ(span.package_link, gigabytes(240));
  EXPECT_EQ(span.switched_port, gigabytes(196));
  EXPECT_EQ(span.nic, gigabytes(25));
  EXPECT_EQ(span.mesh_link, BytesPerSecond{});
}

TEST(LinkGraph, SpanAcrossPackagesAndServers) {
  const Cluster cluster(shipped_server("atlas-800i-a3"), 2);
  EXPECT_EQ(span_of(cluster, {0, 2, 4, 6}).package_peers, 0);
  EXPECT_EQ(span_of(cluster, {0, 2, 4, 6}).package_link, BytesPerSecond{});
  EXPECT_EQ(span_of(cluster, {0, 1, 2}).package_peers, 0);  // rank 2 is alone in its package
  const Cluster::Span pairs = span_of(cluster, {0, 1, 16, 17});
  EXPECT_EQ(pairs.servers, 2);
  EXPECT_EQ(pairs.ranks_per_server, 2);
  EXPECT_EQ(pairs.package_peers, 1);
  const Cluster::Span unequal = span_of(cluster, {0, 1, 2, 16});
  EXPECT_EQ(unequal.ranks_per_server, 3);
  EXPECT_NE(unequal.ranks, unequal.servers * unequal.ranks_per_server);
}

TEST(LinkGraph, SpanOnAMesh) {
  const Cluster cluster(shipped_server("atlas-800i-a2"), 2);
  const Cluster::Span inside = span_of(cluster, {0, 1, 2, 3});
  EXPECT_EQ(inside.mesh_link, gigabytes(28));
  EXPECT_EQ(inside.package_link, BytesPerSecond{});
  EXPECT_EQ(inside.switched_port, BytesPerSecond{});
  EXPECT_EQ(inside.nic, gigabytes(25));
  EXPECT_EQ(inside.package_peers, 0);
  EXPECT_EQ(span_of(cluster, {3, 11}).mesh_link, BytesPerSecond{});  // one chip of each server: only the NIC is left
  EXPECT_EQ(span_of(cluster, {3, 11}).servers, 2);
}

TEST(LinkGraph, SpanDoesNotDependOnTheOrderOfRanks) {
  const Cluster cluster(shipped_server("atlas-800i-a2"), 2);
  const Cluster::Span a = span_of(cluster, {0, 1, 8});
  const Cluster::Span b = span_of(cluster, {8, 1, 0});
  EXPECT_EQ(a.mesh_link, gigabytes(28));
  EXPECT_EQ(b.mesh_link, gigabytes(28));
  EXPECT_EQ(a.ranks_per_server, b.ranks_per_server);
}

// 16 ranks on four servers of 16 dies: four a server, on its first two packages.
TEST(LinkGraph, RanksSpreadEvenlyOverSpareServers) {
  const Cluster cluster(shipped_server("atlas-800i-a3"), 4, 4);
  EXPECT_EQ(cluster.ranks(), 16);
  EXPECT_EQ(cluster.server_of(3), 0);
  EXPECT_EQ(cluster.server_of(4), 1);
  EXPECT_EQ(cluster.die_of(5), 17);
  EXPECT_EQ(cluster.card_of(5), 8);
  EXPECT_EQ(span_of(cluster, {0, 1, 2, 3}).servers, 1);
  const Cluster::Span all = span_of(cluster, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15});
  EXPECT_EQ(all.servers, 4);
  EXPECT_EQ(all.ranks_per_server, 4);
  EXPECT_EQ(all.package_peers, 1);
  EXPECT_THROW(Cluster(shipped_server("atlas-800i-a3"), 1, 17), InternalError);
  EXPECT_THROW(Cluster(shipped_server("atlas-800i-a3"), 1, 0), InternalError);
}

TEST(LinkGraph, WrongGroupsAreOurBug) {
  const Cluster cluster(shipped_server("atlas-800i-a2"), 1);
  EXPECT_THROW(span_of(cluster, {}), InternalError);
  EXPECT_THROW(span_of(cluster, {0, 0}), InternalError);
  EXPECT_THROW(span_of(cluster, {8}), InternalError);
  EXPECT_THROW(Cluster(shipped_server("atlas-800i-a2"), 0), InternalError);
}

}  // namespace
}  // namespace ascendsim
