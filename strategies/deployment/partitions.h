// How sequences are cut over ranks: prompt tokens over context-parallel ranks, cached tokens over KV shards.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace ascendsim {

// Zigzag: 2 * cp chunks of ceil(tokens / 2cp); rank r owns chunks r and 2cp-1-r, so every rank has the same number of
// causal pairs. (MindIE generator_torch.py _cp_partition_data; zhuzilin/ring-flash-attention.)
struct Zigzag {
  std::int64_t chunk = 0;                // tokens, after padding
  std::array<std::int64_t, 2> chunks{};  // indices in sequence order
};
Zigzag zigzag(std::int64_t tokens, std::int64_t cp, std::int64_t rank);

// Which tokens of a prompt a context-parallel rank takes. Zigzag as above; round-robin: token i on rank i mod cp
// (striped attention, Brandon et al. 2023; SGLang round-robin-split).
enum class PromptPartition : std::uint8_t { kZigzag, kRoundRobin };

// A prompt over the ranks of a cp group, all of them with equally many rows: `parts` runs of `chunk` tokens that are
// `stride` positions apart, the last ones beyond the end of the prompt.
struct PromptSplit {
  PromptPartition partition = PromptPartition::kZigzag;
  std::int64_t cp = 1, parts = 1, chunk = 0, stride = 1;
  [[nodiscard]] std::int64_t rows() const { return parts * chunk; }  // of a rank
  [[nodiscard]] std::int64_t padded() const { return cp * parts * chunk; }
  [[nodiscard]] std::int64_t first(std::int64_t rank, std::int64_t part) const;  // token that begins a part
  struct Place {
    std::int64_t rank = 0, part = 0, row = 0;  // row: of the part
  };
  [[nodiscard]] Place place_of(std::int64_t token) const;
};
// With cp = 1 one part, the whole prompt.
PromptSplit prompt_split(PromptPartition partition, std::int64_t tokens, std::int64_t cp);

// MindIE's placement of cached tokens in whole blocks over `shards` ranks (src/block_manager/block_table.cpp
// AllocateBlocksForTokenIdsSmallRankFirst): block i lies on shard i mod shards; except that the last block of the
// prompt goes to the last shard when at least `shards` blocks are placed before it. Generated tokens fill the last
// block, then go on to the next shard.
struct BlockPlacement {
  std::vector<std::int64_t> tokens;  // per shard
  std::vector<std::int64_t> blocks;  // per shard
  std::int64_t append_shard = 0;     // where the last token lies
};
BlockPlacement place_blocks(std::int64_t prompt, std::int64_t generated, std::int64_t shards,
                            std::int64_t block_tokens);

// The same, token by token: following positions that lie on one shard, in the order of its rows. With one shard
// everything is one piece.
struct PlacedTokens {
  std::int64_t first = 0, tokens = 0;  // positions
  std::int64_t row = 0;                // of the shard, where the piece begins
};
std::vector<PlacedTokens> placed_tokens(std::int64_t prompt, std::int64_t generated, std::int64_t shards,
                                        std::int64_t block_tokens, std::int64_t shard);
// Where the cache of a sequence lies. turn = 0: MindIE's rule for whole blocks. Else position p lies on shard
// (p div turn) mod shards, prompt or not (vLLM --cp-kv-cache-interleave-size).
struct CachePlacement {
  std::int64_t shards = 1, block_tokens = 128, turn = 0;
  [[nodiscard]] std::vector<PlacedTokens> placed(std::int64_t prompt, std::int64_t generated, std::int64_t shard) const;
  // How many that are; no list where a formula says so.
  [[nodiscard]] std::int64_t local_tokens(std::int64_t prompt, std::int64_t generated, std::int64_t shard) const;
  [[nodiscard]] std::int64_t blocks_of_fullest(std::int64_t prompt, std::int64_t generated) const;
};
// What lies at positions [from, to).
std::vector<PlacedTokens> within(const std::vector<PlacedTokens>& placed, std::int64_t from, std::int64_t to);
std::int64_t tokens_of(const std::vector<PlacedTokens>& placed);

}  // namespace ascendsim
