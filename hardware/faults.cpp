#include "hardware/faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <tuple>

#include "sim/config.h"

namespace ascendsim {
namespace {

constexpr std::string_view kLinkWords[] = {"hccs", "sio", "ub", "ub-uplink", "roce", "roce-uplink"};

class Reader {
 public:
  Reader(const Cluster& cluster, Diagnostics& diagnostics) : cluster_(cluster), diagnostics_(diagnostics) {}

  void read(ConfigNode entry) {
    const std::size_t said = diagnostics_.all().size();
    Section fault(entry, diagnostics_);
    const auto link = fault.required<std::string>("link");
    where_ = entry.find("link").where();
    if (link.empty() || !exists(link)) return;  // its other keys say nothing then
    std::vector<LinkFault> found = links(fault, link);
    fault.finish();
    if (diagnostics_.all().size() > said) return;
    for (const LinkFault& f : found) add(f);
  }

  std::vector<LinkFault> take() { return std::move(faults_); }

 private:
  bool exists(const std::string& link) {
    if (std::ranges::find(kLinkWords, link) == std::end(kLinkWords)) {
      const std::string_view near = nearest(link, kLinkWords);
      diagnostics_.error("E0214", where_, fmt::format("unknown link '{}'", link), {},
                         near.empty() ? "one of hccs, sio, ub, ub-uplink, roce, roce-uplink"
                                      : fmt::format("did you mean '{}'?", near));
      return false;
    }
    const bool planes = cluster_.server().fabric == Fabric::kUnifiedBus;
    const bool has = link == "hccs"          ? !planes
                     : link == "sio"         ? cluster_.server().package_link.has_value()
                     : link == "ub"          ? planes
                     : link == "ub-uplink"   ? planes && cluster_.servers() > 1
                     : link == "roce-uplink" ? cluster_.leaves() > 1
                                             : true;
    if (has) return true;
    diagnostics_.error("E0213", where_,
                       fmt::format("{} of {} server{} has no link of kind '{}'", cluster_.server().name,
                                   cluster_.servers(), cluster_.servers() == 1 ? "" : "s", link),
                       {}, "ascendsim list hardware NAME --servers N --graph dot shows the links");
    return false;
  }

  std::vector<LinkFault> links(Section& fault, const std::string& link) {
    const Server& server = cluster_.server();
    const Ratio remaining = share(fault);
    if (link == "roce-uplink") return {{LinkKind::kRoce, 0, -1, index(fault, "leaf", cluster_.leaves()), remaining}};
    const int at = index(fault, "server", cluster_.servers());
    if (link == "roce") return {{LinkKind::kRoce, at, index(fault, "die", server.dies()), 0, remaining}};
    if (link == "hccs" || link == "sio") {
      const auto [a, b] = dies(fault, link == "sio");
      return {{link == "sio" ? LinkKind::kSio : LinkKind::kHccs, at, std::min(a, b), std::max(a, b), remaining}};
    }
    const int die = link == "ub" ? index(fault, "die", server.dies()) : -1;
    if (fault.self().find("plane"))
      return {{LinkKind::kUbPlane, at, die, index(fault, "plane", server.die_links), remaining}};
    std::vector<LinkFault> all;
    for (int plane = 0; plane < server.die_links; ++plane)
      all.push_back({LinkKind::kUbPlane, at, die, plane, remaining});
    return all;
  }

  int index(Section& fault, std::string_view key, int count) {
    const auto value = fault.required<std::int64_t>(key);
    if (value >= 0 && value < count) return static_cast<int>(value);
    diagnostics_.error("E0213", fault.self().find(key).where(),
                       fmt::format("there is no {} {}: they count from 0 to {}", key, value, count - 1));
    return 0;
  }

  std::pair<int, int> dies(Section& fault, bool of_one_package) {
    const ConfigNode pair = fault.node("dies");
    const SourceLocation where = pair ? pair.where() : fault.self().where();
    const int count = cluster_.server().dies();
    std::vector<int> found;
    for (std::size_t i = 0; i < pair.size(); ++i) {
      const auto value = pair.at(i).as_integer(diagnostics_);
      if (value && *value >= 0 && *value < count)
        found.push_back(static_cast<int>(*value));
      else if (value)
        diagnostics_.error("E0213", pair.at(i).where(),
                           fmt::format("there is no die {}: they count from 0 to {}", *value, count - 1));
    }
    const int per_card = cluster_.server().dies_per_card;
    if (found.size() == 2 && found[0] != found[1] && (!of_one_package || found[0] / per_card == found[1] / per_card))
      return {found[0], found[1]};
    if (pair.size() != 2 || found.size() == 2)
      diagnostics_.error("E0213", where,
                         of_one_package ? "'dies' must name the two dies of a package" : "'dies' must name two dies",
                         {}, "dies: [0, 1]");
    return {0, 1};
  }

  Ratio share(Section& fault) {
    const ConfigNode node = fault.node("remaining");
    const auto value = node ? node.as_number(diagnostics_) : std::optional<double>();
    constexpr double kNearlyDead = 0.1;
    if (value && *value > 0 && *value < kNearlyDead)
      diagnostics_.warning(
          "W0416", node.where(),
          fmt::format("a link at {:g} % keeps its traffic: only a link that is down is gone around, and may cost less",
                      100 * *value),
          "HCCL picks ways by which links are up", "remaining: 0 for a link that is to be left out");
    if (value && *value >= 0 && *value < 1) return Ratio(*value);
    if (value || !node)
      diagnostics_.error("E0215", node ? node.where() : fault.self().where(),
                         "a fault needs 'remaining': the share of the bandwidth that is left, from 0 to below 1", {},
                         "remaining: 0 for a link that is down, 0.5 for one at half speed");
    return Ratio(0);
  }

  void add(const LinkFault& fault) {
    const auto same = [&](const LinkFault& f) {
      return std::tie(f.kind, f.server, f.first, f.second) ==
             std::tie(fault.kind, fault.server, fault.first, fault.second);
    };
    if (std::ranges::any_of(faults_, same))
      diagnostics_.error("E0215", where_, "this link has a fault already", {}, "keep one of the two entries");
    else
      faults_.push_back(fault);
  }

  const Cluster& cluster_;
  Diagnostics& diagnostics_;
  SourceLocation where_;  // of the entry that is being read
  std::vector<LinkFault> faults_;
};

}  // namespace

std::vector<LinkFault> read_faults(const std::string& path, const Cluster& healthy, Diagnostics& diagnostics) {
  const auto document = Document::load(path, diagnostics);
  if (!document) return {};
  Section file(document->root(), diagnostics);
  const ConfigNode list = file.node("faults");
  Reader reader(healthy, diagnostics);
  if (!list.is_sequence())
    diagnostics.error("E0214", list ? list.where() : document->root().where(), "a list 'faults' is needed", {},
                      "faults: [{link: roce, server: 0, die: 7, remaining: 0}]");
  for (std::size_t i = 0; i < list.size() && list.is_sequence(); ++i) reader.read(list.at(i));
  file.finish();
  return reader.take();
}

}  // namespace ascendsim
