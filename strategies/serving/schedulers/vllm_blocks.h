// KV blocks as vLLM keeps them: the list of free blocks in the order in which they are taken, how many requests use each
// block, and the content by which full blocks are found again (vLLM, v1/core/block_pool.py and kv_cache_utils.py).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "workloads/requests/request.h"

namespace ascendsim {

using BlockIndex = std::uint32_t;

// Of all tokens from the first of a request to the last of a block. 128 bits, so that two contents never meet: vLLM
// itself compares hashes and not tokens.
struct ContentHash {
  std::uint64_t low = 0x9e3779b97f4a7c15;
  std::uint64_t high = 0xc2b2ae3d27d4eb4f;
  void absorb(std::uint64_t word);
  bool operator==(const ContentHash&) const = default;
};

// Goes through the tokens of one request block by block; the hash is of everything passed so far. Segments must be of at
// least one token. Tokens behind the last segment are the request's own, told apart from those of others by `owner`.
class ContentChain {
 public:
  void next_block(std::span<const PromptSegment> shared, std::uint64_t owner, std::int64_t block_tokens);
  [[nodiscard]] const ContentHash& hash() const { return hash_; }

 private:
  ContentHash hash_;
  std::size_t segment_ = 0;
  std::int64_t offset_ = 0;  // tokens of the segment that were passed
};

class VllmBlockPool {
 public:
  // `unhashed_first`: see VllmTraits::unhashed_blocks_first. All blocks are free at first, in the order of their numbers.
  VllmBlockPool(std::int64_t blocks, bool unhashed_first);

  [[nodiscard]] std::int64_t free_blocks() const { return free_; }
  [[nodiscard]] bool is_free(BlockIndex block) const { return blocks_[block].users == 0; }

  // Blocks from the front of the free list, appended to `taken`; a block with content forgets it. REQUIRES: there are
  // as many.
  void take(std::int64_t count, std::vector<BlockIndex>& taken);
  // One more user for each; free ones leave the list wherever they stand, and keep their content.
  void share(std::span<const BlockIndex> blocks);
  // One user less for each, `blocks` in the order of a request's tokens. Blocks that lost their last user go to the end of
  // the list, the last block of the request first, so that tails are taken again before beginnings. Those without content
  // go to its front, if this version does so, the last block before all others.
  void give_back(std::span<const BlockIndex> blocks);

  // The block of this content that has had it for longest.
  [[nodiscard]] std::optional<BlockIndex> find(const ContentHash& content) const;
  // Gives the block its content; one that has some keeps it.
  void label(BlockIndex block, const ContentHash& content);

  // Order of the free list, users and contents, mixed into a hash.
  void absorb_into(ContentHash& state) const;

 private:
  static constexpr BlockIndex kNone = ~BlockIndex{0};
  struct Block {
    BlockIndex previous = kNone, next = kNone;                      // in the free list; its ends meet in the sentinel
    BlockIndex previous_in_bucket = kNone, next_in_bucket = kNone;  // of the index by content, oldest first
    std::uint32_t users = 0;
    bool has_content = false;
    ContentHash content{};
  };
  struct Bucket {
    BlockIndex first = kNone, last = kNone;
  };
  [[nodiscard]] BlockIndex sentinel() const { return static_cast<BlockIndex>(blocks_.size() - 1); }
  [[nodiscard]] std::size_t bucket_of(const ContentHash& content) const { return content.low & (buckets_.size() - 1); }
  void insert_after(BlockIndex place, BlockIndex block);
  void remove(BlockIndex block);
  void forget(BlockIndex block);

  std::vector<Block> blocks_;  // and the sentinel of the free list behind them
  std::vector<Bucket> buckets_;
  std::int64_t free_ = 0;
  bool unhashed_first_;
};

}  // namespace ascendsim
