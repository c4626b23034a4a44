#include "sim/flows.h"

#include <algorithm>
#include <limits>

namespace ascendsim {

namespace {

constexpr std::int64_t kPartsOfARate = 1 << 16;                           // per B/s
constexpr std::int64_t kAmountUnits = kPartsOfARate * 1'000'000'000'000;  // per byte: rate units x ticks
constexpr double kLargestBandwidth = 1e14;                             // times kPartsOfARate it still fits into 64 bits
constexpr FlowIndex kNoFlow = std::numeric_limits<FlowIndex>::max();
constexpr std::uint32_t kEnded = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint32_t kLastStamp = kEnded - 2;

std::int64_t sum(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  check(!__builtin_add_overflow(a, b, &result), "the bytes of a link exceed 64 bits");
  return result;
}
std::int64_t product(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  check(!__builtin_mul_overflow(a, b, &result), "the bytes of a flow exceed 64 bits");
  return result;
}

}  // namespace

LinkIndex FlowNetwork::add_link(const FlowLink& link) {
  check(link.bandwidth.count() >= 1 && link.bandwidth.count() < kLargestBandwidth, "a link has a bandwidth");
  check(link.latency.count() >= 0 && link.count >= 1, "a link has a latency and stands for at least one");
  links_.push_back(link);
  return static_cast<LinkIndex>(links_.size() - 1);
}

RouteIndex FlowNetwork::add_route(std::span<const LinkIndex> links) {
  Duration latency{};
  for (std::size_t i = 0; i < links.size(); ++i) {
    check(links[i] < links_.size(), "a route uses a link that is not there");
    check(std::find(links.begin(), links.begin() + static_cast<std::ptrdiff_t>(i), links[i]) ==
              links.begin() + static_cast<std::ptrdiff_t>(i),
          "a route uses a link twice");
    latency += links_[links[i]].latency;
  }
  check(hops_.size() + links.size() < kEnded, "too many routes");
  hops_.insert(hops_.end(), links.begin(), links.end());
  first_hop_.push_back(static_cast<std::uint32_t>(hops_.size()));
  latencies_.push_back(latency);
  return static_cast<RouteIndex>(latencies_.size() - 1);
}

FlowSolver::FlowSolver(const FlowNetwork& network, Resolve resolve)
    : network_(network), resolve_(resolve), links_(network.links().size()) {
  for (std::size_t i = 0; i < links_.size(); ++i) {
    const FlowLink& link = network.links()[i];
    links_[i].capacity = static_cast<Rate>(link.bandwidth.count() * static_cast<double>(kPartsOfARate));
    links_[i].count = link.count;
  }
}

FlowIndex FlowSolver::start(RouteIndex route, Bytes bytes, std::uint32_t copies, std::uint32_t tag) {
  check(bytes.count() > 0 && copies > 0, "a flow has bytes to move");
  check(route < network_.routes() && !network_.route(route).empty(), "a flow needs a route with links");
  FlowIndex f = static_cast<FlowIndex>(flows_.size());
  if (free_.empty()) {
    flows_.emplace_back();
    marks_.push_back(0);
  } else {
    f = free_.back();
    free_.pop_back();
    marks_[f] = 0;
  }
  Flow& flow = flows_[f];
  flow = {.left = static_cast<Amount>(bytes.count()) * static_cast<std::uint64_t>(kAmountUnits),
          .since = now_.count(),
          .route = route,
          .copies = copies,
          .tag = tag};
  for (const LinkIndex l : network_.route(route)) {
    Link& link = links_[l];
    check(link.count == 1 || copies % link.count == 0, "the copies of a flow do not spread evenly over equal links");
    if (link.flows.empty()) link.busy_since = now_.count();
    link.flows.push_back(f);
    link.carried = sum(link.carried, product(bytes.count(), on_each(flow, link)));
    change(l);
  }
  ++counts_.starts;
  return f;
}

void FlowSolver::change(LinkIndex link) {
  if (links_[link].changed) return;
  links_[link].changed = true;
  changed_.push_back(link);
}

Duration FlowSolver::next_end() {
  solve();
  return ends_.first();
}

std::span<const std::uint32_t> FlowSolver::advance(Duration to) {
  const Duration next = next_end();
  check(now_ <= to && to <= next, "the flow solver cannot skip the end of a flow");
  now_ = to;
  ended_tags_.clear();
  if (to == next && to != kNever) {
    ends_.take_first([this](const ComponentEnd& e) {
      if (!is_void(e)) end_flows_of(e.link);
    });
  }
  return ended_tags_;
}

void FlowSolver::end_flows_of(LinkIndex link) {
  for (FlowIndex f = links_[link].first; f != kNoFlow; f = flows_[f].next) {
    if (flows_[f].end != now_.count()) continue;
    marks_[f] = kEnded;
    ended_.push_back(f);
    ended_tags_.push_back(flows_[f].tag);
    for (const LinkIndex l : network_.route(flows_[f].route)) change(l);
  }
  links_[link].component = 0;
}

BytesPerSecond FlowSolver::rate(FlowIndex flow) {
  solve();
  check(flow < flows_.size() && marks_[flow] != kEnded, "this flow has ended");
  return BytesPerSecond(static_cast<double>(flows_[flow].rate) / static_cast<double>(kPartsOfARate));
}

LinkUse FlowSolver::use(LinkIndex link) {
  solve();
  const Link& l = links_[link];
  return {Bytes(l.carried), Duration(l.busy + (l.flows.empty() ? 0 : now_.count() - l.busy_since))};
}

void FlowSolver::solve() {
  if (changed_.empty()) return;
  ++counts_.solves;
  if (resolve_ == Resolve::kAll)
    for (LinkIndex l = 0; l < links_.size(); ++l) change(l);
  check(stamp_ < kLastStamp, "too many instants for one solver");
  stamp_ += 2;
  for (const LinkIndex l : changed_) {
    links_[l].changed = false;
    if (links_[l].stamp == stamp_) continue;
    gather(l);
    if (!part_flows_.empty()) fill();
  }
  changed_.clear();
  free_.insert(free_.end(), ended_.begin(), ended_.end());
  ended_.clear();
  const auto is_void_end = [this](const ComponentEnd& e) { return is_void(e); };
  if (ends_.size() > 4 * links_.size()) ends_.sweep(is_void_end);  // a component has a link of its own
  ends_.trim(is_void_end);
}

void FlowSolver::visit(LinkIndex l) {
  Link& link = links_[l];
  if (link.stamp == stamp_) return;
  link.stamp = stamp_;
  link.left = link.capacity;
  link.waiting = 0;
  link.component = 0;
  part_links_.push_back(l);
}

// Everything that is connected to a link by flows, without the flows that have ended.
void FlowSolver::gather(LinkIndex seed) {
  part_links_.clear();
  part_flows_.clear();
  visit(seed);
  for (std::size_t i = 0; i < part_links_.size(); ++i) {
    std::vector<FlowIndex>& flows = links_[part_links_[i]].flows;
    const bool was_busy = !flows.empty();
    std::size_t kept = 0;
    for (const FlowIndex f : flows) {
      if (marks_[f] == kEnded) continue;
      flows[kept++] = f;
      if (marks_[f] == stamp_) continue;
      marks_[f] = stamp_;
      part_flows_.push_back(f);
      for (const LinkIndex l : network_.route(flows_[f].route)) {
        visit(l);
        links_[l].waiting += on_each(flows_[f], links_[l]);
      }
    }
    flows.resize(kept);
    Link& link = links_[part_links_[i]];
    if (was_busy && kept == 0) link.busy += now_.count() - link.busy_since;
  }
}

// Progressive filling. Links whose share is smallest fill together; no share of another link shrinks by that, so a
// queued share is a lower bound.
void FlowSolver::fill() {
  ++counts_.components;
  counts_.rates += part_flows_.size();
  chain_ = kNoFlow;
  first_end_ = std::numeric_limits<std::int64_t>::max();
  if (part_flows_.size() == 1) {
    Rate rate = std::numeric_limits<Rate>::max();
    for (const LinkIndex l : part_links_)
      if (links_[l].waiting > 0) rate = std::min(rate, links_[l].left / links_[l].waiting);
    give(part_flows_.front(), rate);
  } else {
    shares_.clear();
    for (const LinkIndex l : part_links_)
      if (links_[l].waiting > 0) shares_.push_back({links_[l].left / links_[l].waiting, l});
    std::make_heap(shares_.begin(), shares_.end());
    while (!shares_.empty()) {
      const Rate level = shares_.front().share;
      full_.clear();
      while (!shares_.empty() && shares_.front().share == level) {
        std::pop_heap(shares_.begin(), shares_.end());
        const LinkIndex l = shares_.back().link;
        shares_.pop_back();
        if (links_[l].waiting == 0) continue;
        const Rate share = links_[l].left / links_[l].waiting;
        if (share == level) {
          full_.push_back(l);
        } else {
          shares_.push_back({share, l});
          std::push_heap(shares_.begin(), shares_.end());
        }
      }
      std::ranges::sort(full_);  // as links were added: flows of neighbouring links lie together
      freeze(full_, level);
    }
  }
  Link& link = links_[part_links_.front()];
  link.first = chain_;
  link.component = counts_.components;
  ends_.push(Duration(first_end_), {part_links_.front(), link.component});
}

void FlowSolver::freeze(std::span<const LinkIndex> full, Rate rate) {
  for (const LinkIndex at : full) {
    for (const FlowIndex f : links_[at].flows) {
      if (marks_[f] != stamp_) continue;
      for (const LinkIndex l : network_.route(flows_[f].route)) {
        const std::int64_t copies = on_each(flows_[f], links_[l]);
        links_[l].left -= rate * copies;
        links_[l].waiting -= copies;
      }
      give(f, rate);
    }
  }
}

void FlowSolver::give(FlowIndex f, Rate rate) {
  check(rate > 0, "a link is shared by more flows than it has bytes per second");
  Flow& flow = flows_[f];
  marks_[f] = stamp_ + 1;
  if (flow.rate != rate) {
    flow.left -= static_cast<Amount>(flow.rate) * static_cast<std::uint64_t>(now_.count() - flow.since);
    flow.since = now_.count();
    flow.rate = rate;
    const Amount ticks = (flow.left + static_cast<std::uint64_t>(rate) / 2) / static_cast<std::uint64_t>(rate);
    check(ticks < static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() - now_.count()),
          "a flow takes longer than time lasts");
    flow.end = now_.count() + std::max<std::int64_t>(1, static_cast<std::int64_t>(ticks));
  }
  first_end_ = std::min(first_end_, flow.end);
  flow.next = chain_;
  chain_ = f;
}

}  // namespace ascendsim
