#include "strategies/programs/launching.h"

#include <fmt/format.h>

#include <algorithm>

#include "strategies/programs/placement.h"

namespace ascendsim {

namespace {

// vllm/config/vllm.py _set_cudagraph_sizes: 1, 2, 4, then steps of 8 below 256 and of 16 above, up to twice the largest
// decode batch and at most 512.
std::vector<std::int64_t> usual_sizes(const Deployment& d) {
  constexpr std::int64_t kMost = 512, kFineBelow = 256;
  const std::int64_t most = std::min(kMost, 2 * d.limits.max_batch * (1 + d.features.speculative_tokens));
  std::vector<std::int64_t> sizes;
  for (const std::int64_t s : {1, 2, 4})
    if (s <= most) sizes.push_back(s);
  for (std::int64_t s = 8; s <= most; s += s < kFineBelow ? 8 : 16) sizes.push_back(s);
  return sizes;
}

std::int64_t rows_of(const Step& step) {
  std::int64_t rows = 0;
  for (const GroupLoad& g : step.load) rows = std::max(rows, g.sequences * g.new_tokens);
  return rows;
}

}  // namespace

std::vector<std::int64_t> captured_sizes(const Deployment& d) {
  std::vector<std::int64_t> sizes = d.graph.capture_sizes.empty() ? usual_sizes(d) : d.graph.capture_sizes;
  const std::int64_t tp = scatters_rows(d, Phase::kDecode) ? d.layout.tp : 1;
  const std::int64_t request = d.graph.mode == GraphMode::kFullDecode ? 1 + d.features.speculative_tokens : 1;
  for (std::int64_t& s : sizes) s = round_up(round_up(s, request), tp);
  std::ranges::sort(sizes);
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  return sizes;
}

std::int64_t mc2_capacity(const Deployment& d) {
  constexpr std::int64_t kMost = 512;  // without captured graphs
  const bool graphs = d.graph.mode == GraphMode::kFullDecode || d.graph.mode == GraphMode::kPiecewise;
  const std::int64_t rows =
      graphs ? captured_sizes(d).back() : std::min(kMost, d.limits.max_batch * (1 + d.features.speculative_tokens));
  return round_up(rows, d.layout.tp);
}

Launching launching(const Deployment& d, Phase phase, std::int64_t rows) {
  using enum Launching::How;
  const GraphMode mode = d.graph.mode;
  if (mode == GraphMode::kStack) return {};
  if (mode == GraphMode::kEager || (mode == GraphMode::kFullDecode && phase == Phase::kPrefill)) return {kEager, 0};
  const std::vector<std::int64_t> sizes = captured_sizes(d);
  const auto next = std::ranges::lower_bound(sizes, rows);
  if (next == sizes.end()) return {kEager, 0};
  return {mode == GraphMode::kFullDecode ? kGraph : kPieces, *next};
}

Launching launching(const Deployment& d, const Step& step) { return launching(d, step.phase, rows_of(step)); }

std::string to_text(const Launching& l, const Deployment& d, const Step& step) {
  const std::int64_t rows = rows_of(step);
  switch (l.how) {
    case Launching::How::kStack:
      return {};
    case Launching::How::kGraph:
      return fmt::format("{} rows replay the graph that was captured for {}", rows, l.rows);
    case Launching::How::kPieces:
      return fmt::format("{} rows replay graphs that were captured for {}, attention is launched kernel by kernel",
                         rows, l.rows);
    case Launching::How::kEager:
      break;
  }
  if (d.graph.mode == GraphMode::kEager) return "kernels are issued one by one, no graphs are captured";
  if (d.graph.mode == GraphMode::kFullDecode && step.phase == Phase::kPrefill)
    return "kernels are issued one by one, only decode is captured";
  const std::vector<std::int64_t> sizes = captured_sizes(d);
  return fmt::format("kernels are issued one by one: {} rows, captured graphs end at {}", rows,
                     sizes.empty() ? 0 : sizes.back());
}

}  // namespace ascendsim
