#include "strategies/serving/schedulers/sglang_radix.h"

#include <algorithm>

#include "sim/check.h"

namespace ascendsim {

namespace {

// The finaliser of SplitMix64 (Steele, Lea, Flood 2014) over a chain of values.
std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  std::uint64_t z = hash + 0x9e3779b97f4a7c15u + value;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace

TokenTexts::Id TokenTexts::add(const std::vector<PromptSegment>& shared, std::int64_t input_tokens) {
  if (unused_.empty()) {
    unused_.push_back(static_cast<Id>(texts_.size()));
    texts_.emplace_back();
  }
  const Id id = unused_.back();
  unused_.pop_back();
  Text& text = texts_[id];
  text.holders = 1;
  text.runs.clear();
  std::int64_t position = 0;
  for (const PromptSegment& segment : shared) {
    if (position >= input_tokens) break;
    if (segment.tokens <= 0) continue;
    text.runs.push_back({position, segment.content, false});
    position += segment.tokens;
  }
  text.runs.push_back({std::min(position, input_tokens), added_++, true});
  return id;
}

void TokenTexts::release(Id id) {
  check(texts_[id].holders > 0, "a sequence of tokens is released more often than held");
  if (--texts_[id].holders == 0) unused_.push_back(id);
}

std::size_t TokenTexts::run_at(const Text& text, std::int64_t position) {
  const auto after = std::ranges::upper_bound(text.runs, position, {},
                                              &Run::begin);  // the first run begins at 0, so there is one before
  return static_cast<std::size_t>(after - text.runs.begin()) - 1;
}

std::int64_t TokenTexts::common(Id a, Id b, std::int64_t from, std::int64_t count) const {
  if (a == b || count <= 0) return count;
  const Text& left = texts_[a];
  const Text& right = texts_[b];
  const std::int64_t end = from + count;
  std::int64_t position = from;
  for (std::size_t i = run_at(left, from), j = run_at(right, from);; ++i, ++j) {
    if (left.runs[i] != right.runs[j]) return position - from;
    // Two sequences never share an own run, so both have a next one.
    position = std::min(left.runs[i + 1].begin, right.runs[j + 1].begin);
    if (position >= end) return count;
    if (left.runs[i + 1].begin != right.runs[j + 1].begin) return position - from;
  }
}

std::uint64_t TokenTexts::hash(Id id, std::int64_t from, std::int64_t count) const {
  const Text& text = texts_[id];
  std::uint64_t hash = 0;
  for (std::size_t i = run_at(text, from); i < text.runs.size() && text.runs[i].begin < from + count; ++i) {
    const Run& run = text.runs[i];
    hash = mix(mix(hash, run.content), static_cast<std::uint64_t>(run.begin) * 2 + (run.own ? 1 : 0));
  }
  return hash;
}

PrefixTree::PrefixTree(TokenTexts& texts, std::int64_t page, bool pairs)
    : texts_(texts), page_(page), pairs_(pairs ? 1 : 0), nodes_(1), table_(16, kRoot) {
  check(page >= 1, "a page of the prefix tree holds at least one token");
}

std::int64_t PrefixTree::keys(std::int64_t tokens) const {
  return std::max<std::int64_t>(0, tokens - pairs_) / page_ * page_;
}

PrefixTree::Match PrefixTree::walk(TokenTexts::Id text, std::int64_t keys, bool insert) {
  const std::uint64_t now = ++clock_;
  Match at;
  while (at.length < keys) {
    const Node below = child(at.node, text, at.length);
    if (below == kRoot) break;
    nodes_[below].touched = now;
    if (nodes_[below].place != kNowhere) sift_down(nodes_[below].place);
    const std::int64_t length = nodes_[below].length();
    const std::int64_t most = std::min(length, keys - at.length) + pairs_;
    const std::int64_t same = (texts_.common(nodes_[below].text, text, at.length, most) - pairs_) / page_ * page_;
    at.length += same;
    at.node = same < length ? cut(below, same) : below;
  }
  if (insert && at.length < keys) {
    evictable_ += keys - at.length;
    size_ += keys - at.length;
    at.node = add(text, at.node, at.length, keys, ++clock_);
  }
  return at;
}

// The first `length` keys of a stretch become its new parent. The time of the last touch stays with the lower part, the
// upper one counts as touched when it is made, as in SGLang.
PrefixTree::Node PrefixTree::cut(Node lower, std::int64_t length) {
  const Stretch old = nodes_[lower];
  unlink(lower);
  const Node upper = add(old.text, old.parent, old.begin, old.begin + length, ++clock_);
  nodes_[upper].holders = old.holders;
  nodes_[lower].begin += length;
  link(lower, upper);
  return upper;
}

PrefixTree::Node PrefixTree::add(TokenTexts::Id text, Node parent, std::int64_t begin, std::int64_t end,
                                 std::uint64_t touched) {
  if (unused_.empty()) {
    unused_.push_back(static_cast<Node>(nodes_.size()));
    nodes_.emplace_back();
    if (nodes_.size() * 2 > table_.size()) {
      table_.assign(table_.size() * 2, kRoot);
      for (Node node = 1; node < nodes_.size(); ++node) {
        if (nodes_[node].parent != kNowhere) place_in_table(node);
      }
    }
  }
  const Node node = unused_.back();
  unused_.pop_back();
  nodes_[node] = {.text = text, .begin = begin, .end = end, .touched = touched};
  texts_.hold(text);
  link(node, parent);
  return node;
}

void PrefixTree::remove(Node node) {
  unlink(node);
  texts_.release(nodes_[node].text);
  unused_.push_back(node);
}

void PrefixTree::hold(Node node) {
  for (; node != kRoot; node = nodes_[node].parent) {
    if (nodes_[node].holders++ == 0) evictable_ -= nodes_[node].length();
    update_candidate(node);
  }
}

void PrefixTree::release(Node node) {
  for (; node != kRoot; node = nodes_[node].parent) {
    check(nodes_[node].holders > 0, "a prefix is released more often than held");
    if (--nodes_[node].holders == 0) evictable_ += nodes_[node].length();
    update_candidate(node);
  }
}

std::int64_t PrefixTree::evict(std::int64_t tokens) {
  std::int64_t gone = 0;
  while (gone < tokens && !candidates_.empty()) {
    const Node node = candidates_.front();
    gone += nodes_[node].length();
    remove(node);
  }
  evictable_ -= gone;
  size_ -= gone;
  return gone;
}

void PrefixTree::clear() {
  for (Node node = 1; node < nodes_.size(); ++node) {
    if (nodes_[node].parent != kNowhere) texts_.release(nodes_[node].text);
  }
  nodes_.resize(1);
  nodes_[kRoot].children = 0;
  unused_.clear();
  candidates_.clear();
  std::ranges::fill(table_, kRoot);
  evictable_ = size_ = 0;
}

std::uint64_t PrefixTree::hash(Node parent, TokenTexts::Id text, std::int64_t depth) const {
  return mix(texts_.hash(text, depth, page_ + pairs_), parent);
}

PrefixTree::Node PrefixTree::child(Node parent, TokenTexts::Id text, std::int64_t depth) const {
  const std::uint64_t wanted = hash(parent, text, depth);
  const std::size_t mask = table_.size() - 1;
  for (std::size_t i = wanted & mask; table_[i] != kRoot; i = (i + 1) & mask) {
    const Stretch& node = nodes_[table_[i]];
    if (node.hash == wanted && node.parent == parent &&
        texts_.common(node.text, text, depth, page_ + pairs_) == page_ + pairs_) {
      return table_[i];
    }
  }
  return kRoot;
}

void PrefixTree::link(Node node, Node parent) {
  Stretch& stretch = nodes_[node];
  stretch.parent = parent;
  stretch.hash = hash(parent, stretch.text, stretch.begin);
  ++nodes_[parent].children;
  place_in_table(node);
  update_candidate(node);
  update_candidate(parent);
}

void PrefixTree::place_in_table(Node node) {
  const std::size_t mask = table_.size() - 1;
  std::size_t i = nodes_[node].hash & mask;
  while (table_[i] != kRoot) i = (i + 1) & mask;
  table_[i] = node;
}

// What stands behind the node in the table moves up to where a search still finds it.
void PrefixTree::unlink(Node node) {
  const std::size_t mask = table_.size() - 1;
  std::size_t hole = nodes_[node].hash & mask;
  while (table_[hole] != node) hole = (hole + 1) & mask;
  for (std::size_t i = (hole + 1) & mask; table_[i] != kRoot; i = (i + 1) & mask) {
    const std::size_t home = nodes_[table_[i]].hash & mask;
    if (((i - home) & mask) >= ((i - hole) & mask)) {
      table_[hole] = table_[i];
      hole = i;
    }
  }
  table_[hole] = kRoot;
  const Node parent = nodes_[node].parent;
  nodes_[node].parent = kNowhere;
  --nodes_[parent].children;
  update_candidate(node);
  update_candidate(parent);
}

void PrefixTree::update_candidate(Node node) {
  Stretch& stretch = nodes_[node];
  const bool free = stretch.children == 0 && stretch.holders == 0 && stretch.parent != kNowhere;
  if (free == (stretch.place != kNowhere)) return;
  if (free) {
    candidates_.push_back(node);
    stretch.place = static_cast<std::uint32_t>(candidates_.size() - 1);
    sift_up(stretch.place);
    return;
  }
  const std::uint32_t place = stretch.place;
  stretch.place = kNowhere;
  const Node last = candidates_.back();
  candidates_.pop_back();
  if (last == node) return;
  put(place, last);
  sift_up(place);
  sift_down(nodes_[last].place);
}

void PrefixTree::put(std::uint32_t place, Node node) {
  candidates_[place] = node;
  nodes_[node].place = place;
}

void PrefixTree::sift_up(std::uint32_t place) {
  const Node node = candidates_[place];
  while (place > 0) {
    const std::uint32_t above = (place - 1) / 2;
    if (nodes_[candidates_[above]].touched <= nodes_[node].touched) break;
    put(place, candidates_[above]);
    place = above;
  }
  put(place, node);
}

void PrefixTree::sift_down(std::uint32_t place) {
  const Node node = candidates_[place];
  const auto count = static_cast<std::uint32_t>(candidates_.size());
  for (std::uint32_t below = 2 * place + 1; below < count; below = 2 * place + 1) {
    if (below + 1 < count && nodes_[candidates_[below + 1]].touched < nodes_[candidates_[below]].touched) ++below;
    if (nodes_[node].touched <= nodes_[candidates_[below]].touched) break;
    put(place, candidates_[below]);
    place = below;
  }
  put(place, node);
}

}  // namespace ascendsim
