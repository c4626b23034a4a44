#include "strategies/engines/exporter.h"

#include <algorithm>
#include <filesystem>

namespace ascendsim {

std::vector<FieldChange> changes(const Question& before, const Question& after) {
  // The engine's own business, and where and under which load it runs.
  static constexpr std::string_view kOutside[] = {"stack", "world_size", "weights.kv_b_copies",
                                                  "limits.max_prefill_tokens"};
  static constexpr std::string_view kDecides[] = {"model", "quantisation", "role", "features.speculative_tokens"};
  std::vector<FieldChange> out;
  for (const Field& f : question_fields()) {
    if (f.path.starts_with("hardware.") || f.path.starts_with("workload.") ||
        std::ranges::find(kOutside, f.path) != std::end(kOutside))
      continue;
    if (f.path == "layout.cp_cache" && before.deployment.layout.cp == 1) continue;
    // Where nothing is cut, turns of the cache mean nothing.
    if (f.path == "kv_cache.interleave" && before.deployment.layout.kv_shards() == 1) continue;
    std::string a = field_text(f, before), b = field_text(f, after);
    // A model is known by its name or by its config.json.
    if (f.path == "model" && before.deployment.model.name == after.deployment.model.name) continue;
    if (f.path == "quantisation" && before.deployment.quantisation.name == after.deployment.quantisation.name) continue;
    if (a == b) continue;
    // Local groups are matters of speed; whether CP ranks cut the cache is the engine's.
    static constexpr std::string_view kLocal[] = {"layout.o_proj_tp", "layout.lm_head_tp", "layout.embedding_tp",
                                                  "layout.mlp_tp", "layout.cp_cache"};
    const bool local = std::ranges::find(kLocal, f.path) != std::end(kLocal);
    const bool decides =
        (f.path.starts_with("layout.") && !local) || std::ranges::find(kDecides, f.path) != std::end(kDecides);
    out.push_back({&f, std::move(a), std::move(b), before.named(f.path), decides});
  }
  return out;
}

std::string weight_name(const Question& q) {
  const Model& m = q.deployment.model;
  return q.quantisation == "float" ? m.name : m.name + "_" + q.quantisation;
}

std::string weight_folder(const Question& q) {
  if (q.deployment.model.dtype && q.model.ends_with("config.json"))
    return std::filesystem::path(q.model).parent_path().string();
  return "/path/to/" + weight_name(q);
}

Workload benchmark_load(const Question& q) {
  constexpr std::int64_t kUsualOutput = 1024;
  const Limits& m = q.deployment.limits;
  Workload w = q.workload;
  if (w.output_tokens == 0)
    w.output_tokens =
        std::clamp<std::int64_t>(m.max_seq_len - std::max(w.input_tokens, m.max_input_tokens), 1, kUsualOutput);
  if (w.input_tokens == 0)
    w.input_tokens = std::max<std::int64_t>(1, std::min(m.max_input_tokens, m.max_seq_len - w.output_tokens));
  w.batch = std::max<std::int64_t>(1, w.batch);
  return w;
}

}  // namespace ascendsim
