// The prefix cache of MindIE: which block holds which text, and which is given away first.
//
// A full block is named by a key: a hash of its tokens and of all before them. Keys stand for MindIE's hashes of token
// ids; different texts are taken to have different keys. Block ids matter, as ties between equally old blocks are
// broken by the order in which MindIE's containers happen to hold them.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "strategies/serving/schedulers/mindie_queue.h"
#include "workloads/requests/request.h"

namespace ascendsim {

using PrefixKey = std::uint64_t;  // 0: none, the block is not full or not known token by token
using BlockNumber = std::int32_t;

// Text of one request, in stretches: see PromptSegment. Stretches that reach beyond the prompt name output tokens.
class PrefixText {
 public:
  void begin(const std::vector<PromptSegment>& segments, std::uint64_t own_content, std::int64_t block_size);
  // Key of the block of tokens [index x block_size, ...) of the text, after all blocks before it.
  PrefixKey key(std::int64_t index);
  // Key of a block of tokens from `start` on that follows a block named `before` (0: none).
  [[nodiscard]] PrefixKey key_after(PrefixKey before, std::int64_t start) const;

 private:
  struct Stretch {
    std::int64_t begin, end;  // in the text
    std::uint64_t content;
  };
  std::vector<Stretch> stretches_{};
  std::uint64_t own_content_ = 0;  // of what follows the last stretch; no other request has it
  std::int64_t block_size_ = 1;
  std::vector<PrefixKey> keys_{};  // of the first blocks, as far as somebody asked
};

// Keys to blocks: open addressing in a table of fixed size, so that nothing is allocated while serving.
class KeyTable {
 public:
  explicit KeyTable(std::int64_t most_keys);
  [[nodiscard]] BlockNumber find(PrefixKey key) const;  // -1 when absent
  void insert(PrefixKey key, BlockNumber block);        // REQUIRES: absent
  void erase(PrefixKey key);                            // REQUIRES: present

 private:
  [[nodiscard]] std::size_t place(PrefixKey key) const { return static_cast<std::size_t>(key) & mask_; }
  std::size_t mask_;
  std::vector<std::pair<PrefixKey, BlockNumber>> slots_;
};

// A set of block ids that is walked in the order in which libstdc++'s std::unordered_map<int64_t, T> walks its keys:
// MindIE rebuilds its eviction queue in that order, which decides between equally old blocks.
class HashOrderedSet {
 public:
  HashOrderedSet(std::int64_t first_id, std::int64_t ids);
  void insert(BlockNumber block);  // REQUIRES: absent
  void erase(BlockNumber block);   // REQUIRES: present
  [[nodiscard]] std::int64_t size() const { return size_; }
  template <class Visitor>
  void for_each(Visitor&& visit) const {
    for (BlockNumber at = next_.back(); at != kNone; at = next_[static_cast<std::size_t>(at)]) visit(at);
  }

 private:
  static constexpr BlockNumber kNone = -1;
  [[nodiscard]] std::size_t bucket(BlockNumber block) const;
  void rehash(std::int64_t buckets);
  std::int64_t first_id_, size_ = 0, grow_above_ = 0;
  // Singly linked as there: next_[block], and next_.back() is the head. before_[bucket]: the node before the bucket's
  // first one, kNone for an empty bucket; the head counts as node `head_`.
  BlockNumber head_;
  std::vector<BlockNumber> next_, before_;
};

// The blocks of one rank (or of the host) under a prefix cache.
class PrefixPool {
 public:
  PrefixPool(std::int64_t first_id, std::int64_t blocks);

  [[nodiscard]] std::int64_t free() const { return static_cast<std::int64_t>(unused_.size()) + candidates_.size(); }
  [[nodiscard]] std::int64_t total() const { return static_cast<std::int64_t>(blocks_.size()); }

  // A block for the text `key`: the one that holds it already, or a fresh one that is named so. 0: a fresh one.
  // Throws MindieStopped when none is free.
  BlockNumber take(PrefixKey key);
  // `block` has become full with the text `key` != 0. The block that holds it from now on, perhaps another one.
  BlockNumber fill(BlockNumber block, PrefixKey key);
  // One user less. A named block without users stays cached until it is evicted; `tokens`: of the text up to its end.
  void release(BlockNumber block, PrefixKey key, std::int64_t tokens);
  void access(BlockNumber block, float time) { blocks_[static_cast<std::size_t>(block)].access = time; }
  // Whether the text is cached and was computed in an earlier round.
  [[nodiscard]] bool holds_computed(PrefixKey key) const;
  void end_round();  // what was filled in this round is computed from now on

 private:
  struct Block {
    PrefixKey key = 0;  // under which it is cached, 0: not
    float access = kNever;
    std::int32_t users = 0;
    bool computed = false, candidate = false;
    float freed_at = kNever;  // access time as a candidate
    std::int64_t tokens = 0;  // of the text up to its end, as a candidate
  };
  struct Candidate {  // an entry of the eviction queue; entries of blocks that were used again stay in it
    BlockNumber block;
    float access;
    std::int64_t tokens;
    [[nodiscard]] bool goes_after(const Candidate& other) const;
  };
  static constexpr float kNever = -1;

  Block& at(BlockNumber block) { return blocks_[static_cast<std::size_t>(block)]; }
  BlockNumber fresh();
  BlockNumber evict();
  void share(BlockNumber block);
  void name(BlockNumber block, PrefixKey key);
  void enqueue(Candidate entry);
  Candidate dequeue();

  std::vector<Block> blocks_;
  RingQueue<BlockNumber> unused_;
  KeyTable by_key_;
  HashOrderedSet candidates_;
  std::vector<Candidate> queue_;  // binary heap, the next to go in front
  std::vector<BlockNumber> filled_now_;
};

}  // namespace ascendsim
