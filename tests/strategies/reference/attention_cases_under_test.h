// Small cases of attention for the tests of its strategies.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "strategies/reference/attention_check.h"

namespace ascendsim {

inline const AttentionStrategy& strategy_of(const auto& strategies, std::string_view name) {
  for (const AttentionStrategy& s : strategies)
    if (name == s.name) return s;
  throw std::invalid_argument(std::string(name));
}

// Two heads a rank, narrow: what matters is who holds what.
inline AttentionCase narrow_case(std::int64_t cp, std::int64_t tp, std::vector<std::int64_t> tokens) {
  AttentionCase c;
  c.heads = 2 * tp;
  c.nope = c.value = 16;
  c.rope = 8;
  c.kv_rank = 32;
  c.cp = cp;
  c.tp = tp;
  c.tokens = std::move(tokens);
  return c;
}

inline AttentionReport checked(const AttentionStrategy& strategy, const AttentionCase& c,
                               const CheckOptions& options = {}) {
  DenseReferences references;
  return check_attention(strategy, c, references, options);
}

}  // namespace ascendsim
