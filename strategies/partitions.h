// How sequences are cut over ranks: prompt tokens over context-parallel ranks, cached tokens over KV shards.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace ascendsim {

// Zigzag: 2 * cp chunks of ceil(tokens / 2cp); rank r owns chunks r and 2cp-1-r, so every rank has the same number of
// causal pairs. (MindIE generator_torch.py _cp_partition_data; zhuzilin/ring-flash-attention.)
struct Zigzag {
  std::int64_t chunk = 0;                        // tokens, after padding
  std::array<std::int64_t, 2> chunks{};          // indices in sequence order
};
Zigzag zigzag(std::int64_t tokens, std::int64_t cp, std::int64_t rank);

// MindIE's placement of cached tokens in whole blocks over `shards` ranks (src/block_manager/block_table.cpp
// AllocateBlocksForTokenIdsSmallRankFirst): block i lies on shard i mod shards; except that the last block of the prompt
// goes to the last shard when at least `shards` blocks are placed before it. Generated tokens fill the last block, then go
// on to the next shard.
struct BlockPlacement {
  std::vector<std::int64_t> tokens;              // per shard
  std::vector<std::int64_t> blocks;              // per shard
  std::int64_t append_shard = 0;                 // where the last token lies
};
BlockPlacement place_blocks(std::int64_t prompt, std::int64_t generated, std::int64_t shards, std::int64_t block_tokens);

// The same, token by token: following positions that lie on one shard, in the order of its rows. With one shard everything
// is one piece.
struct PlacedTokens {
  std::int64_t first = 0, tokens = 0;            // positions
  std::int64_t row = 0;                          // of the shard, where the piece begins
};
std::vector<PlacedTokens> placed_tokens(std::int64_t prompt, std::int64_t generated, std::int64_t shards,
                                        std::int64_t block_tokens, std::int64_t shard);
// What lies at positions [from, to).
std::vector<PlacedTokens> within(const std::vector<PlacedTokens>& placed, std::int64_t from, std::int64_t to);
std::int64_t tokens_of(const std::vector<PlacedTokens>& placed);

}  // namespace ascendsim
