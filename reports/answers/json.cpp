#include "reports/answers/json.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "reports/answers/findings.h"
#include "reports/answers/json_parts.h"
#include "reports/answers/steps.h"

namespace ascendsim {

Json number_or_null(double value, bool known) { return known && std::isfinite(value) ? Json(value) : Json(nullptr); }

Json percentiles(const Percentiles& p, bool known) {
  const auto ms = [&](Duration d) { return number_or_null(milliseconds(d), known); };
  return {{"mean", ms(p.mean)}, {"p50", ms(p.p50)}, {"p90", ms(p.p90)}, {"p99", ms(p.p99)}};
}

Json findings(const Diagnostics& diagnostics) {
  Json out = Json::array();
  for (const Diagnostic& d : diagnostics.all())
    out.push_back({{"code", d.code},
                   {"severity", to_text(d.severity)},
                   {"message", d.message},
                   {"file", d.where.file},
                   {"line", d.where.line},
                   {"column", d.where.column},
                   {"key", d.where.key_path},
                   {"rule", d.rule},
                   {"help", d.help}});
  return out;
}

Json assumptions_json(std::span<const std::string> assumed, const Diagnostics& diagnostics) {
  Json out = Json::array();
  for (const std::string& text : assumed) out.push_back(text);
  for (const std::string& note : notes(diagnostics)) out.push_back(note);
  return out;
}

Json layout_json(const Layout& l) {
  return {{"dp", l.dp},
          {"cp", l.cp},
          {"sp", l.sp},
          {"tp", l.tp},
          {"moe_ep", l.moe_ep},
          {"moe_tp", l.moe_tp},
          {"ep_level", l.ep_level}};
}

Json memory_json(const MemoryPerRank& m) {
  return {{"weights", m.weights.count()},
          {"weights_without_scales", m.weights_without_scales.count()},
          {"scales", (m.weights - m.weights_without_scales).count()},
          {"kv_cache", m.kv_cache.count()},
          {"activations", m.activations.count()},
          {"communication", m.communication.count()},
          {"runtime", m.runtime.count()},
          {"peak", m.peak().count()},
          {"capacity", m.capacity.count()},
          {"allowed", m.allowed.count()}};
}

Json breakdown_json(const StepTime& step) {
  Json out = Json::object();
  for (const Part& part : parts_of(step)) {
    if (std::string_view(part.key) == "exposed_communication_ms")
      out["communication_ms"] = milliseconds(step.communication);
    out[part.key] = milliseconds(part.time);
  }
  out["longest_wait_ms"] = milliseconds(step.longest_wait);
  out["step_ms"] = milliseconds(step.total);
  return out;
}

namespace {

JsonDocument document(Json json) { return std::make_shared<Json>(std::move(json)); }

Json deployment_json(const Subject& s) {
  const Deployment& d = s.deployment();
  const Server& server = s.scenario->cluster.server();
  Json phases = Json::object();
  if (d.role != Role::kDecode) phases["prefill"] = layout_json(d.layout);
  if (d.role != Role::kPrefill) phases["decode"] = layout_json(d.layout);
  return {{"engine", d.engine_name},
          {"engine_version", d.engine_version},
          {"file", s.file},
          {"model", d.model.name},
          {"quantisation", d.quantisation.name},
          {"dtype", to_text(d.dtype)},
          {"role", to_text(d.role)},
          {"hardware", server.name},
          {"die", server.die.name},
          {"servers", s.servers()},
          {"cards", s.cards()},
          {"dies", s.dies()},
          {"memory_fraction", d.memory_fraction},
          {"phases", phases}};
}

Json workload_json(const Workload& w) {
  Json out = {{"input_tokens", w.input_tokens}, {"output_tokens", w.output_tokens}, {"concurrency", w.batch}};
  if (w.prefix_hit > 0) out["prefix_hit_tokens"] = w.prefix_hit;
  if (!w.acceptance.empty()) out["acceptance"] = w.acceptance;
  return out;
}

Json components_json(const MemoryPerRank& m) {
  Json weights = Json::array(), activations = Json::array(), communication = Json::array();
  for (const auto& c : m.weight_components)
    weights.push_back({{"module", c.name}, {"bytes", c.bytes.count()}, {"scales_bytes", c.scales.count()}});
  for (const auto& l : m.activation_peak.live) activations.push_back({{"buffer", l.label}, {"bytes", l.bytes.count()}});
  for (const auto& c : m.communication_components)
    communication.push_back({{"group", c.name}, {"bytes", c.bytes.count()}});
  return {{"weights", weights}, {"activations", activations}, {"communication", communication}};
}

Json remedies_json(std::span<const Remedy> remedies) {
  Json out = Json::array();
  for (const Remedy& r : remedies)
    out.push_back({{"change", r.change}, {"peak_bytes", r.peak.count()}, {"allowed_bytes", r.allowed.count()}});
  return out;
}

// One side of a disaggregated pair: what `role` names is known, the other side has a file of its own.
Json by_side(Role role, Json value) {
  if (role == Role::kHybrid) return value;
  Json out = Json::object();
  out[std::string(to_text(role))] = std::move(value);
  return out;
}

Json shortage_json(const MemoryPerRank& m, std::span<const Remedy> remedies) {
  return {{"need_bytes", m.peak().count()},
          {"have_bytes", m.allowed.count()},
          {"largest", m.largest().name},
          {"remedies", remedies_json(remedies)}};
}

void add_memory(Json& out, const Subject& s, const MemoryPerRank& m, std::span<const Remedy> remedies) {
  const Role role = s.deployment().role;
  out["memory_per_rank_bytes"] = by_side(role, memory_json(m));
  out["kv_bytes_per_token_per_rank"] = by_side(role, m.kv_bytes_per_token.count());
  out["kv_capacity_tokens"] = by_side(role, m.kv_capacity_tokens);
  out["fits"] = by_side(role, m.fits());
  out["borderline"] = by_side(role, m.borderline());
  out["kv_blocks"] = m.kv_blocks;
  out["kv_blocks_needed"] = m.kv_blocks_needed;
  out["smallest_memory_fraction"] = number_or_null(m.smallest_fraction(), m.smallest_fraction() <= 1);
  out["memory_components"] = components_json(m);
  if (!m.fits()) out["shortage"] = shortage_json(m, remedies);
}

// Of a kernel: seconds of each term over its time. They overlap, so they need not add up to 1.
Json limit_shares_json(const OperatorRow& row) {
  Json out = Json::object();
  for (std::size_t i = 0; i < row.terms.size(); ++i)
    if (row.terms[i] > 0) out[std::string(to_text(static_cast<Bound>(i)))] = row.terms[i];
  return out;
}

Json operators_json(const StepTime& step) {
  Json out = Json::array();
  for (const OperatorRow& r : step.operator_rows)
    out.push_back({{"operator", r.label},
                   {"category", category_name(r.category)},
                   {"count", r.count},
                   {"time_ms", milliseconds(r.time)},
                   {"flops", r.flops.count()},
                   {"bytes", r.bytes.count()},
                   {"limit", r.limit},
                   {"limit_shares", limit_shares_json(r)},
                   {"source", r.source}});
  return out;
}

Json collectives_json(const StepTime& step) {
  Json out = Json::array();
  for (const CollectiveRow& r : step.collective_rows)
    out.push_back({{"collective", r.label},
                   {"primitive", r.primitive},
                   {"group", r.group},
                   {"algorithm", r.algorithm},
                   {"count", r.count},
                   {"bytes", r.bytes.count()},
                   {"sent_bytes_per_rank", r.sent.count()},
                   {"time_ms", milliseconds(r.time)}});
  return out;
}

void add_steps(Json& out, const std::vector<PhaseStep>& phases) {
  Json breakdown = Json::object(), light = Json::object(), operators = Json::object(), collectives = Json::object(),
       classes = Json::object(), bottlenecks = Json::object();
  for (const auto& [name, step] : phases) {
    breakdown[name] = breakdown_json(*step);
    light[std::string(name) + "_ms"] = milliseconds(step->speed_of_light);
    operators[name] = operators_json(*step);
    collectives[name] = collectives_json(*step);
    for (const SlowedCollective& c : step->slowed)
      out["slowed_by_faults"][name].push_back({{"collective", c.label},
                                               {"primitive", c.primitive},
                                               {"group", c.group},
                                               {"ranks", c.ranks},
                                               {"bytes", c.bytes.count()},
                                               {"time_us", microseconds(c.time)},
                                               {"time_without_faults_us", microseconds(c.without_faults)}});
    classes[name] = step->classes;
    bottlenecks[name] = bottleneck(*step);
  }
  out["breakdown"] = breakdown;
  out["speed_of_light"] = light;
  out["bottleneck"] = bottlenecks;
  out["operators"] = operators;
  out["collectives"] = collectives;
  out["classes"] = classes;
}

}  // namespace

JsonDocument run_json(const Subject& s, const Prediction& p, const std::vector<Remedy>& remedies,
                      const Diagnostics& diagnostics) {
  const Role role = s.deployment().role;
  const bool prefills = role != Role::kDecode, decodes = role != Role::kPrefill, several = s.workload.output_tokens > 1;
  Json out = {{"deployment", deployment_json(s)}, {"workload", workload_json(s.workload)}};
  out["ttft_ms"] = percentiles(p.ttft, prefills);
  out["tpot_ms"] = percentiles(p.tpot, decodes && several);
  out["itl_ms"] = percentiles(p.itl, decodes && several);
  out["e2el_ms"] = percentiles(p.e2el, prefills && decodes);
  out["output_throughput_tok_s"] = number_or_null(p.output_tokens_per_second, decodes);
  out["output_throughput_per_card_tok_s"] =
      number_or_null(p.output_tokens_per_second / static_cast<double>(s.cards()), decodes);
  out["request_throughput_req_s"] = number_or_null(p.requests_per_second, true);
  out["prefill_step_ms"] = number_or_null(milliseconds(p.prefill.total), prefills);
  out["decode_step_ms"] = number_or_null(milliseconds(several ? p.decode_step : p.decode.total), decodes);
  out["prefill_sequences"] = p.prefill_sequences;
  out["decode_context_tokens"] = p.decode_context;
  out["tokens_per_step"] = p.tokens_per_step;
  add_memory(out, s, p.memory, remedies);
  add_steps(out, phases_of(role, p));
  out["assumptions"] = assumptions_json(p.assumptions, diagnostics);
  return document(std::move(out));
}

namespace {

Json pair_deployment_json(const PairAnswer& a) {
  Json prefill = deployment_json(a.prefill), decode = deployment_json(a.decode);
  Json out = {{"engine", prefill["engine"]}, {"engine_version", prefill["engine_version"]}};
  for (const char* count : {"servers", "cards", "dies"})
    out[count] = prefill[count].get<std::int64_t>() + decode[count].get<std::int64_t>();
  out["phases"] = {{"prefill", prefill["phases"]["prefill"]}, {"decode", decode["phases"]["decode"]}};
  out["sides"] = {{"prefill", std::move(prefill)}, {"decode", std::move(decode)}};
  return out;
}

Json transfer_json(const KvTransfer& t) {
  return {{"bytes_per_decode_rank", t.per_decode_rank.count()},
          {"bytes_per_prefill_rank", t.per_prefill_rank.count()},
          {"bytes_total", t.total.count()},
          {"blocks", t.blocks},
          {"sources", t.sources},
          {"mapping", t.mapping},
          {"plane", t.plane},
          {"rate_gb_s", t.rate.count() / 1e9},
          {"mode", t.layer_wise ? "layer-wise" : "pull"},
          {"pieces", t.pieces},
          {"time_ms", milliseconds(t.time)},
          {"exposed_ms", milliseconds(t.exposed)}};
}

void add_pair_memory(Json& out, const PairAnswer& a) {
  const MemoryPerRank &p = a.prediction.prefill.memory, &d = a.prediction.decode.memory;
  const auto both = [](Json prefill, Json decode) -> Json {
    return {{"prefill", std::move(prefill)}, {"decode", std::move(decode)}};
  };
  out["memory_per_rank_bytes"] = both(memory_json(p), memory_json(d));
  out["kv_bytes_per_token_per_rank"] = both(p.kv_bytes_per_token.count(), d.kv_bytes_per_token.count());
  out["kv_capacity_tokens"] = both(p.kv_capacity_tokens, d.kv_capacity_tokens);
  out["fits"] = both(p.fits(), d.fits());
  out["borderline"] = both(p.borderline(), d.borderline());
  out["memory_components"] = both(components_json(p), components_json(d));
  if (!p.fits()) out["shortage"]["prefill"] = shortage_json(p, a.prefill_remedies);
  if (!d.fits()) out["shortage"]["decode"] = shortage_json(d, a.decode_remedies);
}

}  // namespace

JsonDocument pair_json(const PairAnswer& a, const Diagnostics& diagnostics) {
  const DisaggregatedPrediction& p = a.prediction;
  const Prediction& r = p.requests;
  const bool several = a.decode.workload.output_tokens > 1;
  Json workload = workload_json(a.decode.workload);
  Json out = {{"deployment", pair_deployment_json(a)}, {"workload", std::move(workload)}};
  out["ttft_ms"] = percentiles(r.ttft, true);
  out["tpot_ms"] = percentiles(r.tpot, several);
  out["itl_ms"] = percentiles(r.itl, several);
  out["e2el_ms"] = percentiles(r.e2el, true);
  out["ttft_parts_ms"] = {{"queue", milliseconds(p.queue)}, {"prefill", milliseconds(p.prefill.prefill.total)}};
  if (p.decode_answers) {
    out["ttft_parts_ms"]["kv_transfer"] = milliseconds(p.transfer.exposed);
    out["ttft_parts_ms"]["first_decode_step"] = milliseconds(p.first_step);
  }
  out["output_throughput_tok_s"] = r.output_tokens_per_second;
  out["output_throughput_per_card_tok_s"] =
      r.output_tokens_per_second / static_cast<double>(a.prefill.cards() + a.decode.cards());
  out["request_throughput_req_s"] = r.requests_per_second;
  out["prefill_step_ms"] = milliseconds(p.prefill.prefill.total);
  out["decode_step_ms"] = milliseconds(several ? r.decode_step : p.decode.decode.total);
  out["prefill_sequences"] = p.prefill.prefill_sequences;
  out["decode_context_tokens"] = p.decode.decode_context;
  out["tokens_per_step"] = r.tokens_per_step;
  out["kv_transfer"] = transfer_json(p.transfer);
  add_pair_memory(out, a);
  add_steps(out, {{"prefill", &p.prefill.prefill}, {"decode", &p.decode.decode}});
  std::vector<std::string> assumed = r.assumptions;
  for (const auto& [side, prediction] : {std::pair{"prefill", &p.prefill}, {"decode", &p.decode}})
    for (const std::string& text : prediction->assumptions) assumed.push_back(std::string(side) + ": " + text);
  out["assumptions"] = assumptions_json(assumed, diagnostics);
  return document(std::move(out));
}

namespace {

Json needs_json(const MemoryAnswer& a) {
  const Subject& s = a.subject;
  Json out = {{"deployment", deployment_json(s)}, {"workload", workload_json(s.workload)}};
  add_memory(out, s, a.memory, a.remedies);
  out["longest_context_tokens"] = longest_context(a.memory, s.deployment());
  out["max_seq_len_tokens"] = s.deployment().limits.max_seq_len;
  out["concurrency"] = Json::array();
  for (const Concurrency& c : a.concurrency)
    out["concurrency"].push_back(
        {{"context_tokens", c.context}, {"sequences_per_dp_group", c.per_dp_group}, {"sequences", c.instance}});
  return out;
}

}  // namespace

JsonDocument mem_json(const MemoryAnswer& a, const Diagnostics& diagnostics) {
  Json out = needs_json(a);
  out["assumptions"] = assumptions_json({}, diagnostics);
  return document(std::move(out));
}

JsonDocument mem_json(const MemoryAnswer& prefill, const MemoryAnswer& decode, const Diagnostics& diagnostics) {
  return document({{"prefill", needs_json(prefill)},
                   {"decode", needs_json(decode)},
                   {"assumptions", assumptions_json({}, diagnostics)}});
}

JsonDocument check_json(std::span<const CheckedFile> files) {
  Json out = {{"files", Json::array()}};
  for (const CheckedFile& f : files) {
    Json file = {{"file", f.subject.file}, {"legal", f.legal}, {"keys", Json::array()}};
    for (const KeyReport& k : f.subject.keys)
      file["keys"].push_back({{"path", k.path}, {"value", k.value}, {"use", to_text(k.use)}, {"remark", k.remark}});
    if (f.memory) {
      file["workload"] = workload_json(f.subject.workload);
      file["memory_per_rank_bytes"] = memory_json(*f.memory);
      file["fits"] = f.memory->fits();
    }
    out["files"].push_back(std::move(file));
  }
  return document(std::move(out));
}

}  // namespace ascendsim
