// SGLang's prefix cache: a radix tree over the tokens of prompts and outputs, whose entries are whole pages.
//
// SGLang v0.5.18, mem_cache/radix_cache.py. Tokens are never written out: a sequence is a few stretches of content
// (TokenTexts), so a walk costs the nodes and stretches on its way and not the tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "workloads/requests/request.h"

namespace ascendsim {

// Sequences of tokens, known by what they have in common. Each begins with the shared stretches of its request and goes
// on without end in tokens of its own.
class TokenTexts {
 public:
  using Id = std::uint32_t;

  // A new sequence with one holder. Stretches beyond the prompt are cut off.
  Id add(const std::vector<PromptSegment>& shared, std::int64_t input_tokens);
  void hold(Id id) { ++texts_[id].holders; }
  void release(Id id);  // the last holder's release makes the id free for another sequence

  // How many tokens from position `from` on are the same in both, at most `count`.
  [[nodiscard]] std::int64_t common(Id a, Id b, std::int64_t from, std::int64_t count) const;
  // Equal for two sequences with the same tokens at positions [from, from + count).
  [[nodiscard]] std::uint64_t hash(Id id, std::int64_t from, std::int64_t count) const;
  [[nodiscard]] std::size_t live() const { return texts_.size() - unused_.size(); }

 private:
  // Tokens from `begin` to the next run's begin. As every stretch starts with its content's first token, two sequences
  // have the same token at a position if and only if the runs that cover it are equal.
  struct Run {
    std::int64_t begin = 0;
    std::uint64_t content = 0;
    bool own = false;
    bool operator==(const Run&) const = default;
  };
  struct Text {
    std::vector<Run> runs{};
    std::uint32_t holders = 0;
  };
  [[nodiscard]] static std::size_t run_at(const Text& text, std::int64_t position);

  std::vector<Text> texts_;
  std::vector<Id> unused_;
  std::uint64_t added_ = 0;  // names the own tokens of each sequence
};

// Keys of the tree are tokens, or pairs of neighbouring tokens with EAGLE and MTP; n tokens are n - 1 pairs. Lengths
// below are in keys and always whole pages.
class PrefixTree {
 public:
  using Node = std::uint32_t;
  static constexpr Node kRoot = 0;  // the empty prefix; holding it changes nothing
  struct Match {
    std::int64_t length = 0;
    Node node = kRoot;  // where the match ends
  };

  PrefixTree(TokenTexts& texts, std::int64_t page, bool pairs);

  [[nodiscard]] std::int64_t keys(std::int64_t tokens) const;
  // The longest prefix of the first `tokens` tokens that is in the tree. Touches all nodes on the way, and divides the
  // last one if the match ends within it.
  Match match(TokenTexts::Id text, std::int64_t tokens) { return walk(text, keys(tokens), false); }
  // Puts the first `tokens` tokens into the tree: how much of them was there already, and the node where they end.
  Match insert(TokenTexts::Id text, std::int64_t tokens) { return walk(text, keys(tokens), true); }
  void hold(Node node);     // nothing on the way from the root to here is evicted
  void release(Node node);  // undoes one hold()
  // Drops nodes that have neither children nor holders, least recently touched first, until `tokens` are gone or no
  // such node is left. Whole nodes, so it may be more. Returns how much.
  std::int64_t evict(std::int64_t tokens);
  [[nodiscard]] std::int64_t evictable() const { return evictable_; }
  [[nodiscard]] std::int64_t size() const { return size_; }
  void clear();

 private:
  static constexpr std::uint32_t kNowhere = ~std::uint32_t{0};
  struct Stretch {
    TokenTexts::Id text = 0;
    Node parent = kNowhere;  // kNowhere: the root, or an unused entry
    std::int64_t begin = 0;
    std::int64_t end = 0;
    std::uint64_t touched = 0;
    std::uint64_t hash = 0;  // of parent and first page: the place in the table
    std::uint32_t children = 0;
    std::uint32_t holders = 0;
    std::uint32_t place = kNowhere;  // in the heap
    [[nodiscard]] std::int64_t length() const { return end - begin; }
  };

  Match walk(TokenTexts::Id text, std::int64_t keys, bool insert);
  Node cut(Node lower, std::int64_t length);
  Node add(TokenTexts::Id text, Node parent, std::int64_t begin, std::int64_t end, std::uint64_t touched);
  void remove(Node node);

  // Children by parent and first page: open addressing, linear probing, kRoot marks an empty entry.
  [[nodiscard]] std::uint64_t hash(Node parent, TokenTexts::Id text, std::int64_t depth) const;
  [[nodiscard]] Node child(Node parent, TokenTexts::Id text, std::int64_t depth) const;
  void link(Node node, Node parent);
  void unlink(Node node);  // from its parent, the table and the heap
  void place_in_table(Node node);

  // Nodes that may be evicted now, a binary heap by the time of the last touch.
  void update_candidate(Node node);
  void sift_up(std::uint32_t place);
  void sift_down(std::uint32_t place);
  void put(std::uint32_t place, Node node);

  TokenTexts& texts_;
  std::int64_t page_;
  std::int64_t pairs_;  // 1 if keys are pairs: a stretch of n keys spans n + 1 tokens
  std::vector<Stretch> nodes_;
  std::vector<Node> unused_;
  std::vector<Node> table_;
  std::vector<Node> candidates_;
  std::uint64_t clock_ = 0;
  std::int64_t evictable_ = 0;
  std::int64_t size_ = 0;
};

}  // namespace ascendsim
