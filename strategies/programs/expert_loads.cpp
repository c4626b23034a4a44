#include "strategies/programs/expert_loads.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "strategies/programs/groups.h"
#include "workloads/operators/linear.h"

namespace ascendsim {

namespace {

std::int64_t holders(const Deployment& d) { return d.layout.moe_ep - d.experts.shared_ranks; }

// 0 ... n - 1 in a random order that is the same on every machine (std::shuffle is not).
std::vector<std::size_t> random_order(std::size_t n, std::int64_t seed) {
  std::mt19937_64 random(static_cast<std::uint64_t>(seed));
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = n; i > 1; --i) std::swap(order[i - 1], order[random() % i]);
  return order;
}

std::vector<double> by_rank(const Deployment& d, const std::vector<double>& experts) {
  std::vector<double> loads(static_cast<std::size_t>(holders(d)), 0);
  const auto held = static_cast<std::size_t>(d.experts_per_rank());
  for (std::size_t e = 0; e < experts.size(); ++e) loads[std::min(e / held, loads.size() - 1)] += experts[e];
  const double mean = std::accumulate(loads.begin(), loads.end(), 0.0) / static_cast<double>(loads.size());
  for (double& l : loads) l /= mean;
  return loads;
}

std::vector<double> zipf(const Deployment& d) {
  std::vector<double> experts;
  for (const std::size_t k : random_order(static_cast<std::size_t>(d.physical_experts()), d.experts.seed))
    experts.push_back(1 / (static_cast<double>(k) + 1));
  return by_rank(d, experts);
}

bool drawn(const Deployment& d) { return d.experts.loads.empty() && d.experts.imbalance > 1; }

}  // namespace

std::string loads_refusal(const Deployment& d) {
  const auto given = static_cast<std::int64_t>(d.experts.loads.size());
  if (given > 0 && given != d.physical_experts())
    return fmt::format("experts.loads has {} loads for {} physical experts", given, d.physical_experts());
  for (const double load : d.experts.loads)
    if (!(load >= 0) || !std::isfinite(load)) return "experts.loads has a load that is no positive number";
  if (given > 0 && std::ranges::max(d.experts.loads) == 0) return "experts.loads are all zero";
  if (!drawn(d)) return {};
  const double largest = std::ranges::max(zipf(d));
  if (d.experts.imbalance <= largest) return {};
  return fmt::format(
      "an imbalance of {} is more than a router gives that prefers experts as 1/k: {:.2f} over {} ranks with {} "
      "experts each",
      d.experts.imbalance, largest, holders(d), d.experts_per_rank());
}

std::vector<std::int64_t> routed_loads(const Deployment& d) {
  check(loads_refusal(d).empty(), "loads of experts that a rule refuses (E0378)");
  if (d.layout.moe_ep < 2 || (d.experts.loads.empty() && !drawn(d))) return {};
  std::vector<double> loads = drawn(d) ? zipf(d) : by_rank(d, d.experts.loads);
  if (drawn(d)) {
    const double part =
        (d.experts.imbalance - 1) / (std::ranges::max(loads) - 1);  // of the preference, on an even base
    for (double& l : loads) l = 1 + part * (l - 1);
  }
  std::vector<std::int64_t> out(static_cast<std::size_t>(d.experts.shared_ranks), RoutedRows::kEven);
  for (const double l : loads) out.push_back(std::llround(l * static_cast<double>(RoutedRows::kEven)));
  return out;
}

std::int64_t routed_load(const Deployment& d, std::int64_t rank) {
  return d.experts.rank_loads.empty()
             ? RoutedRows::kEven
             : d.experts.rank_loads[static_cast<std::size_t>(coordinates(d.layout, rank).moe_ep)];
}

std::vector<double> compute_slowness(std::int64_t ranks, double skew, std::int64_t seed) {
  std::vector<double> out;
  for (const std::size_t place : random_order(static_cast<std::size_t>(ranks), seed))
    out.push_back(ranks > 1 ? 1 + skew * (static_cast<double>(place) / static_cast<double>(ranks - 1) - 0.5) : 1);
  return out;
}

}  // namespace ascendsim
