// The prefix tree of SGLang's scheduler: by hand, and against a tree that stores every token.
#include "strategies/serving/schedulers/sglang_radix.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

namespace ascendsim {
namespace {

TEST(SglangRadix, MatchesWholePagesOnly) {
  TokenTexts texts;
  PrefixTree tree(texts, 16, false);
  const auto a = texts.add({{.tokens = 40, .content = 1}}, 100);
  const auto b = texts.add({{.tokens = 40, .content = 1}}, 100);
  EXPECT_EQ(tree.insert(a, 100).length, 0);
  EXPECT_EQ(tree.size(), 96);
  EXPECT_EQ(tree.match(a, 99).length, 96);
  EXPECT_EQ(tree.match(a, 95).length, 80);
  EXPECT_EQ(tree.match(b, 99).length, 32);
}

// Pairs of neighbours: a shared stretch of 40 tokens is 39 pairs, a sequence of 256 has 255.
TEST(SglangRadix, PairsMatchOneLess) {
  TokenTexts texts;
  PrefixTree tree(texts, 1, true);
  const auto a = texts.add({{.tokens = 40, .content = 1}}, 256);
  const auto b = texts.add({{.tokens = 40, .content = 1}}, 100);
  const auto c = texts.add({{.tokens = 1, .content = 1}}, 100);
  tree.insert(a, 256);
  EXPECT_EQ(tree.size(), 255);
  EXPECT_EQ(tree.match(a, 255).length, 254);
  EXPECT_EQ(tree.match(b, 100).length, 39);
  EXPECT_EQ(tree.match(c, 100).length, 0);
  EXPECT_EQ(tree.keys(0), 0);
}

// Three branches of a shared stretch of 10. Held ones stay; of the others the least recently touched goes first, as a
// whole, and the stretch when its last branch has gone.
TEST(SglangRadix, EvictsLeavesLeastRecentlyTouchedFirst) {
  TokenTexts texts;
  PrefixTree tree(texts, 1, false);
  std::vector<TokenTexts::Id> branches;
  for (int i = 0; i < 3; ++i) branches.push_back(texts.add({{.tokens = 10, .content = 1}}, 30));
  for (const auto text : branches) tree.insert(text, 30);
  const auto held = tree.match(branches[0], 30).node;
  tree.hold(held);
  EXPECT_EQ(tree.size(), 70);
  EXPECT_EQ(tree.evictable(), 40);
  tree.match(branches[1], 30);
  EXPECT_EQ(tree.evict(1), 20);
  EXPECT_EQ(tree.match(branches[2], 30).length, 10);
  EXPECT_EQ(tree.match(branches[1], 30).length, 30);
  EXPECT_EQ(tree.evict(1000), 20);
  tree.release(held);
  EXPECT_EQ(tree.evictable(), 30);
  EXPECT_EQ(tree.evict(21), 30);
  EXPECT_EQ(tree.size(), 0);
}

// A walk that parts a node leaves its lower part behind: that goes before what the walk adds.
TEST(SglangRadix, TheLowerPartOfANodeIsOlderThanWhatIsAddedBesideIt) {
  TokenTexts texts;
  PrefixTree tree(texts, 1, false);
  const auto a = texts.add({{.tokens = 10, .content = 1}}, 30);
  const auto b = texts.add({{.tokens = 10, .content = 1}}, 30);
  tree.insert(a, 30);
  tree.insert(b, 30);
  tree.evict(1);
  EXPECT_EQ(tree.match(b, 30).length, 30);
  EXPECT_EQ(tree.match(a, 30).length, 10);
}

// Texts live as long as nodes refer to them.
TEST(SglangRadix, TextsGoWithTheirNodes) {
  TokenTexts texts;
  PrefixTree tree(texts, 1, false);
  for (int i = 0; i < 100; ++i) {
    const auto text = texts.add({}, 10);
    tree.insert(text, 10);
    texts.release(text);
    if (tree.size() > 50) tree.evict(10);
  }
  EXPECT_EQ(texts.live(), 5U);
  tree.clear();
  EXPECT_EQ(texts.live(), 0U);
}

// The same tree with every key written out: a key is a token, or a pair of them, as a number.
class PlainTree {
 public:
  explicit PlainTree(std::size_t page) : page_(page) {}

  std::int64_t walk(std::vector<std::int64_t> keys, bool insert) {
    keys.resize(keys.size() / page_ * page_);
    const std::int64_t now = ++clock_;
    Node* at = &root_;
    std::size_t found = 0;
    while (found < keys.size()) {
      const auto below = std::ranges::find_if(at->below, [&](const auto& n) {
        return std::equal(n->keys.begin(), n->keys.begin() + static_cast<std::ptrdiff_t>(page_),
                          keys.begin() + static_cast<std::ptrdiff_t>(found));
      });
      if (below == at->below.end()) break;
      Node& node = **below;
      node.touched = now;
      std::size_t same = 0;
      while (same < node.keys.size() && found + same < keys.size() && node.keys[same] == keys[found + same]) ++same;
      same = same / page_ * page_;
      found += same;
      if (same < node.keys.size()) {
        auto upper = std::make_unique<Node>();
        upper->keys.assign(node.keys.begin(), node.keys.begin() + static_cast<std::ptrdiff_t>(same));
        upper->touched = ++clock_;
        node.keys.erase(node.keys.begin(), node.keys.begin() + static_cast<std::ptrdiff_t>(same));
        upper->below.push_back(std::move(*below));
        *below = std::move(upper);
      }
      at = below->get();
    }
    if (insert && found < keys.size()) {
      at->below.push_back(std::make_unique<Node>());
      at->below.back()->keys.assign(keys.begin() + static_cast<std::ptrdiff_t>(found), keys.end());
      at->below.back()->touched = ++clock_;
    }
    return static_cast<std::int64_t>(found);
  }

  std::int64_t evict(std::int64_t tokens) {
    std::int64_t gone = 0;
    while (gone < tokens) {
      Node* parent = nullptr;
      std::size_t place = 0;
      oldest(root_, parent, place);
      if (parent == nullptr) break;
      gone += std::ssize(parent->below[place]->keys);
      parent->below.erase(parent->below.begin() + static_cast<std::ptrdiff_t>(place));
    }
    return gone;
  }

 private:
  struct Node {
    std::vector<std::int64_t> keys{};
    std::int64_t touched = 0;
    std::vector<std::unique_ptr<Node>> below{};
  };
  static void oldest(Node& node, Node*& parent, std::size_t& place) {
    for (std::size_t i = 0; i < node.below.size(); ++i) {
      Node& child = *node.below[i];
      if (!child.below.empty()) {
        oldest(child, parent, place);
      } else if (parent == nullptr || child.touched < parent->below[place]->touched) {
        parent = &node;
        place = i;
      }
    }
  }
  std::size_t page_;
  std::int64_t clock_ = 0;
  Node root_;
};

// Prompts are stretches of a few contents, cut at random, and tokens of their own.
RC_GTEST_PROP(SglangRadix, IsTheTreeOfTheTokens, ()) {
  const auto page = *rc::gen::element<std::int64_t>(1, 2, 4);
  const bool pairs = *rc::gen::arbitrary<bool>();
  TokenTexts texts;
  PrefixTree tree(texts, page, pairs);
  PlainTree plain(static_cast<std::size_t>(page));
  struct Written {
    TokenTexts::Id text;
    std::vector<std::int64_t> tokens;
  };
  std::vector<Written> all;
  const auto keys_of = [&](const Written& w, std::int64_t length) {
    std::vector<std::int64_t> keys(w.tokens.begin(), w.tokens.begin() + length);
    if (pairs && !keys.empty()) {
      for (std::size_t i = 0; i + 1 < keys.size(); ++i) keys[i] = keys[i] * 1'000'000 + keys[i + 1];
      keys.pop_back();
    }
    return keys;
  };
  const auto actions = *rc::gen::inRange(1, 60);
  for (int i = 0; i < actions; ++i) {
    const int action = *rc::gen::inRange(0, 10);
    if (all.empty() || action < 3) {
      const auto input = *rc::gen::inRange<std::int64_t>(1, 25);
      std::vector<PromptSegment> shared;
      Written w;
      for (int s = *rc::gen::inRange(0, 4); s > 0; --s) {
        shared.push_back(
            {.tokens = *rc::gen::inRange<std::int64_t>(0, 12), .content = *rc::gen::element<std::uint64_t>(0, 1)});
        for (std::int64_t k = 0; k < shared.back().tokens && std::ssize(w.tokens) < input; ++k) {
          w.tokens.push_back(static_cast<std::int64_t>(shared.back().content) * 100 + k);
        }
      }
      for (std::int64_t k = 0; std::ssize(w.tokens) < 30; ++k) w.tokens.push_back(1000 + 100 * std::ssize(all) + k);
      w.text = texts.add(shared, input);
      all.push_back(std::move(w));
    } else if (action < 9) {
      const Written& w = all[*rc::gen::inRange<std::size_t>(0, all.size())];
      const auto length = *rc::gen::inRange<std::int64_t>(0, 31);
      const bool insert = action < 6;
      const auto found = insert ? tree.insert(w.text, length) : tree.match(w.text, length);
      RC_ASSERT(found.length == plain.walk(keys_of(w, length), insert));
      if (insert) RC_ASSERT(tree.match(w.text, length).length == plain.walk(keys_of(w, length), false));
    } else {
      const auto tokens = *rc::gen::inRange<std::int64_t>(0, 40);
      RC_ASSERT(tree.evict(tokens) == plain.evict(tokens));
    }
  }
  RC_ASSERT(tree.evictable() == tree.size());
  RC_ASSERT(tree.evict(1'000'000) == plain.evict(1'000'000));
  RC_ASSERT(tree.size() == 0);
}

}  // namespace
}  // namespace ascendsim
