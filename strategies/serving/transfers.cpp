#include "strategies/serving/transfers.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace ascendsim {

namespace {

// The NICs that carry a prompt's cache at one end: as if each carried its share of all bytes.
BytesPerSecond together(BytesPerSecond nic, Bytes all, Bytes of_one) {
  return BytesPerSecond(nic.count() * static_cast<double>(all.count()) / static_cast<double>(of_one.count()));
}

BytesPerSecond nic_of(const Scenario& s) {
  const LinkType& nic = s.cluster.server().nic;
  return nic.bandwidth.value * nic.efficiency.value;
}

}  // namespace

Transfers::Transfers(const Scenario& prefill, const Scenario& decode, std::int64_t prefill_instances,
                     std::int64_t decode_instances)
    : prefill_groups_(static_cast<std::size_t>(prefill.deployment.layout.dp)),
      decode_groups_(static_cast<std::size_t>(decode.deployment.layout.dp)),
      all_decode_groups_(decode_groups_ * static_cast<std::size_t>(decode_instances)),
      block_tokens_(decode.deployment.limits.block_tokens),
      layers_(decode.deployment.cached_layers()) {
  // How the bytes spread over ranks depends on the layouts alone, and shows in whole rounds of blocks.
  const std::int64_t tokens = block_tokens_ * decode.deployment.layout.kv_shards();
  const KvTransfer one = kv_transfer(prefill, decode, {.input_tokens = tokens, .output_tokens = 1});
  block_ = one.total / decode.deployment.layout.kv_shards();
  rate_ = BytesPerSecond(one.rate.count() * static_cast<double>(one.total.count()) /
                         static_cast<double>(std::max(one.per_decode_rank, one.per_prefill_rank).count()));
  setup_ = decode.cluster.server().collectives.duration("p2p_setup") + decode.cluster.server().nic.latency.value;
  std::vector<LinkIndex> out, in;
  for (std::size_t g = 0; g < prefill_groups_ * static_cast<std::size_t>(prefill_instances); ++g)
    out.push_back(network_.add_link({together(nic_of(prefill), one.total, one.per_prefill_rank)}));
  for (std::size_t g = 0; g < all_decode_groups_; ++g)
    in.push_back(network_.add_link({together(nic_of(decode), one.total, one.per_decode_rank)}));
  for (const LinkIndex from : out)
    for (const LinkIndex to : in) routes_.push_back(network_.add_route(std::array{from, to}));
  solver_ = std::make_unique<FlowSolver>(network_);
}

Bytes Transfers::bytes_of(std::int64_t tokens) const { return block_ * ceil_div(tokens, block_tokens_); }

Bytes Transfers::left_of_push(Bytes bytes, Duration step) const {
  const auto hidden = static_cast<double>(step.count()) * static_cast<double>(layers_ - 1) /
                      static_cast<double>(layers_) * 1e-12 * rate_.count();
  return std::max(bytes / layers_, Bytes(bytes.count() - std::llround(std::min(hidden, 9e18))));
}

void Transfers::start(LiveIndex request, const LivePlace& from, const LivePlace& to, Bytes bytes, Duration now) {
  const std::size_t source = from.instance * prefill_groups_ + from.group;
  const std::size_t target = to.instance * decode_groups_ + to.group;
  waiting_.push(now + setup_, {request, routes_[source * all_decode_groups_ + target], std::max(bytes, Bytes(1))});
}

Duration Transfers::next() { return std::min(waiting_.first(), solver_->next_end()); }

const std::vector<LiveIndex>& Transfers::advance(Duration now) {
  arrived_.clear();
  for (const std::uint32_t tag : solver_->advance(now)) arrived_.push_back(tag);
  if (waiting_.first() == now)
    waiting_.take_first([&](const Waiting& w) { solver_->start(w.route, w.bytes, 1, w.request); });
  std::ranges::sort(arrived_);
  return arrived_;
}

}  // namespace ascendsim
