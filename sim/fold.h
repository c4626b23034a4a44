// Ranks form a class when they have the same part to play: equal roles (hence equal programs), and each of their groups
// contains the same classes and costs the same. Refined to a fixpoint. A machine then carries out one rank a class;
// folded results equal unfolded ones to the tick (a test).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ascendsim {

// All groups of one kind ("tp"): a partition of the ranks, members in group order.
struct GroupKind {
  std::string name;
  std::vector<std::vector<int>> groups;
  std::vector<std::uint64_t> signature;  // per group: equal where its collectives cost the same (placement on hardware)
  bool ordered = false;                  // transfers are pairwise, so neighbours matter, not only membership
};

struct Folding {
  struct Member {
    int rank_class = 0;
    int ranks = 0;  // of the group in this class
  };
  struct Meeting {  // the classes that meet in one group of a kind
    std::uint8_t kind = 0;
    int representative_group = 0;  // an actual group of that kind, for pricing
    std::vector<Member> members;
  };
  std::vector<int> class_of;        // rank -> class
  std::vector<int> representative;  // class -> its lowest rank
  std::vector<int> ranks_in_class;
  std::vector<Meeting> meetings;
  std::vector<std::vector<int>> meeting_of;  // [class][kind] -> index into meetings, -1 = no group of that kind

  [[nodiscard]] int classes() const { return static_cast<int>(representative.size()); }
};

// roles: per rank, equal numbers for equal programs. REQUIRES: every group's ranks are below roles.size().
Folding fold(std::span<const std::uint64_t> roles, std::span<const GroupKind> kinds);
// Every rank is a class of its own.
Folding unfolded(std::size_t ranks, std::span<const GroupKind> kinds);

}  // namespace ascendsim
