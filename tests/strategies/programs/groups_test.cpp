#include "strategies/programs/groups.h"

#include <gtest/gtest.h>

#include "strategies/programs/placement.h"
#include "tests/strategies/engines/mindie/mindie_under_test.h"

namespace ascendsim {
namespace {

using Groups = std::vector<std::vector<int>>;

std::vector<GroupKind> groups_of(const Layout& layout, std::string_view server = "atlas-800i-a3", int servers = 1) {
  return rank_groups(layout, Cluster(shipped_server(server), servers));
}
const Groups& members(const std::vector<GroupKind>& kinds, Group g) { return kinds[kind(g)].groups; }

Groups pairs_at_stride_8() { return {{0, 8}, {1, 9}, {2, 10}, {3, 11}, {4, 12}, {5, 13}, {6, 14}, {7, 15}}; }
Groups singletons() {
  Groups g;
  for (int r = 0; r < 16; ++r) g.push_back({r});
  return g;
}
const Groups kHalves{{0, 1, 2, 3, 4, 5, 6, 7}, {8, 9, 10, 11, 12, 13, 14, 15}};
const Groups kWorld16{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};

// tp is fastest: TP groups are blocks, DP groups have stride tp.
TEST(MindieGroups, OfDp2Tp8) {
  const auto kinds = groups_of({.dp = 2, .sp = 8, .tp = 8, .moe_ep = 16});
  EXPECT_EQ(members(kinds, Group::kAttnTp), kHalves);
  EXPECT_EQ(members(kinds, Group::kAttnSp), kHalves);
  EXPECT_EQ(members(kinds, Group::kAttnDp), pairs_at_stride_8());
  EXPECT_EQ(members(kinds, Group::kAttnCp), singletons());
  EXPECT_EQ(members(kinds, Group::kMoeEp), kWorld16);
  EXPECT_EQ(members(kinds, Group::kMoeTp), singletons());
  EXPECT_EQ(members(kinds, Group::kWorld), kWorld16);
}

TEST(MindieGroups, OfCp2Tp8) {
  const auto kinds = groups_of({.cp = 2, .sp = 8, .tp = 8, .moe_ep = 16});
  EXPECT_EQ(members(kinds, Group::kAttnTp), kHalves);
  EXPECT_EQ(members(kinds, Group::kAttnCp), pairs_at_stride_8());
  EXPECT_EQ(members(kinds, Group::kAttnDp), singletons());
}

TEST(MindieGroups, MoeTpIsContiguousAndMoeEpHasItsStride) {
  const auto kinds = groups_of({.dp = 2, .tp = 8, .moe_ep = 4, .moe_tp = 4});
  EXPECT_EQ(members(kinds, Group::kMoeTp), (Groups{{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 10, 11}, {12, 13, 14, 15}}));
  EXPECT_EQ(members(kinds, Group::kMoeEp), (Groups{{0, 4, 8, 12}, {1, 5, 9, 13}, {2, 6, 10, 14}, {3, 7, 11, 15}}));
}

TEST(MindieGroups, AreNamedInTheOrderOfTheEnumeration) {
  std::vector<std::string> names;
  for (const GroupKind& k : groups_of({.dp = 2, .tp = 8, .moe_ep = 16})) names.push_back(k.name);
  EXPECT_EQ(names, (std::vector<std::string>{"attn_tp", "attn_sp", "attn_dp", "attn_cp", "moe_tp", "moe_ep", "world",
                                             "kv_shards", "o_proj_tp", "lm_head_tp", "embedding_tp", "mlp_tp"}));
}

// On two A2 servers of 8 dies the TP groups stay inside and the DP groups cross: they cost differently.
TEST(MindieGroups, SignaturesTellPlacementsApart) {
  const Layout layout{.dp = 2, .tp = 8, .moe_ep = 16};
  const auto kinds = groups_of(layout, "atlas-800i-a2", 2);
  EXPECT_EQ(kinds[kind(Group::kAttnTp)].signature[0], kinds[kind(Group::kAttnTp)].signature[1]);
  EXPECT_NE(kinds[kind(Group::kAttnTp)].signature[0], kinds[kind(Group::kWorld)].signature[0]);
  EXPECT_NE(kinds[kind(Group::kAttnDp)].signature[0], groups_of(layout)[kind(Group::kAttnDp)].signature[0]);
}

TEST(Coordinates, OfRank13) {
  const RankCoordinates c = coordinates({.cp = 2, .sp = 8, .tp = 8, .moe_ep = 4, .moe_tp = 4}, 13);
  EXPECT_EQ(c.dp, 0);
  EXPECT_EQ(c.cp, 1);
  EXPECT_EQ(c.tp, 5);
  EXPECT_EQ(c.moe_ep, 3);
  EXPECT_EQ(c.moe_tp, 1);
  EXPECT_EQ(c.kv_shard({.cp = 2, .sp = 8, .tp = 8}), 13);  // cp rank * sp + sp rank
  EXPECT_EQ(coordinates({.dp = 2, .tp = 8}, 13).dp, 1);
  EXPECT_EQ(coordinates({.dp = 2, .tp = 8}, 13).kv_shard({.dp = 2, .tp = 8}), 0);  // every rank holds a full copy
}

// ---- which collective stands where ----------------------------------------------------------------------------------

// "AR - - | AR - -": attention all-reduce, reduce-scatter, all-gather | the same for the feed-forward part.
std::string placed(const Layout& layout, bool moe, bool last = false) {
  const Placement p = place_collectives(layout, moe, last);
  const auto word = [](bool on, const char* name) { return std::string(on ? name : "-"); };
  return word(p.attention_all_reduce, "AR") + " " + word(p.attention_reduce_scatter, "RS") + " " +
         word(p.attention_all_gather, "AG") + " | " + word(p.ffn_all_reduce, "AR") + " " +
         word(p.ffn_reduce_scatter, "RS") + " " + word(p.ffn_all_gather, "AG");
}

constexpr Layout kPureTp{.tp = 16, .moe_tp = 16};
constexpr Layout kDataLevel1{.dp = 2, .tp = 8, .moe_ep = 16}, kContextLevel1{.cp = 2, .sp = 8, .tp = 8, .moe_ep = 16};
constexpr Layout kDataLevel2{.dp = 2, .tp = 8, .moe_ep = 16, .ep_level = 2};
constexpr Layout kContextLevel2{.cp = 2, .sp = 8, .tp = 8, .moe_ep = 16, .ep_level = 2};
constexpr Layout kLargeEp{.dp = 16, .tp = 1, .moe_ep = 16, .ep_level = 2};

TEST(PlaceCollectives, PureTensorParallelismAllReduces) {
  for (const bool moe : {false, true})
    for (const bool last : {false, true}) EXPECT_EQ(placed(kPureTp, moe, last), "AR - - | AR - -");
}

TEST(PlaceCollectives, DenseLayersAllReduceInsideTheirStream) {
  for (const Layout& l : {kDataLevel1, kContextLevel1, kDataLevel2, kContextLevel2})
    EXPECT_EQ(placed(l, false), "AR - - | AR - -");
}

// RS over tp, AG over the world, experts on all tokens, RS over the world, AG over tp; the last layer gathers the
// world.
TEST(PlaceCollectives, LevelOneScattersGathersAndBack) {
  for (const Layout& l : {kDataLevel1, kContextLevel1})
    for (const bool last : {false, true}) EXPECT_EQ(placed(l, true, last), "- RS AG | - RS AG");
}

// RS over tp; dispatch and combine are the experts' own; AG over tp.
TEST(PlaceCollectives, LevelTwoLeavesRowsScatteredForTheExperts) {
  for (const Layout& l : {kDataLevel2, kContextLevel2})
    for (const bool last : {false, true}) EXPECT_EQ(placed(l, true, last), "- RS - | - - AG");
}

TEST(PlaceCollectives, LargeExpertParallelismNeedsNoneUntilTheHead) {
  EXPECT_EQ(placed(kLargeEp, true), "- - - | - - -");
  EXPECT_EQ(placed(kLargeEp, true, true), "- - - | - - AG");
  EXPECT_EQ(placed(kLargeEp, false), "- - - | - - -");
}

// attnStream 16 > ffnStream 1: rows are gathered over the DP group and scattered again.
TEST(PlaceCollectives, DataParallelAttentionOfLevelOneGathers) {
  EXPECT_EQ(placed({.dp = 16, .moe_ep = 16}, true), "- - AG | - RS -");
}

TEST(PlaceCollectives, OneRankNeedsNone) {
  EXPECT_EQ(placed({}, true), "- - - | - - -");
  EXPECT_EQ(placed({}, true, true), "- - - | - - -");
}

}  // namespace
}  // namespace ascendsim
