// The containers under the prefix cache: by hand, and against the standard containers whose order decides in MindIE.
#include "strategies/serving/schedulers/mindie_prefix.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <queue>
#include <unordered_map>

#include "strategies/serving/schedulers/mindie_blocks.h"
#include "tests/strategies/serving/mindie_loop_under_test.h"

namespace ascendsim {
namespace {

using mindie_test::Draw;
using mindie_test::ms;
using mindie_test::request;

TEST(PrefixText, SharesKeysExactlyAsFarAsTheTextIsTheSame) {
  PrefixText a, b, c;
  a.begin({{300, 7}}, 1, 100);            // 300 shared tokens, then its own
  b.begin({{300, 7}}, 2, 100);            // the same 300
  c.begin({{250, 7}, {100, 8}}, 3, 100);  // the same 250, then another text
  for (std::int64_t i = 0; i < 3; ++i) EXPECT_EQ(a.key(i), b.key(i)) << i;
  EXPECT_NE(a.key(3), b.key(3));
  EXPECT_EQ(a.key(1), c.key(1));
  EXPECT_NE(a.key(2), c.key(2));
  // A block is named with all before it.
  PrefixText d;
  d.begin({{100, 9}, {300, 7}}, 4, 100);
  EXPECT_NE(d.key(1), a.key(0));
  EXPECT_EQ(a.key_after(a.key(1), 200), a.key(2));
}

TEST(PrefixText, TheNextTurnFindsPromptAndOutputOfTheOneBefore) {
  PrefixText first, second;
  first.begin({{450, 5}}, 1, 128);             // 300 of prompt, 150 of output
  second.begin({{450, 5}, {200, 6}}, 2, 128);  // both, and more
  for (std::int64_t i = 0; i < 3; ++i) EXPECT_EQ(first.key(i), second.key(i));
  EXPECT_NE(first.key(3), second.key(3));
}

RC_GTEST_PROP(KeyTable, FindsWhatAMapFinds, ()) {
  Draw draw(*rc::gen::arbitrary<std::uint64_t>());
  KeyTable table(64);
  std::unordered_map<PrefixKey, BlockNumber> map;
  for (int i = 0; i < 500; ++i) {
    // Few different low bits, so that keys crowd into each other's places.
    const auto key = static_cast<PrefixKey>(draw.number(1, 6) + (draw.number(0, 40) << 8));
    if (map.contains(key)) {
      table.erase(key);
      map.erase(key);
    } else if (map.size() < 64) {
      table.insert(key, static_cast<BlockNumber>(i));
      map[key] = static_cast<BlockNumber>(i);
    }
    if (i % 20 != 0) continue;
    for (std::int64_t low = 1; low <= 6; ++low)
      for (std::int64_t high = 0; high <= 40; ++high) {
        const auto probe = static_cast<PrefixKey>(low + (high << 8));
        const auto found = map.find(probe);
        RC_ASSERT(table.find(probe) == (found == map.end() ? -1 : found->second));
      }
  }
}

#ifdef __GLIBCXX__
RC_GTEST_PROP(HashOrderedSet, WalksInTheOrderOfLibstdcxx, ()) {
  Draw draw(*rc::gen::arbitrary<std::uint64_t>());
  const std::int64_t first = draw.number(0, 1000), ids = draw.number(1, 600);
  HashOrderedSet set(first, ids);
  std::unordered_map<std::int64_t, int> map;
  for (int i = 0; i < 2000; ++i) {
    const std::int64_t id = draw.number(0, ids - 1);
    if (map.contains(first + id)) {
      if (draw.one_in(2)) continue;
      set.erase(static_cast<BlockNumber>(id));
      map.erase(first + id);
    } else {
      set.insert(static_cast<BlockNumber>(id));
      map[first + id] = 1;
    }
    if (i % 50 != 0) continue;
    std::vector<std::int64_t> walked, expected;
    set.for_each([&](BlockNumber block) { walked.push_back(first + block); });
    for (const auto& [key, value] : map) expected.push_back(key);
    RC_ASSERT(walked == expected);
    RC_ASSERT(set.size() == static_cast<std::int64_t>(map.size()));
  }
}

TEST(HashOrderedSet, GrowsAsLibstdcxxDoes) {
  constexpr std::int64_t kIds = 100'000;
  HashOrderedSet set(0, kIds);
  std::unordered_map<std::int64_t, int> map;
  for (std::int64_t id = 0; id < kIds; ++id) {
    set.insert(static_cast<BlockNumber>(id));
    map[id] = 1;
  }
  std::vector<std::int64_t> walked, expected;
  set.for_each([&](BlockNumber block) { walked.push_back(block); });
  for (const auto& [key, value] : map) expected.push_back(key);
  EXPECT_EQ(walked, expected);
}

// Candidates of a pool leave in the order of std::priority_queue, ties included.
RC_GTEST_PROP(PrefixPool, EvictsInTheOrderOfThePriorityQueue, ()) {
  Draw draw(*rc::gen::arbitrary<std::uint64_t>());
  constexpr std::int64_t kBlocks = 40;
  struct Entry {
    float time;
    std::int64_t tokens;
    BlockNumber block;
    bool operator<(const Entry& o) const { return time != o.time ? time > o.time : tokens < o.tokens; }
  };
  PrefixPool pool(0, kBlocks);
  std::priority_queue<Entry> queue;
  for (std::int64_t i = 0; i < kBlocks; ++i) {
    const auto key = static_cast<PrefixKey>(i + 1);
    const Entry e{static_cast<float>(4000 * draw.number(1, 3)), draw.number(1, 3) * 128, pool.take(key)};
    pool.access(e.block, e.time);
    pool.release(e.block, key, e.tokens);
    queue.push(e);
  }
  RC_ASSERT(pool.free() == kBlocks);
  for (std::int64_t i = 0; i < kBlocks; ++i) {
    RC_ASSERT(pool.take(0) == queue.top().block);
    queue.pop();
  }
  RC_ASSERT_THROWS_AS(pool.take(0), MindieStopped);
}
#endif

TEST(PrefixPool, ABlockIsAHitFromTheNextRoundOn) {
  PrefixPool pool(0, 2);
  const BlockNumber block = pool.take(11);
  EXPECT_FALSE(pool.holds_computed(11));  // being computed now
  pool.end_round();
  EXPECT_TRUE(pool.holds_computed(11));
  EXPECT_EQ(pool.take(11), block);  // shared
  EXPECT_EQ(pool.free(), 1);
  pool.release(block, 11, 128);
  EXPECT_EQ(pool.free(), 1);
  pool.release(block, 11, 128);
  EXPECT_EQ(pool.free(), 2);  // cached, but free to be evicted
  EXPECT_TRUE(pool.holds_computed(11));
}

TEST(PrefixPool, ABlockThatFillsUpWithACachedTextGivesItselfBack) {
  PrefixPool pool(0, 3);
  const BlockNumber first = pool.take(11), second = pool.take(0);
  EXPECT_EQ(pool.free(), 1);
  EXPECT_EQ(pool.fill(second, 11), first);
  EXPECT_EQ(pool.free(), 2);
}

TEST(MindieBlocks, OneTokenMoreThanABlockOnARing) {
  // Rule 22 by hand: 8 ranks, blocks of 16. 62 tokens are 4 blocks on ranks 0 to 3; 129 tokens are 9 blocks, the last
  // of them on the last rank, as each rank has one before.
  MindieConfig config;
  config.sp = 8;
  config.block_size = 16;
  config.npu_blocks = 50;
  MindieBlocks blocks(config);
  blocks.enter(0, request(62, 1));
  blocks.enter(1, request(129, 1));
  blocks.place(0, 62);
  blocks.place(1, 129);
  EXPECT_EQ(blocks.append_rank(0), 3);
  EXPECT_EQ(blocks.tokens_on(0, 3), 14);
  EXPECT_EQ(blocks.append_rank(1), 7);
  EXPECT_EQ(blocks.held_on(1, 7), 2);
  EXPECT_EQ(blocks.tokens_on(1, 7), 17);
  EXPECT_EQ(blocks.free(), 48 * 8);
  // Two tokens fill rank 3, the third goes to a new block on rank 4.
  for (std::int64_t length = 63; length <= 65; ++length) blocks.append(0, length, 0);
  EXPECT_EQ(blocks.append_rank(0), 4);
  EXPECT_EQ(blocks.tokens_on(0, 4), 1);
  EXPECT_EQ(blocks.free_on(4), 48);
  blocks.release(0);
  blocks.release(1);
  EXPECT_EQ(blocks.free(), 400);
}

TEST(MindieBlocks, ARingAsksForAFreeBlockOnTheRankOfTheNextToken) {
  // Rule 24: 2 ranks of 2 blocks. A holds one block on each rank and B one on rank 0, so rank 0 is full.
  MindieConfig config;
  config.sp = 2;
  config.block_size = 16;
  config.npu_blocks = 2;
  MindieBlocks blocks(config);
  for (RequestIndex r = 0; r < 2; ++r) blocks.enter(r, request(20, 8));
  blocks.place(0, 20);
  blocks.place(1, 10);
  EXPECT_EQ(blocks.free_on(0), 0);
  EXPECT_EQ(blocks.free_on(1), 1);
  EXPECT_TRUE(blocks.can_append(0, 21));   // appends on rank 1
  EXPECT_FALSE(blocks.can_append(1, 11));  // appends on rank 0, although its block has room for 6 more
}

TEST(MindieBlocks, DraftsReserveAheadAndTheCheckForgetsIt) {
  // Rule 20 by hand, blocks of 128 and gamma 1: 126 tokens known and 2 awaited are ceil(129 / 128) = 2 blocks. In the
  // next step the check asks for ceil((129 + 1) / 128) - ceil(128 / 128) = 1 free block again.
  MindieConfig config;
  config.speculation_gamma = 1;
  config.npu_blocks = 2;
  MindieBlocks blocks(config);
  blocks.enter(0, request(126, 9));
  blocks.place(0, 126);
  EXPECT_TRUE(blocks.can_append(0, 128));
  blocks.append(0, 128, 2);
  EXPECT_EQ(blocks.held(0), 2);
  EXPECT_FALSE(blocks.can_append(0, 129));
}

TEST(MindieBlocks, HitsOnARingAreAPrefixOfIt) {
  // Rule 26, as in the recording of sp 8: 12 cached blocks of a text lie on ranks 0..7, 0..3; a prompt of exactly
  // these has its last block on rank 7, where it is not found again.
  MindieConfig config;
  config.sp = 8;
  config.prefix_cache = true;
  MindieBlocks blocks(config);
  blocks.enter(0, request(2000, 1, ms(0), {{1536, 7}}));
  blocks.place(0, 2000);
  blocks.hits(0, true, 0);
  blocks.end_round();
  blocks.release(0);
  blocks.enter(1, request(1536, 1, ms(0), {{1536, 7}}));
  blocks.place(1, 1536);
  const auto hits = blocks.hits(1, true, 0);
  EXPECT_EQ(std::vector<std::int64_t>(hits.begin(), hits.end()), (std::vector<std::int64_t>{2, 2, 2, 1, 1, 1, 1, 1}));
}

}  // namespace
}  // namespace ascendsim
