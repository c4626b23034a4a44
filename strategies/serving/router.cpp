#include "strategies/serving/router.h"

#include <algorithm>

namespace ascendsim {

Router::Router(RoutingPolicy policy, std::size_t instances) : policy_(policy), instances_(instances) {
  if (policy_ != RoutingPolicy::kCacheAware) return;
  for (std::size_t i = 0; i < instances; ++i) sent_.emplace_back(texts_, 1, false);
}

std::size_t Router::choose(const Request& request, std::span<const std::int64_t> under_way) {
  if (instances_ == 1) return 0;
  switch (policy_) {
    case RoutingPolicy::kRoundRobin:
      return turn_++ % instances_;
    case RoutingPolicy::kLeastLoaded:
      return static_cast<std::size_t>(std::ranges::min_element(under_way) - under_way.begin());
    case RoutingPolicy::kCacheAware:
      break;
  }
  return by_cache(request, under_way);
}

// sgl-router, src/policies/cache_aware.rs (026f853ba7) with the defaults of RouterArgs: the shortest queue where the
// load is uneven; else the instance that has most of the prompt, if that is more than a share of it; else the one that
// has been sent least. It knows texts and no tokens: a token counts as four characters of its limit.
std::size_t Router::by_cache(const Request& request, std::span<const std::int64_t> under_way) {
  constexpr double kCacheThreshold = 0.3, kBalanceRelative = 1.5;
  constexpr std::int64_t kBalanceAbsolute = 64, kMostTokens = (std::int64_t{1} << 26) / 4;
  const auto [least, most] = std::ranges::minmax_element(under_way);
  const bool uneven = *most - *least > kBalanceAbsolute &&
                      static_cast<double>(*most) > kBalanceRelative * static_cast<double>(*least);
  const TokenTexts::Id text = texts_.add(request.shared, request.input_tokens);
  auto chosen = static_cast<std::size_t>(least - under_way.begin());
  if (!uneven) {
    std::int64_t longest = -1;
    std::size_t knows = 0;
    for (std::size_t i = 0; i < instances_; ++i) {
      const std::int64_t length = sent_[i].match(text, request.input_tokens).length;
      if (length > longest) {
        longest = length;
        knows = i;
      }
    }
    const bool known = static_cast<double>(longest) > kCacheThreshold * static_cast<double>(request.input_tokens);
    chosen = known ? knows
                   : static_cast<std::size_t>(std::ranges::min_element(sent_, {}, &PrefixTree::size) - sent_.begin());
  }
  PrefixTree& tree = sent_[chosen];
  tree.insert(text, request.input_tokens);
  texts_.release(text);
  if (tree.size() > kMostTokens) tree.evict(tree.size() - kMostTokens);
  return chosen;
}

}  // namespace ascendsim
