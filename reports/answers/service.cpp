#include "reports/answers/service.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace ascendsim {

namespace {

constexpr double kPicosecondsPerMillisecond = 1e9;

std::string time_text(double ms) { return to_text(Duration(std::llround(ms * kPicosecondsPerMillisecond))); }
std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }
// Four digits, and never 1.2e+04.
std::string rate_text(double per_second) {
  constexpr double kFourDigits = 1e4;
  return per_second < kFourDigits ? fmt::format("{:.4g}", per_second) : with_commas(std::llround(per_second));
}

std::string verdict_text(const ServiceAnswer& a) {
  const ServiceReport& r = a.report;
  static constexpr std::string_view kWords[] = {"stable: the service keeps up with the load",
                                                "backlogged: requests wait, and go on waiting when no more arrive",
                                                "OVERLOADED: waits grow as long as requests arrive"};
  std::string text(a.stopped ? "interrupted; of what had ended until then: " : "");
  return text + std::string(kWords[static_cast<std::size_t>(r.verdict)]);
}

std::string requests_text(const ServiceReport& r) {
  std::string text = fmt::format("{} sent, {} completed in {}", with_commas(r.sent), with_commas(r.completed),
                                 time_text(r.duration_s * 1e3));
  if (r.rejections() == 0) return text;
  std::vector<std::string> reasons;
  for (std::size_t i = 1; i < kRejections; ++i)
    if (r.rejected[i] > 0)
      reasons.push_back(fmt::format("{} {}", with_commas(r.rejected[i]), to_text(static_cast<Rejection>(i))));
  return text + fmt::format(", {} REJECTED: {}", with_commas(r.rejections()), fmt::join(reasons, ", "));
}

std::string latency_text(const Spread& s) {
  return fmt::format("mean {}, p50 {}, p99 {}, max {}", time_text(s.mean_ms), time_text(s.p50_ms), time_text(s.p99_ms),
                     time_text(s.max_ms));
}

std::array<std::pair<Slo::Metric, const Spread*>, Slo::kMetrics> limited(const ServiceReport& r) {
  return {{{Slo::Metric::kTtft, &r.ttft}, {Slo::Metric::kTpot, &r.tpot}, {Slo::Metric::kE2el, &r.e2el}}};
}

std::string slo_text(const ServiceAnswer& a) {
  const ServiceReport& r = a.report;
  std::vector<std::string> terms;
  for (const auto& [metric, spread] : limited(r)) {
    const auto& limit = a.load.slo.of(metric);
    if (!limit) continue;
    const bool missed = std::ranges::find(r.missed, metric) != r.missed.end();
    terms.push_back(fmt::format("{} {} {} {} {}{}", to_text(metric), to_text(limit->judged_by),
                                time_text(spread->of(limit->judged_by)), missed ? ">" : "<=", to_text(limit->at_most),
                                missed ? " MISSED" : ""));
  }
  return fmt::format("{}; {} of requests within all limits", fmt::join(terms, ", "), percent(r.attainment));
}

Table terms_table(const ServiceReport& r) {
  Table t{"Where the TTFT goes (mean of all requests)",
          "ttft_terms",
          Table::Shape::kGrid,
          {{"term", "term"}, {"mean ms", "mean_ms", true}, {"share", "share_percent", true}},
          {}};
  const auto row = [&](std::string_view name, double ms) {
    const double share = r.ttft.mean_ms > 0 ? ms / r.ttft.mean_ms : 0;
    t.rows.push_back({name, ms_cell(ms), Cell(percent(share), fmt::format("{}", 100 * share))});
  };
  for (std::size_t i = 0; i < TtftTerms::kNames.size(); ++i) {
    std::string name(TtftTerms::kNames[i]);
    std::ranges::replace(name, '_', ' ');
    row(name, r.ttft_terms_ms[i]);
  }
  row("TTFT", r.ttft.mean_ms);
  return t;
}

Table latency_table(const ServiceReport& r) {
  Table t{fmt::format("Latencies in ms, by the definitions of {}", to_text(r.tool)),
          "latencies",
          Table::Shape::kGrid,
          {{"metric", "metric"},
           {"mean", "mean_ms", true},
           {"p50", "p50_ms", true},
           {"p90", "p90_ms", true},
           {"p95", "p95_ms", true},
           {"p99", "p99_ms", true},
           {"max", "max_ms", true},
           {"values", "values", true}},
          {}};
  for (const auto& [name, s] : {std::pair{"TTFT", &r.ttft},
                                {"TPOT", &r.tpot},
                                {"ITL", &r.itl},
                                {"E2EL", &r.e2el},
                                {"queue", &r.queue},
                                {"longest stall", &r.stall}})
    t.rows.push_back({name, ms_cell(s->mean_ms), ms_cell(s->p50_ms), ms_cell(s->p90_ms), ms_cell(s->p95_ms),
                      ms_cell(s->p99_ms), ms_cell(s->max_ms), count_cell(s->count)});
  return t;
}

Table pools_table(const ServiceReport& r) {
  Table t{"Instances",
          "instances",
          Table::Shape::kGrid,
          {{"kind", "kind"},
           {"number", "number", true},
           {"busy", "busy_percent", true},
           {"KV use", "kv_use_percent", true},
           {"at most", "kv_peak_percent", true},
           {"running", "running", true},
           {"waiting", "waiting", true}},
          {}};
  const auto share = [](double s) { return Cell(percent(s), fmt::format("{}", 100 * s)); };
  for (const ServiceReport::Pool& p : r.pools)
    t.rows.push_back({p.name, count_cell(p.instances), share(p.utilisation), share(p.kv_use), share(p.kv_peak),
                      number_cell(p.running, 2), number_cell(p.waiting, 2)});
  return t;
}

Json spread_json(const Spread& s) {
  const auto of_any = [&](double ms) { return s.count > 0 ? Json(ms) : Json(nullptr); };
  return {{"mean", of_any(s.mean_ms)}, {"p50", of_any(s.p50_ms)}, {"p90", of_any(s.p90_ms)},
          {"p95", of_any(s.p95_ms)},   {"p99", of_any(s.p99_ms)}, {"max", of_any(s.max_ms)},
          {"count", s.count}};
}

Json slo_json(const ServiceAnswer& a) {
  Json out = Json::object();
  for (const auto& [metric, spread] : limited(a.report)) {
    const auto& limit = a.load.slo.of(metric);
    if (!limit) continue;
    const bool missed = std::ranges::find(a.report.missed, metric) != a.report.missed.end();
    out[std::string(to_text(metric))] = {{"at_most_ms", milliseconds(limit->at_most)},
                                         {"statistic", to_text(limit->judged_by)},
                                         {"value_ms", spread->of(limit->judged_by)},
                                         {"met", !missed}};
  }
  return out;
}

// By kind of instance where there are two.
Json by_pool(const ServiceReport& r, double ServiceReport::Pool::*value) {
  if (r.pools.size() == 1) return r.pools.front().*value;
  Json out = Json::object();
  for (const ServiceReport::Pool& p : r.pools) out[p.name] = p.*value;
  return out;
}

}  // namespace

Table service_facts(const ServiceAnswer& a) {
  const ServiceReport& r = a.report;
  Table t = facts("", "results");
  t.rows = {{"verdict", verdict_text(a)},
            {"requests", requests_text(r)},
            {"TTFT", latency_text(r.ttft)},
            {"TPOT", latency_text(r.tpot)},
            {"longest stall", time_text(r.stall.max_ms)}};
  const double queue = r.ttft_terms_ms[2];
  t.rows.push_back({"queue", fmt::format("{} in the mean, {} of the TTFT", time_text(queue),
                                         percent(r.ttft.mean_ms > 0 ? queue / r.ttft.mean_ms : 0))});
  t.rows.push_back(
      {"in flight", fmt::format("{:.4g} requests in the mean, {:.4g} of them waiting", r.in_flight, r.waiting)});
  std::vector<std::string> use;
  for (const ServiceReport::Pool& p : r.pools)
    use.push_back(fmt::format("{}{} in the mean, {} at most", r.pools.size() > 1 ? p.name + " " : "", percent(p.kv_use),
                              percent(p.kv_peak)));
  if (!use.empty()) t.rows.push_back({"KV use", fmt::format("{}", fmt::join(use, "; "))});
  t.rows.push_back(
      {"throughput", fmt::format("{} output tok/s, {} per card; {} requests/s", rate_text(r.output_tokens_per_second),
                                 rate_text(r.output_tokens_per_second / static_cast<double>(a.cards)),
                                 rate_text(r.requests_per_second))});
  if (a.load.slo.any()) {
    t.rows.push_back({"goodput", fmt::format("{} requests/s", rate_text(r.goodput_per_second))});
    t.rows.push_back({"SLO", slo_text(a)});
  }
  if (r.cached_tokens > 0)
    t.rows.push_back({"prefix cache", fmt::format("{} of prompt tokens", percent(r.prefix_hit_rate))});
  if (r.preemptions > 0)
    t.rows.push_back({"preemptions",
                      fmt::format("{} of {} requests", with_commas(r.preemptions), with_commas(r.preempted_requests))});
  return t;
}

std::vector<Table> service_tables(const ServiceAnswer& a) {
  return {terms_table(a.report), latency_table(a.report), pools_table(a.report)};
}

void put_service(const ServiceAnswer& a, Json& out) {
  const ServiceReport& r = a.report;
  Json& workload = out["workload"];
  workload["load"] = a.load.what;
  workload["concurrency"] = a.load.max_concurrency ? Json(*a.load.max_concurrency) : Json(nullptr);
  workload["request_rate_req_s"] = std::isfinite(a.load.rate) && a.load.rate > 0 ? Json(a.load.rate) : Json(nullptr);
  workload["metrics_of"] = to_text(r.tool);
  out["verdict"] = to_text(r.verdict);
  out["interrupted"] = a.stopped;
  out["requests"] = {{"sent", r.sent}, {"completed", r.completed}, {"rejected", r.rejections()}};
  for (std::size_t i = 1; i < kRejections; ++i)
    if (r.rejected[i] > 0)
      out["requests"]["rejections"][std::string(to_text(static_cast<Rejection>(i)))] = r.rejected[i];
  out["duration_s"] = r.duration_s;
  out["ttft_ms"] = spread_json(r.ttft);
  out["tpot_ms"] = spread_json(r.tpot);
  out["itl_ms"] = spread_json(r.itl);
  out["e2el_ms"] = spread_json(r.e2el);
  out["queue_ms"] = spread_json(r.queue);
  out["longest_stall_ms"] = spread_json(r.stall);
  out["ttft_terms_ms"] = Json::object();
  for (std::size_t i = 0; i < TtftTerms::kNames.size(); ++i)
    out["ttft_terms_ms"][std::string(TtftTerms::kNames[i])] = r.ttft_terms_ms[i];
  out["output_throughput_tok_s"] = r.output_tokens_per_second;
  out["output_throughput_per_card_tok_s"] = r.output_tokens_per_second / static_cast<double>(a.cards);
  out["request_throughput_req_s"] = r.requests_per_second;
  out["input_throughput_tok_s"] = r.input_tokens_per_second;
  out["goodput_req_s"] = a.load.slo.any() ? Json(r.goodput_per_second) : Json(nullptr);
  out["slo_attainment"] = a.load.slo.any() ? Json(r.attainment) : Json(nullptr);
  out["slo"] = slo_json(a);
  out["preemptions"] = r.preemptions;
  out["preempted_requests"] = r.preempted_requests;
  out["prefix_hit_rate"] = r.prefix_hit_rate;
  out["kv_use"] = by_pool(r, &ServiceReport::Pool::kv_use);
  out["kv_use_peak"] = by_pool(r, &ServiceReport::Pool::kv_peak);
  out["utilisation"] = by_pool(r, &ServiceReport::Pool::utilisation);
  out["instances"] = Json::array();
  for (const ServiceReport::Pool& p : r.pools)
    out["instances"].push_back(
        {{"kind", p.name}, {"number", p.instances}, {"running", p.running}, {"waiting", p.waiting}});
  out["in_flight"] = r.in_flight;
  out["waiting"] = r.waiting;
}

Json vllm_bench_json(const ServiceAnswer& a) {
  const ServiceReport& r = a.report;
  const auto rate = [&]() -> Json {
    if (std::isinf(a.load.rate) || a.load.rate == 0) return "inf";
    return a.load.rate;
  };
  Json out = {{"date", nullptr},
              {"endpoint_type", "ascendsim"},
              {"backend", "ascendsim"},
              {"label", nullptr},
              {"model_id", a.model},
              {"tokenizer_id", a.model},
              {"num_prompts", r.sent},
              {"request_rate", rate()},
              {"burstiness", a.load.burstiness},
              {"max_concurrency", a.load.max_concurrency ? Json(*a.load.max_concurrency) : Json(nullptr)},
              {"duration", r.duration_s},
              {"completed", r.completed},
              {"failed", r.rejections()},
              {"total_input_tokens", r.input_tokens},
              {"total_output_tokens", r.output_tokens},
              {"request_throughput", r.requests_per_second},
              {"request_goodput", a.load.slo.any() ? Json(r.goodput_per_second) : Json(nullptr)},
              {"output_throughput", r.output_tokens_per_second},
              {"total_token_throughput", r.output_tokens_per_second + r.input_tokens_per_second},
              {"max_output_tokens_per_s", static_cast<double>(r.most_tokens_in_a_second)},
              {"max_concurrent_requests", r.most_requests_in_a_second}};
  for (const auto& [name, s] : {std::pair{"ttft", &r.ttft}, {"tpot", &r.tpot}, {"itl", &r.itl}, {"e2el", &r.e2el}}) {
    const auto key = [&](const char* statistic) { return fmt::format("{}_{}_ms", statistic, name); };
    out[key("mean")] = s->mean_ms;
    out[key("median")] = s->p50_ms;
    out[key("std")] = s->deviation_ms;
    out[key("p50")] = s->p50_ms;
    out[key("p90")] = s->p90_ms;
    out[key("p95")] = s->p95_ms;
    out[key("p99")] = s->p99_ms;
  }
  return out;
}

}  // namespace ascendsim
