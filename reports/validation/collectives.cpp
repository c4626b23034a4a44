#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

#include "reports/validation/evaluate.h"
#include "strategies/collectives/collective_cost.h"

namespace ascendsim {

namespace {

constexpr std::array kPrimitives = {Primitive::kAllGather, Primitive::kReduceScatter, Primitive::kAllReduce,
                                    Primitive::kAllToAll,  Primitive::kDispatch,      Primitive::kCombine};

// all-to-all-rows: MoE rows in unequal shares.
Primitive primitive_of(Parameters& in, bool& moe_rows) {
  const std::string word = in.word("primitive");
  moe_rows = word == "all-to-all-rows";
  if (moe_rows) return Primitive::kAllToAll;
  for (const Primitive p : kPrimitives)
    if (to_text(p) == word) return p;
  in.error(fmt::format("unknown primitive '{}'", word),
           "all-gather, reduce-scatter, all-reduce, all-to-all, all-to-all-rows, dispatch or combine");
  return Primitive::kAllReduce;
}

// One of two words; the second one is what `true` stands for.
bool second_of(Parameters& in, std::string_view key, std::string_view first, std::string_view second) {
  const std::string word = in.word(key);
  if (!word.empty() && word != first && word != second)
    in.error(fmt::format("{} must be {} or {}, got '{}'", key, first, second, word), "see docs/validation-cases.md");
  return word == second;
}

Server server_of(Parameters& in, const Libraries& libraries, Diagnostics& found) {
  const std::string name = in.word("server");
  Diagnostics said;  // that it is missing
  return libraries.catalogue.server(name, "", name.empty() ? said : found);
}

Cluster::Span span_of(const Server& server, std::int64_t ranks) {
  const std::int64_t servers = ceil_div(ranks, server.dies());
  const Cluster cluster(server, static_cast<int>(servers), static_cast<int>(ceil_div(ranks, servers)));
  std::vector<int> members(static_cast<std::size_t>(ranks));
  std::iota(members.begin(), members.end(), 0);
  return cluster.span_of(members);
}

}  // namespace

std::optional<Outcome> evaluate_collective(const ValidationCase& c, const Libraries& libraries,
                                           Diagnostics& diagnostics) {
  Diagnostics found;
  Parameters in(c, found);
  const Server server = server_of(in, libraries, found);
  CollectiveCall call;
  call.primitive = primitive_of(in, call.moe_rows);
  call.bytes = in.bytes("bytes");
  const std::int64_t ranks = in.count("ranks");
  const bool shard = second_of(in, "per", "whole", "shard");
  call.alone = second_of(in, "setting", "network", "alone");
  in.finish();
  if (ranks < 2) in.error("a collective needs two ranks", "ranks: 8");
  if (server.dies() > 0) {
    const std::int64_t servers = ceil_div(ranks, server.dies());
    if (ranks % servers != 0)
      in.error(fmt::format("{} ranks do not spread evenly over {} servers", ranks, servers),
               fmt::format("ranks: {}", ranks / servers * servers));
    if (server.max_servers > 0 && servers > server.max_servers)
      in.error(
          fmt::format("{} ranks need {} servers of {}, which has {}", ranks, servers, server.name, server.max_servers),
          fmt::format("ranks: {}", server.max_servers * server.dies()));
  }
  // Closed forms multiply by ranks and phases.
  if (call.bytes.count() > std::numeric_limits<std::int64_t>::max() / (16 * ranks * (shard ? ranks : 1)))
    in.error(fmt::format("{} x {} ranks exceeds what 64 bits can count", to_text(call.bytes), ranks), "a smaller size");
  else if (shard)
    call.bytes = call.bytes * ranks;
  diagnostics.append(found);
  if (found.has_errors()) return std::nullopt;
  call.span = span_of(server, ranks);
  const CollectiveTime time = collective_time(call, server);
  Table t = facts("Collective", "collective");
  t.rows.push_back({"algorithm", to_text(time.choice)});
  t.rows.push_back({"bytes as in closed forms", to_text(call.bytes)});
  t.rows.push_back({"time", to_text(time.time)});
  Outcome outcome{
      seconds(time.time), std::string(to_text(call.primitive)), {std::move(t)}, {{to_text(time.choice), time.time}}};
  if (c.metric->unit == Unit::kByteRate) outcome.predicted = received_bytes(call) / seconds(time.time);
  return outcome;
}

std::optional<Outcome> evaluate_copy(const ValidationCase& c, const Libraries& libraries, Diagnostics& diagnostics) {
  Diagnostics found;
  Parameters in(c, found);
  const Server server = server_of(in, libraries, found);
  CopyCall call;
  const std::string route = in.word("route");
  if (route == "package")
    call.route = CopyRoute::kPackage;
  else if (route == "server")
    call.route = CopyRoute::kServer;
  else if (route == "other-server")
    call.route = CopyRoute::kOtherServer;
  else
    in.error(fmt::format("unknown route '{}'", route), "package, server or other-server");
  call.host = second_of(in, "memory", "device", "host");
  call.write = second_of(in, "direction", "read", "write");
  call.bytes = in.bytes("bytes");
  call.copies = in.count("copies", 1);
  in.finish();
  diagnostics.append(found);
  if (found.has_errors()) return std::nullopt;
  const std::optional<Duration> time = copy_time(call, server);
  if (!time) {
    in.error("no figure for such a copy in the catalogue of links",
             "copy_read_efficiency and the like, hardware/catalogue/links");
    diagnostics.append(found);
    return std::nullopt;
  }
  Table t = facts("Copy", "copy");
  t.rows.push_back({"time", to_text(*time)});
  Outcome outcome{seconds(*time), "", {std::move(t)}};
  if (c.metric->unit == Unit::kByteRate) outcome.predicted = static_cast<double>(call.bytes.count()) / seconds(*time);
  return outcome;
}

}  // namespace ascendsim
