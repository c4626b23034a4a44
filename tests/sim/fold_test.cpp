#include "sim/fold.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include <algorithm>
#include <numeric>

#include "tests/sim/small_programs.h"

namespace ascendsim {
namespace {

using Roles = std::vector<std::uint64_t>;
using Classes = std::vector<int>;

//        tp 0  tp 1
//  dp 0    0     1
//  dp 1    2     3
std::vector<GroupKind> two_by_two() { return {group_kind("tp", {{0, 1}, {2, 3}}), group_kind("dp", {{0, 2}, {1, 3}})}; }

std::vector<std::pair<int, int>> members(const Folding& f, int rank_class, int kind) {
  std::vector<std::pair<int, int>> out;
  const int meeting = f.meeting_of[static_cast<std::size_t>(rank_class)][static_cast<std::size_t>(kind)];
  for (const auto& m : f.meetings[static_cast<std::size_t>(meeting)].members) out.emplace_back(m.rank_class, m.ranks);
  return out;
}
using Members = std::vector<std::pair<int, int>>;

TEST(Fold, EqualRanksAreOneClass) {
  const Folding f = fold(Roles{7, 7, 7, 7}, two_by_two());
  EXPECT_EQ(f.class_of, (Classes{0, 0, 0, 0}));
  EXPECT_EQ(f.representative, (Classes{0}));
  EXPECT_EQ(f.ranks_in_class, (Classes{4}));
  EXPECT_EQ(members(f, 0, 0), (Members{{0, 2}}));
  EXPECT_EQ(members(f, 0, 1), (Members{{0, 2}}));
}

// One DP group is busy (role 7), the other idle (9): classes {0, 1} and {2, 3}. A TP group meets its own class only, a
// DP group one rank of each.
TEST(Fold, RolesSplitClasses) {
  const Folding f = fold(Roles{7, 7, 9, 9}, two_by_two());
  EXPECT_EQ(f.class_of, (Classes{0, 0, 1, 1}));
  EXPECT_EQ(f.representative, (Classes{0, 2}));
  EXPECT_EQ(f.ranks_in_class, (Classes{2, 2}));
  EXPECT_EQ(members(f, 0, 0), (Members{{0, 2}}));
  EXPECT_EQ(members(f, 1, 0), (Members{{1, 2}}));
  EXPECT_EQ(members(f, 0, 1), (Members{{0, 1}, {1, 1}}));
  EXPECT_EQ(f.meeting_of[0][1], f.meeting_of[1][1]);
}

//        tp 0  tp 1
//  dp 0    0     1       rank 0 is odd: its TP peer 1 meets it, 2, 4 and 6 meet it in their DP group,
//  dp 1    2     3       and 3, 5 and 7 meet neither it nor one another's difference.
//  dp 2    4     5
//  dp 3    6     7
TEST(Fold, AnOddRankSplitsWhoMeetsItAndNobodyElse) {
  const std::vector<GroupKind> kinds{group_kind("tp", {{0, 1}, {2, 3}, {4, 5}, {6, 7}}),
                                     group_kind("dp", {{0, 2, 4, 6}, {1, 3, 5, 7}})};
  const Folding f = fold(Roles{1, 0, 0, 0, 0, 0, 0, 0}, kinds);
  EXPECT_EQ(f.class_of, (Classes{0, 1, 2, 3, 2, 3, 2, 3}));
  EXPECT_EQ(f.ranks_in_class, (Classes{1, 1, 3, 3}));
  EXPECT_EQ(members(f, 0, 1), (Members{{0, 1}, {2, 3}}));
  EXPECT_EQ(members(f, 3, 0), (Members{{2, 1}, {3, 1}}));
}

//  0 ==a== 1 --b-- 2 ==a== 3 --b-- 4 ==a== 5 --b-- (0)
// The odd rank 0 separates its neighbours in the first round, theirs in the second, and so on round the chain: only a
// fixpoint sees that all six ranks differ.
TEST(Fold, RefinesAlongAChainOfGroups) {
  const std::vector<GroupKind> kinds{group_kind("a", {{0, 1}, {2, 3}, {4, 5}}),
                                     group_kind("b", {{1, 2}, {3, 4}, {5, 0}})};
  EXPECT_EQ(fold(Roles{1, 0, 0, 0, 0, 0}, kinds).classes(), 6);
  EXPECT_EQ(fold(Roles{0, 0, 0, 0, 0, 0}, kinds).classes(), 1);
  // Two odd ranks, 0 and 3, are mirror images (0-3, 1-2, 5-4), and the mirror maps each kind onto itself.
  EXPECT_EQ(fold(Roles{1, 0, 0, 1, 0, 0}, kinds).class_of, (Classes{0, 1, 1, 0, 2, 2}));
}

TEST(Fold, GroupsThatCostDifferentlySplitTheirRanks) {
  const std::vector<GroupKind> kinds{group_kind("tp", {{0, 1}, {2, 3}}, {100, 200})};
  EXPECT_EQ(fold(Roles{0, 0, 0, 0}, kinds).class_of, (Classes{0, 0, 1, 1}));
}

// Four ranks of one group, rank 0 odd. As a set the other three see the same group; in a ring each stands elsewhere.
TEST(Fold, NeighboursMatterWhereGroupsAreOrdered) {
  const std::vector<std::vector<int>> ring{{0, 1, 2, 3}};
  EXPECT_EQ(fold(Roles{1, 0, 0, 0}, std::vector{group_kind("set", ring)}).class_of, (Classes{0, 1, 1, 1}));
  EXPECT_EQ(fold(Roles{1, 0, 0, 0}, std::vector{group_kind("ring", ring, {}, true)}).class_of, (Classes{0, 1, 2, 3}));
  // Two odd ranks opposite each other: the ring looks the same from both, and from both of the others.
  EXPECT_EQ(fold(Roles{1, 0, 1, 0}, std::vector{group_kind("ring", ring, {}, true)}).class_of, (Classes{0, 1, 0, 1}));
}

TEST(Fold, ARankMayBeInNoGroupOfAKind) {
  const Folding f = fold(Roles{0, 0, 0}, std::vector{group_kind("pair", {{0, 1}})});
  EXPECT_EQ(f.class_of, (Classes{0, 0, 1}));
  EXPECT_EQ(f.meeting_of[1][0], -1);
}

TEST(Fold, ImpossibleGroupsAreOurBug) {
  EXPECT_EQ(internal_error([] {
              fold(Roles{0}, std::vector{group_kind("a", {{0, 1}})});
            }),
            "a group names a rank outside the world");
  EXPECT_EQ(internal_error([] {
              fold(Roles{0, 0}, std::vector{group_kind("a", {{0, 1}, {1}})});
            }),
            "a rank is in two groups of one kind");
  EXPECT_EQ(internal_error([] { fold(Roles{}, std::vector<GroupKind>{}); }), "folding needs at least one rank");
}

TEST(Unfolded, EveryRankIsAClassOfItsOwn) {
  const Folding f = unfolded(4, two_by_two());
  EXPECT_EQ(f.class_of, (Classes{0, 1, 2, 3}));
  EXPECT_EQ(f.ranks_in_class, (Classes{1, 1, 1, 1}));
  EXPECT_EQ(members(f, 2, 0), (Members{{2, 1}, {3, 1}}));
  EXPECT_EQ(members(f, 2, 1), (Members{{0, 1}, {2, 1}}));
}

// A world of tp x dp ranks with random roles, and the same world with its ranks renamed: rank r and its new name are in
// corresponding classes.
RC_GTEST_PROP(Fold, RelabellingRanksChangesNothing, ()) {
  const int tp = *rc::gen::inRange(1, 5), dp = *rc::gen::inRange(1, 5), world = tp * dp;
  const auto roles = *rc::gen::container<Roles>(static_cast<std::size_t>(world), rc::gen::inRange<std::uint64_t>(0, 2));
  std::vector<int> renamed(static_cast<std::size_t>(world));
  std::iota(renamed.begin(), renamed.end(), 0);
  for (std::size_t i = renamed.size(); i > 1; --i)
    std::swap(renamed[i - 1], renamed[*rc::gen::inRange<std::size_t>(0, i)]);

  const auto kinds = [&](auto name) {
    GroupKind rows = group_kind("tp", {}), columns = group_kind("dp", {});
    for (int d = 0; d < dp; ++d) {
      rows.groups.emplace_back();
      for (int t = 0; t < tp; ++t) rows.groups.back().push_back(name(d * tp + t));
    }
    for (int t = 0; t < tp; ++t) {
      columns.groups.emplace_back();
      for (int d = 0; d < dp; ++d) columns.groups.back().push_back(name(d * tp + t));
    }
    return std::vector{rows, columns};
  };
  Roles renamed_roles(roles.size());
  for (std::size_t r = 0; r < roles.size(); ++r) renamed_roles[static_cast<std::size_t>(renamed[r])] = roles[r];
  const Folding before = fold(roles, kinds([](int r) { return r; }));
  const Folding after = fold(renamed_roles, kinds([&](int r) { return renamed[static_cast<std::size_t>(r)]; }));

  RC_ASSERT(before.classes() == after.classes());
  for (std::size_t a = 0; a < roles.size(); ++a)
    for (std::size_t b = 0; b < roles.size(); ++b)
      RC_ASSERT((before.class_of[a] == before.class_of[b]) == (after.class_of[static_cast<std::size_t>(renamed[a])] ==
                                                               after.class_of[static_cast<std::size_t>(renamed[b])]));
}

}  // namespace
}  // namespace ascendsim
