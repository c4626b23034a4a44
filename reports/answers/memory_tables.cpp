#include "reports/answers/memory_tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "strategies/deployment/words.h"

namespace ascendsim {

namespace {

constexpr double kGiB = 1024.0 * 1024 * 1024;

std::string precise_gib(Bytes b) { return fmt::format("{:.2f} GiB", static_cast<double>(b.count()) / kGiB); }

std::string starting_fraction(const MemoryPerRank& m) {
  const double fraction = m.smallest_fraction();
  return fraction <= 1 ? fmt::format("{:.2f}", fraction) : std::string("none: it needs more than the die has");
}

// "the runtime may take 1.50 GiB more, the driver show less": the figures of `doubt` that count here.
std::string doubt_in_words(const MemoryPerRank& m) {
  std::vector<std::string> out;
  if (m.doubt.runtime.count() > 0)
    out.push_back(fmt::format("the runtime may take {} more", precise_gib(m.doubt.runtime)));
  if (m.doubt.all > m.doubt.runtime)
    out.push_back(fmt::format("{} less of the die may be usable", precise_gib(m.doubt.all - m.doubt.runtime)));
  return fmt::format("{} (ranges of figures that are assumed)", fmt::join(out, ", "));
}

// Buffers that a script sizes are counted for every communicator; instances that this count refuses did run.
std::string buffer_doubt(const MemoryPerRank& m, const Deployment& d, Bytes missing) {
  if (!d.communication_buffer || missing > m.communication) return {};
  return fmt::format(
      "in doubt: the {} of buffers that {} makes by our count decide this, and two instances with HCCL_BUFFSIZE=1024 "
      "that it refuses did run (docs/validation.md, h3a-r1-prefill and h4-v32-dp2tp8)",
      precise_gib(m.communication), key_name(d, "HCCL_BUFFSIZE"));
}

}  // namespace

std::string_view fit_word(const MemoryPerRank& m) { return !m.fits() ? "no" : m.borderline() ? "borderline" : "yes"; }

std::string fit_in_words(const MemoryPerRank& m, const Deployment& d) {
  const std::string have = d.pool_tokens > 0
                               ? fmt::format("a pool of {} tokens beside the rest", with_commas(d.pool_tokens))
                           : d.kv_memory ? fmt::format("{} beside the rest", key_name(d, "npuMemSize"))
                                         : fmt::format("{:.4g} of {}{}", d.memory_fraction, precise_gib(m.capacity),
                                                       d.traits().fraction_of == FractionOf::kWeightsAndCache
                                                           ? " for weights and KV, and what a step needs"
                                                           : "");
  return fmt::format("{} of {} ({}): {}", precise_gib(m.peak()), precise_gib(m.allowed), have,
                     m.borderline()
                         ? fmt::format("BORDERLINE, {} free, and {} may be missing: {}",
                                       precise_gib(m.allowed - m.peak()), precise_gib(m.doubt.all), doubt_in_words(m))
                     : m.fits() ? fmt::format("fits, {} free", precise_gib(m.allowed - m.peak()))
                                : fmt::format("DOES NOT FIT, {} too much", precise_gib(m.peak() - m.allowed)));
}

Shortage shortage_of(const Subject& subject, const MemoryPerRank& m, const Libraries& libraries) {
  if (m.fits()) return {};
  const Scenario& s = *subject.scenario;
  Shortage out{facts("It does not fit", "shortage"),
               remedies(s.deployment, subject.workload, s.stack, s.facts, s.capacity(), libraries.schemes),
               {}};
  const MemoryPerRank::Part largest = m.largest();
  std::string contributor = fmt::format("{}, {}", largest.name, precise_gib(largest.bytes));
  if (largest.bytes > m.capacity)
    contributor += fmt::format(": alone more than the {} of a die", precise_gib(m.capacity));
  out.need.rows = {{"need", precise_gib(m.peak())}, {"have", precise_gib(m.allowed)}, {"largest", contributor}};
  const Deployment& d = s.deployment;
  if (std::string doubt = buffer_doubt(m, d, m.peak() - m.allowed); !doubt.empty())
    out.need.rows.push_back({"doubt", std::move(doubt)});
  if (const std::int64_t pool = pool_needed(d, subject.workload); d.pool_tokens > 0 && d.pool_tokens < pool)
    out.need.rows.push_back({"KV pool", fmt::format("{} holds {} tokens of a DP group, the load needs {}",
                                                    key_setting(d, "kv_cache.pool_tokens", d.pool_tokens),
                                                    with_commas(d.pool_tokens), with_commas(pool))});
  out.remedy_table = {"What would fit",
                      "remedies",
                      Table::Shape::kGrid,
                      {{"change", "change"}, {"need", "need_bytes", true}, {"have", "have_bytes", true}},
                      {}};
  for (const Remedy& r : out.remedies)
    out.remedy_table.rows.push_back({r.change, bytes_cell(r.peak), bytes_cell(r.allowed)});
  if (out.remedies.empty())
    out.need.rows.push_back({"what would fit", "nothing that was tried: use more servers or a smaller load"});
  return out;
}

Table memory_table(const MemoryPerRank& m) {
  Table t{"Memory per rank",
          "memory_per_rank",
          Table::Shape::kGrid,
          {{"component", "component"}, {"size", "bytes", true}, {"of capacity", "share_of_capacity_percent", true}},
          {}};
  const auto add = [&](const char* name, Bytes bytes) {
    t.rows.push_back({name, bytes_cell(bytes), share_cell(Duration(bytes.count()), Duration(m.capacity.count()))});
  };
  add("weights", m.weights);
  add("KV cache", m.kv_cache);
  add("activations", m.activations);
  add("communication buffers", m.communication);
  add("runtime", m.runtime);
  add("peak", m.peak());
  add("allowed", m.allowed);
  add("capacity", m.capacity);
  return t;
}

Table weight_table(const MemoryPerRank& m) {
  Table t{"Weights per rank by module",
          "weights",
          Table::Shape::kGrid,
          {{"module", "module"}, {"weights", "weights_bytes", true}, {"scales", "scales_bytes", true}},
          {}};
  for (const auto& c : m.weight_components) t.rows.push_back({c.name, bytes_cell(c.bytes), bytes_cell(c.scales)});
  t.rows.push_back({"all", bytes_cell(m.weights_without_scales), bytes_cell(m.weights - m.weights_without_scales)});
  return t;
}

Table activation_table(const MemoryPerRank& m) {
  constexpr std::size_t kShown = 8;
  Table t{"Activations alive at the peak",
          "activations",
          Table::Shape::kGrid,
          {{"written by", "buffer"}, {"size", "bytes", true}},
          {}};
  Bytes rest{};
  for (std::size_t i = 0; i < m.activation_peak.live.size(); ++i) {
    const auto& live = m.activation_peak.live[i];
    if (i < kShown)
      t.rows.push_back({live.label, bytes_cell(live.bytes)});
    else
      rest += live.bytes;
  }
  if (rest.count() > 0) t.rows.push_back({"smaller ones", bytes_cell(rest)});
  return t;
}

Table communication_table(const MemoryPerRank& m) {
  Table t{"Communication buffers by group",
          "communication_buffers",
          Table::Shape::kGrid,
          {{"group", "group"}, {"size", "bytes", true}},
          {}};
  for (const auto& c : m.communication_components) t.rows.push_back({c.name, bytes_cell(c.bytes)});
  return t;
}

Table kv_table(const MemoryPerRank& m, const Deployment& d) {
  Table t = facts("KV cache", "kv_cache");
  t.rows = {{"KV bytes per token per rank", count_cell(m.kv_bytes_per_token.count())},
            {"KV blocks that fit per rank", count_cell(m.kv_blocks)},
            {"KV blocks needed per rank", count_cell(m.kv_blocks_needed)},
            {"KV capacity per DP group, tokens", count_cell(m.kv_capacity_tokens)},
            {"longest context that fits, tokens", count_cell(longest_context(m, d))},
            {fmt::format("{}, tokens", key_name(d, "maxSeqLen")), count_cell(d.limits.max_seq_len)},
            {fmt::format("smallest {} that starts", key_name(d, "NPU_MEMORY_FRACTION")), starting_fraction(m)}};
  return t;
}

std::vector<Concurrency> concurrency_of(const MemoryPerRank& m, const Deployment& d) {
  std::vector<Concurrency> rows;
  const std::int64_t longest = longest_context(m, d);
  const auto add = [&](std::int64_t context) {
    const std::int64_t sequences = sequences_of(m, d, context);
    rows.push_back({context, sequences, sequences * d.layout.dp});
  };
  for (std::int64_t context = 4096; context < longest; context *= 2) add(context);
  if (longest > 0) add(longest);
  return rows;
}

Table concurrency_table(const std::vector<Concurrency>& rows, const Deployment& d) {
  Table t{fmt::format("Sequences that fit side by side (the scheduler takes up to {} {})", key_name(d, "maxBatchSize"),
                      d.limits.max_batch),
          "concurrency",
          Table::Shape::kGrid,
          {{"context", "context_tokens", true},
           {"per DP group", "sequences_per_dp_group", true},
           {"instance", "sequences", true}},
          {}};
  for (const Concurrency& r : rows)
    t.rows.push_back({count_cell(r.context), count_cell(r.per_dp_group), count_cell(r.instance)});
  return t;
}

void check_pool(const Subject& subject, const MemoryPerRank& memory, Diagnostics& diagnostics) {
  const Deployment& d = subject.question.deployment;
  const EngineTexts::PoolRule& rule = d.engine->texts.pool_of_longest_request;
  if (rule.who.empty() || memory.kv_capacity_tokens >= d.limits.max_seq_len) return;
  const std::int64_t per_block = d.limits.block_tokens * d.layout.kv_shards();
  const Bytes missing = memory.fixed() + memory.block * ceil_div(d.limits.max_seq_len, per_block) - memory.allowed;
  const std::string doubt = buffer_doubt(memory, d, missing);
  diagnostics.warning(
      "W0414", d.origin("maxSeqLen").where,
      fmt::format("the KV pool holds {} tokens, fewer than the longest request of {}: {} would not start{}{}",
                  with_commas(memory.kv_capacity_tokens), with_commas(d.limits.max_seq_len), rule.who,
                  doubt.empty() ? "" : "; ", doubt),
      std::string(rule.source), std::string(rule.remedy));
}

}  // namespace ascendsim
