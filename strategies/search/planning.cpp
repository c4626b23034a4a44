#include "strategies/search/planning.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/parallel.h"
#include "strategies/deployment/words.h"
#include "strategies/engines/launch/instances.h"
#include "strategies/engines/rules.h"
#include "strategies/programs/expert_loads.h"

namespace ascendsim {

namespace {

std::vector<std::int64_t> divisors(std::int64_t n) {
  std::vector<std::int64_t> out;
  for (std::int64_t i = 1; i <= n; ++i)
    if (n % i == 0) out.push_back(i);
  return out;
}

// Never longer than what predict() says: decode steps are no shorter than the first.
Prediction at_least(const Scenario& s, const Workload& w) {
  Prediction p;
  PrefillRun prefill;
  DecodeRun decode;
  if (s.deployment.role != Role::kDecode)
    prefill = run_prefill(s, w);
  else
    prefill.first_token.assign(static_cast<std::size_t>(w.batch), Duration{});
  if (s.deployment.role != Role::kPrefill) decode = run_decode_at_least(s, w);
  add_requests(p, prefill, decode, w, Duration{}, s.deployment.role != Role::kPrefill);
  return p;
}

std::string gib(Bytes b) { return fmt::format("{:.1f}", static_cast<double>(b.count()) / (1024.0 * 1024 * 1024)); }

}  // namespace

PlanCounts& PlanCounts::operator+=(const PlanCounts& o) {
  enumerated += o.enumerated;
  legal += o.legal;
  in_memory += o.in_memory;
  priced += o.priced;
  return *this;
}

// Whether that version has it, by whatever switch. Nothing is known of engines without a table of versions.
bool offers_flashcomm(const PlanSite& site) {
  constexpr std::string_view kSwitches[] = {"flashcomm1_environment", "flashcomm1_option"};
  if (site.question.named("features.flashcomm1") || site.question.deployment.model.experts == 0) return false;
  return std::ranges::any_of(kSwitches, [&](std::string_view by) {
    return site.versions.feature(by) != nullptr && site.versions.has(by, site.question.deployment.engine_version);
  });
}

namespace {

// Those that the engine has; one alone where it picks by itself. Without expert parallelism no rows are exchanged.
std::vector<ExpertExchange> exchanges_of(const PlanSite& site, const Layout& l) {
  const Deployment& d = site.question.deployment;
  if (l.moe_ep == 1) return {ExpertExchange::kAllGather};
  if (d.traits().carrier_choice == CarrierChoice::kByRows && !site.question.named("experts.exchange")) {
    Deployment there = d;
    there.layout = l;
    return {pick_exchange(there, site.server.fabric).exchange};
  }
  std::vector<ExpertExchange> out;
  for (const ExpertExchange how :
       {ExpertExchange::kAllGather, ExpertExchange::kAllToAllPadded, ExpertExchange::kAllToAll})
    if (!exchange_word(*d.engine, how).empty()) out.push_back(how);
  return out;
}

}  // namespace

std::vector<LayoutChoice> enumerate_layouts(const PlanSite& site, std::int64_t ranks) {
  const Question& question = site.question;
  const Layout& asked = question.deployment.layout;
  const auto open_or = [&](std::string_view path, auto value) {
    return question.named(path) ? std::optional(value) : std::nullopt;
  };
  const auto cp = open_or("layout.cp", asked.cp), tp = open_or("layout.tp", asked.tp),
             dp = open_or("layout.dp", asked.dp), sp = open_or("layout.sp", asked.sp),
             moe_tp = open_or("layout.moe_tp", asked.moe_tp), moe_ep = open_or("layout.moe_ep", asked.moe_ep);
  const auto exchange = open_or("experts.exchange", question.deployment.exchange());
  const auto wanted = [](const auto& named, const auto& value) { return !named || *named == value; };
  const bool flashcomm = offers_flashcomm(site);
  std::vector<LayoutChoice> out;
  const auto add = [&](const Layout& l, ExpertExchange how) {
    if (!wanted(exchange, how)) return;
    out.push_back({l, ranks, how, false});
    if (flashcomm && l.tp > 1) out.push_back({l, ranks, how, true});
  };
  Layout l = asked;
  for (l.cp = 1; l.cp <= ranks; ++l.cp) {
    if (ranks % l.cp != 0 || !wanted(cp, l.cp)) continue;
    for (const std::int64_t t : divisors(ranks / l.cp)) {
      l.tp = t;
      l.dp = ranks / l.cp / t;
      if (!wanted(tp, l.tp) || !wanted(dp, l.dp)) continue;
      for (const std::int64_t s : divisors(t)) {
        l.sp = s;
        if (!wanted(sp, l.sp)) continue;
        for (const std::int64_t m : divisors(ranks)) {
          l.moe_tp = m;
          l.moe_ep = ranks / m;
          if (!wanted(moe_tp, l.moe_tp) || !wanted(moe_ep, l.moe_ep)) continue;
          for (const ExpertExchange how : exchanges_of(site, l)) add(l, how);
        }
      }
    }
  }
  return out;
}

void choose(Question& question, const PlanSite& site, const LayoutChoice& choice) {
  question.deployment.layout = choice.layout;
  question.declared_world = choice.ranks;
  question.deployment.set_exchange(choice.exchange);
  question.deployment.features.flashcomm1 = choice.flashcomm1 || site.question.deployment.features.flashcomm1;
}

bool is_legal(const Question& q, const PlanSite& site, int servers) {
  Diagnostics found = Diagnostics::only_whether();
  check_deployment({q.deployment, q.declared_world, site.server, servers, !q.imported,
                    site.versions.engine.empty() ? nullptr : &site.versions},
                   found);
  return !found.has_errors();
}

Planner::Planner(const PlanSite& site, Targets targets)
    : site_(site), targets_(targets), facts_(kernel_facts(site.stack, site.kernels)), base_(site.question) {
  base_.workload = {.input_tokens = 1, .output_tokens = 1, .batch = 1};
  Diagnostics said;
  complete(base_, site.stack, said);
  std::vector<PlanCounts> counts(static_cast<std::size_t>(site.most_servers));
  fleets_.resize(counts.size());
  for_each_index(fleets_.size(), [&](std::size_t i) {
    Fleet& fleet = fleets_[i];
    fleet.servers = static_cast<int>(i) + 1;
    fleet.cluster.emplace(site.server, fleet.servers);
    Question question = base_;
    for (const LayoutChoice& layout : enumerate_layouts(site, std::int64_t{fleet.servers} * site.server.dies())) {
      ++counts[i].enumerated;
      choose(question, site, layout);
      if (is_legal(question, site, fleet.servers)) fleet.legal.push_back(layout);
    }
    counts[i].legal = static_cast<std::int64_t>(fleet.legal.size());
  });
  for (const PlanCounts& c : counts) layouts_ += c;
}

bool Planner::cuts_prompts() const {
  return std::ranges::any_of(fleets_, [](const Fleet& f) {
    return std::ranges::any_of(f.legal, [](const LayoutChoice& c) { return c.layout.cp > 1; });
  });
}

std::optional<Question> Planner::with_load(const LayoutChoice& layout, const Workload& load) const {
  Diagnostics said = Diagnostics::only_whether();
  return with_load(layout, load, said);
}

std::optional<Question> Planner::with_load(const LayoutChoice& layout, const Workload& load, Diagnostics& said) const {
  Question q = base_;
  choose(q, site_, layout);
  q.workload = load;
  complete(q, site_.stack, said);
  complete_workload(q.deployment, site_.stack, q.workload, said);
  check_workload(q.deployment, q.workload, true, said);
  if (said.has_errors()) return std::nullopt;
  return q;
}

// One cell.
struct Planner::Search {
  struct Candidate {
    Question question;
    Duration ttft{}, tpot{}, score{};  // at least: of the slowest, mean, end to end
  };
  struct Shortage {
    Bytes excess{};
    MemoryPerRank memory;
    Question question;
    int servers = 0;
  };

  const Planner& planner;
  PlanCell cell;
  std::optional<Shortage> nearest_memory;   // the layout with the least too much
  std::optional<Candidate> nearest_target;  // the layout that misses its targets by least
  double least_miss = 0;
  int nearest_servers = 0;

  [[nodiscard]] const PlanSite& site() const { return planner.site_; }

  // The time that nothing can beat: the prompt's work at the int8 peak of all dies.
  [[nodiscard]] Duration bound(int servers) const {
    const Question& any = site().question;
    if (any.deployment.role == Role::kDecode) return {};
    Layout one;
    const Workload& w = cell.workload;
    const Flops work = work_once(any.deployment, prefill_step(one, 1, w.input_tokens, w.prefix_hit), planner.facts_);
    const Die& die = site().server.die;
    const double fastest = std::max(die.matrix_int8.value.count(), die.matrix_16bit.value.count());
    return work / FlopsPerSecond(fastest * servers * site().server.dies());
  }

  Scenario scenario(const Question& q, const Cluster& cluster) const {
    return Scenario(q.deployment, site().stack, site().kernels, cluster);
  }

  [[nodiscard]] Bytes capacity() const { return site().server.die.hbm_visible.value; }
  [[nodiscard]] static Workload kept(const Question& q) {
    Workload w = q.workload;
    w.batch = prompts_kept(q.deployment, w);
    return w;
  }
  // What a Scenario would say, of which most layouts that do not fit need no more.
  [[nodiscard]] MemoryPerRank memory(const Question& q) const {
    Deployment d = q.deployment;
    d.experts.rank_loads = routed_loads(d);
    return memory_per_rank(d, kept(q), site().stack, planner.facts_, capacity());
  }

  // By how much a time misses its target; 1 = just met.
  [[nodiscard]] double miss(Duration ttft, Duration tpot) const {
    const Targets& t = planner.targets_;
    double worst = 0;
    const auto look = [&](std::optional<Duration> target, Duration time) {
      if (target) worst = std::max(worst, seconds(time) / seconds(*target));
    };
    if (site().question.deployment.role != Role::kDecode) look(t.ttft, ttft);
    if (site().question.deployment.role != Role::kPrefill) look(t.tpot, tpot);
    return worst;
  }

  void note_miss(double missed, const Candidate& c, int servers) {
    if (nearest_target && missed >= least_miss) return;
    nearest_target = c;
    least_miss = missed;
    nearest_servers = servers;
  }

  // Layouts that fit, with what their times are at least.
  std::vector<Candidate> that_fit(const Fleet& fleet) {
    std::vector<Candidate> out;
    for (const LayoutChoice& layout : fleet.legal) {
      std::optional<Question> q = planner.with_load(layout, cell.workload);
      if (!q) continue;
      if (nearest_memory) {
        const auto excess = least_excess(q->deployment, kept(*q), capacity());
        if (excess && *excess > Bytes(0) && *excess >= nearest_memory->excess) continue;
      }
      MemoryPerRank m = memory(*q);
      if (m.fits()) {
        ++cell.counts.in_memory;
        const Prediction p = at_least(scenario(*q, *fleet.cluster), q->workload);
        out.push_back({*std::move(q), p.ttft.p99, p.tpot.mean, p.e2el.mean});
      } else if (const Bytes excess = m.peak() - m.allowed; !nearest_memory || excess < nearest_memory->excess) {
        nearest_memory = {excess, std::move(m), *std::move(q), fleet.servers};
      }
    }
    return out;
  }

  // True when this number of servers serves the cell. The most promising layouts are priced first, until those that are
  // left cannot be better.
  bool try_fleet(const Fleet& fleet) {
    const Targets& targets = planner.targets_;
    if (targets.ttft && bound(fleet.servers) > *targets.ttft) return false;
    std::vector<Candidate> candidates = that_fit(fleet);
    std::vector<const Candidate*> order;
    for (const Candidate& c : candidates) {
      const double missed = miss(c.ttft, c.tpot);
      if (missed > 1)
        note_miss(missed, c, fleet.servers);
      else
        order.push_back(&c);
    }
    std::ranges::stable_sort(order, {}, &Candidate::score);
    const Candidate* best = nullptr;
    for (const Candidate* c : order) {
      if (best != nullptr && c->score > cell.choice->prediction.e2el.mean) break;
      ++cell.counts.priced;
      Prediction p = predict(scenario(c->question, *fleet.cluster), c->question.workload);
      if (const double missed = miss(p.ttft.p99, p.tpot.mean); missed > 1) {
        note_miss(missed, {c->question, p.ttft.p99, p.tpot.mean, p.e2el.mean}, fleet.servers);
        continue;
      }
      // Of equal ones the first in the order of enumeration, which is that of their addresses.
      if (best != nullptr && (p.e2el.mean > cell.choice->prediction.e2el.mean ||
                              (p.e2el.mean == cell.choice->prediction.e2el.mean && c > best)))
        continue;
      best = c;
      cell.choice = {c->question, fleet.servers, std::move(p)};
    }
    if (best == nullptr) return false;
    if (best->question.deployment.role == Role::kHybrid) find_soonest(std::move(order), fleet);
    return true;
  }

  // TTFTs of candidates are exact: prefill is priced whole.
  void find_soonest(std::vector<const Candidate*> order, const Fleet& fleet) {
    constexpr int kSooner = 2;
    std::ranges::stable_sort(order, {}, &Candidate::ttft);
    for (const Candidate* c : order) {
      if (c->ttft * kSooner > cell.choice->prediction.ttft.p99) return;
      Prediction p = predict(scenario(c->question, *fleet.cluster), c->question.workload);
      if (miss(p.ttft.p99, p.tpot.mean) > 1) continue;
      cell.soonest = {c->question, fleet.servers, std::move(p)};
      return;
    }
  }

  [[nodiscard]] static std::string in_words(const Question& q) {
    const std::string degrees =
        layout_words(q.deployment.layout, q.deployment.engine->words.degrees, Degrees::kAboveOne, " ");
    return q.deployment.features.flashcomm1 ? degrees + " and FlashComm1" : degrees;
  }

  void explain_failure() {
    const Workload& w = cell.workload;
    if (nearest_target) {
      const Candidate& c = *nearest_target;
      std::vector<std::string> missed;
      const Targets& t = planner.targets_;
      const Prediction p =
          predict(scenario(c.question, *planner.fleets_[static_cast<std::size_t>(nearest_servers - 1)].cluster),
                  c.question.workload);
      if (t.ttft && p.ttft.p99 > *t.ttft)
        missed.push_back(fmt::format("TTFT {} (target {})", to_text(p.ttft.p99), to_text(*t.ttft)));
      if (t.tpot && p.tpot.mean > *t.tpot)
        missed.push_back(fmt::format("TPOT {} (target {})", to_text(p.tpot.mean), to_text(*t.tpot)));
      cell.why = fmt::format("misses the target: nearest {} with {} on {} server{}", fmt::join(missed, ", "),
                             in_words(c.question), nearest_servers, nearest_servers == 1 ? "" : "s");
      cell.remedy = w.batch > 1 ? "fewer requests side by side, more servers (--servers), or a looser target"
                                : "more servers (--servers), or a looser target";
      return;
    }
    if (nearest_memory) {
      const MemoryPerRank& m = nearest_memory->memory;
      const auto largest = m.largest();
      cell.why = fmt::format("does not fit: {} of {} GiB per rank with {} on {} server{}, {} {} GiB", gib(m.peak()),
                             gib(m.allowed), in_words(nearest_memory->question), nearest_memory->servers,
                             nearest_memory->servers == 1 ? "" : "s", largest.name, gib(largest.bytes));
      cell.remedy = memory_remedy(m);
      return;
    }
    if (const std::optional<Diagnostic> refusal = load_refused()) {
      cell.why = fmt::format("{} {}{}", refusal->code, refusal->message,
                             refusal->rule.empty() ? "" : fmt::format(" ({})", refusal->rule));
      cell.remedy = refusal->help.empty() ? "a shorter context" : refusal->help;
      return;
    }
    const bool none_legal = std::ranges::all_of(planner.fleets_, [](const Fleet& f) { return f.legal.empty(); });
    cell.why =
        none_legal
            ? fmt::format("no layout of 1 to {} servers is legal for {} {}: its rules refuse all {} of them",
                          site().most_servers, site().stack.engine, site().stack.version, planner.layouts_.enumerated)
            : "the work alone takes longer than the TTFT target at the peak of all dies";
    cell.remedy = none_legal ? "another engine (--engine), or more servers (--servers)"
                             : "more servers (--servers), or a looser target";
  }

  // The rule that the load breaks whatever the layout; empty when layouts take it.
  [[nodiscard]] std::optional<Diagnostic> load_refused() const {
    for (const Fleet& fleet : planner.fleets_)
      for (const LayoutChoice& layout : fleet.legal) {
        Diagnostics said;
        if (planner.with_load(layout, cell.workload, said)) return std::nullopt;
        for (const Diagnostic& d : said.all())
          if (d.severity == Severity::kError) return d;
      }
    return std::nullopt;
  }

  [[nodiscard]] std::string memory_remedy(const MemoryPerRank& m) const {
    std::vector<std::string> ways;
    if (m.smallest_fraction() <= site().stack.highest_memory_fraction)
      ways.push_back(fmt::format("a memory fraction of {:.2f}", m.smallest_fraction()));
    const Deployment& d = nearest_memory->question.deployment;
    const std::int64_t side_by_side =
        sequences_of(m, d, cell.workload.input_tokens + cell.workload.output_tokens) * d.layout.dp;
    if (side_by_side > 0 && side_by_side < cell.workload.batch)
      ways.push_back(fmt::format("at most {} requests side by side", side_by_side));
    else if (const std::int64_t longest = longest_context(m, d);
             side_by_side == 0 && longest > cell.workload.output_tokens)
      ways.push_back(fmt::format("a context of at most {} tokens", with_commas(longest - cell.workload.output_tokens)));
    ways.push_back("more servers (--servers)");
    return fmt::format("{}", fmt::join(ways, ", or "));
  }
};

PlanCell Planner::plan(const Workload& load) const {
  Search search{*this, {}, {}, {}, 0, 0};
  search.cell.workload = load;
  for (const Fleet& fleet : fleets_)
    if (search.try_fleet(fleet)) return std::move(search.cell);
  search.explain_failure();
  return std::move(search.cell);
}

std::optional<PlanSite> prefill_instances(const PlanSite& site, const Planner& planner) {
  if (site.question.deployment.role != Role::kHybrid || planner.cuts_prompts()) return std::nullopt;
  PlanSite prefill = site;
  prefill.question.deployment.role = Role::kPrefill;
  if (!Planner(prefill, {}).cuts_prompts()) return std::nullopt;
  return prefill;
}

}  // namespace ascendsim
