#include "sim/repeat.h"

#include <algorithm>
#include <span>
#include <tuple>

namespace ascendsim {

namespace {

// Parameters lie in the order of the operators.
std::span<const std::uint64_t> params_of(const Program& p, std::size_t op) {
  const std::size_t first = p.operators[op].params,
                    end = op + 1 < p.operators.size() ? p.operators[op + 1].params : p.params.size();
  return {p.params.data() + first, end - first};
}

// What they do, on which shapes, and whom they wait for.
bool alike(const Program& p, std::size_t before, std::size_t at) {
  const Operator &a = p.operators[before], &b = p.operators[at];
  const auto facts = [](const Operator& op) {
    return std::tie(op.type, op.label, op.inputs, op.outputs, op.stream, op.category, op.group, op.outside_graph);
  };
  if (facts(a) != facts(b) || !std::ranges::equal(params_of(p, before), params_of(p, at))) return false;
  for (std::size_t i = 0; i < std::size_t{a.inputs} + a.outputs; ++i) {
    const Value &x = p.values[a.operands + i], &y = p.values[b.operands + i];
    if (x.rows != y.rows || x.columns != y.columns || x.dtype != y.dtype) return false;
  }
  return a.wait == b.wait || (a.wait != kNoWait && b.wait != kNoWait && a.wait + (at - before) == b.wait);
}

}  // namespace

std::optional<Stretch> stretch_of(const Program& p, int layer, std::int64_t times) {
  const auto& all = p.operators;
  const auto in = [&](int which) { return [which](const Operator& op) { return op.layer == which; }; };
  const auto first = std::ranges::find_if(all, in(layer)), end = std::find_if_not(first, all.end(), in(layer));
  if (first == all.end() || std::any_of(end, all.end(), in(layer))) return std::nullopt;
  const Stretch s{static_cast<std::size_t>(first - all.begin()), static_cast<std::size_t>(end - all.begin()), times};
  if (s.first < s.length()) return std::nullopt;
  for (std::size_t i = s.first; i < s.end; ++i)
    if (all[i - s.length()].layer != layer - 1 || !alike(p, i - s.length(), i)) return std::nullopt;
  // What comes later may wait for the last copy, or for something before all of them; of what lies one stretch back
  // nobody could say which copy is meant.
  for (std::size_t i = s.end; i < all.size(); ++i)
    if (all[i].wait != kNoWait && all[i].wait < s.first && all[i].wait + s.length() >= s.first) return std::nullopt;
  return s;
}

std::vector<std::uint32_t> repeat(Program& p, const Stretch& s) {
  const std::size_t added = s.length() * static_cast<std::size_t>(s.times - 1), built = p.operators.size();
  std::vector<Operator> all;
  std::vector<std::uint32_t> origin;
  all.reserve(built + added);
  origin.reserve(built + added);
  const auto put = [&](std::size_t i, std::size_t later) {
    all.push_back(p.operators[i]);
    origin.push_back(static_cast<std::uint32_t>(i));
    if (all.back().wait != kNoWait) all.back().wait += static_cast<std::uint32_t>(later);
  };
  for (std::size_t i = 0; i < s.first; ++i) put(i, 0);
  for (std::size_t copy = 0; copy < static_cast<std::size_t>(s.times); ++copy)
    for (std::size_t i = s.first; i < s.end; ++i) {
      const bool same_for_all = p.operators[i].wait == p.operators[i - s.length()].wait;
      put(i, same_for_all ? 0 : copy * s.length());
    }
  for (std::size_t i = s.end; i < built; ++i)
    put(i, p.operators[i].wait != kNoWait && p.operators[i].wait >= s.first ? added : 0);
  p.operators = std::move(all);
  return origin;
}

}  // namespace ascendsim
