#include "strategies/serving/schedulers/vllm_blocks.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include <algorithm>
#include <deque>
#include <map>

namespace ascendsim {
namespace {

using Blocks = std::vector<BlockIndex>;

ContentHash content(std::uint64_t number) {
  ContentHash hash;
  hash.absorb(number);
  return hash;
}

Blocks taken(VllmBlockPool& pool, std::int64_t count) {
  Blocks blocks;
  pool.take(count, blocks);
  return blocks;
}

// By hand: 5 blocks; a request of three whose first two are full gives them back.
TEST(VllmBlockPool, TakesTailsBeforeBeginningsAndWhatHasNoContentFirst) {
  VllmBlockPool pool(5, true);
  const Blocks request = taken(pool, 3);
  EXPECT_EQ(request, (Blocks{0, 1, 2}));
  pool.label(0, content(0));
  pool.label(1, content(1));
  pool.give_back(request);
  // 2 has no content: in front of 3 and 4, which were free all along. Then 1, the later of the two, then 0.
  EXPECT_EQ(taken(pool, 5), (Blocks{2, 3, 4, 1, 0}));
}

TEST(VllmBlockPool, OfOlderVersionsPutsAllToTheEnd) {
  VllmBlockPool pool(5, false);
  const Blocks request = taken(pool, 3);
  pool.label(0, content(0));
  pool.give_back(request);
  EXPECT_EQ(taken(pool, 5), (Blocks{3, 4, 2, 1, 0}));
}

TEST(VllmBlockPool, KeepsContentUntilTheBlockIsTakenAgain) {
  VllmBlockPool pool(3, true);
  const Blocks request = taken(pool, 1);
  pool.label(0, content(7));
  pool.give_back(request);
  EXPECT_EQ(pool.find(content(7)), BlockIndex{0});
  pool.share(request);  // a hit: it leaves the list from its end
  EXPECT_EQ(pool.free_blocks(), 2);
  EXPECT_EQ(taken(pool, 2), (Blocks{1, 2}));
  pool.give_back(request);
  EXPECT_EQ(taken(pool, 1), (Blocks{0}));
  EXPECT_FALSE(pool.find(content(7)));
}

// Against the plain containers that vLLM uses: a list, and a map of lists.
RC_GTEST_PROP(VllmBlockPool, IsAListWithAnIndex, (bool unhashed_first)) {
  constexpr std::int64_t kBlocks = 7;
  VllmBlockPool pool(kBlocks, unhashed_first);
  std::deque<BlockIndex> list;
  for (BlockIndex b = 0; b < kBlocks; ++b) list.push_back(b);
  std::map<std::uint64_t, Blocks> index;      // oldest first
  std::map<BlockIndex, std::uint64_t> label;  // of blocks with content
  std::map<BlockIndex, int> users;
  std::vector<Blocks> requests;
  for (const int word : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 10'000))) {
    const int what = word % 4, number = word / 4;
    const std::uint64_t name = static_cast<std::uint64_t>(number) % 5;
    if (what == 0) {  // a request takes some
      const std::int64_t count = std::min<std::int64_t>(number % 4, std::ssize(list));
      requests.push_back(taken(pool, count));
      for (const BlockIndex block : requests.back()) {
        RC_ASSERT(block == list.front());
        list.pop_front();
        users[block] = 1;
        if (const auto old = label.find(block); old != label.end()) {
          std::erase(index[old->second], block);
          label.erase(old);
        }
      }
    } else if (what == 1 && !requests.empty()) {  // one of its blocks is full
      const Blocks& request = requests[static_cast<std::size_t>(number) % requests.size()];
      if (request.empty()) continue;
      const BlockIndex block = request[static_cast<std::size_t>(number) % request.size()];
      pool.label(block, content(name));
      if (label.emplace(block, name).second) index[name].push_back(block);
    } else if (what == 2) {  // a hit
      const auto found = pool.find(content(name));
      RC_ASSERT(found.has_value() == !index[name].empty());
      if (!found) continue;
      RC_ASSERT(*found == index[name].front());
      pool.share(Blocks{*found});
      if (users[*found]++ == 0) std::erase(list, *found);
      requests.push_back({*found});
    } else if (!requests.empty()) {  // a request ends
      const auto at = requests.begin() + number % std::ssize(requests);
      const Blocks request = *at;
      requests.erase(at);
      pool.give_back(request);
      Blocks in_front;
      for (auto block = request.rbegin(); block != request.rend(); ++block) {
        if (--users[*block] > 0) continue;
        unhashed_first && !label.contains(*block) ? in_front.push_back(*block) : list.push_back(*block);
      }
      list.insert(list.begin(), in_front.begin(), in_front.end());
    }
    RC_ASSERT(pool.free_blocks() == std::ssize(list));
  }
  for (const BlockIndex block : taken(pool, pool.free_blocks())) {
    RC_ASSERT(block == list.front());
    list.pop_front();
  }
}

// ---- Contents ------------------------------------------------------------------------------------------------------

std::vector<ContentHash> chain(const std::vector<PromptSegment>& shared, std::uint64_t owner, int blocks) {
  ContentChain chain;
  std::vector<ContentHash> hashes;
  for (int i = 0; i < blocks; ++i) {
    chain.next_block(shared, owner, 16);
    hashes.push_back(chain.hash());
  }
  return hashes;
}

// So many blocks of two prompts are equal, and no later ones.
int common(const std::vector<ContentHash>& a, const std::vector<ContentHash>& b) {
  const auto [end, other] = std::ranges::mismatch(a, b);
  for (auto i = end; i != a.end(); ++i)
    for (const ContentHash& hash : b) EXPECT_FALSE(*i == hash);
  return static_cast<int>(end - a.begin());
}

TEST(ContentChain, IsEqualAsLongAsTheTokensAre) {
  EXPECT_EQ(common(chain({{64, 1}}, 0, 6), chain({{64, 1}}, 1, 6)), 4);
  EXPECT_EQ(common(chain({{63, 1}}, 0, 6), chain({{64, 1}}, 1, 6)), 3) << "the 64th token is another";
  EXPECT_EQ(common(chain({{64, 1}}, 0, 6), chain({{64, 2}}, 1, 6)), 0);
  EXPECT_EQ(common(chain({}, 0, 6), chain({}, 1, 6)), 0);
  EXPECT_EQ(common(chain({}, 3, 6), chain({}, 3, 6)), 6);
  // Segments that end inside a block, and the same content from its beginning again.
  EXPECT_EQ(common(chain({{20, 1}, {20, 2}}, 0, 6), chain({{20, 1}, {30, 2}}, 1, 6)), 2);
  EXPECT_EQ(common(chain({{20, 1}, {20, 1}}, 0, 6), chain({{40, 1}}, 1, 6)), 1);
  // A content is no owner.
  EXPECT_EQ(common(chain({{96, 5}}, 0, 6), chain({}, 5, 6)), 0);
}

}  // namespace
}  // namespace ascendsim
