#include <fmt/format.h>

#include <algorithm>

#include "strategies/collectives/collective_cost.h"

namespace ascendsim {

std::optional<Duration> copy_time(const CopyCall& call, const Server& server) {
  const bool a3 = server.fabric == Fabric::kUnifiedBus;
  const LinkType* link = call.route == CopyRoute::kPackage ? (server.package_link ? &*server.package_link : nullptr)
                         : a3                              ? (call.host ? &server.host_link : &server.die_link)
                         : call.route == CopyRoute::kOtherServer ? &server.nic
                                                                 : &server.die_link;
  if (link == nullptr) return std::nullopt;
  const std::string key = fmt::format("{}_{}", call.host ? "host" : "copy", call.write ? "write" : "read");
  const FigureTable& f = link->transfers;
  if (!f.has_ratio(key + "_efficiency")) return std::nullopt;
  const Duration moving =
      f.duration(key + "_setup") + call.bytes / (link->bandwidth.value * f.ratio(key + "_efficiency"));
  const Duration issuing = f.has_duration("copy_issue") ? f.duration("copy_issue") * call.copies : Duration{};
  return std::max(moving, issuing);
}

}  // namespace ascendsim
