#include "strategies/serving/schedulers/builtin.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "strategies/serving/schedulers/mindie_recording.h"
#include "strategies/serving/schedulers/sglang_recording.h"
#include "strategies/serving/schedulers/vllm_recording.h"

namespace ascendsim {

namespace {

// Where recordings say what they come from: a commit under the engine's name, a text, or a map.
bool from_vllm(const ConfigNode& root) { return static_cast<bool>(root.find("vllm")); }
bool from_sglang(const ConfigNode& root) { return root.find("source").text().starts_with("sglang"); }
bool from_mindie(const ConfigNode& root) { return root.find("source").find("engine").text().starts_with("MindIE"); }

constexpr RecordedScheduler kSchedulers[] = {{"vLLM", from_vllm, replay_vllm_recording},
                                             {"SGLang", from_sglang, replay_sglang_recording},
                                             {"MindIE", from_mindie, replay_mindie_recording}};

}  // namespace

std::span<const RecordedScheduler> recorded_schedulers() { return kSchedulers; }

std::optional<std::string> replay_recording(const ConfigNode& root, Diagnostics& diagnostics) {
  const auto scheduler =
      std::ranges::find_if(kSchedulers, [&](const RecordedScheduler& s) { return s.recorded(root); });
  if (scheduler != std::end(kSchedulers)) return scheduler->replay(root, diagnostics);
  std::vector<std::string_view> known;
  for (const RecordedScheduler& s : kSchedulers) known.push_back(s.engine);
  diagnostics.error("E0524", root.where(), "this is no recording of a scheduler that is known here",
                    fmt::format("recordings of {} name their source in `vllm` or `source`", fmt::join(known, ", ")),
                    "tests/data/schedules has examples, with a README for each engine");
  return std::nullopt;
}

}  // namespace ascendsim
