#include "strategies/serving/schedulers/mindie_prefix.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "sim/check.h"
#include "strategies/serving/schedulers/mindie_config.h"

namespace ascendsim {

namespace {

// Finaliser of SplitMix64 (Steele, Lea, Flood 2014): every bit of the sum reaches every bit of the result.
std::uint64_t mix_key(std::uint64_t hash, std::uint64_t value) {
  std::uint64_t z = hash + 0x9e3779b97f4a7c15U + (value ^ std::rotr(hash, 23));
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

// Stretches that several requests may have, and the one that is a request's own, must not be taken for each other.
constexpr std::uint64_t kSharedStretch = 1, kOwnStretch = 2;

PrefixKey mix_stretch(PrefixKey hash, std::uint64_t kind, std::uint64_t content, std::int64_t offset,
                      std::int64_t tokens) {
  return mix_key(mix_key(mix_key(mix_key(hash, kind), content), static_cast<std::uint64_t>(offset)),
             static_cast<std::uint64_t>(tokens));
}

}  // namespace

void PrefixText::begin(const std::vector<PromptSegment>& segments, std::uint64_t own_content, std::int64_t block_size) {
  stretches_.clear();
  std::int64_t end = 0;
  for (const PromptSegment& s : segments) {
    if (s.tokens > 0) stretches_.push_back({end, end + s.tokens, s.content});
    end += s.tokens;
  }
  own_content_ = own_content;
  block_size_ = block_size;
  keys_.clear();
}

PrefixKey PrefixText::key(std::int64_t index) {
  while (static_cast<std::int64_t>(keys_.size()) <= index)
    keys_.push_back(key_after(keys_.empty() ? 0 : keys_.back(), static_cast<std::int64_t>(keys_.size()) * block_size_));
  return keys_[static_cast<std::size_t>(index)];
}

PrefixKey PrefixText::key_after(PrefixKey before, std::int64_t start) const {
  PrefixKey hash = mix_key(before, 0);
  const std::int64_t end = start + block_size_;
  auto stretch = std::ranges::upper_bound(stretches_, start, {}, &Stretch::end);
  for (; stretch != stretches_.end() && start < end; ++stretch) {
    const std::int64_t until = std::min(end, stretch->end);
    hash = mix_stretch(hash, kSharedStretch, stretch->content, start - stretch->begin, until - start);
    start = until;
  }
  if (start < end) {
    const std::int64_t own_begin = stretches_.empty() ? 0 : stretches_.back().end;
    hash = mix_stretch(hash, kOwnStretch, own_content_, start - own_begin, end - start);
  }
  return hash == 0 ? 1 : hash;
}

KeyTable::KeyTable(std::int64_t most_keys)
    : mask_(std::bit_ceil(static_cast<std::size_t>(2 * most_keys + 2)) - 1), slots_(mask_ + 1, {0, -1}) {}

BlockNumber KeyTable::find(PrefixKey key) const {
  for (std::size_t i = place(key); slots_[i].first != 0; i = (i + 1) & mask_)
    if (slots_[i].first == key) return slots_[i].second;
  return -1;
}

void KeyTable::insert(PrefixKey key, BlockNumber block) {
  std::size_t i = place(key);
  while (slots_[i].first != 0) i = (i + 1) & mask_;
  slots_[i] = {key, block};
}

void KeyTable::erase(PrefixKey key) {
  std::size_t hole = place(key);
  while (slots_[hole].first != key) hole = (hole + 1) & mask_;
  // Entries behind the hole that were pushed past it move up, so that no search ends early.
  for (std::size_t i = (hole + 1) & mask_; slots_[i].first != 0; i = (i + 1) & mask_) {
    const std::size_t home = place(slots_[i].first);
    if (((i - home) & mask_) >= ((i - hole) & mask_)) {
      slots_[hole] = slots_[i];
      hole = i;
    }
  }
  slots_[hole] = {0, -1};
}

namespace {

// Numbers of buckets that libstdc++'s _Prime_rehash_policy takes when a map grows one element at a time: the first is
// 13, and the next is the smallest of its primes that is at least twice as large.
constexpr std::array<std::int64_t, 20> kBuckets = {13,     29,     59,      127,     257,     541,     1109,
                                                   2357,   5087,   10273,   20753,   42043,   85229,   172933,
                                                   351061, 712697, 1447153, 2938679, 5967347, 12117689};

}  // namespace

HashOrderedSet::HashOrderedSet(std::int64_t first_id, std::int64_t ids)
    : first_id_(first_id),
      head_(static_cast<BlockNumber>(ids)),
      next_(static_cast<std::size_t>(ids) + 1, kNone),
      before_(1, kNone) {}

std::size_t HashOrderedSet::bucket(BlockNumber block) const {
  return static_cast<std::size_t>(first_id_ + block) % before_.size();
}

void HashOrderedSet::insert(BlockNumber block) {
  if (size_ + 1 > grow_above_) {
    const auto* buckets = std::ranges::upper_bound(kBuckets, grow_above_);
    check(buckets != kBuckets.end(), "more cached blocks than the table of primes is for");
    rehash(*buckets);
  }
  ++size_;
  BlockNumber& before = before_[bucket(block)];
  if (before != kNone) {  // in front of the others of its bucket
    BlockNumber& link = next_[static_cast<std::size_t>(before)];
    next_[static_cast<std::size_t>(block)] = link;
    link = block;
    return;
  }
  const BlockNumber first = next_[static_cast<std::size_t>(head_)];
  next_[static_cast<std::size_t>(block)] = first;
  next_[static_cast<std::size_t>(head_)] = block;
  if (first != kNone) before_[bucket(first)] = block;
  before = head_;
}

void HashOrderedSet::erase(BlockNumber block) {
  --size_;
  const std::size_t home = bucket(block);
  BlockNumber before = before_[home];
  while (next_[static_cast<std::size_t>(before)] != block) before = next_[static_cast<std::size_t>(before)];
  const BlockNumber after = next_[static_cast<std::size_t>(block)];
  const bool ends_bucket = after == kNone || bucket(after) != home;
  if (after != kNone && ends_bucket) before_[bucket(after)] = before;
  if (before == before_[home] && ends_bucket) before_[home] = kNone;
  next_[static_cast<std::size_t>(before)] = after;
}

void HashOrderedSet::rehash(std::int64_t buckets) {
  grow_above_ = buckets;
  before_.assign(static_cast<std::size_t>(buckets), kNone);
  BlockNumber at = std::exchange(next_[static_cast<std::size_t>(head_)], kNone);
  std::size_t first_bucket = 0;
  while (at != kNone) {
    const BlockNumber following = next_[static_cast<std::size_t>(at)];
    const std::size_t home = bucket(at);
    if (before_[home] == kNone) {
      next_[static_cast<std::size_t>(at)] = next_[static_cast<std::size_t>(head_)];
      next_[static_cast<std::size_t>(head_)] = at;
      before_[home] = head_;
      if (next_[static_cast<std::size_t>(at)] != kNone) before_[first_bucket] = at;
      first_bucket = home;
    } else {
      BlockNumber& link = next_[static_cast<std::size_t>(before_[home])];
      next_[static_cast<std::size_t>(at)] = link;
      link = at;
    }
    at = following;
  }
}

PrefixPool::PrefixPool(std::int64_t first_id, std::int64_t blocks)
    : blocks_(static_cast<std::size_t>(blocks)), by_key_(blocks), candidates_(first_id, blocks) {
  for (std::int64_t i = 0; i < blocks; ++i) unused_.push_back(static_cast<BlockNumber>(i));
}

BlockNumber PrefixPool::take(PrefixKey key) {
  if (key != 0) {
    const BlockNumber cached = by_key_.find(key);
    if (cached >= 0) {
      share(cached);
      return cached;
    }
  }
  const BlockNumber block = fresh();
  if (key != 0) name(block, key);
  return block;
}

BlockNumber PrefixPool::fill(BlockNumber block, PrefixKey key) {
  const BlockNumber cached = by_key_.find(key);
  if (cached < 0) {
    name(block, key);
    return block;
  }
  release(block, 0, 0);
  share(cached);
  return cached;
}

void PrefixPool::release(BlockNumber block, PrefixKey key, std::int64_t tokens) {
  Block& b = at(block);
  if (--b.users > 0) return;
  if (key == 0) {
    unused_.push_back(block);
  } else {
    b.candidate = true;
    b.freed_at = b.access;
    b.tokens = tokens;
    candidates_.insert(block);
    enqueue({block, b.access, tokens});
    // Entries of blocks that were used again are thrown out only when they outnumber the candidates this much.
    constexpr std::int64_t kOutdatedToCandidates = 50;
    if (static_cast<std::int64_t>(queue_.size()) > kOutdatedToCandidates * candidates_.size()) {
      queue_.clear();
      candidates_.for_each([this](BlockNumber c) { enqueue({c, at(c).freed_at, at(c).tokens}); });
    }
  }
  b.access = kNever;
  b.computed = false;
}

bool PrefixPool::holds_computed(PrefixKey key) const {
  const BlockNumber block = by_key_.find(key);
  if (block < 0) return false;
  const Block& b = blocks_[static_cast<std::size_t>(block)];
  return b.users > 0 ? b.computed : b.candidate;
}

void PrefixPool::end_round() {
  for (const BlockNumber block : filled_now_) at(block).computed = true;
  filled_now_.clear();
}

BlockNumber PrefixPool::fresh() {
  BlockNumber block = 0;
  if (!unused_.empty()) {
    block = unused_.pop_front();
  } else {
    block = evict();
  }
  Block& b = at(block);
  b.users = 1;
  b.access = kNever;
  b.computed = false;
  return block;
}

BlockNumber PrefixPool::evict() {
  while (!queue_.empty()) {
    const Candidate next = dequeue();
    Block& b = at(next.block);
    if (!b.candidate) continue;
    // An entry counts if its time is the block's within one millionth, which is half an hour of seconds since 1970.
    constexpr float kClose = 1e-6F;
    if (std::fabs(b.freed_at - next.access) >
        std::max(kClose, kClose * std::max(std::fabs(b.freed_at), std::fabs(next.access))))
      continue;
    b.candidate = false;
    candidates_.erase(next.block);
    by_key_.erase(std::exchange(b.key, 0));
    return next.block;
  }
  throw MindieStopped("no block is free");
}

void PrefixPool::share(BlockNumber block) {
  Block& b = at(block);
  if (++b.users > 1) return;
  if (b.candidate) {
    b.candidate = false;
    candidates_.erase(block);
  }
  b.access = kNever;
  b.computed = true;
}

void PrefixPool::name(BlockNumber block, PrefixKey key) {
  by_key_.insert(key, block);
  at(block).key = key;
  filled_now_.push_back(block);
}

bool PrefixPool::Candidate::goes_after(const Candidate& other) const {
  if (std::fabs(access - other.access) > std::numeric_limits<float>::epsilon()) return access > other.access;
  return tokens < other.tokens;
}

// std::priority_queue of libstdc++, written out: the order of equal entries is that of its heap.
void PrefixPool::enqueue(Candidate entry) {
  queue_.push_back(entry);
  std::size_t hole = queue_.size() - 1;
  for (; hole > 0 && queue_[(hole - 1) / 2].goes_after(entry); hole = (hole - 1) / 2)
    queue_[hole] = queue_[(hole - 1) / 2];
  queue_[hole] = entry;
}

PrefixPool::Candidate PrefixPool::dequeue() {
  const Candidate top = queue_.front(), last = queue_.back();
  queue_.pop_back();
  if (queue_.empty()) return top;
  std::size_t hole = 0, child = 2;
  for (; child < queue_.size(); child = 2 * hole + 2) {  // down to a leaf first, whatever `last` is
    if (queue_[child].goes_after(queue_[child - 1])) --child;
    queue_[hole] = queue_[child];
    hole = child;
  }
  if (child == queue_.size()) {
    queue_[hole] = queue_[child - 1];
    hole = child - 1;
  }
  for (; hole > 0 && queue_[(hole - 1) / 2].goes_after(last); hole = (hole - 1) / 2)
    queue_[hole] = queue_[(hole - 1) / 2];
  queue_[hole] = last;
  return top;
}

}  // namespace ascendsim
