// `ascendsim ring --layer`: the programs of a deployment that are timed, computed on real numbers with a small model.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "reports/commands/ring.h"
#include "strategies/intake/pairs.h"
#include "strategies/reference/layer_check.h"

namespace ascendsim {

namespace {

constexpr std::int64_t kLayerMemory = std::int64_t{6} << 30;
constexpr std::size_t kTokensNamed = 8;

struct LayerRun {
  std::string file, phase;
  Deployment tiny;
  KernelFacts facts;
  Step step;
  LayerType type = LayerType::kFp64;
  LayerReport report;
};

class LayerReader {
 public:
  LayerReader(const RingOptions& options, Diagnostics& diagnostics) : options_(options), diagnostics_(diagnostics) {}

  std::vector<LayerRun> read(std::vector<std::string> files) {
    const LayerType type = type_asked();
    if (options_.scale.empty()) {
      diagnostics_.error("E0003", {}, "--scale is missing", {}, "--scale tiny");
    } else if (options_.scale != "tiny") {
      diagnostics_.error("E0004", {}, fmt::format("unknown scale '{}'", options_.scale), {}, "--scale tiny");
    }
    std::vector<LayerRun> runs;
    if (options_.settings.pair()) {
      add({options_.settings.prefill.file}, Role::kPrefill, type, runs);
      add({options_.settings.decode.file}, Role::kDecode, type, runs);
    } else if (!options_.settings.launch.empty() || !options_.config.empty() || !files.empty()) {
      if (!options_.config.empty()) files.push_back(options_.config);
      add(files, options_.settings.role, type, runs);
    } else {
      diagnostics_.error("E0003", {}, "--config FILE is missing", {}, "or --prefill FILE and --decode FILE");
    }
    if (options_.tokens.size() > 1)
      diagnostics_.error("E0004", {}, "--layer takes one number of --tokens", {}, "the length of the shortest prompt");
    if (refused(diagnostics_, options_.settings.strict)) throw ConfigError(diagnostics_);
    return runs;
  }

  std::vector<std::string> rules;

 private:
  LayerType type_asked() {
    if (options_.dtype.empty()) return LayerType::kFp64;
    for (const LayerType t : {LayerType::kFp64, LayerType::kFp16, LayerType::kBf16, LayerType::kDeployed})
      if (options_.dtype == to_text(t)) return t;
    diagnostics_.error("E0004", {}, fmt::format("unknown --dtype '{}' of --layer", options_.dtype), {},
                       "one of: fp64, fp16, bf16, deployed");
    return LayerType::kFp64;
  }

  // Launch scripts of a pair are two deployments.
  void add(const std::vector<std::string>& files, std::optional<Role> role, LayerType type,
           std::vector<LayerRun>& runs) {
    for (FileChoice& choice : read_inputs(files, libraries_, options_.settings, diagnostics_)) {
      if (role) choice.role = role;
      add(load_subject(choice, Load::kLimitsIfAny, libraries_, options_.settings, diagnostics_), type, runs);
    }
  }

  void add(const Subject& subject, LayerType type, std::vector<LayerRun>& runs) {
    if (!subject.scenario) return;
    const std::string& file = subject.file;
    const Deployment& d = subject.deployment();
    if (d.experts.shared_ranks > 0) {
      diagnostics_.error("E0004", d.origin("shared_ranks").where,
                         "the calculator does not route rows to a shared expert on ranks of its own", {},
                         "shared_ranks: 0");
      return;
    }
    std::vector<std::string> shrunk;
    const Deployment tiny = tiny_deployment(d, shrunk);
    for (std::string& rule : shrunk)
      if (std::ranges::find(rules, rule) == rules.end()) rules.push_back(std::move(rule));
    const auto run = [&](std::string name, Phase phase, bool history) {
      runs.push_back({file,
                      std::move(name),
                      tiny,
                      subject.scenario->facts,
                      tiny_step(tiny, phase, options_.tokens.empty() ? 0 : options_.tokens[0],
                                static_cast<std::uint64_t>(options_.seed), history),
                      type,
                      {}});
      limit(runs.back());
    };
    if (d.role != Role::kDecode) run("prefill", Phase::kPrefill, false);
    if (d.role != Role::kDecode && d.features.prefix_cache) run("prefill after history", Phase::kPrefill, true);
    if (d.role != Role::kPrefill) run("decode", Phase::kDecode, false);
  }

  void limit(const LayerRun& run) {
    const std::int64_t need = memory_estimate(run.tiny, run.step, run.facts);
    if (need <= kLayerMemory) return;
    diagnostics_.error("E0004", {},
                       fmt::format("the {} of {} needs about {:.1f} GiB, the limit is {} GiB", run.phase, run.file,
                                   static_cast<double>(need) / 0x1p30, kLayerMemory >> 30),
                       {}, "fewer --tokens");
  }

  const RingOptions& options_;
  Diagnostics& diagnostics_;
  Libraries libraries_;
};

std::string_view verdict(const LayerReport& r) { return r.ok() ? "ok" : r.close() ? "LEDGER" : "TOO FAR"; }

Table result_table(const std::vector<LayerRun>& runs) {
  Table t{"Whole layers against one dense rank in double",
          "cases",
          Table::Shape::kGrid,
          {{"file", "file"},
           {"step", "step"},
           {"ranks", "ranks", true},
           {"dtype", "dtype"},
           {"hidden", "max_hidden_error", true},
           {"logits", "max_logits_error", true},
           {"KV cache", "max_cache_error", true},
           {"relative", "max_relative_error", true},
           {"tolerance", "tolerance", true},
           {"rows", "rows_compared", true},
           {"flips", "flipped_tokens", true},
           {"verdict", "verdict"}},
          {}};
  for (const LayerRun& run : runs) {
    const LayerReport& r = run.report;
    t.rows.push_back({run.file, run.phase, count_cell(run.tiny.layout.world()), to_text(run.type),
                      error_cell(r.error.hidden), error_cell(r.error.logits), error_cell(r.error.cache),
                      error_cell(r.error.relative), error_cell(r.tolerance), count_cell(r.rows_compared),
                      count_cell(static_cast<std::int64_t>(r.flips.size())), verdict(r)});
  }
  return t;
}

Table ledger_table(const std::vector<LayerRun>& runs) {
  Table t{"Work performed and what the clock charges, all ranks",
          "ledger",
          Table::Shape::kGrid,
          {{"step", "step"}, {"work", "work"}, {"performed", "performed", true}, {"charged", "charged", true}},
          {}};
  for (const LayerRun& run : runs) {
    const LayerReport& r = run.report;
    const auto row = [&](const char* what, std::int64_t performed, std::int64_t charged) {
      t.rows.push_back({run.phase, what, count_cell(performed), count_cell(charged)});
    };
    row("FLOPs", r.flops_performed, r.flops_charged);
    row("bytes", r.bytes_moved, r.bytes_charged);
    if (r.handed_on_charged > 0)
      row("bytes between stages (charged: half, as vLLM sends two addends)", r.handed_on_moved, r.handed_on_charged);
    row("routed FLOPs", r.routed_flops_performed, r.routed_flops_charged);
    row("routed rows in buffers, bytes (charged: the fullest rank's on every rank)", r.routed_buffers_filled,
        r.routed_buffers_charged);
    row("routed bytes sent (charged: even spread of those buffers)", r.routed_bytes_moved, r.routed_bytes_charged);
  }
  return t;
}

Table rank_table(const LayerRun& run) {
  Table t{fmt::format("Ranks, {}", run.phase),
          "ranks",
          Table::Shape::kGrid,
          {{"rank", "rank", true},
           {"hidden", "max_hidden_error", true},
           {"logits", "max_logits_error", true},
           {"KV cache", "max_cache_error", true},
           {"relative", "max_relative_error", true}},
          {}};
  for (std::size_t r = 0; r < run.report.ranks.size(); ++r) {
    const LayerError& e = run.report.ranks[r];
    t.rows.push_back({count_cell(static_cast<std::int64_t>(r)), error_cell(e.hidden), error_cell(e.logits),
                      error_cell(e.cache), error_cell(e.relative)});
  }
  return t;
}

std::string flip_text(const LayerRun& run, const Flip& f) {
  const std::int64_t sequence = f.token / kPositions;
  return fmt::format("{}: {}sequence {}, position {}, layer {}{}: scores {:.1e} apart", run.phase,
                     f.of == Flip::Of::kKeys ? "keys of " : "", sequence, f.token % kPositions, f.layer,
                     f.pass > 0 ? fmt::format(", draft {}", f.pass) : "", f.margin);
}

Table flip_table(const std::vector<LayerRun>& runs) {
  std::vector<std::string> lines;
  for (const LayerRun& run : runs) {
    for (std::size_t i = 0; i < std::min(kTokensNamed, run.report.flips.size()); ++i)
      lines.push_back(flip_text(run, run.report.flips[i]));
    if (run.report.flips.size() > kTokensNamed)
      lines.push_back(
          fmt::format("{}: {} more (--format json names all)", run.phase, run.report.flips.size() - kTokensNamed));
  }
  return list_of("Tokens whose experts or keys flipped by rounding (the reference follows)", "flips", std::move(lines));
}

JsonDocument json_of(const std::vector<LayerRun>& runs, const std::vector<std::string>& rules) {
  Json out;
  out["scale"] = rules;
  out["cases"] = Json::array();
  for (const LayerRun& run : runs) {
    const LayerReport& r = run.report;
    Json c{{"file", run.file},
           {"step", run.phase},
           {"ranks", run.tiny.layout.world()},
           {"dtype", to_text(run.type)},
           {"max_hidden_error", r.error.hidden},
           {"max_logits_error", r.error.logits},
           {"max_cache_error", r.error.cache},
           {"max_relative_error", r.error.relative},
           {"tolerance", r.tolerance},
           {"rows_compared", r.rows_compared},
           {"flops_performed", r.flops_performed},
           {"flops_charged", r.flops_charged},
           {"flops_masked", r.flops_masked},
           {"bytes_moved", r.bytes_moved},
           {"bytes_charged", r.bytes_charged},
           {"handed_on_moved", r.handed_on_moved},
           {"handed_on_charged", r.handed_on_charged},
           {"routed_flops_performed", r.routed_flops_performed},
           {"routed_flops_charged", r.routed_flops_charged},
           {"routed_buffers_filled", r.routed_buffers_filled},
           {"routed_buffers_charged", r.routed_buffers_charged},
           {"routed_bytes_moved", r.routed_bytes_moved},
           {"routed_bytes_charged", r.routed_bytes_charged},
           {"ok", r.ok()}};
    c["flips"] = Json::array();
    for (const Flip& f : r.flips)
      c["flips"].push_back({{"sequence", f.token / kPositions},
                            {"position", f.token % kPositions},
                            {"layer", f.layer},
                            {"draft", f.pass},
                            {"of", f.of == Flip::Of::kKeys ? "keys" : "experts"},
                            {"margin", f.margin}});
    c["rank_errors"] = Json::array();
    for (const LayerError& e : r.ranks)
      c["rank_errors"].push_back(
          {{"rank", c["rank_errors"].size()},
           {"hidden", e.hidden},
           {"logits", e.logits},
           {"cache", e.cache},
           {"relative", e.relative}});
    out["cases"].push_back(std::move(c));
  }
  return std::make_shared<Json>(std::move(out));
}

}  // namespace

Answer answer_layers(const std::vector<std::string>& files, const RingOptions& options, Diagnostics& diagnostics) {
  LayerReader reader(options, diagnostics);
  std::vector<LayerRun> runs = reader.read(files);
  for (LayerRun& run : runs) run.report = check_layers(run.tiny, run.step, run.facts, run.type);
  Answer answer{
      .exit = std::ranges::all_of(runs, [](const LayerRun& r) { return r.report.ok(); }) ? Exit::kYes : Exit::kNo,
      .tables = {result_table(runs), ledger_table(runs)},
      .json = json_of(runs, reader.rules)};
  for (const LayerRun& run : runs) answer.add(rank_table(run));
  answer.add(flip_table(runs));
  answer.add(list_of("Scale tiny: the deployment's layout, flags and types with another model", "scale",
                     std::move(reader.rules)));
  return answer;
}

}  // namespace ascendsim
