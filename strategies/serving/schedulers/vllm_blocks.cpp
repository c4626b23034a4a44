#include "strategies/serving/schedulers/vllm_blocks.h"

#include <algorithm>
#include <bit>

#include "sim/check.h"

namespace ascendsim {

namespace {

// A bijection that spreads every bit of its argument over all bits of the result: the finisher of MurmurHash3 (public
// domain, Austin Appleby).
std::uint64_t spread(std::uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccd;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53;
  x ^= x >> 33;
  return x;
}

}  // namespace

void ContentHash::absorb(std::uint64_t word) {
  low = spread(low ^ word);
  high = spread(high + word * 0x9e3779b97f4a7c15 + 1);
}

void ContentChain::next_block(std::span<const PromptSegment> shared, std::uint64_t owner, std::int64_t block_tokens) {
  // The lowest bit of a piece's first word says whether the piece is shared, so that contents and owners never mix.
  std::int64_t left = block_tokens;
  while (left > 0 && segment_ < shared.size()) {
    const PromptSegment& segment = shared[segment_];
    const std::int64_t piece = std::min(left, segment.tokens - offset_);
    hash_.absorb(static_cast<std::uint64_t>(piece) << 1 | 1);
    hash_.absorb(segment.content);
    hash_.absorb(static_cast<std::uint64_t>(offset_));
    left -= piece;
    offset_ += piece;
    if (offset_ == segment.tokens) {
      ++segment_;
      offset_ = 0;
    }
  }
  if (left > 0) {
    hash_.absorb(static_cast<std::uint64_t>(left) << 1);
    hash_.absorb(owner);
  }
}

VllmBlockPool::VllmBlockPool(std::int64_t blocks, bool unhashed_first)
    : blocks_(static_cast<std::size_t>(blocks) + 1),
      buckets_(std::bit_ceil(static_cast<std::size_t>(blocks))),
      free_(blocks),
      unhashed_first_(unhashed_first) {
  const auto ring = static_cast<BlockIndex>(blocks_.size());
  for (BlockIndex b = 0; b < ring; ++b) {
    blocks_[b].previous = (b + ring - 1) % ring;
    blocks_[b].next = (b + 1) % ring;
  }
}

void VllmBlockPool::insert_after(BlockIndex place, BlockIndex block) {
  const BlockIndex next = blocks_[place].next;
  blocks_[block].previous = place;
  blocks_[block].next = next;
  blocks_[place].next = block;
  blocks_[next].previous = block;
  ++free_;
}

void VllmBlockPool::remove(BlockIndex block) {
  const Block& b = blocks_[block];
  blocks_[b.previous].next = b.next;
  blocks_[b.next].previous = b.previous;
  --free_;
}

void VllmBlockPool::take(std::int64_t count, std::vector<BlockIndex>& taken) {
  check(count <= free_, "more blocks taken than there are");
  for (; count > 0; --count) {
    const BlockIndex block = blocks_[sentinel()].next;
    remove(block);
    forget(block);
    blocks_[block].users = 1;
    taken.push_back(block);
  }
}

void VllmBlockPool::share(std::span<const BlockIndex> blocks) {
  for (const BlockIndex block : blocks) {
    if (blocks_[block].users++ == 0) remove(block);
  }
}

void VllmBlockPool::give_back(std::span<const BlockIndex> blocks) {
  const auto to_front = [&](const Block& b) { return unhashed_first_ && !b.has_content; };
  for (std::size_t i = blocks.size(); i-- > 0;) {
    Block& b = blocks_[blocks[i]];
    if (--b.users == 0 && !to_front(b)) insert_after(blocks_[sentinel()].previous, blocks[i]);
  }
  for (const BlockIndex block : blocks) {
    if (blocks_[block].users == 0 && to_front(blocks_[block])) insert_after(sentinel(), block);
  }
}

std::optional<BlockIndex> VllmBlockPool::find(const ContentHash& content) const {
  for (BlockIndex b = buckets_[bucket_of(content)].first; b != kNone; b = blocks_[b].next_in_bucket) {
    if (blocks_[b].content == content) return b;
  }
  return std::nullopt;
}

void VllmBlockPool::label(BlockIndex block, const ContentHash& content) {
  Block& b = blocks_[block];
  if (b.has_content) return;
  b.has_content = true;
  b.content = content;
  Bucket& bucket = buckets_[bucket_of(content)];
  b.previous_in_bucket = bucket.last;
  b.next_in_bucket = kNone;
  (bucket.last == kNone ? bucket.first : blocks_[bucket.last].next_in_bucket) = block;
  bucket.last = block;
}

void VllmBlockPool::forget(BlockIndex block) {
  Block& b = blocks_[block];
  if (!b.has_content) return;
  b.has_content = false;
  Bucket& bucket = buckets_[bucket_of(b.content)];
  (b.previous_in_bucket == kNone ? bucket.first : blocks_[b.previous_in_bucket].next_in_bucket) = b.next_in_bucket;
  (b.next_in_bucket == kNone ? bucket.last : blocks_[b.next_in_bucket].previous_in_bucket) = b.previous_in_bucket;
}

void VllmBlockPool::absorb_into(ContentHash& state) const {
  for (BlockIndex b = blocks_[sentinel()].next; b != sentinel(); b = blocks_[b].next) state.absorb(b);
  for (const Block& b : blocks_) {
    state.absorb(std::uint64_t{b.users} << 1 | (b.has_content ? 1 : 0));
    if (!b.has_content) continue;
    state.absorb(b.content.low);
    state.absorb(b.content.high);
  }
}

}  // namespace ascendsim
