#include <algorithm>
#include <cmath>
#include <limits>

#include "workloads/requests/generators.h"
#include "workloads/requests/numpy_random.h"
#include "workloads/requests/refusals.h"

namespace ascendsim {
namespace {

constexpr double kPaced = 0.001;           // requests a second; below it the tool sends without pacing
constexpr std::int64_t kMost = 1'048'576;  // of requests and of tokens: 2^20

Pacing pacing_of(const AisBenchOptions& o) {
  if (o.request_rate < kPaced) return {};
  const double burstiness = o.burstiness == 0 ? std::numeric_limits<double>::infinity() : o.burstiness;
  return {o.request_rate, burstiness, o.ramp_up_strategy, o.ramp_up_start_rps, o.ramp_up_end_rps, false, true, true};
}

// A string prompt is one letter again and again, so all prompts share all of the shorter.
class SyntheticRequests : public RequestSource {
 public:
  explicit SyntheticRequests(const AisBenchOptions& options)
      : options_(options),
        lengths_(static_cast<std::uint32_t>(options.seed)),
        instants_(pacing_of(options), options.request_count,
                  NumpyRandomState(static_cast<std::uint32_t>(options.seed))) {}
  [[nodiscard]] double last_seconds() const { return instants_.last_seconds(); }

  bool next(Request& request) override {
    if (index_++ == options_.request_count) return false;
    const bool strings = options_.type == "string";
    const std::int64_t special = options_.tokenizer.special_tokens;
    const std::int64_t sent = strings ? draw(options_.input, lengths_) : options_.request_size;
    request.arrival = instants_.next();
    request.input_tokens = special + sent;
    request.output_tokens = strings ? draw(options_.output, lengths_) : options_.max_out_len;
    request.priority = 0;
    request.shared.clear();
    if (special > 0) request.shared.push_back({special, prompt_content(PromptContent::kSpecial, 0)});
    if (strings) request.shared.push_back({sent, prompt_content(PromptContent::kRepeated, 0)});
    if (!strings && options_.prefix_len > 0)
      request.shared.push_back({options_.prefix_len, prompt_content(PromptContent::kPrefix, 0)});
    return true;
  }

 private:
  AisBenchOptions options_;
  NumpyRandomState lengths_;
  SendInstants instants_;
  std::int64_t index_ = 0;
};

class LaterByTheFirst : public RequestSource {
 public:
  explicit LaterByTheFirst(std::unique_ptr<RequestSource> trace) : trace_(std::move(trace)) {}
  bool next(Request& request) override {
    if (!trace_->next(request)) return false;
    if (!first_) first_ = request.arrival;
    request.arrival += *first_;
    return true;
  }

 private:
  std::unique_ptr<RequestSource> trace_;
  std::optional<Duration> first_;
};

class Paced : public RequestSource {
 public:
  Paced(std::unique_ptr<RequestSource> lengths, const SendInstants& instants, std::int64_t count)
      : lengths_(std::move(lengths)), instants_(instants), left_(count) {}
  bool next(Request& request) override {
    if (left_ == 0 || !lengths_->next(request)) return false;
    --left_;
    request.arrival = instants_.next();
    return true;
  }

 private:
  std::unique_ptr<RequestSource> lengths_;
  SendInstants instants_;
  std::int64_t left_;
};

void check_length(std::string_view name, const AisBenchLength& l, Refusals& refuse) {
  if (l.method != "uniform" && l.method != "gaussian" && l.method != "zipf")
    refuse.value(name, fmt::format("{}: {} is no method", name, l.method), "uniform, gaussian or zipf");
  if (l.min_value < 1 || l.max_value > kMost || l.min_value > l.max_value)
    refuse.value(name, fmt::format("{}: lengths from {} to {}; 1 <= MinValue <= MaxValue <= {} is needed", name,
                                   l.min_value, l.max_value, kMost));
  if (l.method == "gaussian" && !(std::isfinite(l.mean) && l.variance >= 0 && std::isfinite(l.variance)))
    refuse.value(name, fmt::format("{}: a normal distribution of mean {} and variance {}", name, l.mean, l.variance));
  if (l.method == "zipf" && !(l.alpha > 1 && l.alpha <= 10))
    refuse.value(name, fmt::format("{}: Alpha is {}, it must be within (1, 10]", name, l.alpha));
}

void check_pacing(const AisBenchOptions& o, Refusals& refuse) {
  if (!(o.request_rate >= 0 && o.request_rate <= 64000))
    refuse.value("request_rate", fmt::format("request_rate is {}, it must be within [0, 64000]", o.request_rate));
  if (!(o.burstiness >= 0) || std::isinf(o.burstiness))
    refuse.value("burstiness", fmt::format("burstiness is {}, it must be at least 0", o.burstiness), "0: equal gaps");
  if (!o.ramp_up_strategy) return;
  if (!(o.ramp_up_start_rps >= 0) || std::isinf(o.ramp_up_start_rps))
    refuse.value("ramp_up_start_rps", fmt::format("ramp_up_start_rps is {}", o.ramp_up_start_rps), "at least 0");
  if (!(o.ramp_up_end_rps >= kPaced) || std::isinf(o.ramp_up_end_rps))
    refuse.value("ramp_up_end_rps",
                 fmt::format("ramp_up_end_rps is {}; below {} the tool has no pacing", o.ramp_up_end_rps, kPaced));
}

}  // namespace

std::int64_t draw(const AisBenchLength& l, NumpyRandomState& random) {
  const auto low = static_cast<double>(l.min_value), high = static_cast<double>(l.max_value);
  if (l.method == "uniform") return static_cast<std::int64_t>(random.uniform(low, high));
  if (l.method == "gaussian")
    return static_cast<std::int64_t>(std::clamp(random.normal(l.mean, std::sqrt(l.variance)), low, high));
  return std::clamp(random.zipf(l.alpha), l.min_value, l.max_value);
}

std::unique_ptr<RequestSource> make_ais_bench(const AisBenchOptions& o, const SourceLocation& where,
                                              Diagnostics& diagnostics) {
  Refusals refuse(diagnostics, where, "AISBench");
  refuse.seed("seed", o.seed);
  if (o.request_count < 1 || o.request_count > kMost)
    refuse.value("RequestCount", fmt::format("RequestCount is {}, it must be within [1, {}]", o.request_count, kMost));
  check_pacing(o, refuse);
  if (o.type == "string") {
    check_length("Input", o.input, refuse);
    check_length("Output", o.output, refuse);
  } else if (o.type == "tokenid") {
    refuse.at_least(1, {{"RequestSize", o.request_size}, {"max_out_len", o.max_out_len}});
    if (o.prefix_len < 0 || o.prefix_len > o.request_size)
      refuse.value("PrefixLen", fmt::format("PrefixLen is {}, it must be within [0, RequestSize]", o.prefix_len));
  } else {
    refuse.absent("Type", fmt::format("the data set {} needs its file and the model's tokenizer", o.type),
                  "a synthetic data set of Type string or tokenid, or a file of lengths as a trace");
  }
  if (refuse.any()) return nullptr;
  auto source = std::make_unique<SyntheticRequests>(o);
  refuse.last_instant("request_rate", source->last_seconds());
  return refuse.any() ? nullptr : std::move(source);
}

std::unique_ptr<RequestSource> with_ais_bench_timestamps(std::unique_ptr<RequestSource> trace) {
  return std::make_unique<LaterByTheFirst>(std::move(trace));
}

std::unique_ptr<RequestSource> paced(std::unique_ptr<RequestSource> lengths, const SendInstants& instants,
                                     std::int64_t count) {
  return std::make_unique<Paced>(std::move(lengths), instants, count);
}

}  // namespace ascendsim
