#include "reports/writers/fabric_picture.h"

#include "tests/hardware/catalogue_under_test.h"

namespace ascendsim {
namespace {

std::size_t count(const std::string& text, std::string_view what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

// 28 HCCS links, and of each die one to its NIC, one from there to the leaf, one to the host.
TEST(FabricPicture, DotHasEveryLinkOnce) {
  const std::string dot = fabric_dot(Cluster(shipped_server("atlas-800i-a2"), 1));
  EXPECT_EQ(count(dot, " -- "), 28U + 3 * 8);
  EXPECT_EQ(count(dot, "tooltip=\"HCCS\""), 28U);
  EXPECT_EQ(count(dot, "die_0_3 -- die_0_5 [label=\"28 GB/s\""), 1U);
  EXPECT_EQ(count(dot, "[label=\"die "), 8U);
}

TEST(FabricPicture, SvgHasEveryDieAndLink) {
  const std::string a2 = fabric_svg(Cluster(shipped_server("atlas-800i-a2"), 1));
  EXPECT_EQ(count(a2, "<path "), 28U);
  EXPECT_EQ(count(a2, ">die "), 8U);
  EXPECT_EQ(count(a2, ">NIC<"), 8U);
  EXPECT_EQ(count(a2, "#dc2626"), 0U);  // nothing is broken
  const std::string a3 = fabric_svg(Cluster(shipped_server("atlas-800i-a3"), 1));
  EXPECT_EQ(count(a3, R"(stroke="#1d4ed8" stroke-width="0.9")"), 16U * 7);
  EXPECT_EQ(count(a3, ">L1 "), 7U);
  EXPECT_EQ(count(a3, ">L2 "), 0U);
  EXPECT_EQ(count(a3, "each way"), 4U);  // SIO, UB, RoCE, host
}

TEST(FabricPicture, ServersThatAreAlikeAreDrawnOnce) {
  const std::string svg = fabric_svg(Cluster(shipped_server("cloudmatrix384"), 48));
  EXPECT_EQ(count(svg, ">die "), 16U);
  EXPECT_EQ(count(svg, ">x 48<"), 1U);
  EXPECT_EQ(count(svg, ">L2 plane "), 7U);
  EXPECT_EQ(count(svg, ">server 0, one of 48 alike<"), 1U);
  const std::string two = fabric_svg(Cluster(shipped_server("atlas-800i-a3"), 2));
  EXPECT_EQ(count(two, ">die "), 32U);
  const std::string dot = fabric_dot(Cluster(shipped_server("cloudmatrix384"), 48));
  EXPECT_EQ(count(dot, "subgraph"), 1U);
}

TEST(FabricPicture, FaultsAreDrawnOnServersOfTheirOwn) {
  const Cluster cluster(shipped_server("atlas-800i-a2"), 6, 8,
                        {{LinkKind::kHccs, 1, 3, 5, Ratio(0)},
                         {LinkKind::kHccs, 1, 0, 7, Ratio(0.5)},
                         {LinkKind::kRoce, 1, 2, 0, Ratio(0.25)}});
  const std::string svg = fabric_svg(cluster);
  EXPECT_EQ(count(svg, ">x 5<"), 1U);
  EXPECT_EQ(count(svg, ">server 1<"), 1U);
  EXPECT_EQ(count(svg, ">down<"), 1U);
  EXPECT_EQ(count(svg, ">50 %<"), 1U);
  EXPECT_EQ(count(svg, ">25 %<"), 1U);
  EXPECT_EQ(count(fabric_dot(cluster), "die_1_3 -- die_1_5"), 0U);
}

}  // namespace
}  // namespace ascendsim
