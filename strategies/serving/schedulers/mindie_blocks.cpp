#include "strategies/serving/schedulers/mindie_blocks.h"

#include <algorithm>

#include "sim/check.h"

namespace ascendsim {

MindieBlocks::MindieBlocks(const MindieConfig& config)
    : block_size_(config.block_size),
      npu_blocks_(config.npu_blocks),
      host_blocks_(config.host_blocks),
      ranks_(config.ranks()),
      gamma_(config.speculation_gamma),
      prefix_cache_(config.prefix_cache),
      free_(static_cast<std::size_t>(ranks_), npu_blocks_),
      host_free_(host_blocks_) {
  if (!prefix_cache_) return;
  for (std::int64_t rank = 0; rank < ranks_; ++rank) pools_.emplace_back(0, npu_blocks_);
  host_pool_.emplace(npu_blocks_, host_blocks_);
}

void MindieBlocks::enter(RequestIndex request, const Request& text) {
  if (request >= tables_.size()) {
    tables_.resize(request + 1);
    if (ranks_ > 1) shares_.resize((request + 1) * static_cast<std::size_t>(ranks_));
    if (prefix_cache_) prefix_.resize(request + 1);
  }
  check(tables_[request].blocks == 0, "the request that had this number still holds blocks");
  tables_[request] = {};
  if (prefix_cache_) {
    prefix_[request].text.begin(text.shared, ++contents_, block_size_);
    prefix_[request].hits_known = false;
  }
}

std::int64_t MindieBlocks::free_on(std::int64_t rank) const {
  const auto index = static_cast<std::size_t>(rank);
  return prefix_cache_ ? pools_[index].free() : free_[index];
}

std::int64_t MindieBlocks::free() const {
  std::int64_t fewest = free_on(0);
  for (std::int64_t rank = 1; rank < ranks_; ++rank) fewest = std::min(fewest, free_on(rank));
  return fewest * ranks_;
}

std::int64_t MindieBlocks::held_on(RequestIndex request, std::int64_t rank) const {
  return ranks_ > 1 ? share(request, rank).blocks : tables_[request].blocks;
}

std::int64_t MindieBlocks::tokens_on(RequestIndex request, std::int64_t rank) const {
  return ranks_ > 1 ? share(request, rank).tokens : tables_[request].tokens;
}

std::int64_t MindieBlocks::room_on(RequestIndex request, std::int64_t rank) const {
  return held_on(request, rank) * block_size_ - tokens_on(request, rank);
}

MindieBlocks::Room MindieBlocks::room_for(std::int64_t length) const {
  const std::int64_t needed = ceil_div(length, block_size_) + (ranks_ > 1 ? 1 : 0);
  if (needed > npu_blocks_ * ranks_) return Room::kTooLong;
  return needed <= free() ? Room::kNow : Room::kLater;
}

PrefixPool& MindieBlocks::pool(const Table& table, std::int64_t rank) {
  return table.on_host ? *host_pool_ : pools_[static_cast<std::size_t>(rank)];
}

// One block more for the request. `tokens` of it are written from the outset; with a prefix cache it may be a block
// that others use already.
void MindieBlocks::take(RequestIndex request, std::int64_t rank, PrefixKey key, std::int64_t before, std::int64_t start,
                        std::int64_t tokens) {
  Table& table = tables_[request];
  ++table.blocks;
  table.tokens += tokens;
  if (ranks_ > 1) {
    ++share(request, rank).blocks;
    share(request, rank).tokens += tokens;
  }
  if (!prefix_cache_) {
    if (free_[static_cast<std::size_t>(rank)]-- == 0) throw MindieStopped("no block is free");
    return;
  }
  prefix_[request].entries.push_back({.block = pool(table, rank).take(key),
                                      .before = static_cast<std::int32_t>(before),
                                      .rank = rank,
                                      .start = start,
                                      .tokens = tokens,
                                      .text_tokens = start + tokens,
                                      .key = key});
}

void MindieBlocks::place(RequestIndex request, std::int64_t length) {
  Table& table = tables_[request];
  check(table.blocks == 0, "a text is placed while the request holds blocks");
  const std::int64_t count = ceil_div(length, block_size_);
  if (ranks_ == 1 && !prefix_cache_) {
    table.blocks = count;
    table.tokens = length;
    free_[0] -= count;
    return;
  }
  if (prefix_cache_) prefix_[request].holes_inside = false;
  for (std::int64_t i = 0; i < count; ++i) {
    const bool last = i == count - 1;
    const std::int64_t tokens = last ? length - i * block_size_ : block_size_;
    // The model wants the last block on the last rank, once every rank has one.
    table.append_rank = last && i >= ranks_ ? ranks_ - 1 : i % ranks_;
    const bool named = prefix_cache_ && tokens == block_size_;
    take(request, table.append_rank, named ? prefix_[request].text.key(i) : 0, i - 1, i * block_size_, tokens);
  }
}

bool MindieBlocks::can_append(RequestIndex request, std::int64_t length) const {
  const Table& table = tables_[request];
  if (ranks_ == 1) return ceil_div(length + gamma_, block_size_) - ceil_div(table.tokens, block_size_) <= free_on(0);
  const std::int64_t added = length - table.tokens;
  std::int64_t rank = table.append_rank, room = room_on(request, rank);
  if (gamma_ == 0 ? room == 0 : added > room) {
    rank = (rank + 1) % ranks_;
    room = room_on(request, rank);
  }
  const std::int64_t beyond = std::max<std::int64_t>(0, added + gamma_ - room);
  return free_on(rank) >= 1 + ceil_div(beyond, block_size_);
}

void MindieBlocks::take_empty(RequestIndex request, std::int64_t rank) {
  std::int64_t before = -1;
  if (prefix_cache_) {
    const std::vector<Entry>& entries = prefix_[request].entries;
    for (auto i = static_cast<std::int64_t>(entries.size()) - 1; i >= 0 && before < 0; --i)
      if (entries[static_cast<std::size_t>(i)].rank == rank) before = i;
  }
  take(request, rank, 0, before, -1, 0);
}

void MindieBlocks::append(RequestIndex request, std::int64_t length, std::int64_t holes) {
  if (ranks_ > 1) return append_to_ring(request, length, holes);
  Table& table = tables_[request];
  const std::int64_t more = ceil_div(length + gamma_, block_size_) - table.blocks;
  if (!prefix_cache_) {
    if (more > 0) {
      if (more > free_[0]) throw MindieStopped("no block is free");
      free_[0] -= more;
      table.blocks += more;
    }
    table.tokens = length;
    return;
  }
  for (std::int64_t i = 0; i < more; ++i) take_empty(request, 0);
  write(request, 0, length - table.tokens, holes);
}

void MindieBlocks::append_to_ring(RequestIndex request, std::int64_t length, std::int64_t holes) {
  Table& table = tables_[request];
  const std::int64_t added = length - table.tokens;
  if (added == 0) return;
  std::int64_t room = room_on(request, table.append_rank);
  const std::int64_t following = (table.append_rank + 1) % ranks_;
  if (gamma_ == 0) {  // one token, known or not
    if (room == 0) {
      table.append_rank = following;
      room = room_on(request, following);
    }
    if (room == 0) take_empty(request, table.append_rank);
    write(request, table.append_rank, 1, std::min<std::int64_t>(holes, 1));
    return;
  }
  // With drafts only known tokens are written; blocks are taken for the unknown ones too.
  if (added > room) {
    const std::int64_t reserved = added - room;
    if (room_on(request, following) < reserved)
      for (std::int64_t i = 0; i < ceil_div(reserved, block_size_); ++i) take_empty(request, following);
  }
  const std::int64_t known = added - holes;
  if (known == 0) return;
  const std::int64_t here = std::min(room, known - 1);
  write(request, table.append_rank, here, 0);
  if (room < known) table.append_rank = following;
  write(request, table.append_rank, known - here, 0);
}

// The nth block of the request on a rank. REQUIRES: it has one.
MindieBlocks::Entry& MindieBlocks::entry_on(RequestIndex request, std::int64_t rank, std::int64_t nth) {
  std::vector<Entry>& entries = prefix_[request].entries;
  if (ranks_ == 1) return entries[static_cast<std::size_t>(nth)];
  std::int64_t later = held_on(request, rank) - 1 - nth;  // the youngest ones are asked for
  std::size_t i = entries.size() - 1;
  while (entries[i].rank != rank || later-- > 0) --i;
  return entries[i];
}

// Writes tokens into the request's blocks on a rank, the last `holes` of them unknown. REQUIRES: the blocks are there.
void MindieBlocks::write(RequestIndex request, std::int64_t rank, std::int64_t tokens, std::int64_t holes) {
  if (prefix_cache_) {
    const std::int64_t known = tokens - std::min(holes, tokens), before = tokens_on(request, rank);
    for (std::int64_t written = 0; written < tokens;) {
      Entry& entry = entry_on(request, rank, (before + written) / block_size_);
      if (entry.tokens == 0) entry.start = tables_[request].tokens + written;
      const std::int64_t here = std::min(tokens - written, block_size_ - entry.tokens);
      written += here;
      write_entry(request, entry, here, written > known);
    }
    if (known < tokens) prefix_[request].holes_inside = true;
  }
  tables_[request].tokens += tokens;
  if (ranks_ > 1) share(request, rank).tokens += tokens;
}

// A block gets its key when it is full, its last token and all blocks before it are known. One with an unknown token
// inside gets a key of its own: its hash is over the placeholder, which no prompt contains.
void MindieBlocks::write_entry(RequestIndex request, Entry& entry, std::int64_t tokens, bool ends_with_hole) {
  PrefixTable& prefix = prefix_[request];
  entry.tokens += tokens;
  if (entry.tokens < block_size_ || ends_with_hole) return;
  const Entry* before = entry.before < 0 ? nullptr : &prefix.entries[static_cast<std::size_t>(entry.before)];
  if (before != nullptr && before->key == 0) return;
  if (prefix.holes_inside) {
    PrefixText nobody_elses;
    nobody_elses.begin({}, ++contents_, block_size_);
    entry.key = nobody_elses.key(0);
  } else {
    entry.key = prefix.text.key_after(before == nullptr ? 0 : before->key, entry.start);
  }
  entry.text_tokens = (before == nullptr ? 0 : before->text_tokens) + block_size_;
  entry.block = pool(tables_[request], entry.rank).fill(entry.block, entry.key);
}

void MindieBlocks::release(RequestIndex request) {
  Table& table = tables_[request];
  if (prefix_cache_) {
    PrefixTable& prefix = prefix_[request];
    for (const Entry& e : prefix.entries) {
      PrefixPool& from = pool(table, e.rank);
      from.access(e.block, prefix.access);
      from.release(e.block, e.key, e.text_tokens);
    }
    prefix.entries.clear();
    prefix.hits_known = false;
  } else if (table.on_host) {
    host_free_ += table.blocks;
  } else if (ranks_ == 1) {
    free_[0] += table.blocks;
  }
  if (ranks_ > 1)
    for (std::int64_t rank = 0; rank < ranks_; ++rank) {
      if (!prefix_cache_) free_[static_cast<std::size_t>(rank)] += share(request, rank).blocks;
      share(request, rank) = {};
    }
  table = {};
}

bool MindieBlocks::can_swap_out(std::int64_t length) const {
  return ceil_div(length, block_size_) <= (prefix_cache_ ? host_pool_->free() : host_free_);
}

void MindieBlocks::swap_out(RequestIndex request) {
  Table& table = tables_[request];
  if (prefix_cache_) {
    for (const Entry& e : prefix_[request].entries) pools_[0].release(e.block, e.key, e.text_tokens);
    for (Entry& e : prefix_[request].entries) e.block = host_pool_->take(e.key);
  } else {
    if (table.blocks > host_free_) throw MindieStopped("no block of the host is free");
    free_[0] += table.blocks;
    host_free_ -= table.blocks;
  }
  table.on_host = true;
}

MindieBlocks::Room MindieBlocks::room_to_swap_in(std::int64_t length) const {
  const std::int64_t needed = ceil_div(length, block_size_);
  if (needed > npu_blocks_) return Room::kTooLong;
  return needed <= free() ? Room::kNow : Room::kLater;
}

void MindieBlocks::swap_in(RequestIndex request) {
  Table& table = tables_[request];
  if (prefix_cache_) {
    for (const Entry& e : prefix_[request].entries) host_pool_->release(e.block, e.key, e.text_tokens);
    for (Entry& e : prefix_[request].entries) e.block = pools_[0].take(e.key);
  } else {
    if (table.blocks > free_[0]) throw MindieStopped("no block is free");
    free_[0] -= table.blocks;
    host_free_ += table.blocks;
  }
  table.on_host = false;
}

std::int64_t MindieBlocks::cached_tokens(RequestIndex request, std::int64_t length, std::int64_t computed) {
  if (!prefix_cache_) return 0;
  PrefixTable& prefix = prefix_[request];
  std::int64_t blocks = 0;
  if (computed > 0) {
    if (prefix.hits_known)
      for (const std::int64_t hits : prefix.hits) blocks += hits;
  } else {
    while (blocks < length / block_size_ &&
           pools_[static_cast<std::size_t>(blocks % ranks_)].holds_computed(prefix.text.key(blocks)))
      ++blocks;
  }
  return blocks * block_size_;
}

std::span<const std::int64_t> MindieBlocks::hits(RequestIndex request, bool prefilling, std::int64_t computed) {
  if (!prefix_cache_) return {};
  PrefixTable& prefix = prefix_[request];
  if (!prefilling || !prefix.hits_known) {
    prefix.hits.assign(static_cast<std::size_t>(ranks_), 0);
    prefix.hits_known = true;
    for (std::int64_t rank = 0; rank < ranks_ && computed == 0; ++rank)
      for (const Entry& e : prefix.entries) {
        if (e.rank != rank) continue;
        if (e.key == 0 || !pool(tables_[request], rank).holds_computed(e.key)) break;
        ++prefix.hits[static_cast<std::size_t>(rank)];
      }
  }
  told_ = prefix.hits;
  if (ranks_ == 1) return told_;
  // Only what is a prefix of the text on the whole ring: full rounds, and one block more on the first ranks.
  const std::int64_t rounds = std::ranges::min(told_);
  bool first_ranks = true;
  for (std::int64_t& hits : told_) {
    first_ranks = first_ranks && hits > rounds;
    hits = rounds + (first_ranks ? 1 : 0);
  }
  return told_;
}

void MindieBlocks::access(RequestIndex request, Duration now) {
  if (!prefix_cache_) return;
  // Seconds since 1970 in 32 bits of floating point: steps of 128 s. The clock of the recordings starts here.
  constexpr std::int64_t kStart = 1'700'000'000;
  prefix_[request].access = static_cast<float>(kStart + std::chrono::duration_cast<std::chrono::seconds>(now).count());
}

void MindieBlocks::end_round() {
  for (PrefixPool& p : pools_) p.end_round();
}

}  // namespace ascendsim
