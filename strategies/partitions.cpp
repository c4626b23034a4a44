#include "strategies/partitions.h"

#include <algorithm>

#include "sim/check.h"
#include "sim/units.h"

namespace ascendsim {

Zigzag zigzag(std::int64_t tokens, std::int64_t cp, std::int64_t rank) {
  return {.chunk = ceil_div(tokens, 2 * cp), .chunks = {rank, 2 * cp - 1 - rank}};
}

BlockPlacement place_blocks(std::int64_t prompt, std::int64_t generated, std::int64_t shards, std::int64_t block_tokens) {
  check(prompt > 0 && generated >= 0 && shards > 0 && block_tokens > 0, "placement needs a prompt, shards and a block size");
  const std::int64_t blocks = ceil_div(prompt, block_tokens), last = blocks - 1;
  const std::int64_t last_tokens = prompt - last * block_tokens;
  BlockPlacement p;
  for (std::int64_t s = 0; s < shards; ++s) p.blocks.push_back(last / shards + (s < last % shards ? 1 : 0));
  for (const std::int64_t b : p.blocks) p.tokens.push_back(b * block_tokens);
  p.append_shard = last >= shards ? shards - 1 : last % shards;
  ++p.blocks[static_cast<std::size_t>(p.append_shard)];
  p.tokens[static_cast<std::size_t>(p.append_shard)] += last_tokens;

  std::int64_t room = block_tokens - last_tokens;
  for (std::int64_t left = generated; left > 0;) {
    if (room == 0) {
      p.append_shard = (p.append_shard + 1) % shards;
      ++p.blocks[static_cast<std::size_t>(p.append_shard)];
      room = block_tokens;
    }
    const std::int64_t now = std::min(room, left);
    p.tokens[static_cast<std::size_t>(p.append_shard)] += now;
    room -= now;
    left -= now;
  }
  return p;
}

}  // namespace ascendsim
