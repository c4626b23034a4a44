#include "strategies/intake/load_over_time.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "workloads/requests/equal_requests.h"
#include "workloads/requests/traces.h"

namespace ascendsim {

namespace {

constexpr std::int64_t kUsualRequests = 1000;  // of vllm bench serve and sglang.bench_serving

// "at 4 a second, Poisson", "all at once"
std::string pace(double rate, double burstiness) {
  if (std::isinf(rate)) return "all at once";
  const std::string gaps = burstiness == 1          ? "Poisson"
                           : std::isinf(burstiness) ? "evenly"
                                                    : fmt::format("burstiness {:g}", burstiness);
  return fmt::format("at {:g} a second, {}", rate, gaps);
}

std::string in_flight(const std::optional<std::int64_t>& most) {
  return most ? fmt::format(", at most {} in flight", with_commas(*most)) : "";
}

void exclude(const char* one, const char* other, const char* why, const char* help, Diagnostics& diagnostics) {
  diagnostics.error("E0640", {}, fmt::format("{} and {} exclude each other: {}", one, other, why), {}, help);
}

// How many requests, when only the time is said.
std::int64_t requests_of(const ServiceSettings& s, double rate, std::int64_t otherwise) {
  if (s.requests) return *s.requests;
  if (!s.duration || std::isinf(rate)) return otherwise;
  constexpr double kMost = 1e9;
  return static_cast<std::int64_t>(std::clamp(std::floor(rate * seconds(*s.duration)), 1.0, kMost));
}

std::unique_ptr<RequestSource> cut(std::unique_ptr<RequestSource> source, const std::optional<Duration>& end) {
  return source && end ? sent_before(std::move(source), *end) : std::move(source);
}

// Whether a trace has no times of its own, so that a rate can give it some.
bool has_no_times(const std::string& path) {
  if (path == "-") return true;  // it shows when it is read
  Diagnostics said_when_it_is_opened;
  return open_trace(path, {.layout = TraceLayout::kLengths}, said_when_it_is_opened) != nullptr;
}

std::optional<LoadOverTime> of_trace(const ServiceSettings& s, Diagnostics& diagnostics) {
  LoadOverTime load;
  load.what = fmt::format("trace {}", s.trace);
  if (s.time_scale) load.what += fmt::format(", times x {:g}", *s.time_scale);
  TraceOptions options{.time_scale = s.time_scale.value_or(1), .max_requests = s.requests};
  if (s.rate) {
    if (!has_no_times(s.trace)) {
      exclude("--rate", "--trace", "a trace says when its requests are sent",
              "--time-scale 0.5 sends a trace twice as fast; a file of lengths alone takes a rate", diagnostics);
      return std::nullopt;
    }
    options.layout = TraceLayout::kLengths;
    load.rate = *s.rate;
    load.burstiness = s.burstiness.value_or(1);
    load.requests = requests_of(s, *s.rate, kUsualRequests);
    load.what +=
        fmt::format(", up to {} requests {}", with_commas(load.requests), pace(*s.rate, s.burstiness.value_or(1)));
  }
  load.open = [=, path = s.trace, end = s.duration, requests = load.requests, rate = load.rate,
               burstiness = s.burstiness.value_or(1),
               seed = static_cast<std::uint32_t>(s.seed.value_or(0))](Diagnostics& found) {
    auto source = open_trace(path, options, found);
    if (source && requests > 0)
      source = paced(std::move(source),
                     SendInstants({.request_rate = rate, .burstiness = burstiness}, requests, NumpyRandomState(seed)),
                     requests);
    return cut(std::move(source), end);
  };
  return load;
}

// "random", "prefix_repetition"
template <class Options>
std::string of_data_set(const Options& o) {
  return fmt::format("data set {}", o.dataset_name);
}

void override_with(const Settings& s, VllmBenchOptions& o) {
  if (s.service.rate) o.request_rate = *s.service.rate;
  if (s.service.burstiness) o.burstiness = *s.service.burstiness;
  if (s.service.seed) o.seed = *s.service.seed;
  if (s.input) o.random_input_len = *s.input;
  if (s.output) o.random_output_len = o.prefix_repetition_output_len = *s.output;
  o.num_prompts = requests_of(s.service, o.request_rate, o.num_prompts);
}
void override_with(const Settings& s, SglangBenchOptions& o) {
  if (s.service.rate) o.request_rate = *s.service.rate;
  if (s.service.seed) o.seed = *s.service.seed;
  if (s.input) o.random_input_len = *s.input;
  if (s.output) o.random_output_len = o.gsp_output_len = *s.output;
  o.num_prompts = requests_of(s.service, o.request_rate, o.num_prompts);
}

template <class Options>
LoadOverTime of_tool(Options o, BenchmarkTool tool, const Settings& settings, const BenchmarkLoad& benchmark) {
  LoadOverTime load;
  load.tool = tool;
  override_with(settings, o);
  load.rate = o.request_rate;
  load.requests = o.num_prompts;
  load.input_tokens = settings.input.value_or(benchmark.input.value_or(0));
  load.output_tokens = settings.output.value_or(benchmark.output.value_or(0));
  if constexpr (requires { o.burstiness; }) load.burstiness = o.burstiness;
  load.what = fmt::format("{}, {}: {} requests {}", benchmark.program, of_data_set(o), with_commas(o.num_prompts),
                          pace(o.request_rate, load.burstiness));
  load.open = [o, where = benchmark.where, end = settings.service.duration](Diagnostics& found) {
    if constexpr (std::is_same_v<Options, VllmBenchOptions>)
      return cut(make_vllm_bench(o, where, found), end);
    else
      return cut(make_sglang_bench(o, where, found), end);
  };
  return load;
}

std::optional<LoadOverTime> of_benchmark(const Settings& settings, const BenchmarkLoad& benchmark,
                                         Diagnostics& diagnostics) {
  if (const auto* const bench = std::get_if<VllmBenchOptions>(&benchmark.generator))
    return of_tool(*bench, BenchmarkTool::kVllmBench, settings, benchmark);
  if (settings.service.burstiness) {
    exclude("--burstiness", "sglang.bench_serving", "its gaps are exponential", "leave --burstiness out", diagnostics);
    return std::nullopt;
  }
  return of_tool(std::get<SglangBenchOptions>(benchmark.generator), BenchmarkTool::kSglangBench, settings, benchmark);
}

LoadOverTime of_equal_requests(const EqualRequestsOptions& options, const std::optional<Duration>& end) {
  LoadOverTime load;
  load.rate = options.pacing.request_rate;
  load.burstiness = options.pacing.burstiness;
  load.equal = true;
  load.requests = options.requests;
  load.input_tokens = options.input_tokens;
  load.output_tokens = options.output_tokens;
  load.what = fmt::format("{} request{} {}", with_commas(options.requests), options.requests == 1 ? "" : "s",
                          pace(options.pacing.request_rate, options.pacing.burstiness));
  load.open = [options, end](Diagnostics&) { return cut(make_equal_requests(options), end); };
  return load;
}

LoadOverTime of_rate(const ServiceSettings& s, const Workload& asked) {
  EqualRequestsOptions o;
  o.pacing = {.request_rate = s.rate.value_or(std::numeric_limits<double>::infinity()),
              .burstiness = s.burstiness.value_or(1)};
  o.requests = requests_of(s, o.pacing.request_rate, kUsualRequests);
  o.input_tokens = asked.input_tokens;
  o.output_tokens = asked.output_tokens;
  o.common_tokens = asked.prefix_hit;
  o.seed = static_cast<std::uint32_t>(s.seed.value_or(0));
  return of_equal_requests(o, s.duration);
}

// What makes no sense whatever the load is.
bool consistent(const Settings& settings, bool tool, Diagnostics& diagnostics) {
  const ServiceSettings& s = settings.service;
  const std::size_t before = diagnostics.all().size();
  const bool trace = !s.trace.empty();
  if (trace && tool)
    exclude("--trace", "--workload", "both say which requests are sent", "one of the two", diagnostics);
  if (trace && (settings.input || settings.output))
    exclude("--trace", settings.input ? "--input" : "--output", "a trace says how long its requests are",
            "leave it out", diagnostics);
  if (s.time_scale && !trace)
    diagnostics.error("E0640", {}, "--time-scale is for the times of a --trace", {},
                      "--rate says how fast others come");
  if (s.burstiness && !s.rate && !tool)
    diagnostics.error("E0640", {}, "--burstiness is for the gaps of a --rate", {}, "--rate 4 --burstiness 0.5");
  if (settings.pair() && s.instances)
    diagnostics.error("E0640", {}, "--instances of a pair says which side it means", {},
                      "--instances prefill=3,decode=1");
  return diagnostics.all().size() == before;
}

}  // namespace

bool asks_for_service(const ServiceSettings& settings, const std::optional<BenchmarkLoad>& benchmark) {
  return settings.asked() || (benchmark && benchmark->drives_a_server());
}

std::optional<LoadOverTime> load_over_time(const Settings& settings, const std::optional<BenchmarkLoad>& benchmark,
                                           const Workload& asked, Diagnostics& diagnostics) {
  const ServiceSettings& s = settings.service;
  const bool tool = benchmark && benchmark->drives_a_server();
  if (!consistent(settings, tool, diagnostics)) return std::nullopt;
  auto load = !s.trace.empty() ? of_trace(s, diagnostics)
              : tool           ? of_benchmark(settings, *benchmark, diagnostics)
                               : std::optional(of_rate(s, asked));
  if (!load) return load;
  load->max_concurrency = s.max_concurrency ? s.max_concurrency : tool ? benchmark->max_concurrency : std::nullopt;
  load->slo = s.slo.any() || !tool ? s.slo : benchmark->slo;
  if (load->input_tokens > 0)
    load->what +=
        fmt::format(", {} tokens in, {} out", with_commas(load->input_tokens), with_commas(load->output_tokens));
  load->what += in_flight(load->max_concurrency);
  if (s.duration) load->what += fmt::format(", for {}", to_text(*s.duration));
  // What the generator or the file refuses is said now; the standard input can be opened once.
  if (s.trace == "-") return load;
  Diagnostics found;
  if (load->open(found) == nullptr || found.has_errors()) {
    diagnostics.append(found);
    return std::nullopt;
  }
  return load;
}

LoadOverTime all_at_once(const Workload& batch, const Slo& slo) {
  EqualRequestsOptions o{.requests = batch.batch,
                         .input_tokens = batch.input_tokens,
                         .output_tokens = batch.output_tokens,
                         .common_tokens = batch.prefix_hit};
  LoadOverTime load = of_equal_requests(o, std::nullopt);
  load.slo = slo;
  load.what += fmt::format(", {} tokens in, {} out", with_commas(o.input_tokens), with_commas(o.output_tokens));
  return load;
}

}  // namespace ascendsim
