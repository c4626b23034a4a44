#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>

#include "reports/cli.h"
#include "reports/commands/commands.h"
#include "reports/findings.h"
#include "reports/json_parts.h"
#include "reports/scenario.h"
#include "reports/steps.h"
#include "sim/parallel.h"
#include "strategies/planning.h"

namespace ascendsim {

namespace {

constexpr std::string_view kUsualEngine = "mindie";
constexpr std::int64_t kUsualOutput = 1024, kUsualMostServers = 8;

struct Site {
  PlanSite site;
  std::unique_ptr<Planner> planner;
};

struct Asked {
  const Site* site;
  PlanCell plan;
};

// On a terminal only; never part of what is written to files.
class Progress {
 public:
  explicit Progress(std::size_t count) : count_(count), shown_(isatty(STDERR_FILENO) == 1) {}
  ~Progress() {
    if (shown_) std::fputs("\r\x1b[K", stderr);
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void one_done() {
    const std::size_t done = ++done_;
    if (shown_) fmt::print(stderr, "\r{} of {} cells", done, count_);
  }

 private:
  std::size_t count_;
  bool shown_;
  std::atomic<std::size_t> done_{0};
};

std::vector<Site> load_sites(const Libraries& libraries, const Options& options, Diagnostics& diagnostics) {
  std::vector<Site> sites;
  const std::string engine = options.lists.engine.empty() ? std::string(kUsualEngine) : options.lists.engine;
  if (options.lists.engine.empty())
    diagnostics.note("A0125", {}, fmt::format("--engine is not set: {} assumed", kUsualEngine));
  for (const std::string& server : options.lists.hardware) {
    // What is wrong with the model is wrong for every server, and said once.
    Diagnostics found;
    LoadedQuestion q = question_of_options(engine, server, libraries, options, found);
    PlanSite site{std::move(q.question), std::move(q.stack), {}, libraries.catalogue.server(server, options.die, found),
                  options.servers.value_or(kUsualMostServers), {}};
    if (!site.stack.engine.empty()) site.versions = libraries.versions(site.stack.engine, found);
    if (!site.stack.engine.empty()) site.kernels = libraries.catalogue.kernels(site.stack.kernels, found);
    const auto known = [&](const Diagnostic& d) {
      return std::ranges::any_of(diagnostics.all(), [&](const Diagnostic& o) { return o.code == d.code && o.message == d.message; });
    };
    for (const Diagnostic& d : found.all())
      if (!known(d)) diagnostics.add(d);
    if (site.server.max_servers > 0) site.most_servers = std::min<std::int64_t>(site.most_servers, site.server.max_servers);
    sites.push_back({std::move(site), nullptr});
  }
  return sites;
}

std::int64_t cards(const Asked& c) {
  return c.plan.choice ? std::int64_t{c.plan.choice->servers} * c.site->site.server.cards : 0;
}

std::string degrees(const Layout& l) {
  std::vector<std::string> out;
  const std::pair<const char*, std::int64_t> all[] = {{"dp", l.dp}, {"cp", l.cp}, {"sp", l.sp}, {"tp", l.tp}, {"moe_ep", l.moe_ep}, {"moe_tp", l.moe_tp}};
  for (const auto& [name, degree] : all)
    if (degree > 1) out.push_back(fmt::format("{} {}", name, degree));
  return fmt::format("{}", fmt::join(out, " "));
}

Bytes headroom(const PlanChoice& c) { return c.prediction.memory.allowed - c.prediction.memory.peak(); }

// Of the phase that takes most of a request's time.
std::string first_bottleneck(const PlanChoice& c) {
  const Prediction& p = c.prediction;
  const bool prefill = p.ttft.mean * 2 > p.e2el.mean;
  const StepTime& step = prefill ? p.prefill : p.decode;
  const auto parts = parts_of(step);
  const Part& first = *std::ranges::max_element(parts, {}, &Part::time);
  return fmt::format("{}: {} {:.0f} %", prefill ? "prefill" : "decode", first.name,
                     100 * seconds(first.time) / std::max(1e-12, seconds(step.total)));
}

// Reasons have columns only where there are any, or for machines.
Table cell_table(const std::vector<Asked>& cells, Format format) {
  Table t{"Capacity",
          "cells",
          Table::Shape::kGrid,
          {{"hardware", "hardware"},
           {"context", "context_tokens", true},
           {"requests", "concurrency", true},
           {"servers", "servers", true},
           {"cards", "cards", true},
           {"layout", "layout"},
           {"exchange", "exchange"},
           {"TTFT ms", "ttft_ms", true},
           {"TPOT ms", "tpot_ms", true},
           {"out tok/s per card", "output_throughput_per_card_tok_s", true},
           {"headroom", "headroom_bytes", true},
           {"first bottleneck", "bottleneck"},
           {"why not", "why"},
           {"what would do", "remedy"}},
          {}};
  for (const Asked& c : cells) {
    std::vector<Cell> row{c.site->site.server.name, count_cell(c.plan.workload.input_tokens), count_cell(c.plan.workload.batch)};
    if (c.plan.choice) {
      const PlanChoice& choice = *c.plan.choice;
      const Prediction& p = choice.prediction;
      const Deployment& d = choice.question.deployment;
      row.push_back(count_cell(choice.servers));
      row.push_back(count_cell(cards(c)));
      row.emplace_back(degrees(d.layout));
      row.emplace_back(d.layout.moe_ep > 1 ? choice.question.exchange : "-");
      row.push_back(d.role != Role::kDecode ? milliseconds_cell(p.ttft.mean) : Cell("-"));
      row.push_back(d.role != Role::kPrefill && c.plan.workload.output_tokens > 1 ? milliseconds_cell(p.tpot.mean)
                                                                                 : Cell("-"));
      row.push_back(number_cell(p.output_tokens_per_second / static_cast<double>(cards(c)), 2));
      row.push_back(bytes_cell(headroom(choice)));
      row.emplace_back(first_bottleneck(choice));
      row.emplace_back("");
      row.emplace_back("");
    } else {
      for (int i = 0; i < 9; ++i) row.emplace_back("-");
      row.emplace_back(c.plan.why);
      row.emplace_back(c.plan.remedy);
    }
    t.rows.push_back(std::move(row));
  }
  const bool all_served = std::ranges::all_of(cells, [](const Asked& c) { return c.plan.choice.has_value(); });
  if (format == Format::kCsv || !all_served) return t;
  for (auto& row : t.rows) row.erase(row.end() - 2, row.end());
  t.columns.erase(t.columns.end() - 2, t.columns.end());
  return t;
}

// "atlas-800i-a3: 1 to 2 servers serve 12 of 12 cells."
std::vector<std::string> summary(const std::vector<Site>& sites, const std::vector<Asked>& cells) {
  std::vector<std::string> out;
  for (const Site& s : sites) {
    int served = 0, all = 0, least = 0, most = 0;
    for (const Asked& c : cells) {
      if (c.site != &s) continue;
      ++all;
      if (!c.plan.choice) continue;
      const int servers = c.plan.choice->servers;
      least = served == 0 ? servers : std::min(least, servers);
      most = std::max(most, servers);
      ++served;
    }
    const char* const verb = least == most && most == 1 ? "serves" : "serve";
    const std::string range = least == most ? fmt::format("{} server{}", most, most == 1 ? "" : "s") : fmt::format("{} to {} servers", least, most);
    out.push_back(served == 0 ? fmt::format("{}: none of {} cells can be served with up to {} servers.", s.site.server.name, all, s.site.most_servers)
                              : fmt::format("{}: {} {} {} of {} cells.", s.site.server.name, range, verb, served, all));
  }
  return out;
}

Json cell_json(const Asked& c) {
  const PlanCell& p = c.plan;
  Json out = {{"hardware", c.site->site.server.name},
              {"context_tokens", p.workload.input_tokens},
              {"output_tokens", p.workload.output_tokens},
              {"concurrency", p.workload.batch},
              {"served", p.choice.has_value()}};
  const Json counts = {{"in_memory", p.counts.in_memory}, {"estimated", p.counts.estimated}, {"priced", p.counts.priced}};
  if (p.choice) {
    const PlanChoice& choice = *p.choice;
    const Deployment& d = choice.question.deployment;
    const bool prefills = d.role != Role::kDecode, decodes = d.role != Role::kPrefill;
    out["servers"] = choice.servers;
    out["cards"] = cards(c);
    out["dies"] = d.layout.world();
    out["layout"] = layout_json(d.layout);
    out["exchange"] = choice.question.exchange;
    out["ttft_ms"] = percentiles(choice.prediction.ttft, prefills);
    out["tpot_ms"] = percentiles(choice.prediction.tpot, decodes && p.workload.output_tokens > 1);
    out["output_throughput_per_card_tok_s"] =
        number_or_null(choice.prediction.output_tokens_per_second / static_cast<double>(cards(c)), decodes);
    out["memory_per_rank_bytes"] = memory_json(choice.prediction.memory);
    out["headroom_bytes"] = headroom(choice).count();
    Json bottlenecks = Json::object();
    for (const auto& [name, step] : phases_of(d.role, choice.prediction)) bottlenecks[name] = bottleneck(*step);
    out["bottleneck"] = bottlenecks;
  } else {
    out["why"] = p.why;
    out["remedy"] = p.remedy;
  }
  out["layouts"] = counts;
  return out;
}

std::vector<std::string> rests_on(const std::vector<Site>& sites, const Options& options, std::int64_t output) {
  std::vector<std::string> out{
      "no queues: all requests of a cell arrive at once; nothing arrives later",
      fmt::format("{} output tokens a request; experts are hit uniformly; collectives contend only for the ports of their own ranks", with_commas(output)),
      "the fewest servers on which a legal layout fits and meets the targets; of their layouts the one that is done first (mean end-to-end latency)"};
  if (!options.lists.ttft && !options.lists.tpot) out.emplace_back("no target is set (--ttft, --tpot): memory alone decides how many servers");
  const Deployment& d = sites.front().site.question.deployment;
  if (d.engine == "vllm-ascend" && !d.features.flashcomm1)
    out.emplace_back(d.model.sparse() ? "FlashComm1 is off, and with it the split of tokens over the TP group in attention: --set features.flashcomm1=true"
                                      : "FlashComm1 is off: --set features.flashcomm1=true");
  if (d.engine == "sglang" && d.role != Role::kPrefill) out.emplace_back("SGLang has context parallelism on prefill instances alone: --role prefill");
  for (const Site& s : sites)
    out.push_back(fmt::format("{}: {} layouts of 1 to {} servers, {} of them legal for {} {}", s.site.server.name, with_commas(s.planner->layouts().enumerated),
                              s.site.most_servers, with_commas(s.planner->layouts().legal), s.site.stack.engine, s.site.stack.version));
  return out;
}

}  // namespace

Reply answer_plan(const Options& options, Diagnostics& diagnostics) {
  const Libraries libraries;
  const ListOptions& lists = options.lists;
  std::vector<Site> sites = load_sites(libraries, options, diagnostics);
  const std::int64_t output = options.output.value_or(kUsualOutput);
  if (!options.output) diagnostics.note("A0125", {}, fmt::format("--output is not set: {} assumed", kUsualOutput));
  if (refused(diagnostics, options.strict)) throw ConfigError(diagnostics);
  for (Site& s : sites) s.planner = std::make_unique<Planner>(s.site, Targets{lists.ttft, lists.tpot});

  std::vector<Asked> cells;
  for (const Site& s : sites)
    for (const std::int64_t context : lists.contexts.values)
      for (const std::int64_t batch : lists.concurrencies.values) {
        Workload w = s.site.question.workload;   // --set may add prefix hits or an acceptance
        w.input_tokens = context;
        w.output_tokens = output;
        w.batch = batch;
        PlanCell cell;
        cell.workload = w;
        cells.push_back({&s, std::move(cell)});
      }
  {
    Progress progress(cells.size());
    for_each_index(cells.size(), [&](std::size_t i) {
      cells[i].plan = cells[i].site->planner->plan(cells[i].plan.workload);
      progress.one_done();
    });
  }

  Reply reply;
  reply.exit_code = std::ranges::any_of(cells, [](const Asked& c) { return c.plan.choice.has_value(); }) ? kDone : kAnswerIsNo;
  const std::vector<std::string> basis = rests_on(sites, options, output);
  if (options.format == Format::kJson) {
    Json out = {{"schema_version", 1}, {"summary", summary(sites, cells)}, {"cells", Json::array()}, {"layouts", Json::array()}};
    for (const Asked& c : cells) out["cells"].push_back(cell_json(c));
    for (const Site& s : sites)
      out["layouts"].push_back({{"hardware", s.site.server.name}, {"enumerated", s.planner->layouts().enumerated}, {"legal", s.planner->layouts().legal}});
    out["assumptions"] = basis;
    for (const std::string& note : notes(diagnostics)) out["assumptions"].push_back(note);
    out["diagnostics"] = findings(diagnostics);
    reply.out = finish(out);
    return reply;
  }
  const Table tables[] = {list_of("Plan", "summary", summary(sites, cells)), cell_table(cells, options.format), list_of("Assumptions", "assumptions", basis),
                          list_of("Notes on the input", "notes", notes(diagnostics))};
  reply.out = render(tables, options.format);
  reply.err = warnings_text(diagnostics);
  return reply;
}

}  // namespace ascendsim
