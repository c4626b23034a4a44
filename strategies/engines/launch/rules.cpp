#include "strategies/engines/launch/rules.h"

#include <fmt/format.h>

namespace ascendsim {

void LaunchRules::lacks(const char* feature, bool used, const char* key, const char* what) {
  if (!used || input.versions == nullptr || input.versions->has(feature, d.engine_version)) return;
  const VersionedFeature& f = *input.versions->feature(feature);
  error("E0425", key,
        text("{} {} has no {} ({}): it exists from {}{}", d.engine->product, d.engine_version, what, name(key), f.from,
             f.until.empty() ? " on" : text(" to {}", f.until)),
        f.source, f.note.empty() ? text("--engine-version {}", f.from) : f.note);
}

void LaunchRules::degrees(const std::string& rule) {
  // The product is the world by definition; a written world of our own file may differ.
  world(rule);
  placement("ranks per server = world / nnodes");
  divisibility();
  all_to_all("rows travel to ranks that hold whole experts");
  limits("limits of the engine's scheduler", "a prompt needs room for one output token");
}

void LaunchRules::idle_dies() {
  if (server.dies() * servers < l.world()) return;
  if (l.world() % servers == 0 && l.world() / servers < server.dies() && servers > 1)
    warn("W0410", "hardware.servers",
         text("{} ranks on {} servers leave {} of {} dies of each idle", l.world(), servers,
              server.dies() - l.world() / servers, server.dies()),
         "one rank is one die", text("{} servers are enough", ceil_div(l.world(), server.dies())));
}

}  // namespace ascendsim
