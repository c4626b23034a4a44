#include "strategies/deployment/partitions.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include <algorithm>
#include <numeric>

#include "sim/units.h"

namespace ascendsim {
namespace {

using Tokens = std::vector<std::int64_t>;
using Chunks = std::array<std::int64_t, 2>;

std::int64_t triangle(std::int64_t n) { return n * (n + 1) / 2; }
std::int64_t sum(const Tokens& v) { return std::accumulate(v.begin(), v.end(), std::int64_t{0}); }

// ---- zigzag ---------------------------------------------------------------------------------------------------------

TEST(Zigzag, PairsAnEarlyWithALateChunk) {
  EXPECT_EQ(zigzag(4096, 2, 0).chunks, (Chunks{0, 3}));
  EXPECT_EQ(zigzag(4096, 2, 1).chunks, (Chunks{1, 2}));
  const Chunks four[] = {{0, 7}, {1, 6}, {2, 5}, {3, 4}};
  for (std::int64_t rank = 0; rank < 4; ++rank) EXPECT_EQ(zigzag(4096, 4, rank).chunks, four[rank]) << rank;
}

TEST(Zigzag, PadsToWholeChunks) {
  EXPECT_EQ(zigzag(4096, 2, 0).chunk, 1024);
  EXPECT_EQ(zigzag(1305, 2, 0).chunk, 327);  // ceil(1305 / 4)
  EXPECT_EQ(zigzag(1, 2, 0).chunk, 1);
}

// Of chunk i the queries see i whole chunks and their own triangle.
std::int64_t zigzag_pairs(std::int64_t tokens, std::int64_t cp, std::int64_t rank) {
  const Zigzag z = zigzag(tokens, cp, rank);
  std::int64_t pairs = 0;
  for (const std::int64_t i : z.chunks) pairs += i * z.chunk * z.chunk + triangle(z.chunk);
  return pairs;
}

TEST(Zigzag, HalvesTheCausalPairsOfALongPrompt) {
  EXPECT_EQ(zigzag_pairs(131'072, 2, 0), 4'295'000'064);
  EXPECT_EQ(zigzag_pairs(131'072, 2, 1), 4'295'000'064);
}

RC_GTEST_PROP(Zigzag, EveryRankHasTheSamePairsAndTogetherTheyAreAllOfThem, ()) {
  const auto cp = *rc::gen::inRange<std::int64_t>(1, 17), tokens = *rc::gen::inRange<std::int64_t>(1, 200'000);
  const std::int64_t padded = 2 * cp * zigzag(tokens, cp, 0).chunk;
  RC_ASSERT(padded >= tokens && padded < tokens + 2 * cp);
  std::int64_t all = 0;
  for (std::int64_t rank = 0; rank < cp; ++rank) {
    RC_ASSERT(zigzag_pairs(tokens, cp, rank) == zigzag_pairs(tokens, cp, 0));
    all += zigzag_pairs(tokens, cp, rank);
  }
  RC_ASSERT(all == triangle(padded));
}

// ---- KV blocks ------------------------------------------------------------------------------------------------------

struct Vector {
  std::int64_t prompt;
  Tokens tokens;
  std::int64_t append_shard;
};

// Block i of 128 tokens goes to shard i mod 8; the last block of a prompt goes to shard 7 once 8 blocks are placed.
TEST(PlaceBlocks, AsMindieDoesOnEightShards) {
  const Vector vectors[] = {
      {1305, {256, 256, 128, 128, 128, 128, 128, 153}, 7},  // 10 whole blocks and 25 tokens: the documented example
      {380, {128, 128, 124, 0, 0, 0, 0, 0}, 2},             // 2 whole blocks and 124 tokens
      {1152, {128, 128, 128, 128, 128, 128, 128, 256}, 7},  // 9 whole blocks, the ninth is the last
      {4100, {512, 512, 512, 512, 512, 512, 512, 516}, 7},  // 32 whole blocks and 4 tokens
  };
  for (const Vector& v : vectors) {
    const BlockPlacement p = place_blocks(v.prompt, 0, 8, 128);
    EXPECT_EQ(p.tokens, v.tokens) << v.prompt;
    EXPECT_EQ(p.append_shard, v.append_shard) << v.prompt;
  }
}

TEST(PlaceBlocks, CountsStartedBlocks) {
  EXPECT_EQ(place_blocks(1305, 0, 8, 128).blocks, (Tokens{2, 2, 1, 1, 1, 1, 1, 2}));
  EXPECT_EQ(place_blocks(380, 0, 8, 128).blocks, (Tokens{1, 1, 1, 0, 0, 0, 0, 0}));
}

// 131,072 tokens are 1024 blocks: 128 on each of 8 shards, 64 on each of 16.
TEST(PlaceBlocks, OfALongPromptAreEven) {
  EXPECT_EQ(place_blocks(131'072, 0, 8, 128).blocks, Tokens(8, 128));
  EXPECT_EQ(place_blocks(131'072, 0, 16, 128).blocks, Tokens(16, 64));
}

// Generated tokens fill the last block and go on to the next shard: 25 + 103 = 128 on shard 7, then shard 0.
TEST(PlaceBlocks, GeneratedTokensFillTheLastBlockFirst) {
  EXPECT_EQ(place_blocks(1305, 103, 8, 128).tokens, (Tokens{256, 256, 128, 128, 128, 128, 128, 256}));
  EXPECT_EQ(place_blocks(1305, 103, 8, 128).append_shard, 7);
  const BlockPlacement p = place_blocks(1305, 104, 8, 128);
  EXPECT_EQ(p.tokens, (Tokens{257, 256, 128, 128, 128, 128, 128, 256}));
  EXPECT_EQ(p.blocks, (Tokens{3, 2, 1, 1, 1, 1, 1, 2}));
  EXPECT_EQ(p.append_shard, 0);
  EXPECT_EQ(place_blocks(1305, 104 + 128, 8, 128).append_shard, 1);
}

TEST(PlaceBlocks, OneShardHoldsEverything) {
  const BlockPlacement p = place_blocks(1305, 10, 1, 128);
  EXPECT_EQ(p.tokens, Tokens{1315});
  EXPECT_EQ(p.blocks, Tokens{11});
}

RC_GTEST_PROP(PlaceBlocks, PlacesEveryTokenInWholeBlocksEvenly, ()) {
  const auto prompt = *rc::gen::inRange<std::int64_t>(1, 20'000), generated = *rc::gen::inRange<std::int64_t>(0, 3'000);
  const auto shards = *rc::gen::inRange<std::int64_t>(1, 33), block = *rc::gen::element<std::int64_t>(16, 64, 128);
  const BlockPlacement p = place_blocks(prompt, generated, shards, block);
  const std::int64_t blocks = ceil_div(prompt + generated, block);
  RC_ASSERT(sum(p.tokens) == prompt + generated);
  RC_ASSERT(sum(p.blocks) == blocks);
  for (std::size_t s = 0; s < p.tokens.size(); ++s) {
    RC_ASSERT(p.tokens[s] <= p.blocks[s] * block);
    RC_ASSERT(p.blocks[s] <= ceil_div(blocks, shards) + 1);
  }
  RC_ASSERT(p.tokens[static_cast<std::size_t>(p.append_shard)] > 0);
}

RC_GTEST_PROP(PlaceBlocks, ALongerPromptNeedsNoFewerBlocksOnTheFullestShard, ()) {
  const auto prompt = *rc::gen::inRange<std::int64_t>(1, 20'000), more = *rc::gen::inRange<std::int64_t>(0, 300);
  const auto shards = *rc::gen::inRange<std::int64_t>(1, 33);
  RC_ASSERT(std::ranges::max(place_blocks(prompt, 0, shards, 128).blocks) <=
            std::ranges::max(place_blocks(prompt + more, 0, shards, 128).blocks));
}

// 11 tokens of 10 prompted in blocks of 4 over 2 shards: blocks 0 and 1, the last one (2 tokens) on the last shard,
// then one more.
TEST(PlacedTokens, ByHand) {
  const auto places = [](std::int64_t shard) {
    std::vector<Tokens> out;
    for (const PlacedTokens& p : placed_tokens(10, 1, 2, 4, shard)) out.push_back({p.first, p.tokens, p.row});
    return out;
  };
  EXPECT_EQ(places(0), (std::vector<Tokens>{{0, 4, 0}}));
  EXPECT_EQ(places(1), (std::vector<Tokens>{{4, 7, 0}}));
  const std::vector<PlacedTokens> part = within(placed_tokens(10, 1, 2, 4, 1), 6, 9);
  ASSERT_EQ(part.size(), 1u);
  EXPECT_EQ((Tokens{part[0].first, part[0].tokens, part[0].row}), (Tokens{6, 3, 2}));
}

RC_GTEST_PROP(PlacedTokens, AreThePlacedBlocksAndEveryTokenOnce, ()) {
  const auto prompt = *rc::gen::inRange<std::int64_t>(1, 3'000), generated = *rc::gen::inRange<std::int64_t>(0, 500);
  const auto shards = *rc::gen::inRange<std::int64_t>(1, 17), block = *rc::gen::element<std::int64_t>(2, 16, 128);
  const BlockPlacement blocks = place_blocks(prompt, generated, shards, block);
  std::vector<bool> seen(static_cast<std::size_t>(prompt + generated), false);
  for (std::int64_t s = 0; s < shards; ++s) {
    const std::vector<PlacedTokens> placed = placed_tokens(prompt, generated, shards, block, s);
    RC_ASSERT(tokens_of(placed) == blocks.tokens[static_cast<std::size_t>(s)]);
    std::int64_t row = 0;
    for (const PlacedTokens& p : placed) {
      RC_ASSERT(p.row == row);
      row += p.tokens;
      for (std::int64_t t = p.first; t < p.first + p.tokens; ++t) {
        RC_ASSERT(!seen[static_cast<std::size_t>(t)]);
        seen[static_cast<std::size_t>(t)] = true;
      }
    }
  }
  RC_ASSERT(std::ranges::all_of(seen, [](bool b) { return b; }));
}

}  // namespace
}  // namespace ascendsim
