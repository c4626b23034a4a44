// The network level beside SimGrid (same graph, same messages, run in a child process, without building its platform),
// and beside what ASTRA-sim took on a machine of this kind. Ours includes sorting the schedule, not making it.
//   cmake --build build/release --target network_bench && build/release/tests/bench/network_bench
#include <fmt/format.h>

#include <chrono>
#include <numeric>

#include "hardware/cluster_network.h"
#include "tests/bench/simgrid_if_present.h"
#include "tests/sim/processor_time.h"
#include "tests/sim/small_fabrics.h"
#include "tests/source_path.h"

namespace ascendsim {
namespace {

struct Timed {
  MessagesResult result;
  double processor = 0;  // seconds, the best of several
};

Timed timed(const FlowNetwork& network, const MessageSchedule& schedule) {
  Timed best{{}, 1e9};
  for (int i = 0; i < 5; ++i) {
    const double begin = processor_seconds();
    MessagesResult result = play(network, std::span(&schedule, 1));
    const double took = processor_seconds() - begin;
    if (took < best.processor) best = {std::move(result), took};
  }
  return best;
}

void head() {
  fmt::print("{:34} {:>9} {:>9} {:>8} {:>9} {:>10} {:>11} {:>10} {:>7}\n", "", "messages", "events", "solves", "rates",
             "ms", "simulated", "ns/message", "");
}
void row(std::string_view name, const Timed& t, double messages, const std::string& beside = "") {
  fmt::print("{:34} {:>9} {:>9} {:>8} {:>9} {:>10.3f} {:>8.3f} us {:>10.1f} {:>7}\n", name, t.result.counts.messages,
             t.result.counts.events, t.result.counts.flows.solves, t.result.counts.flows.rates, t.processor * 1e3,
             microseconds(t.result.finish), t.processor * 1e9 / messages, beside);
}

void beside_simgrid(const char* name, const SmallFabric& fabric, const MessageSchedule& all,
                    const FlowNetwork& folded_network, const MessageSchedule& folded) {
  const Timed ours = timed(fabric.network, all), grouped = timed(folded_network, folded);
  const auto theirs = simgrid_if_present(fabric.network, all);
  const auto messages = static_cast<double>(all.messages.size());
  row(fmt::format("{}, ungrouped", name), ours, messages,
      theirs ? fmt::format("x{:.0f}", theirs->processor / ours.processor) : "");
  row(fmt::format("{}, grouped", name), grouped, messages,
      theirs ? fmt::format("x{:.0f}", theirs->processor / grouped.processor) : "");
  if (theirs)
    fmt::print("{:34} {:>9} {:>9} {:>8} {:>9} {:>10.3f} {:>8.3f} us {:>10.1f}\n", fmt::format("{}, SimGrid", name),
               messages, "", "", "", theirs->processor * 1e3, theirs->finish * 1e6, theirs->processor * 1e9 / messages);
}

void small_fabrics() {
  constexpr BytesPerSecond kPort(50e9);
  constexpr Duration kLatency = std::chrono::nanoseconds(1000);
  const SmallFabric ring = star(256, kPort, kLatency);
  beside_simgrid("ring all-gather, 256 ranks", ring, ring_schedule(ring, 255, Bytes(1'000'000)),
                 FoldedStar(256, kPort, kLatency).network, folded_ring(256, 255, Bytes(1'000'000)));
  const SmallFabric direct = star(128, kPort, kLatency);
  beside_simgrid("direct all-to-all, 128 ranks", direct, all_to_all_schedule(direct, Bytes(1'000'000), true),
                 FoldedStar(128, kPort, kLatency).network, folded_all_to_all(128, Bytes(1'000'000)));
}

// The unkind case: every message has another size, so that each of 4,032 ends is an instant that touches all that is
// left.
void unequal() {
  const SmallFabric fabric = star(64, BytesPerSecond(50e9), std::chrono::nanoseconds(1000));
  MessageSchedule schedule = all_to_all_schedule(fabric, Bytes(1), true);
  for (Message& m : schedule.messages) m.bytes = Bytes(100'000 + 7'919 * ((m.from * 37 + m.to * 101) % 4093));
  const Timed ours = timed(fabric.network, schedule);
  const auto theirs = simgrid_if_present(fabric.network, schedule);
  row("unequal all-to-all, 64 ranks", ours, static_cast<double>(schedule.messages.size()),
      theirs ? fmt::format("x{:.0f}", theirs->processor / ours.processor) : "");
}

// Ring all-reduce of 10^6 B in four chunks one after another: ASTRA-sim 2.0 took 0.691 s for 256 ranks.
void astra_setting() {
  for (const std::uint32_t ranks : {64U, 256U, 512U}) {
    FlowNetwork network;
    MessageSchedule schedule{
        .ranks = ranks, .messages = {}, .costs = {.per_message = std::chrono::nanoseconds(10), .per_step = {}}};
    for (std::uint32_t r = 0; r < ranks; ++r) {
      const std::array hop{network.add_link({BytesPerSecond(50e9), std::chrono::nanoseconds(500)})};
      network.add_route(hop);
    }
    for (std::uint32_t s = 0; s < 8 * (ranks - 1); ++s)
      for (std::uint32_t r = 0; r < ranks; ++r)
        schedule.messages.push_back({r, (r + 1) % ranks, s, r, Bytes(250'000 / ranks)});
    const Timed ours = timed(network, schedule);
    row(fmt::format("ring all-reduce, {} ranks", ranks), ours, static_cast<double>(schedule.messages.size()),
        ranks == 256 ? fmt::format("x{:.1f}", 0.691 / ours.processor) : "");
  }
}

void cloud_matrix() {
  Diagnostics diagnostics;
  const Server server = Catalogue(source_path("hardware/catalogue")).server("cloudmatrix384", "", diagnostics);
  diagnostics.throw_if_errors();
  const auto begin = std::chrono::steady_clock::now();
  const Cluster cluster(server, 48);
  ClusterNetwork network(cluster);
  const auto built = std::chrono::steady_clock::now();
  std::vector<int> ranks(static_cast<std::size_t>(cluster.ranks()));
  std::iota(ranks.begin(), ranks.end(), 0);
  MessageSchedule all{.ranks = 768, .messages = {}};
  for (std::uint32_t a = 0; a < 768; ++a)
    for (std::uint32_t b = 0; b < 768; ++b)
      if (a != b)
        all.messages.push_back({a, b, 0, network.route(static_cast<int>(a), static_cast<int>(b)), Bytes(1'000'000)});
  const auto routed = std::chrono::steady_clock::now();
  const auto folded = fold(cluster, network, ranks);
  check(folded.has_value(), "CloudMatrix384 folds");
  MessageSchedule one{.ranks = 1, .messages = {}};
  for (const FoldedPeers& c : folded->classes)
    one.messages.push_back({0, 0, 0, c.route, Bytes(1'000'000), folded->ranks * c.peers});
  const auto end = std::chrono::steady_clock::now();
  const auto milliseconds_of = [](auto duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
  };
  const auto messages = static_cast<double>(all.messages.size());
  row("all-to-all, 768 dies, ungrouped", timed(network.flows(), all), messages);
  row("all-to-all, 768 dies, grouped", timed(folded->flows, one), messages);
  fmt::print("  graph {:.1f} ms, 589,056 routes and messages {:.1f} ms, folding {:.3f} ms\n",
             milliseconds_of(built - begin), milliseconds_of(routed - built), milliseconds_of(end - routed));
}

}  // namespace
}  // namespace ascendsim

// An argument names one part.
int main(int count, char** arguments) {
  const std::string_view only = count > 1 ? arguments[1] : "";
  ascendsim::head();
  if (only.empty() || only == "simgrid") ascendsim::small_fabrics();
  if (only.empty() || only == "unequal") ascendsim::unequal();
  if (only.empty() || only == "astra") ascendsim::astra_setting();
  if (only.empty() || only == "cloudmatrix") ascendsim::cloud_matrix();
}
