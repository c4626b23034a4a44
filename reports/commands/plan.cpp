#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>

#include "reports/answers/json_parts.h"
#include "reports/answers/steps.h"
#include "reports/commands/commands.h"
#include "sim/parallel.h"
#include "strategies/deployment/words.h"
#include "strategies/intake/pairs.h"
#include "strategies/search/planning.h"

namespace ascendsim {

namespace {

constexpr std::int64_t kUsualOutput = 1024, kUsualMostServers = 8;
// What one call plans: layouts grow with the servers, and every cell prices some of them. Minutes at most.
constexpr std::int64_t kMostPlannedServers = 128;
constexpr std::size_t kMostCells = 1'000;

struct PlanOptions {
  Settings settings;
  std::vector<std::string> hardware;
  NumberList contexts, concurrencies;
  std::optional<std::int64_t> output;
  std::int64_t most_servers = kUsualMostServers;
  std::string engine;
  std::optional<Duration> ttft, tpot;  // at most
};

struct Site {
  PlanSite site;
  std::unique_ptr<Planner> planner{};
  bool beside = false;  // prefill instances, offered beside instances that do both

  [[nodiscard]] Role role() const { return site.question.deployment.role; }
};

struct Asked {
  const Site* site;
  PlanCell plan;
};

// On a terminal only; never part of what is written to files.
class PlanProgress {
 public:
  explicit PlanProgress(std::size_t count) : count_(count), shown_(isatty(STDERR_FILENO) == 1) {}
  ~PlanProgress() {
    if (shown_) std::fputs("\r\x1b[K", stderr);
  }
  PlanProgress(const PlanProgress&) = delete;
  PlanProgress& operator=(const PlanProgress&) = delete;
  void one_done() {
    const std::size_t done = ++done_;
    if (shown_) fmt::print(stderr, "\r{} of {} cells", done, count_);
  }

 private:
  std::size_t count_;
  bool shown_;
  std::atomic<std::size_t> done_{0};
};

std::deque<Site> load_sites(const Libraries& libraries, const PlanOptions& options, Diagnostics& diagnostics) {
  std::deque<Site> sites;
  const std::string engine = options.engine.empty() ? std::string(usual_engine().name) : options.engine;
  if (options.engine.empty())
    diagnostics.note("A0125", {}, fmt::format("--engine is not set: {} assumed", usual_engine().name));
  for (const std::string& server : options.hardware) {
    // What is wrong with the model is wrong for every server, and said once.
    Diagnostics found;
    AskedQuestion q = asked_of_settings(engine, server, libraries, options.settings, found);
    resolve(q.question, libraries.models, libraries.schemes, found);
    PlanSite site{std::move(q.question),
                  std::move(q.stack),
                  {},
                  libraries.catalogue.server(server, options.settings.die, found),
                  options.most_servers,
                  {}};
    if (options.settings.quantisation.empty() && !found.has_errors())
      found.note("A0125", {},
                 fmt::format("--quantization is not set: {} assumed", site.question.deployment.quantisation.name));
    if (!site.stack.engine.empty()) site.versions = libraries.versions(site.stack.engine, found);
    if (!site.stack.engine.empty()) site.kernels = libraries.catalogue.kernels(site.stack.kernels, found);
    const auto known = [&](const Diagnostic& d) {
      return std::ranges::any_of(diagnostics.all(),
                                 [&](const Diagnostic& o) { return o.code == d.code && o.message == d.message; });
    };
    for (const Diagnostic& d : found.all())
      if (!known(d)) diagnostics.add(d);
    if (site.server.max_servers > 0)
      site.most_servers = std::min<std::int64_t>(site.most_servers, site.server.max_servers);
    sites.push_back({.site = std::move(site)});
  }
  return sites;
}

void check_size(const PlanOptions& o, Diagnostics& diagnostics) {
  if (o.most_servers > kMostPlannedServers)
    diagnostics.error(
        "E0007", {},
        fmt::format("plan tries at most {} servers, got --servers {}", kMostPlannedServers, o.most_servers), {},
        fmt::format("--servers {}", kMostPlannedServers));
  const std::size_t cells = o.hardware.size() * o.contexts.values.size() * o.concurrencies.values.size();
  if (cells > kMostCells)
    diagnostics.error("E0398", {},
                      fmt::format("{} server types x contexts x concurrencies are more than the {} cells of one call",
                                  with_commas(static_cast<std::int64_t>(cells)), kMostCells),
                      {}, "fewer values, or several calls");
}

std::int64_t cards(const Asked& c, const PlanChoice& choice) {
  return std::int64_t{choice.servers} * c.site->site.server.cards;
}

// "dp 4 dcp 4 tp 4 moe_ep 16, FlashComm1".
std::string layout_cell(const Question& q) {
  const std::string degrees =
      layout_words(q.deployment.layout, q.deployment.engine->words.degrees, Degrees::kAboveOne, " ");
  return q.deployment.features.flashcomm1 ? degrees + ", FlashComm1" : degrees;
}

Bytes headroom(const PlanChoice& c) { return c.prediction.memory.allowed - c.prediction.memory.peak(); }

// For people in the engine's words.
Cell exchange_cell(const Deployment& d) {
  if (d.layout.moe_ep == 1) return "-";
  Cell cell(exchange_word(*d.engine, d.exchange()));
  cell.raw = word_of(d.exchange());
  return cell;
}

// What figures that are assumed could take away is marked.
Cell headroom_cell(const PlanChoice& c) {
  Cell cell = bytes_cell(headroom(c));
  if (c.prediction.memory.borderline()) cell.text += ", borderline";
  return cell;
}

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

std::vector<Cell> choice_row(const Asked& c, const PlanChoice& choice, const char* best_for) {
  const Prediction& p = choice.prediction;
  const Deployment& d = choice.question.deployment;
  return {best_for,
          count_cell(choice.servers),
          count_cell(cards(c, choice)),
          layout_cell(choice.question),
          exchange_cell(d),
          d.role != Role::kDecode ? milliseconds_cell(p.ttft.mean) : Cell("-"),
          d.role != Role::kPrefill && c.plan.workload.output_tokens > 1 ? milliseconds_cell(p.tpot.mean) : Cell("-"),
          d.role != Role::kPrefill ? number_cell(p.output_tokens_per_second / static_cast<double>(cards(c, choice)), 2)
                                   : Cell("-"),
          headroom_cell(choice),
          first_bottleneck(choice),
          "",
          ""};
}

// Columns that are alike in all rows are for machines, reasons for cells that have some.
Table cell_table(const std::vector<Asked>& cells) {
  Table t{"Capacity",
          "cells",
          Table::Shape::kGrid,
          {{"hardware", "hardware"},
           {"instance", "role"},
           {"context", "context_tokens", true},
           {"requests", "concurrency", true},
           {"best for", "best_for"},
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
  const auto add = [&](const Asked& c, std::vector<Cell> rest) {
    auto& row = t.rows.emplace_back(std::vector<Cell>{c.site->site.server.name, std::string(to_text(c.site->role())),
                                                      count_cell(c.plan.workload.input_tokens),
                                                      count_cell(c.plan.workload.batch)});
    std::ranges::move(rest, std::back_inserter(row));
  };
  for (const Asked& c : cells) {
    if (c.plan.choice) {
      add(c, choice_row(c, *c.plan.choice, "request"));
      if (c.plan.soonest) add(c, choice_row(c, *c.plan.soonest, "first token"));
    } else {
      std::vector<Cell> nothing(10, Cell("-"));
      nothing.emplace_back(c.plan.why);
      nothing.emplace_back(c.plan.remedy);
      add(c, std::move(nothing));
    }
  }
  const auto for_machines = [&](std::string_view key) {
    std::ranges::find(t.columns, key, &Column::key)->readers = Readers::kMachines;
  };
  if (std::ranges::none_of(cells, [](const Asked& c) { return c.site->beside; })) for_machines("role");
  if (std::ranges::none_of(cells, [](const Asked& c) { return c.plan.soonest.has_value(); })) for_machines("best_for");
  if (std::ranges::all_of(cells, [](const Asked& c) { return c.plan.choice.has_value(); })) {
    for_machines("why");
    for_machines("remedy");
  }
  return t;
}

// "atlas-800i-a3: 1 to 2 servers serve 12 of 12 cells."
std::vector<std::string> summary(const std::deque<Site>& sites, const std::vector<Asked>& cells) {
  std::vector<std::string> out;
  for (const Site& s : sites) {
    if (s.beside) continue;
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
    const std::string range = least == most ? fmt::format("{} server{}", most, most == 1 ? "" : "s")
                                            : fmt::format("{} to {} servers", least, most);
    const Deployment& d = s.site.question.deployment;
    if (&s == &sites.front())
      out.push_back(
          fmt::format("{}, {}, on {} {}", d.model.name, d.quantisation.name, d.engine_name, d.engine_version));
    out.push_back(served == 0 ? fmt::format("{}: none of {} cells can be served with up to {} servers.",
                                            s.site.server.name, all, s.site.most_servers)
                              : fmt::format("{}: {} {} {} of {} cells.", s.site.server.name, range, verb, served, all));
  }
  return out;
}

void put_choice(Json& out, const Asked& c, const PlanChoice& choice) {
  const Deployment& d = choice.question.deployment;
  const Prediction& p = choice.prediction;
  const bool prefills = d.role != Role::kDecode, decodes = d.role != Role::kPrefill;
  out["servers"] = choice.servers;
  out["cards"] = cards(c, choice);
  out["dies"] = d.layout.world();
  out["layout"] = layout_json(d.layout);
  out["exchange"] = std::string(word_of(choice.question.deployment.exchange()));
  out["flashcomm1"] = d.features.flashcomm1;
  out["ttft_ms"] = percentiles(p.ttft, prefills);
  out["tpot_ms"] = percentiles(p.tpot, decodes && c.plan.workload.output_tokens > 1);
  out["output_throughput_per_card_tok_s"] =
      number_or_null(p.output_tokens_per_second / static_cast<double>(cards(c, choice)), decodes);
  out["memory_per_rank_bytes"] = memory_json(p.memory);
  out["headroom_bytes"] = headroom(choice).count();
  out["borderline"] = p.memory.borderline();
  Json bottlenecks = Json::object();
  for (const auto& [name, step] : phases_of(d.role, p)) bottlenecks[name] = bottleneck(*step);
  out["bottleneck"] = bottlenecks;
}

Json cell_json(const Asked& c) {
  const PlanCell& p = c.plan;
  Json out = {{"hardware", c.site->site.server.name},      {"role", to_text(c.site->role())},
              {"context_tokens", p.workload.input_tokens}, {"output_tokens", p.workload.output_tokens},
              {"concurrency", p.workload.batch},           {"served", p.choice.has_value()}};
  if (p.choice) {
    put_choice(out, c, *p.choice);
  } else {
    out["why"] = p.why;
    out["remedy"] = p.remedy;
  }
  if (p.soonest) put_choice(out["soonest_first_token"], c, *p.soonest);
  out["layouts"] = {{"in_memory", p.counts.in_memory}, {"priced", p.counts.priced}};
  return out;
}

JsonDocument plan_json(const std::deque<Site>& sites, const std::vector<Asked>& cells,
                       const std::vector<std::string>& summary, Json assumptions) {
  Json out = {{"summary", summary}, {"cells", Json::array()}, {"layouts", Json::array()}};
  for (const Asked& c : cells) out["cells"].push_back(cell_json(c));
  for (const Site& s : sites)
    out["layouts"].push_back({{"hardware", s.site.server.name},
                              {"role", to_text(s.role())},
                              {"enumerated", s.planner->layouts().enumerated},
                              {"legal", s.planner->layouts().legal}});
  out["assumptions"] = std::move(assumptions);
  return std::make_shared<Json>(std::move(out));
}

std::vector<std::string> rests_on(const std::deque<Site>& sites, const std::vector<Asked>& cells,
                                  const PlanOptions& options, std::int64_t output) {
  std::vector<std::string> out{"no queues: all requests of a cell arrive at once; nothing arrives later",
                               fmt::format("{} output tokens a request; experts are hit uniformly; collectives contend "
                                           "only for the ports of their own ranks",
                                           with_commas(output)),
                               "the fewest servers on which a legal layout fits and meets the targets; of their "
                               "layouts the one that is done first (mean end-to-end latency)"};
  if (!options.ttft && !options.tpot)
    out.emplace_back("no target is set (--ttft, --tpot): memory alone decides how many servers");
  const Question& asked = sites.front().site.question;
  if (std::ranges::any_of(cells, [](const Asked& c) { return c.plan.soonest.has_value(); }))
    out.emplace_back(
        "rows 'first token': of the same servers the layout with the smallest TTFT, where it is at most half that of "
        "the row above");
  if (offers_flashcomm(sites.front().site))
    out.push_back(fmt::format(
        "each layout is priced without and with FlashComm1{}; --set features.flashcomm1=false leaves it off",
        asked.deployment.model.sparse() ? " (with sparse attention: DSA-CP, which splits tokens over the TP group)"
                                        : ""));
  if (std::ranges::any_of(sites, &Site::beside))
    out.push_back(
        fmt::format("{} has context parallelism on prefill instances of a pair alone: rows 'prefill' are such an "
                    "instance, where it cuts prompts; its decode instance comes "
                    "beside it (--role decode)",
                    asked.deployment.engine_name));
  for (const Site& s : sites)
    out.push_back(fmt::format("{}{}: {} layouts of 1 to {} servers, {} of them legal for {} {}", s.site.server.name,
                              s.beside ? ", prefill instances" : "", with_commas(s.planner->layouts().enumerated),
                              s.site.most_servers, with_commas(s.planner->layouts().legal), s.site.stack.engine,
                              s.site.stack.version));
  return out;
}

class PlanCall final : public Call {
 public:
  void declare(Options& o) override {
    Settings& s = options_.settings;
    o.heading("Load");
    o.numbers("--context", options_.contexts, {.most = kMostTokens, .examples = "8K,64K or 8K..128K"},
              "prompt tokens of a request: 8K,64K or 8K..128K")
        .must()
        .also({{"--input"}, {"--isl"}, {"--input-len"}, {"--random-input-len"}});
    o.numbers("--concurrency", options_.concurrencies, {.most = kMostRequests, .examples = "1,8,32"},
              "requests side by side: 1,8,32")
        .must()
        .also({{"--batch"}, {"--max-concurrency"}, {"--batch-size"}, {"--requests"}, {"--users"}});
    output_row(o, options_.output).or_else(fmt::to_string(kUsualOutput));
    o.time("--ttft", options_.ttft, "the slowest request's TTFT at most: 2s, 500ms").or_else("no target");
    o.time("--tpot", options_.tpot, "mean TPOT at most: 50ms").or_else("no target");
    o.heading("Machine");
    o.names("--hardware", options_.hardware,
            "server types, as `ascendsim list hardware` names them: atlas-800i-a2,atlas-800i-a3")
        .must();
    o.count("--servers", options_.most_servers, {.most = kMostServers, .examples = "2"}, "at most this many servers")
        .also({{"--max-servers"}, {"--nodes"}, {"--nnodes"}});
    die_row(o, s.die);
    model_row(o, s.model).must().fallback.clear();
    engine_rows(o, s);
    o.at("--quantisation").or_else("that of the model");
    o.at("--role").or_else("hybrid");
    o.text("--engine", "NAME", options_.engine, "software stack whose rules and programs count")
        .or_else(std::string(usual_engine().name));
  }
  [[nodiscard]] const Settings* asked() const override { return &options_.settings; }
  Answer answer(Diagnostics& diagnostics) override;

 private:
  PlanOptions options_;
};

Answer PlanCall::answer(Diagnostics& diagnostics) {
  const Libraries libraries;
  std::deque<Site> sites = load_sites(libraries, options_, diagnostics);
  check_size(options_, diagnostics);
  const std::int64_t output_tokens = options_.output.value_or(kUsualOutput);
  if (!options_.output) diagnostics.note("A0125", {}, fmt::format("--output is not set: {} assumed", kUsualOutput));
  if (refused(diagnostics, options_.settings.strict)) throw ConfigError(diagnostics);
  const Targets targets{options_.ttft, options_.tpot};
  std::deque<Site> beside;
  for (Site& s : sites) {
    s.planner = std::make_unique<Planner>(s.site, targets);
    if (options_.settings.role) continue;
    if (auto prefill = prefill_instances(s.site, *s.planner))
      beside.push_back({.site = *std::move(prefill), .beside = true});
  }
  std::ranges::move(beside, std::back_inserter(sites));
  for (Site& s : sites)
    if (s.beside) s.planner = std::make_unique<Planner>(s.site, targets);

  std::vector<Asked> cells;
  for (const Site& s : sites)
    for (const std::int64_t context : options_.contexts.values)
      for (const std::int64_t batch : options_.concurrencies.values) {
        Workload w = s.site.question.workload;  // --set may add prefix hits or an acceptance
        w.input_tokens = context;
        w.output_tokens = output_tokens;
        w.batch = batch;
        PlanCell cell;
        cell.workload = w;
        cells.push_back({&s, std::move(cell)});
      }
  {
    PlanProgress progress(cells.size());
    for_each_index(cells.size(), [&](std::size_t i) {
      cells[i].plan = cells[i].site->planner->plan(cells[i].plan.workload);
      progress.one_done();
    });
  }

  // Without a cut prompt an instance that does both has the same to offer.
  std::erase_if(cells, [](const Asked& c) {
    return c.site->beside && !(c.plan.choice && c.plan.choice->question.deployment.layout.cp > 1);
  });

  const std::vector<std::string> basis = rests_on(sites, cells, options_, output_tokens), sum = summary(sites, cells);
  return {.exit = std::ranges::any_of(cells, [](const Asked& c) { return c.plan.choice.has_value(); }) ? Exit::kYes
                                                                                                       : Exit::kNo,
          .tables = {list_of("Plan", "summary", sum), cell_table(cells), list_of("Assumptions", "assumptions", basis)},
          .json = plan_json(sites, cells, sum, assumptions_json(basis, diagnostics))};
}

}  // namespace

constinit const Command kPlanCommand{
    .name = "plan",
    .summary = "the fewest servers and the layout for contexts and concurrencies; a capacity table, without queues",
    .words = "",
    .words_help = "",
    .least_words = 0,
    .most_words = 0,
    .example =
        "ascendsim plan --model deepseek-r1 --quantisation w8a8 --hardware atlas-800i-a2,atlas-800i-a3 --context "
        "8K,64K --concurrency 1,8,32",
    .output = "tables on stdout; exit 0, 1 when no cell can be served, 2 on wrong input",
    .make = make_call<PlanCall>};

}  // namespace ascendsim
