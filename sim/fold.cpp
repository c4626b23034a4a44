#include "sim/fold.h"

#include <algorithm>
#include <map>

#include "sim/check.h"

namespace ascendsim {

namespace {

using Classes = std::vector<int>;

// group_of[kind][rank] = index of the rank's group, -1 when it is in none.
std::vector<std::vector<int>> index_groups(std::size_t ranks, std::span<const GroupKind> kinds) {
  std::vector<std::vector<int>> group_of(kinds.size(), std::vector<int>(ranks, -1));
  for (std::size_t k = 0; k < kinds.size(); ++k)
    for (std::size_t g = 0; g < kinds[k].groups.size(); ++g)
      for (const int rank : kinds[k].groups[g]) {
        check(rank >= 0 && static_cast<std::size_t>(rank) < ranks, "a group names a rank outside the world");
        check(group_of[k][static_cast<std::size_t>(rank)] < 0, "a rank is in two groups of one kind");
        group_of[k][static_cast<std::size_t>(rank)] = static_cast<int>(g);
      }
  return group_of;
}

// What a group looks like from one of its ranks: the classes in it, as a multiset or, where neighbours matter, in order
// starting from the rank itself.
Classes composition(const GroupKind& kind, int group, int rank, const Classes& class_of) {
  const std::vector<int>& members = kind.groups[static_cast<std::size_t>(group)];
  Classes out;
  out.reserve(members.size());
  for (const int m : members) out.push_back(class_of[static_cast<std::size_t>(m)]);
  if (kind.ordered) {
    const auto self = std::ranges::find(members, rank) - members.begin();
    std::rotate(out.begin(), out.begin() + self, out.end());
  } else {
    std::ranges::sort(out);
  }
  return out;
}

// Equal numbers for groups of a kind that cost the same and contain the same classes. A group is the same for all its
// ranks unless it is ordered, so that large groups are looked at once.
class Compositions {
 public:
  Compositions(std::span<const GroupKind> kinds, const Classes& class_of)
      : kinds_(kinds), class_of_(class_of), known_(kinds.size()) {
    for (std::size_t k = 0; k < kinds.size(); ++k) known_[k].assign(kinds[k].groups.size(), -1);
  }
  std::int64_t number(std::size_t kind, int group, int rank) {
    std::int64_t& known = known_[kind][static_cast<std::size_t>(group)];
    if (known >= 0 && !kinds_[kind].ordered) return known;
    const auto& signatures = kinds_[kind].signature;
    std::vector<std::int64_t> key{
        static_cast<std::int64_t>(kind),
        signatures.empty() ? 0 : static_cast<std::int64_t>(signatures[static_cast<std::size_t>(group)])};
    for (const int c : composition(kinds_[kind], group, rank, class_of_)) key.push_back(c);
    return known = numbers_.emplace(std::move(key), static_cast<std::int64_t>(numbers_.size())).first->second;
  }

 private:
  std::span<const GroupKind> kinds_;
  const Classes& class_of_;
  std::vector<std::vector<std::int64_t>> known_;  // [kind][group]
  std::map<std::vector<std::int64_t>, std::int64_t> numbers_;
};

Classes renumber(const std::vector<std::vector<std::int64_t>>& keys) {
  std::map<std::vector<std::int64_t>, int> seen;
  Classes out;
  for (const auto& key : keys) out.push_back(seen.emplace(key, static_cast<int>(seen.size())).first->second);
  return out;
}

Folding assemble(Classes class_of, std::span<const GroupKind> kinds, const std::vector<std::vector<int>>& group_of) {
  Folding f;
  const int classes = 1 + *std::ranges::max_element(class_of);
  f.representative.assign(static_cast<std::size_t>(classes), -1);
  f.ranks_in_class.assign(static_cast<std::size_t>(classes), 0);
  for (std::size_t r = 0; r < class_of.size(); ++r) {
    const auto c = static_cast<std::size_t>(class_of[r]);
    if (f.representative[c] < 0) f.representative[c] = static_cast<int>(r);
    ++f.ranks_in_class[c];
  }
  f.meeting_of.assign(static_cast<std::size_t>(classes), std::vector<int>(kinds.size(), -1));
  std::map<std::pair<std::size_t, Classes>, int> seen;
  for (int c = 0; c < classes; ++c) {
    const int rank = f.representative[static_cast<std::size_t>(c)];
    for (std::size_t k = 0; k < kinds.size(); ++k) {
      const int group = group_of[k][static_cast<std::size_t>(rank)];
      if (group < 0) continue;
      Classes key;
      for (const int m : kinds[k].groups[static_cast<std::size_t>(group)])
        key.push_back(class_of[static_cast<std::size_t>(m)]);
      std::ranges::sort(key);
      // Groups of equal composition cost the same: a different cost would have split their classes.
      const auto [it, fresh] = seen.emplace(std::pair{k, key}, static_cast<int>(f.meetings.size()));
      if (fresh) {
        Folding::Meeting meeting{static_cast<std::uint8_t>(k), group, {}};
        for (std::size_t i = 0; i < key.size(); ++i) {
          if (i == 0 || key[i] != key[i - 1]) meeting.members.push_back({key[i], 0});
          ++meeting.members.back().ranks;
        }
        f.meetings.push_back(std::move(meeting));
      }
      f.meeting_of[static_cast<std::size_t>(c)][k] = it->second;
    }
  }
  f.class_of = std::move(class_of);
  return f;
}

}  // namespace

Folding fold(std::span<const std::uint64_t> roles, std::span<const GroupKind> kinds) {
  check(!roles.empty(), "folding needs at least one rank");
  const auto group_of = index_groups(roles.size(), kinds);
  std::vector<std::vector<std::int64_t>> keys;
  for (const std::uint64_t role : roles) keys.push_back({static_cast<std::int64_t>(role)});
  Classes class_of = renumber(keys);
  for (int classes = 0;;) {
    const int now = 1 + *std::ranges::max_element(class_of);
    if (now == classes) break;
    classes = now;
    Compositions compositions(kinds, class_of);
    for (std::size_t r = 0; r < roles.size(); ++r) {
      keys[r].assign(1, class_of[r]);
      for (std::size_t k = 0; k < kinds.size(); ++k)
        keys[r].push_back(group_of[k][r] < 0 ? -1 : compositions.number(k, group_of[k][r], static_cast<int>(r)));
    }
    class_of = renumber(keys);
  }
  return assemble(std::move(class_of), kinds, group_of);
}

Folding unfolded(std::size_t ranks, std::span<const GroupKind> kinds) {
  Classes class_of;
  for (std::size_t r = 0; r < ranks; ++r) class_of.push_back(static_cast<int>(r));
  return assemble(std::move(class_of), kinds, index_groups(ranks, kinds));
}

}  // namespace ascendsim
