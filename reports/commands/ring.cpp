// `ascendsim ring`: attention of a parallel strategy computed on real numbers.
#include "reports/commands/ring.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "reports/commands/commands.h"
#include "strategies/reference/attention_check.h"

namespace ascendsim {

namespace {

constexpr std::int64_t kAttentionMemory = std::int64_t{4} << 30;
constexpr std::int64_t kMostPositions = 1 << 20;  // of a sequence, see global_row
constexpr int kOrders = 2;
constexpr std::int64_t kMostRingRanks = 1024, kMostRingTokens = (1 << 20) - 1, kMostHeads = 1024, kMostOrders = 1000;
constexpr std::size_t kMostSequences = 1024;

struct Calculation {
  const AttentionStrategy* strategy = nullptr;
  AttentionCase shape;
  NumberType type = NumberType::kFp64;
  AttentionReport report;
  [[nodiscard]] std::string_view partition() const;
  // Only 16-bit types are rounded where they are stored.
  [[nodiscard]] std::string_view lse_text() const {
    return type == NumberType::kFp64 || type == NumberType::kFp32 ? to_text(type) : to_text(shape.lse);
  }
};

struct NamedPartition {
  std::string_view name;
  Partition partition;
};
constexpr NamedPartition kPartitions[] = {
    {"contiguous", Partition::kContiguous}, {"zigzag", Partition::kZigzag}, {"round-robin", Partition::kRoundRobin}};
constexpr NumberType kTypes[] = {NumberType::kFp64, NumberType::kFp32, NumberType::kFp16, NumberType::kBf16};

std::string_view Calculation::partition() const {
  if (!strategy->partitions.empty())
    for (const NamedPartition& p : kPartitions)
      if (p.partition == shape.partition) return p.name;
  return "own";
}

// The type of buffers; numbers that are not emulated travel as the 16-bit type they stand for.
Dtype buffer_type(NumberType type) { return type == NumberType::kBf16 ? Dtype::kBf16 : Dtype::kFp16; }

std::size_t threads_for(const RingOptions& options, std::size_t cases) {
  const auto cores = static_cast<std::int64_t>(std::max(1U, std::thread::hardware_concurrency()));
  return std::min(cases, static_cast<std::size_t>(options.threads.value_or(cores)));
}

class RingReader {
 public:
  RingReader(const RingOptions& options, Diagnostics& diagnostics) : options_(options), diagnostics_(diagnostics) {}

  std::vector<Calculation> read() {
    check_lengths();
    const std::vector<const AttentionStrategy*> strategies = strategies_asked();
    const std::vector<NumberType> types = types_asked();
    check_words(strategies);
    std::vector<Calculation> out;
    for (const AttentionStrategy* s : strategies)
      for (const Partition partition : partitions_asked(*s))
        for (const NumberType type : types) {
          if (!offers(*s, type)) continue;
          out.push_back({s, shape_of(*s, partition, type), type, {}});
          if (!options_.all || names_a_degree()) continue;
          for (const AttentionStrategy::Degrees& d : s->further) {
            out.push_back(out.back());
            AttentionCase& c = out.back().shape;
            c.cp = d.cp, c.tp = d.tp, c.dcp = d.dcp;
          }
        }
    for (const Calculation& c : out) check_rules(c);
    if (!diagnostics_.has_errors()) check_size(out);
    diagnostics_.throw_if_errors();
    return out;
  }

 private:
  void check_lengths() {
    const auto wrong = [&](std::string message, std::string help) {
      diagnostics_.error("E0004", {}, std::move(message), {}, std::move(help));
    };
    const std::size_t sequences = std::max<std::size_t>(options_.tokens.size(), 1);
    if (options_.history.size() > sequences)
      wrong(fmt::format("--history names {} sequences, --tokens {}", options_.history.size(), sequences),
            "one number for each sequence");
    if (sequences > kMostSequences)
      wrong(fmt::format("--tokens names {} sequences, at most {} are possible", sequences, kMostSequences),
            "fewer sequences");
    diagnostics_.throw_if_errors();
  }

  void unknown(std::string_view what, std::string_view name, const std::vector<std::string_view>& known) {
    const std::string_view near = nearest(name, known);
    diagnostics_.error(
        "E0004", {}, fmt::format("unknown {} '{}'", what, name), {},
        near.empty() ? fmt::format("one of: {}", fmt::join(known, ", ")) : fmt::format("did you mean '{}'?", near));
  }

  std::vector<const AttentionStrategy*> strategies_asked() {
    std::vector<const AttentionStrategy*> out;
    std::vector<std::string_view> names;
    for (const AttentionStrategy& s : attention_strategies())
      if (s.together != nullptr && std::ranges::find(names, s.together) == names.end()) names.emplace_back(s.together);
    for (const auto& strategies : {attention_strategies(), sparse_attention_strategies()})
      for (const AttentionStrategy& s : strategies) {
        names.emplace_back(s.name);
        const bool one_of_them = s.together != nullptr && options_.strategy == s.together;
        if (options_.all || options_.strategy == s.name || one_of_them) out.push_back(&s);
      }
    if (options_.all && !options_.strategy.empty())
      diagnostics_.error("E0004", {}, "--all and --strategy exclude each other", {}, "one of them");
    if (options_.strategy.empty() && !options_.all)
      diagnostics_.error("E0003", {}, "--strategy NAME or --all is missing", {},
                         fmt::format("one of: {}", fmt::join(names, ", ")));
    else if (out.empty())
      unknown("strategy", options_.strategy, names);
    return out;
  }

  std::vector<NumberType> types_asked() {
    if (options_.dtype.empty())
      return options_.all ? std::vector<NumberType>{NumberType::kFp64, NumberType::kFp16, NumberType::kBf16}
             : options_.lse_dtype.empty() ? std::vector{NumberType::kFp64}
                                          : std::vector{NumberType::kFp16};
    std::vector<std::string_view> names;
    for (const NumberType type : kTypes) {
      if (options_.dtype == to_text(type)) return {type};
      names.push_back(to_text(type));
    }
    unknown("--dtype", options_.dtype, names);
    return {};
  }

  std::vector<Partition> partitions_asked(const AttentionStrategy& s) {
    if (s.partitions.empty()) return {Partition::kZigzag};
    std::vector<Partition> out;
    std::vector<std::string_view> names;
    for (const NamedPartition& p : kPartitions) {
      if (std::ranges::find(s.partitions, p.partition) == s.partitions.end()) continue;
      names.push_back(p.name);
      if (options_.partition == p.name || (options_.partition.empty() && (options_.all || p.name == "zigzag")))
        out.push_back(p.partition);
    }
    if (out.empty()) unknown("--partition", options_.partition, names);
    return out;
  }

  std::optional<Dtype> lse_asked() {
    if (!options_.lse_dtype.empty() && (options_.dtype == "fp64" || options_.dtype == "fp32"))
      diagnostics_.error(
          "E0004", {}, fmt::format("--lse-dtype does not go with --dtype {}: nothing is rounded there", options_.dtype),
          {}, "--dtype fp16 or bf16");
    if (options_.lse_dtype == "fp32") return Dtype::kFp32;
    if (options_.lse_dtype == "fp16") return Dtype::kFp16;
    if (options_.lse_dtype == "bf16") return Dtype::kBf16;
    if (!options_.lse_dtype.empty()) unknown("--lse-dtype", options_.lse_dtype, {"fp32", "fp16", "bf16"});
    return std::nullopt;
  }

  struct Word {
    std::string_view name;
    const std::optional<std::int64_t>& value;
  };
  [[nodiscard]] std::array<Word, 6> words() const {
    return {{{"ranks", options_.ranks},
             {"cp", options_.cp},
             {"pcp", options_.pcp},
             {"tp", options_.tp},
             {"sp", options_.sp},
             {"dcp", options_.dcp}}};
  }
  [[nodiscard]] bool names_a_degree() const {
    return std::ranges::any_of(words(), [](const Word& w) { return w.value.has_value(); });
  }
  // The degree under one of the words that the strategy's engine has for it.
  [[nodiscard]] std::optional<std::int64_t> degree(const AttentionStrategy& s,
                                                   std::initializer_list<std::string_view> names) const {
    for (const Word& w : words())
      if (w.value && std::ranges::find(names, w.name) != names.end() &&
          std::ranges::find(s.words, w.name) != s.words.end())
        return *w.value;
    return std::nullopt;
  }

  // A word counts for the strategies whose engine has it; one that none has is a mistake.
  void check_words(const std::vector<const AttentionStrategy*>& strategies) {
    if (strategies.empty()) return;
    for (const Word& w : words()) {
      const auto has = [&](const AttentionStrategy* s) {
        return std::ranges::find(s->words, w.name) != s->words.end();
      };
      if (!w.value || std::ranges::any_of(strategies, has)) continue;
      diagnostics_.error("E0395", {}, fmt::format("{} has no --{}", strategies[0]->name, w.name), {},
                         fmt::format("its degrees are --{}", fmt::join(strategies[0]->words, ", --")));
    }
  }

  // What the engine refuses is no case of --all; who asks for it by name is told why, unless it is meant as a what-if.
  bool offers(const AttentionStrategy& s, NumberType type) {
    if (s.fp16_only == nullptr || type != NumberType::kBf16 || options_.what_if) return true;
    if (!options_.all)
      diagnostics_.error("E0311", {}, fmt::format("{} works only in float16", s.name),
                         fmt::format("{}: this feature supports only FP16 and does not support BF16", s.fp16_only),
                         "--what-if computes it all the same");
    return false;
  }

  AttentionCase shape_of(const AttentionStrategy& s, Partition partition, NumberType type) {
    const bool heads_only = s.words.size() == 1, ring = !s.partitions.empty();
    const bool shares_cache = std::ranges::find(s.words, "sp") != s.words.end();  // always over all of tp
    AttentionCase c;
    c.heads = options_.heads.value_or(c.heads);
    if (!options_.tokens.empty()) c.tokens = options_.tokens;
    c.history = options_.history;
    if (s.decode)  // whatever came before the last token is cached
      for (std::size_t i = 0; i < c.tokens.size(); ++i) c.tokens[i] = c.total(i);
    if (s.decode) c.history.clear();
    // Of the longest sequence a query attends to a quarter, as to 2048 of 8192 tokens.
    if (s.sparse)
      for (std::size_t i = 0; i < c.tokens.size(); ++i)
        c.top_k = std::max(c.top_k, ceil_div(c.total(i), std::int64_t{4}));
    c.cp = degree(s, {"ranks", "cp", "pcp"}).value_or(heads_only ? 1 : ring ? 4 : 2);
    const std::optional<std::int64_t> sharing = degree(s, {"sp", "dcp"});
    c.tp = degree(s, {"tp"}).value_or(sharing.value_or(ring ? 1 : 4));
    c.dcp = sharing.value_or(shares_cache || s.decode ? c.tp : 1);
    c.partition = partition;
    c.interleave = options_.interleave.value_or(c.interleave);
    c.input = c.block_output = buffer_type(type);
    c.lse = lse_asked().value_or(s.lse == Dtype::kFp32 ? Dtype::kFp32 : c.input);
    return c;
  }

  void check_rules(const Calculation& c) {
    std::vector<BrokenRule> broken = c.strategy->broken_rules(c.shape);
    for (std::size_t s = 0; s < c.shape.tokens.size(); ++s)
      if (c.shape.total(s) >= kMostPositions)
        broken.push_back({fmt::format("a sequence of {} tokens is too long: fewer than {} are possible",
                                      c.shape.total(s), kMostPositions)});
    for (const BrokenRule& rule : broken) {
      const std::string message = fmt::format("{}: {}", c.strategy->name, rule.what);
      if (std::ranges::find(said_, message) != said_.end()) continue;
      said_.push_back(message);
      diagnostics_.error("E0396", {}, message, rule.source, "choose a shape that the strategy can divide");
    }
  }

  // Of as many cases as run at a time.
  void check_size(const std::vector<Calculation>& cases) {
    std::vector<std::int64_t> needs;
    for (const Calculation& c : cases) needs.push_back(memory_estimate(c.shape, c.strategy->decode));
    std::ranges::sort(needs, std::greater());
    std::int64_t need = 0;
    for (std::size_t i = 0; i < needs.size() && i < threads_for(options_, cases.size()); ++i) need += needs[i];
    if (need > kAttentionMemory)
      diagnostics_.error("E0397", {},
                         fmt::format("the calculation needs about {:.1f} GiB, the limit is {} GiB",
                                     static_cast<double>(need) / 0x1p30, kAttentionMemory >> 30),
                         {}, "fewer --tokens, --heads or --threads");
  }

  const RingOptions& options_;
  Diagnostics& diagnostics_;
  std::vector<std::string> said_;
};

// Does `work` for every case, on several threads; answers do not depend on how they share the cases out.
template <class Work>
void for_each_case(std::vector<Calculation>& cases, std::size_t threads, Work work) {
  std::atomic<std::size_t> next{0};
  std::vector<std::exception_ptr> failures(cases.size());
  const auto some = [&] {
    for (std::size_t i = next++; i < cases.size(); i = next++) try {
        work(cases[i]);
      } catch (...) {
        failures[i] = std::current_exception();
      }
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t t = 1; t < threads; ++t) others.emplace_back(some);
    some();
  }
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

// Returns what is said about it. Cases with the same question share the reference.
std::string calculate(std::vector<Calculation>& cases, const RingOptions& options) {
  const std::size_t threads = threads_for(options, cases.size());
  const auto orders = options.orders.value_or(kOrders);
  DenseReferences references;
  const auto seconds = [&](auto work) {
    const auto start = std::chrono::steady_clock::now();
    for_each_case(cases, threads, work);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  const double reference_time = seconds([&](Calculation& c) { references.of(c.shape, c.strategy->decode, c.type); });
  const double time = seconds([&](Calculation& c) {
    c.report = check_attention(*c.strategy, c.shape, references, {.type = c.type, .orders = static_cast<int>(orders)});
  });
  const auto s = [](auto count) { return count == 1 ? "" : "s"; };
  return fmt::format(
      "{} case{} in {:.1f} s, the reference{} in {:.1f} s, on {} thread{}; each in program order and, where "
      "ranks have several streams, in {} random order{} of them\n",
      cases.size(), s(cases.size()), time, s(cases.size()), reference_time, threads, s(threads), orders, s(orders));
}

// What only some strategies have.
Cell error_cell_if(bool has, double e) { return has ? error_cell(e) : Cell{"-", ""}; }

std::string_view verdict(const AttentionReport& r) {
  return r.ok() ? "ok" : r.orders_that_differ > 0 ? "ORDER" : !r.ledger_agrees() ? "LEDGER" : "TOO FAR";
}

Table table_of(const std::vector<Calculation>& cases) {
  Table t{"Against attention in double on one rank",
          "cases",
          Table::Shape::kGrid,
          {{"strategy", "strategy"},
           {"partition", "partition"},
           {"cp", "cp", true},
           {"tp", "tp", true},
           {"dcp", "dcp", true},
           {"dtype", "dtype"},
           {"lse", "lse_dtype"},
           {"max error", "max_abs_error", true},
           {"relative", "max_relative_error", true},
           {"lse error", "max_lse_error", true},
           {"key gap", "max_key_gap", true},
           {"FLOPs", "flops_performed", true},
           {"charged", "flops_charged", true},
           {"bytes", "bytes_moved", true},
           {"charged", "bytes_charged", true},
           {"orders", "orders", true},
           {"verdict", "verdict"}},
          {}};
  for (const Calculation& c : cases) {
    const AttentionReport& r = c.report;
    t.rows.push_back({c.strategy->name, c.partition(), count_cell(c.shape.cp), count_cell(c.shape.tp),
                      count_cell(c.shape.dcp), to_text(c.type), c.shape.sparse() ? "-" : c.lse_text(),
                      error_cell(r.error.out), error_cell(r.error.relative),
                      error_cell_if(!c.shape.sparse(), r.error.lse), error_cell_if(c.shape.sparse(), r.error.keys),
                      count_cell(r.flops_performed), count_cell(r.flops_charged), count_cell(r.bytes_moved),
                      count_cell(r.bytes_charged), count_cell(r.orders), verdict(r)});
  }
  return t;
}

Table rank_table(const Calculation& c) {
  Table t{fmt::format("Ranks of {}", c.strategy->name),
          "ranks",
          Table::Shape::kGrid,
          {{"rank", "rank", true},
           {"max error", "max_abs_error", true},
           {"relative", "max_relative_error", true},
           {"lse error", "max_lse_error", true},
           {"key gap", "max_key_gap", true}},
          {}};
  for (std::size_t r = 0; r < c.report.ranks.size(); ++r) {
    const AttentionError& e = c.report.ranks[r];
    t.rows.push_back({count_cell(static_cast<std::int64_t>(r)), error_cell(e.out), error_cell(e.relative),
                      error_cell_if(!c.shape.sparse(), e.lse), error_cell_if(c.shape.sparse(), e.keys)});
  }
  return t;
}

Table merge_table() {
  Table t{"Merge weights exp(lse) when lse in [16, 32) is rounded",
          "merge_weights",
          Table::Shape::kGrid,
          {{"lse", "lse_dtype"}, {"max error", "max_relative_error", true}},
          {}};
  for (const Dtype type : {Dtype::kFp32, Dtype::kFp16, Dtype::kBf16})
    t.rows.push_back({to_text(type), error_cell(merge_weight_error(type))});
  return t;
}

JsonDocument json_of(const std::vector<Calculation>& cases) {
  Json out;
  out["cases"] = Json::array();
  for (const Calculation& c : cases) {
    const AttentionReport& r = c.report;
    auto ranks = Json::array();
    for (const AttentionError& e : r.ranks)
      ranks.push_back({{"rank", ranks.size()},
                       {"max_abs_error", e.out},
                       {"max_relative_error", e.relative},
                       {"max_lse_error", e.lse},
                       {"max_key_gap", e.keys}});
    out["cases"].push_back({{"strategy", c.strategy->name},
                            {"partition", c.partition()},
                            {"cp", c.shape.cp},
                            {"tp", c.shape.tp},
                            {"dcp", c.shape.dcp},
                            {"tokens", c.shape.tokens},
                            {"history", c.shape.history},
                            {"dtype", to_text(c.type)},
                            {"lse_dtype", c.lse_text()},
                            {"max_abs_error", r.error.out},
                            {"max_relative_error", r.error.relative},
                            {"max_lse_error", r.error.lse},
                            {"max_abs_error_allowed", r.allowed.out},
                            {"max_lse_error_allowed", r.allowed.lse},
                            {"top_k", c.shape.top_k},
                            {"max_key_gap", r.error.keys},
                            {"max_key_gap_allowed", r.allowed.keys},
                            {"flops_performed", r.flops_performed},
                            {"flops_charged", r.flops_charged},
                            {"flops_masked", r.flops_masked},
                            {"bytes_moved", r.bytes_moved},
                            {"bytes_charged", r.bytes_charged},
                            {"orders", r.orders},
                            {"orders_that_differ", r.orders_that_differ},
                            {"ok", r.ok()},
                            {"ranks", std::move(ranks)}});
  }
  return std::make_shared<Json>(std::move(out));
}

// Options of the other way to use the command would be read and forgotten.
void refuse_others(const RingOptions& r, const std::vector<std::string>& words, Diagnostics& diagnostics) {
  const Settings& o = r.settings;
  const std::pair<const char*, bool> of_strategies[] = {{"--all", r.all},
                                                        {"--strategy", !r.strategy.empty()},
                                                        {"--partition", !r.partition.empty()},
                                                        {"--ranks", r.ranks.has_value()},
                                                        {"--cp", r.cp.has_value()},
                                                        {"--pcp", r.pcp.has_value()},
                                                        {"--tp", r.tp.has_value()},
                                                        {"--sp", r.sp.has_value()},
                                                        {"--dcp", r.dcp.has_value()},
                                                        {"--history", !r.history.empty()},
                                                        {"--heads", r.heads.has_value()},
                                                        {"--interleave", r.interleave.has_value()},
                                                        {"--lse-dtype", !r.lse_dtype.empty()},
                                                        {"--orders", r.orders.has_value()},
                                                        {"--threads", r.threads.has_value()},
                                                        {"--what-if", r.what_if}};
  const std::pair<const char*, bool> of_layers[] = {{"--scale", !r.scale.empty()},
                                                    {"--seed", r.seed != 0},
                                                    {"--prefill, --decode", o.pair()},
                                                    {"--set", !o.set.empty()},
                                                    {"--hardware", !o.hardware.empty()},
                                                    {"--model", !o.model.empty()},
                                                    {"--quantisation", !o.quantisation.empty()},
                                                    {"--role", o.role.has_value()},
                                                    {"--engine-version", !o.engine_version.empty()}};
  const auto refuse = [&](const auto& options, const char* mode, const char* help) {
    for (const auto& [name, given] : options)
      if (given) diagnostics.error("E0003", {}, fmt::format("{} does not go with {}", name, mode), {}, help);
  };
  if (r.layer)
    return refuse(
        of_strategies, "--layer",
        "layers follow from the deployment: --config FILE --scale tiny, with --tokens, --seed, --dtype and --set");
  refuse(of_layers, "a strategy", "--layer --scale tiny computes the layers of a deployment");
  if (!words.empty() || !o.launch.empty() || !r.config.empty())
    diagnostics.error("E0003", {}, "a strategy takes no deployment file", {},
                      "--layer --scale tiny computes the layers of a deployment");
}

class RingCall final : public Call {
 public:
  void declare(Options& o) override {
    const auto degree = [&](const char* name, std::optional<std::int64_t>& target, const char* example,
                            const char* help) {
      o.count(name, target, {.most = kMostRingRanks, .examples = example}, help);
    };
    o.heading("Attention of a strategy");
    o.text("--strategy", "NAME", options_.strategy,
           "ring, latent-ring, tp, mindie-cp, mindie-sp, vllm-pcp, vllm-dcp, vllm-pcp-dcp (both), sglang-cp; of "
           "DeepSeek-V3.2: sparse-tp, sparse-cp, dsa-cp");
    o.flag("--all", options_.all, "all strategies, partitions and number types");
    o.text("--partition", "NAME", options_.partition, "of a ring: contiguous, zigzag or round-robin").or_else("zigzag");
    degree("--ranks", options_.ranks, "4", "ranks that share a sequence");
    degree("--cp", options_.cp, "2", "MindIE: ranks that share a sequence");
    degree("--pcp", options_.pcp, "2", "vLLM-Ascend: ranks that share a sequence");
    degree("--tp", options_.tp, "4", "ranks that share the heads");
    degree("--sp", options_.sp, "4", "MindIE: of these, how many share cached tokens: all, as with --tp");
    degree("--dcp", options_.dcp, "4", "vLLM-Ascend: of these, how many share cached tokens");
    o.counts("--tokens", options_.tokens, {.most = kMostRingTokens, .examples = "512 or 512,77"},
             "length of each sequence; of --layer: of the shortest prompt")
        .or_else("512");
    o.counts("--history", options_.history, {.least = 0, .most = kMostRingTokens, .examples = "256 or 256,0"},
             "cached tokens before those of each sequence")
        .or_else("0");
    o.count("--heads", options_.heads, {.most = kMostHeads, .examples = "8"}, "attention heads")
        .or_else(fmt::to_string(AttentionCase{}.heads));
    o.count("--interleave", options_.interleave, {.most = kMostRingTokens, .examples = "128"},
            "tokens a turn of vLLM's cache")
        .or_else(fmt::to_string(AttentionCase{}.interleave));
    o.text("--dtype", "TYPE", options_.dtype, "fp64, fp32, fp16 or bf16; of --layer fp64, fp16, bf16 or deployed")
        .or_else("fp64");
    o.text("--lse-dtype", "TYPE", options_.lse_dtype, "fp32, fp16 or bf16: of the log-sum-exp where it is merged")
        .or_else("the engine's");
    o.count("--orders", options_.orders, {.least = 0, .most = kMostOrders, .examples = "2"},
            "further runs in random legal orders of the streams")
        .or_else(fmt::to_string(kOrders));
    o.count("--threads", options_.threads, {.most = kMostRingRanks, .examples = "2"}, "cases computed at a time")
        .or_else("as many as cores");
    o.flag("--what-if", options_.what_if, "compute what the engine refuses: BF16 under MindIE's SP and CP");
    o.heading("Whole layers");
    o.flag("--layer", options_.layer, "whole layers of the deployment in --config (or --prefill, --decode)");
    o.text("--config", "FILE", options_.config, "a deployment file");
    o.text("--scale", "NAME", options_.scale, "tiny, a model small enough to compute");
    o.count("--seed", options_.seed, {.least = 0, .most = kMostRingTokens, .examples = "1"},
            "draws the lengths of prompts");
    machine_rows(o, options_.settings, Asks::kTakes);
    model_row(o, options_.settings.model);
    engine_rows(o, options_.settings);
    file_rows(o, options_.settings);
    pair_rows(o, options_.settings);
  }
  [[nodiscard]] const Settings* asked() const override { return &options_.settings; }
  Answer answer(Diagnostics& diagnostics) override;

 private:
  RingOptions options_;
};

Answer RingCall::answer(Diagnostics& diagnostics) {
  refuse_others(options_, words, diagnostics);
  if (options_.layer) return answer_layers(words, options_, diagnostics);
  std::vector<Calculation> cases = RingReader(options_, diagnostics).read();
  std::string remark = calculate(cases, options_);
  Answer answer{
      .exit = std::ranges::all_of(cases, [](const Calculation& c) { return c.report.ok(); }) ? Exit::kYes : Exit::kNo,
      .tables = {table_of(cases)},
      .json = json_of(cases),
      .remark = std::move(remark)};
  if (options_.all)
    answer.add(merge_table());
  else
    for (const Calculation& c : cases) answer.add(rank_table(c));
  return answer;
}

}  // namespace

constinit const Command kRingCommand{
    .name = "ring",
    .summary =
        "runs attention, or whole layers, of a parallel strategy on real numbers and compares with one dense rank",
    .words = "[FILE...]",
    .words_help = "with --layer: deployment files, as --config",
    .least_words = 0,
    .most_words = SIZE_MAX,
    .example = "ascendsim ring --strategy mindie-cp --cp 2 --sp 4 --tokens 512 --heads 8 --dtype fp16",
    .output =
        "errors, FLOPs and bytes on stdout; exit 0, 1 when a tolerance or the ledger is broken, 2 on an impossible "
        "shape",
    .make = make_call<RingCall>};

}  // namespace ascendsim
