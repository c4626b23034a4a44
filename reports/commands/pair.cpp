#include "reports/commands/pair.h"

#include <fmt/format.h>

#include "reports/answers/headings.h"
#include "reports/answers/json.h"
#include "reports/answers/memory_tables.h"
#include "reports/answers/steps.h"
#include "reports/commands/service.h"

namespace ascendsim {

namespace {

using Pair = PairOfSubjects;

Table results(const Pair& s, const DisaggregatedPrediction& p) {
  const Prediction& r = p.requests;
  const bool fits = p.prefill.memory.fits() && p.decode.memory.fits();
  const std::string mark = fits ? "" : "   (does not fit: if there were memory enough)";
  const std::int64_t cards = s.prefill.cards() + s.decode.cards();
  Table t = facts("", "results");
  t.rows = {{"TTFT", with_spread(r.ttft) + mark},
            {"  queue", fmt::format("{} mean wait for earlier prefill steps", to_text(p.queue))},
            {"  prefill", fmt::format("{} for {} prompt{}{}", to_text(p.prefill.prefill.total),
                                      p.prefill.prefill_sequences, p.prefill.prefill_sequences == 1 ? "" : "s",
                                      p.decode_answers ? "" : "; the first token comes from the prefill side")}};
  if (p.decode_answers) {
    t.rows.push_back({"  KV transfer", fmt::format("{} after the prefill", to_text(p.transfer.exposed))});
    t.rows.push_back(
        {"  first decode step",
         fmt::format("{}; it recomputes the last prompt token and yields the first one", to_text(p.first_step))});
  }
  if (s.decode.workload.output_tokens > 1) {
    t.rows.push_back({"TPOT", with_spread(r.tpot) + mark});
    t.rows.push_back({"ITL", with_spread(r.itl) + mark});
    t.rows.push_back(
        {"decode step", fmt::format("{}, {:.3f} tokens a step", to_text(r.decode_step), r.tokens_per_step)});
  }
  t.rows.push_back(
      {"throughput",
       fmt::format("{:.4g} output tok/s, {:.4g} per card of both sides; {:.4g} requests/s", r.output_tokens_per_second,
                   r.output_tokens_per_second / static_cast<double>(cards), r.requests_per_second)});
  for (const auto& [name, subject, memory] :
       {std::tuple{"prefill", &s.prefill, &p.prefill.memory}, {"decode", &s.decode, &p.decode.memory}}) {
    t.rows.push_back({fmt::format("{} memory per rank", name), fit_in_words(*memory, subject->deployment())});
    t.rows.push_back({fmt::format("{} KV capacity", name),
                      fmt::format("{} tokens per DP group", with_commas(memory->kv_capacity_tokens))});
  }
  return t;
}

Table transfer_table(const DisaggregatedPrediction& p) {
  const KvTransfer& k = p.transfer;
  Table t = facts(fmt::format("KV transfer of one request, {} its first {}", p.decode_answers ? "before" : "between",
                              p.decode_answers ? "token" : "and second token"),
                  "kv_transfer");
  t.rows = {{"bytes per decode rank", bytes_cell(k.per_decode_rank)},
            {"bytes per prefill rank", bytes_cell(k.per_prefill_rank)},
            {"bytes in all", bytes_cell(k.total)},
            {"blocks per decode rank", count_cell(k.blocks)},
            {"prefill ranks a decode rank pulls from", count_cell(k.sources)},
            {"which ones", k.mapping},
            {"plane", fmt::format("{}, {:.4g} GB/s a rank", k.plane, k.rate.count() / 1e9)},
            {"mode", k.layer_wise ? "pushed layer by layer while prefill runs" : "pulled after prefill"},
            {"pieces per decode rank", fmt::format("{} (layer, run of blocks)", with_commas(k.pieces))},
            {"time", to_text(k.time)},
            {"exposed", fmt::format("{} after the prefill", to_text(k.exposed))}};
  return t;
}

std::vector<Table> tables_of(const Pair& s, const DisaggregatedPrediction& p, const Shortage& prefill_shortage,
                             const Shortage& decode_shortage, const PairOptions& options) {
  const std::vector<PhaseStep> phases{{"prefill", &p.prefill.prefill}, {"decode", &p.decode.decode}};
  std::vector<Table> tables{heading(s.prefill, s.decode), results(s, p), transfer_table(p)};
  for (const Shortage* const shortage : {&prefill_shortage, &decode_shortage}) {
    tables.push_back(shortage->need);
    tables.push_back(shortage->remedy_table);
  }
  tables.push_back(reasons_table(phases, p.prefill.prefill_sequences, p.decode.decode_context));
  tables.push_back(breakdown_table(phases));
  for (const PhaseStep& phase : phases) {
    tables.push_back(operator_table(phase, options.service.top));
    tables.push_back(collective_table(phase));
  }
  for (const auto& [name, memory] : {std::pair{"prefill", &p.prefill.memory}, {"decode", &p.decode.memory}}) {
    tables.push_back(memory_table(*memory));
    tables.back().title += fmt::format(", {} side", name);
    tables.back().key = fmt::format("{}_memory_per_rank", name);
  }
  std::vector<std::string> assumed = p.requests.assumptions;
  assumed.insert(assumed.end(), p.prefill.assumptions.begin(), p.prefill.assumptions.end());
  for (const std::string& a : p.decode.assumptions)
    if (std::ranges::find(assumed, a) == assumed.end()) assumed.push_back(a);
  tables.push_back(list_of("Assumptions", "assumptions", std::move(assumed)));
  return tables;
}

void name_side(Shortage& shortage, const char* side) {
  shortage.need.title += fmt::format(": {} side", side);
  shortage.need.key = fmt::format("{}_shortage", side);
  shortage.remedy_table.title += fmt::format(" on the {} side", side);
  shortage.remedy_table.key = fmt::format("{}_remedies", side);
}

Answer answer(Pair pair, const PairOfChoices& choices, const Libraries& libraries, const Settings& settings,
              const PairOptions& options, Diagnostics& diagnostics) {
  if (options.print_config)
    return {.text = fmt::format("--- # prefill: {}\n{}--- # decode: {}\n{}", pair.prefill.file,
                                effective_configuration(pair.prefill), pair.decode.file,
                                effective_configuration(pair.decode))};
  if (needs_service(pair, choices, settings, options.service))
    if (auto served = answer_service(pair, choices, settings, options.service, diagnostics)) return *std::move(served);
  const DisaggregatedPrediction p =
      predict_disaggregated(*pair.prefill.scenario, *pair.decode.scenario, pair.decode.workload);
  pair.prefill.workload.batch = p.prefill_batch;
  Shortage of_prefill = shortage_of(pair.prefill, p.prefill.memory, libraries),
           of_decode = shortage_of(pair.decode, p.decode.memory, libraries);
  name_side(of_prefill, "prefill");
  name_side(of_decode, "decode");
  return {.exit = p.prefill.memory.fits() && p.decode.memory.fits() ? Exit::kYes : Exit::kNo,
          .tables = tables_of(pair, p, of_prefill, of_decode, options),
          .json = pair_json({pair.prefill, pair.decode, p, of_prefill.remedies, of_decode.remedies}, diagnostics)};
}

}  // namespace

Answer answer_pair(const PairOfChoices& choices, const Settings& settings, const PairOptions& options,
                   Diagnostics& diagnostics) {
  const Libraries libraries;
  return answer(load_pair(choices, asked_load(settings), libraries, settings, diagnostics), choices, libraries,
                settings, options, diagnostics);
}

}  // namespace ascendsim
