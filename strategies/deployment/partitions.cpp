#include "strategies/deployment/partitions.h"

#include <algorithm>

#include "sim/check.h"
#include "sim/units.h"

namespace ascendsim {

Zigzag zigzag(std::int64_t tokens, std::int64_t cp, std::int64_t rank) {
  return {.chunk = ceil_div(tokens, 2 * cp), .chunks = {rank, 2 * cp - 1 - rank}};
}

std::int64_t PromptSplit::first(std::int64_t rank, std::int64_t part) const {
  if (partition == PromptPartition::kRoundRobin) return rank;
  return (part == 0 ? rank : 2 * cp - 1 - rank) * chunk;
}

PromptSplit::Place PromptSplit::place_of(std::int64_t token) const {
  if (partition == PromptPartition::kRoundRobin) return {token % cp, 0, token / cp};
  const std::int64_t c = token / chunk, rank = std::min(c, 2 * cp - 1 - c);
  return {rank, c == rank ? 0 : 1, token % chunk};
}

PromptSplit prompt_split(PromptPartition partition, std::int64_t tokens, std::int64_t cp) {
  if (cp == 1) return {PromptPartition::kRoundRobin, 1, 1, tokens, 1};
  if (partition == PromptPartition::kRoundRobin) return {partition, cp, 1, ceil_div(tokens, cp), cp};
  return {partition, cp, 2, zigzag(tokens, cp, 0).chunk, 1};
}

BlockPlacement place_blocks(std::int64_t prompt, std::int64_t generated, std::int64_t shards,
                            std::int64_t block_tokens) {
  check(prompt > 0 && generated >= 0 && shards > 0 && block_tokens > 0,
        "placement needs a prompt, shards and a block size");
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

std::vector<PlacedTokens> placed_tokens(std::int64_t prompt, std::int64_t generated, std::int64_t shards,
                                        std::int64_t block_tokens, std::int64_t shard) {
  std::vector<PlacedTokens> out;
  if (shards == 1) return {{0, prompt + generated, 0}};
  const auto add = [&](std::int64_t first, std::int64_t tokens) {
    const std::int64_t row = out.empty() ? 0 : out.back().row + out.back().tokens;
    if (tokens <= 0) return;
    if (!out.empty() && out.back().first + out.back().tokens == first)
      out.back().tokens += tokens;
    else
      out.push_back({first, tokens, row});
  };
  const std::int64_t last = ceil_div(prompt, block_tokens) - 1, end = prompt + generated;
  for (std::int64_t b = shard; b < last; b += shards) add(b * block_tokens, block_tokens);
  const std::int64_t append = last >= shards ? shards - 1 : last % shards;
  const std::int64_t next = std::min(end, (last + 1) * block_tokens);  // generated tokens fill the last block first
  if (shard == append) add(last * block_tokens, next - last * block_tokens);
  for (std::int64_t b = (shard - append - 1 + shards) % shards; next + b * block_tokens < end; b += shards)
    add(next + b * block_tokens, std::min(block_tokens, end - next - b * block_tokens));
  return out;
}

std::vector<PlacedTokens> CachePlacement::placed(std::int64_t prompt, std::int64_t generated,
                                                 std::int64_t shard) const {
  if (turn == 0 || shards == 1) return placed_tokens(prompt, generated, shards, block_tokens, shard);
  std::vector<PlacedTokens> out;
  const std::int64_t end = prompt + generated;
  for (std::int64_t first = shard * turn, row = 0; first < end; first += shards * turn, row += turn)
    out.push_back({first, std::min(turn, end - first), row});
  return out;
}

std::int64_t CachePlacement::local_tokens(std::int64_t prompt, std::int64_t generated, std::int64_t shard) const {
  const std::int64_t tokens = prompt + generated;
  if (shards == 1) return tokens;
  if (turn == 0) return place_blocks(prompt, generated, shards, block_tokens).tokens[static_cast<std::size_t>(shard)];
  // vllm_ascend model_runner_v1.py, _get_cp_local_seq_lens: whole rounds of turns, then what the last round leaves.
  const std::int64_t base = tokens / turn / shards * turn;
  return base + std::clamp<std::int64_t>(tokens - base * shards - shard * turn, 0, turn);
}

std::int64_t CachePlacement::blocks_of_fullest(std::int64_t prompt, std::int64_t generated) const {
  if (turn == 0 || shards == 1) return std::ranges::max(place_blocks(prompt, generated, shards, block_tokens).blocks);
  return ceil_div(local_tokens(prompt, generated, 0), block_tokens);  // turns begin at shard 0
}

std::vector<PlacedTokens> within(const std::vector<PlacedTokens>& placed, std::int64_t from, std::int64_t to) {
  std::vector<PlacedTokens> out;
  for (const PlacedTokens& p : placed) {
    const std::int64_t first = std::max(from, p.first), end = std::min(to, p.first + p.tokens);
    if (first < end) out.push_back({first, end - first, p.row + first - p.first});
  }
  return out;
}

std::int64_t tokens_of(const std::vector<PlacedTokens>& placed) {
  std::int64_t tokens = 0;
  for (const PlacedTokens& p : placed) tokens += p.tokens;
  return tokens;
}

}  // namespace ascendsim
