// `ascendsim collective`: one collective on the links of a cluster.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "hardware/faults.h"
#include "reports/command_line/cli.h"
#include "reports/commands/commands.h"
#include "reports/commands/hccl_measurements.h"
#include "strategies/collectives/collective_cost.h"
#include "strategies/intake/pairs.h"

namespace ascendsim {

namespace {

constexpr Primitive kOps[] = {Primitive::kAllGather, Primitive::kReduceScatter, Primitive::kAllReduce,
                              Primitive::kAllToAll,  Primitive::kBroadcast,     Primitive::kShift,
                              Primitive::kDispatch,  Primitive::kCombine};
// Pairs of ranks whose messages are played as flows; larger groups have their closed form only.
constexpr std::int64_t kMostPairs = 1 << 20;
constexpr std::size_t kMostSizes = 64;

bool is_moe(Primitive p) { return p == Primitive::kDispatch || p == Primitive::kCombine; }
bool is_sharded(Primitive p) { return p == Primitive::kAllGather || p == Primitive::kReduceScatter; }

// As hccl_test and nccl-tests write sizes: 8192, 8K, 64M, 2G (powers of 1024); 64MiB and 64 MB too.
std::optional<Bytes> parse_size(std::string_view text) {
  if (const auto quantity = parse_quantity<Bytes>(text)) return quantity;
  std::string with_unit(text);
  if (!with_unit.empty() && std::string_view("KMGTP").find(with_unit.back()) != std::string_view::npos)
    with_unit += "iB";
  else if (!with_unit.empty() && with_unit.back() >= '0' && with_unit.back() <= '9')
    with_unit += " B";
  return parse_quantity<Bytes>(with_unit);
}

constexpr std::int64_t kMostRanks = 1 << 16, kMostConcurrent = 64, kMostCopies = 64;

struct CollectiveOptions {
  std::string hardware, die, faults_file;
  std::optional<std::int64_t> servers;
  std::string op, algorithm, expansion;
  std::string bytes, sweep, compare;  // sizes as they were written
  std::optional<std::int64_t> ranks, concurrent, top_k;
  std::optional<double> padding;
  bool per_rank = false;
};

struct AskedCollective {
  Server server;
  CollectiveCall call;  // bytes: of the first size
  CollectivePreference preference;
  std::shared_ptr<ClusterNetwork> links{};  // of the whole cluster, nominal
  std::vector<Bytes> sizes;                 // n of each
  std::vector<HcclTestRow> measured;        // beside the sizes; empty without --compare
  int concurrent = 1;
  std::vector<LinkFault> faults{};
  bool degraded = false;
  // Links are shared, or differ: the closed form does not hold.
  [[nodiscard]] bool as_flows() const { return concurrent > 1 || degraded; }
};

class CollectiveReader {
 public:
  CollectiveReader(const CollectiveOptions& options, Diagnostics& diagnostics)
      : o_(options), diagnostics_(diagnostics) {}

  AskedCollective read(const Libraries& libraries) {
    AskedCollective q;
    q.server = libraries.catalogue.server(o_.hardware, o_.die, diagnostics_);
    read_op(q);
    q.call.alone = true;
    q.call.copies = static_cast<int>(o_.top_k.value_or(q.call.copies));
    q.call.padding = Ratio(o_.padding.value_or(1.0));
    q.concurrent = static_cast<int>(o_.concurrent.value_or(1));
    read_algorithm(q);
    check_options(q);
    diagnostics_.throw_if_errors();
    read_group(q);
    read_sizes(q);
    diagnostics_.throw_if_errors();
    check_rules(q);
    diagnostics_.throw_if_errors();
    return q;
  }

 private:
  void wrong(std::string message, std::string help, const char* code = "E0004") {
    diagnostics_.error(code, {}, std::move(message), {}, std::move(help));
  }
  void unknown(std::string_view what, std::string_view name, const std::vector<std::string_view>& known) {
    const std::string_view near = nearest(name, known);
    wrong(fmt::format("unknown {} '{}'", what, name),
          near.empty() ? fmt::format("one of: {}", fmt::join(known, ", ")) : fmt::format("did you mean '{}'?", near));
  }

  void read_op(AskedCollective& q) {
    std::vector<std::string_view> names;
    for (const Primitive p : kOps) {
      if (to_text(p) == o_.op) q.call.primitive = p;
      names.push_back(to_text(p));
    }
    if (q.call.primitive == Primitive::kNone) unknown("--op", o_.op, names);
  }

  void read_algorithm(AskedCollective& q) {
    if (!o_.algorithm.empty()) {
      std::vector<std::string_view> names;
      for (const CollectiveAlgorithm& a : builtin_collectives()) names.emplace_back(a.name);
      q.preference.algorithm = find_collective(o_.algorithm);
      if (q.preference.algorithm == nullptr) unknown("--algorithm", o_.algorithm, names);
    }
    if (o_.expansion.empty()) return;
    std::vector<std::string_view> names;
    for (const ExpansionText& e : expansions()) {
      if (o_.expansion == e.name) q.preference.expansion = e.expansion;
      names.emplace_back(e.name);
    }
    if (!q.preference.expansion) unknown("--expansion", o_.expansion, names);
  }

  // An option that plays no part is refused, not ignored.
  void check_options(const AskedCollective& q) {
    if (q.call.primitive == Primitive::kNone) return;
    if (o_.top_k && !is_moe(q.call.primitive))
      wrong(fmt::format("--top-k plays no part in {}", to_text(q.call.primitive)),
            "it is the experts of a token, in dispatch and combine");
    const bool padded = q.preference.algorithm != nullptr && std::string_view(q.preference.algorithm->name) == "padded";
    if (o_.padding && !padded)
      wrong("--padding plays no part without --algorithm padded",
            "rows that a padded dispatch or combine sends / rows that are routed");
    if (o_.per_rank && !is_sharded(q.call.primitive))
      wrong(fmt::format("--per rank plays no part in {}: its size is that of a rank", to_text(q.call.primitive)),
            "leave it out");
  }

  void read_group(AskedCollective& q) {
    const std::int64_t ranks = *o_.ranks, dies = q.server.dies();
    const std::int64_t servers = o_.servers.value_or(ceil_div(ranks, dies));
    if (q.server.max_servers > 0 && servers > q.server.max_servers)
      return wrong(
          fmt::format("{} servers are more than the {} of {}", servers, q.server.max_servers, q.server.product),
          fmt::format("at most {} ranks", q.server.max_servers * dies), "E0007");
    if (ranks > servers * dies)
      return wrong(fmt::format("{} ranks need {} servers of {} ({} dies each), there are {}", ranks,
                               ceil_div(ranks, dies), q.server.product, dies, servers),
                   fmt::format("--servers {}", ceil_div(ranks, dies)), "E0326");
    if (ranks % servers != 0)
      return wrong(fmt::format("{} ranks cannot be spread evenly over {} servers", ranks, servers),
                   "choose --servers so that it divides the ranks", "E0327");
    if (!o_.faults_file.empty()) {
      q.degraded = true;
      q.faults = read_faults(o_.faults_file, Cluster(q.server, static_cast<int>(servers)), diagnostics_);
      if (diagnostics_.has_errors()) return;
    }
    const Cluster cluster(q.server, static_cast<int>(servers), static_cast<int>(ranks / servers), q.faults);
    std::vector<int> members(static_cast<std::size_t>(ranks));
    std::iota(members.begin(), members.end(), 0);
    q.call.span = cluster.span_of(members);
    LinkShares nominal;
    nominal.fill(Ratio(1.0));
    q.links = std::make_shared<ClusterNetwork>(cluster, nominal);
    say_disconnected(cluster, *q.links, {.file = o_.faults_file}, diagnostics_);
  }

  // A size as it was written: of the whole, or of a rank.
  std::optional<Bytes> whole(std::string_view option, Bytes size) {
    const std::int64_t ranks = *o_.ranks;
    const bool of_a_rank = o_.per_rank && is_sharded(op());
    const auto n = multiply(size.count(), of_a_rank ? ranks : 1);
    // Closed forms and flows multiply by ranks, phases and padding.
    if (n && multiply(*n, 16 * ranks)) return Bytes(*n);
    wrong(fmt::format("{} of {} x {} ranks exceeds what 64 bits can count", option, to_text(size), ranks),
          "a smaller size", "E0392");
    return std::nullopt;
  }
  [[nodiscard]] Primitive op() const {
    for (const Primitive p : kOps)
      if (to_text(p) == o_.op) return p;
    return Primitive::kNone;
  }

  std::optional<Bytes> size(std::string_view option, std::string_view text) {
    const auto value = parse_size(text);
    if (value && value->count() > 0) return value;
    wrong(fmt::format("{} must be a size, got '{}'", option, text),
          "for example 8192, 8K, 64MiB, 64 MB; units are B, K, M, G, T and P with iB or B");
    return std::nullopt;
  }

  void read_sizes(AskedCollective& q) {
    const int given = !o_.bytes.empty() + !o_.sweep.empty() + !o_.compare.empty();
    if (given != 1)
      return wrong(given == 0 ? "--bytes SIZE is missing" : "--bytes, --sweep and --compare exclude each other",
                   "--bytes 64MiB, --sweep 8K:2G or --compare FILE", given == 0 ? "E0003" : "E0004");
    if (!o_.bytes.empty()) {
      if (const auto one = size("--bytes", o_.bytes))
        if (const auto n = whole("--bytes", *one)) q.sizes.push_back(*n);
    } else if (!o_.sweep.empty()) {
      read_sweep(q);
    } else {
      q.measured = read_hccl_test(o_.compare, diagnostics_);
      for (const HcclTestRow& row : q.measured) {
        if (const auto n = whole("a data_size", row.size)) q.sizes.push_back(*n);
        if (row.failed)
          diagnostics_.warning("W0393", {.file = o_.compare},
                               fmt::format("hccl_test found wrong results at {} B", row.size.count()), {},
                               "its time is shown as it is");
      }
    }
  }

  void read_sweep(AskedCollective& q) {
    const std::string_view text = o_.sweep;
    const std::size_t first = text.find(':'),
                      second = first == std::string_view::npos ? first : text.find(':', first + 1);
    if (first == std::string_view::npos)
      return wrong(fmt::format("--sweep needs FROM:TO, got '{}'", text), "--sweep 8K:2G, or 8K:2G:4 for steps of 4");
    const auto from = size("--sweep", text.substr(0, first));
    const auto to =
        size("--sweep", text.substr(first + 1, second == std::string_view::npos ? second : second - first - 1));
    std::int64_t factor = 2;
    if (second != std::string_view::npos) {
      const auto value = parse_token_count(text.substr(second + 1));
      if (!value || *value < 2 || *value > 1024)
        return wrong(fmt::format("--sweep grows by a whole number from 2 to 1024, got '{}'", text.substr(second + 1)),
                     "--sweep 8K:2G:4");
      factor = *value;
    }
    if (!from || !to) return;
    if (*from > *to)
      return wrong(fmt::format("--sweep goes from {} down to {}", to_text(*from), to_text(*to)),
                   "the smaller size first");
    for (std::int64_t at = from->count(); at <= to->count() && q.sizes.size() < kMostSizes;) {
      const auto n = whole("--sweep", Bytes(at));
      if (!n) return;
      q.sizes.push_back(*n);
      const auto next = multiply(at, factor);
      if (!next) return;
      at = *next;
    }
  }

  void check_rules(const AskedCollective& q) {
    if (*o_.ranks < 2) return wrong("a collective needs two ranks", "--ranks 2 or more");
    const std::string why = refusal(q.call, q.server, q.preference);
    if (!why.empty())
      diagnostics_.error("E0390", {}, why, "HCCL and the algorithms that `ascendsim list collectives` names",
                         "leave --algorithm and --expansion out for what HCCL selects");
    if (q.as_flows() && !fits_flows(q))
      wrong(fmt::format("{} concurrent collective{} of {} ranks are {} pairs of ranks, more than the {} that are "
                        "simulated message by message",
                        q.concurrent, q.concurrent == 1 ? "" : "s", q.call.span.ranks, with_commas(pairs(q)),
                        with_commas(kMostPairs)),
            "fewer ranks, or without --concurrent and --faults");
  }

 public:
  static std::int64_t pairs(const AskedCollective& q) {
    const std::int64_t p = q.call.span.ranks;
    return p * p * q.concurrent * (is_moe(q.call.primitive) ? q.call.copies : 1);
  }
  static bool fits_flows(const AskedCollective& q) { return pairs(q) <= kMostPairs; }

 private:
  const CollectiveOptions& o_;
  Diagnostics& diagnostics_;
};

struct Timed {
  CollectiveCall call;
  CollectiveTime closed;
  StepPlan plan;
  std::optional<PlayedCollective> played;
  Duration time{};
  int concurrent = 1;

  // GB/s; definitions of nccl-tests (performance.md): of one collective.
  [[nodiscard]] double algorithm_bandwidth() const {
    return static_cast<double>(call.bytes.count()) / seconds(time) / 1e9;
  }
  [[nodiscard]] double bus_bandwidth() const { return received_bytes(call) / seconds(time) / 1e9; }
  [[nodiscard]] Bytes size_of_a_rank() const {
    return is_sharded(call.primitive) ? call.bytes / call.span.ranks : call.bytes;
  }
};

Timed timed(const AskedCollective& q, Bytes n, bool play) {
  Timed a{.call = q.call, .closed = {}, .plan = {}, .played = {}, .time = {}, .concurrent = q.concurrent};
  a.call.bytes = n;
  a.closed = collective_time(a.call, q.server, q.preference);
  const CollectiveAlgorithm& algorithm = *a.closed.choice.algorithm;
  const CollectiveShape shape = shape_of(a.call, q.server, algorithm);
  a.plan = algorithm.plan(shape);
  if ((play || q.as_flows()) && CollectiveReader::fits_flows(q))
    a.played = play_collective(shape, algorithm.schedule(shape), a.plan,
                               costs_of(a.call, q.server, a.closed.choice, a.plan), q.concurrent, q.links.get());
  a.time = q.as_flows() ? a.played->time : a.closed.time;
  return a;
}

// What `bytes` are of.
const char* size_name(Primitive p) {
  switch (p) {
    case Primitive::kAllReduce:
    case Primitive::kBroadcast:
      return "vector of every rank";
    case Primitive::kAllToAll:
      return "buffer of a rank";
    case Primitive::kShift:
      return "buffer of a rank";
    case Primitive::kDispatch:
    case Primitive::kCombine:
      return "rows of a rank";
    default:
      return "size in all";
  }
}

std::string size_text(const Timed& a) {
  const Primitive p = a.call.primitive;
  if (is_sharded(p)) return fmt::format("{} in all, {} of a rank", to_text(a.call.bytes), to_text(a.size_of_a_rank()));
  std::string text = fmt::format("{}, the {}", to_text(a.call.bytes), size_name(p));
  if (p == Primitive::kAllToAll)
    text += fmt::format(": {} for each peer", to_text(Bytes(ceil_div(a.call.bytes.count(), a.call.span.ranks))));
  return text;
}

Cell us_cell(Duration d) { return {fmt::format("{:.2f}", microseconds(d)), fmt::format("{}", microseconds(d))}; }

const char* cores_of(Expansion expansion) {
  for (const ExpansionText& e : expansions())
    if (e.expansion == expansion) return e.cores;
  return "";
}

// What the fabric would take by each algorithm that is defined for the call, alone and without faults.
struct AloneAlgorithm {
  const CollectiveAlgorithm* algorithm;
  CollectiveTime time;
  std::int64_t steps;
};
std::vector<AloneAlgorithm> alone_algorithms(const AskedCollective& q, const Timed& a) {
  std::vector<AloneAlgorithm> out;
  for (const CollectiveAlgorithm& other : builtin_collectives()) {
    const CollectivePreference preference{&other, {}};
    if (!refusal(a.call, q.server, preference).empty()) continue;
    out.push_back(
        {&other, collective_time(a.call, q.server, preference), other.plan(shape_of(a.call, q.server, other)).steps()});
  }
  return out;
}

std::vector<Table> tables_of(const AskedCollective& q, const Timed& a, const std::vector<AloneAlgorithm>& alone) {
  const CollectiveChoice& choice = a.closed.choice;
  Table t = facts(fmt::format("{} on {}", to_text(a.call.primitive), q.server.product), "collective");
  t.rows = {{"ranks", fmt::format("{} on {} server{}", a.call.span.ranks, a.call.span.servers,
                                  a.call.span.servers == 1 ? "" : "s")},
            {"bytes", size_text(a)},
            {"algorithm", choice.algorithm->name},
            {"why", choice.reason},
            {"expansion", fmt::format("{} (cores taken: {})", to_text(choice.expansion), cores_of(choice.expansion))},
            {"time", fmt::format("{:.2f} us{}", microseconds(a.time),
                                 a.concurrent > 1 ? fmt::format(", {} at once", a.concurrent) : "")},
            {"algorithm bandwidth", fmt::format("{:.2f} GB/s", a.algorithm_bandwidth())},
            {"bus bandwidth", fmt::format("{:.2f} GB/s", a.bus_bandwidth())},
            {"steps", fmt::to_string(a.plan.steps())}};
  if (*choice.source != '\0') t.rows.push_back({"source", choice.source});
  if (q.as_flows())
    t.rows.push_back(
        {q.degraded ? "one alone, no faults" : "one alone", fmt::format("{:.2f} us", microseconds(a.closed.time))});
  if (a.played)
    t.rows.push_back(
        {"as flows", fmt::format("{:.2f} us, {} messages", microseconds(a.played->time), a.played->messages)});
  else
    t.rows.push_back({"as flows", fmt::format("left out, links too: more than {} messages", with_commas(kMostPairs))});
  std::vector<Table> tables{t};
  if (a.played) {
    Table links{"Links",
                "links",
                Table::Shape::kGrid,
                {{"link", "link"},
                 {"links", "links", true},
                 {"nominal", "bandwidth_gb_s", true},
                 {"carried", "carried_bytes", true},
                 {"busy", "busy_us", true},
                 {"use", "use_percent", true}},
                {}};
    for (const LinkClassUse& u : a.played->links)
      links.rows.push_back(
          {u.name, count_cell(u.links), number_cell(u.bandwidth.count() / 1e9, 1), bytes_cell(u.carried),
           us_cell(u.busy),
           number_cell(100 * static_cast<double>(u.carried.count()) / (u.bandwidth.count() * seconds(a.time)), 1)});
    tables.push_back(std::move(links));
  }
  Table others{"Algorithms, each alone and without faults",
               "algorithms",
               Table::Shape::kGrid,
               {{"algorithm", "algorithm"},
                {"expansion", "expansion"},
                {"time us", "time_us", true},
                {"steps", "steps", true},
                {"", "selected"}},
               {}};
  for (const AloneAlgorithm& other : alone)
    others.rows.push_back({other.algorithm->name, to_text(other.time.choice.expansion), us_cell(other.time.time),
                           count_cell(other.steps), other.algorithm == choice.algorithm ? "taken" : ""});
  if (others.rows.size() > 1) tables.push_back(std::move(others));
  return tables;
}

Json json_of(const AskedCollective& q, const Timed& a) {
  Json out;
  out["op"] = to_text(a.call.primitive);
  out["ranks"] = a.call.span.ranks;
  out["servers"] = a.call.span.servers;
  out["hardware"] = q.server.name;
  out["bytes"] = a.call.bytes.count();
  out["bytes_per_rank"] = a.size_of_a_rank().count();
  out["algorithm"] = a.closed.choice.algorithm->name;
  out["expansion"] = to_text(a.closed.choice.expansion);
  out["reason"] = a.closed.choice.reason;
  out["concurrent"] = a.concurrent;
  out["time_us"] = microseconds(a.time);
  out["algorithm_bandwidth_gb_s"] = a.algorithm_bandwidth();
  out["bus_bandwidth_gb_s"] = a.bus_bandwidth();
  out["steps"] = a.plan.steps();
  if (!a.played) return out;
  out["flow_time_us"] = microseconds(a.played->time);
  out["messages"] = a.played->messages;
  out["links"] = Json::array();
  for (const LinkClassUse& u : a.played->links)
    out["links"].push_back({{"link", u.name},
                            {"links", u.links},
                            {"bandwidth_gb_s", u.bandwidth.count() / 1e9},
                            {"carried_bytes", u.carried.count()},
                            {"busy_us", microseconds(u.busy)}});
  return out;
}

Table sweep_table(const AskedCollective& q, const std::vector<Timed>& times) {
  Table t{fmt::format("{}, {} ranks on {}", to_text(q.call.primitive), q.call.span.ranks, q.server.product),
          "sizes",
          Table::Shape::kGrid,
          {{size_name(q.call.primitive), "bytes", true},
           {"size a rank", "bytes_per_rank", true},
           {"time us", "time_us", true},
           {"alg GB/s", "algorithm_bandwidth_gb_s", true},
           {"bus GB/s", "bus_bandwidth_gb_s", true},
           {"algorithm", "algorithm"},
           {"expansion", "expansion"},
           {"steps", "steps", true}},
          {}};
  for (const Timed& a : times)
    t.rows.push_back({count_cell(a.call.bytes.count()), count_cell(a.size_of_a_rank().count()), us_cell(a.time),
                      number_cell(a.algorithm_bandwidth(), 2), number_cell(a.bus_bandwidth(), 2),
                      a.closed.choice.algorithm->name, to_text(a.closed.choice.expansion), count_cell(a.plan.steps())});
  return t;
}

double error_of(const HcclTestRow& measured, const Timed& a) { return seconds(a.time) / seconds(measured.time) - 1; }

// REQUIRES: times.
struct ErrorSummary {
  std::int64_t sizes;
  double median_percent, largest_percent;  // of absolute errors
};
ErrorSummary summary_of(const AskedCollective& q, const std::vector<Timed>& times) {
  std::vector<double> errors;
  for (std::size_t i = 0; i < times.size(); ++i) errors.push_back(std::abs(100 * error_of(q.measured[i], times[i])));
  std::ranges::sort(errors);
  const std::size_t half = errors.size() / 2;
  const double median = errors.size() % 2 == 1 ? errors[half] : (errors[half - 1] + errors[half]) / 2;
  return {static_cast<std::int64_t>(errors.size()), median, errors.back()};
}

std::vector<Table> comparison(const AskedCollective& q, const std::vector<Timed>& times) {
  Table t{"Against hccl_test (error = ours / measured - 1)",
          "comparison",
          Table::Shape::kGrid,
          {{"data_size", "data_size", true},
           {size_name(q.call.primitive), "bytes", true},
           {"measured us", "measured_us", true},
           {"ours us", "time_us", true},
           {"error %", "error_percent", true},
           {"algorithm", "algorithm"},
           {"expansion", "expansion"},
           {"check", "check_result"}},
          {}};
  for (std::size_t i = 0; i < times.size(); ++i) {
    const Timed& a = times[i];
    t.rows.push_back({count_cell(q.measured[i].size.count()), count_cell(a.call.bytes.count()),
                      us_cell(q.measured[i].time), us_cell(a.time), number_cell(100 * error_of(q.measured[i], a), 1),
                      a.closed.choice.algorithm->name, to_text(a.closed.choice.expansion),
                      q.measured[i].failed ? "failed" : ""});
  }
  const ErrorSummary errors = summary_of(q, times);
  Table summary = facts("Summary", "summary");
  summary.rows = {{"sizes", count_cell(errors.sizes)},
                  {"median |error|", fmt::format("{:.1f} %", errors.median_percent)},
                  {"largest |error|", fmt::format("{:.1f} %", errors.largest_percent)}};
  return {std::move(t), std::move(summary)};
}

class CollectiveCommandCall final : public Call {
 public:
  void declare(Options& o) override {
    o.heading("Collective");
    o.text("--op", "NAME", options_.op,
           "all-gather, reduce-scatter, all-reduce, all-to-all, broadcast, shift, dispatch or combine")
        .must();
    o.count("--ranks", options_.ranks, {.most = kMostRanks, .examples = "16"},
            "ranks of the group, one a die, the first ones of each server")
        .must();
    o.text("--bytes", "SIZE", options_.bytes,
           "whole vector of an all-gather, reduce-scatter or all-reduce, local buffer of the others: 64MiB, 64M, 64 MB")
        .also({{"--size"}});
    o.text("--sweep", "FROM:TO", options_.sweep, "a table of sizes as hccl_test prints it: 8K:2G, 8K:2G:4");
    o.text("--compare", "FILE", options_.compare, "output of hccl_test: measured beside ours");
    o.choice<bool>("--per", "WHAT", options_.per_rank, {{"total", false}, {"rank", true}},
                   "total or rank: what sizes of gathers and scatters mean; older hccl_test: rank")
        .or_else("total");
    o.text("--algorithm", "NAME", options_.algorithm, "as `ascendsim list collectives` names it")
        .or_else("as HCCL selects");
    o.text("--expansion", "NAME", options_.expansion, "aiv, aicpu, host or fused, as HCCL_OP_EXPANSION_MODE")
        .or_else("aiv up to its thresholds on A3, host on A2");
    o.count("--concurrent", options_.concurrent, {.most = kMostConcurrent, .examples = "4"},
            "equal collectives that share the links")
        .or_else("1");
    o.count("--top-k", options_.top_k, {.most = kMostCopies, .examples = "8"}, "MoE: experts of a token")
        .or_else(fmt::to_string(CollectiveCall{}.copies));
    o.custom(
         "--padding", "FACTOR",
         [this, &o](const std::string& text) {
           const auto factor = parse_quantity<Ratio>(text);
           if (factor && factor->count() >= 1 && factor->count() <= 64)
             options_.padding = factor->count();
           else
             o.wrong(fmt::format("--padding must be a number from 1 to 64, got '{}'", text), "--padding 1.5");
         },
         "MoE, padded: rows sent / rows routed")
        .or_else("1");
    o.heading("Machine");
    hardware_row(o, options_.hardware).must();
    servers_row(o, options_.servers).or_else("as many as the ranks need");
    die_row(o, options_.die);
    faults_row(o, options_.faults_file);
  }
  Answer answer(Diagnostics& diagnostics) override;

 private:
  CollectiveOptions options_;
};

Answer CollectiveCommandCall::answer(Diagnostics& diagnostics) {
  const Libraries libraries;
  const AskedCollective q = CollectiveReader(options_, diagnostics).read(libraries);
  const bool single = q.sizes.size() == 1 && q.measured.empty() && options_.sweep.empty();
  std::vector<Timed> times;
  for (const Bytes n : q.sizes) times.push_back(timed(q, n, single));
  Json json = Json::object();
  std::vector<AloneAlgorithm> alone;
  if (single) {
    json = json_of(q, times[0]);
    alone = alone_algorithms(q, times[0]);
    for (const AloneAlgorithm& other : alone)
      json["algorithms"].push_back({{"algorithm", other.algorithm->name},
                                    {"expansion", to_text(other.time.choice.expansion)},
                                    {"time_us", microseconds(other.time.time)},
                                    {"steps", other.steps}});
  } else {
    json["sizes"] = Json::array();
    for (std::size_t i = 0; i < times.size(); ++i) {
      Json one = json_of(q, times[i]);
      if (!q.measured.empty()) {
        one["measured_us"] = microseconds(q.measured[i].time);
        one["error"] = error_of(q.measured[i], times[i]);
      }
      json["sizes"].push_back(std::move(one));
    }
    if (!q.measured.empty()) {
      const ErrorSummary errors = summary_of(q, times);
      json["summary"] = {{"sizes", errors.sizes},
                         {"median_error_percent", errors.median_percent},
                         {"largest_error_percent", errors.largest_percent}};
    }
  }
  return {.tables = single               ? tables_of(q, times[0], alone)
                    : q.measured.empty() ? std::vector<Table>{sweep_table(q, times)}
                                         : comparison(q, times),
          .json = std::make_shared<Json>(std::move(json))};
}

}  // namespace

constinit const Command kCollectiveCommand{
    .name = "collective",
    .summary = "one collective on the links of a cluster: time, bandwidth, steps, links, why this algorithm",
    .words = "",
    .words_help = "use --op",  // people write the primitive as a word
    .least_words = 0,
    .most_words = 0,
    .example = "ascendsim collective --op all-gather --ranks 16 --bytes 64MiB --hardware atlas-800i-a3",
    .output = "tables on stdout; exit 0, 2 on wrong input or an algorithm that is not defined for the group",
    .make = make_call<CollectiveCommandCall>};

}  // namespace ascendsim
