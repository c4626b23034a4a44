#include <cmath>
#include <numeric>
#include <vector>

#include "workloads/requests/generators.h"
#include "workloads/requests/numpy_random.h"
#include "workloads/requests/refusals.h"

namespace ascendsim {
namespace {

struct VllmInterval {
  std::int64_t low = 0, high = 0;  // both ends included
};

VllmInterval around(std::int64_t length, double ratio) {
  const auto l = static_cast<double>(length);
  return {static_cast<std::int64_t>(std::floor(l * (1 - ratio))),
          static_cast<std::int64_t>(std::ceil(l * (1 + ratio)))};
}

NumpyGenerator after(NumpyGenerator generator, VllmInterval interval, std::int64_t draws) {
  if (interval.low != interval.high)
    for (std::int64_t i = 0; i < draws; ++i) generator.integers(interval.low, interval.high);
  return generator;
}

VllmInterval input_interval(const VllmBenchOptions& o) {
  return around(std::max<std::int64_t>(0, o.random_input_len - o.tokenizer.special_tokens), o.random_range_ratio_input);
}
VllmInterval output_interval(const VllmBenchOptions& o) {
  const VllmInterval drawn = around(o.random_output_len, o.random_range_ratio_output);
  return {std::max<std::int64_t>(1, drawn.low), std::max<std::int64_t>(1, drawn.high)};
}

Pacing pacing_of(const VllmBenchOptions& o) {
  const bool old = o.version == VllmBenchOptions::Version::kUpTo0_9_2;
  return {o.request_rate, o.burstiness, o.ramp_up_strategy, o.ramp_up_start_rps, o.ramp_up_end_rps, old, !old, false};
}

void put_special_tokens(const TokenizerFacts& tokenizer, Request& request) {
  request.shared.clear();
  if (tokenizer.special_tokens > 0)
    request.shared.push_back({tokenizer.special_tokens, prompt_content(PromptContent::kSpecial, 0)});
}

// The tool draws three arrays one after the other: all prompt lengths, all output lengths, all offsets. Three copies of
// the generator, each at the start of its array, give the same requests one by one. A prompt is the common prefix and
// then consecutive token ids from (offset + its index), so two prompts with the same start share all of the shorter.
class VllmRandomRequests : public RequestSource {
 public:
  explicit VllmRandomRequests(const VllmBenchOptions& options)
      : options_(options),
        input_(input_interval(options)),
        output_(output_interval(options)),
        inputs_(static_cast<std::uint64_t>(options.seed)),
        outputs_(after(inputs_, input_, options.num_prompts)),
        offsets_(after(outputs_, output_, options.num_prompts)),
        instants_(pacing_of(options), options.num_prompts, NumpyRandomState(static_cast<std::uint32_t>(options.seed))) {
  }
  [[nodiscard]] double last_seconds() const { return instants_.last_seconds(); }

  bool next(Request& request) override {
    if (index_ == options_.num_prompts) return false;
    const TokenizerFacts& t = options_.tokenizer;
    const std::int64_t sampled = inputs_.integers(input_.low, input_.high);
    const std::int64_t start = offsets_.integers(0, t.vocabulary - 1) + index_++;
    request.arrival = instants_.next();
    request.input_tokens = t.special_tokens + options_.random_prefix_len + sampled;
    request.output_tokens = outputs_.integers(output_.low, output_.high);
    request.priority = 0;
    put_special_tokens(t, request);
    if (options_.random_prefix_len > 0)
      request.shared.push_back({options_.random_prefix_len, prompt_content(PromptContent::kPrefix, 0)});
    const auto first_id = static_cast<std::uint64_t>(start % (t.vocabulary - t.special_ids));
    if (sampled > 0) request.shared.push_back({sampled, prompt_content(PromptContent::kRun, first_id)});
    return true;
  }

 private:
  VllmBenchOptions options_;
  VllmInterval input_, output_;
  NumpyGenerator inputs_, outputs_, offsets_;
  SendInstants instants_;
  std::int64_t index_ = 0;
};

// Equal numbers of requests a prefix, shuffled by Python's generator. NumPy's global one draws every token of every
// prompt and then the gaps.
class PrefixRepetition : public RequestSource {
 public:
  PrefixRepetition(const VllmBenchOptions& options, std::int64_t per_prefix)
      : options_(options),
        prefix_of_(static_cast<std::size_t>(per_prefix * options.prefix_repetition_num_prefixes)),
        instants_(pacing_of(options), static_cast<std::int64_t>(prefix_of_.size()), gaps(options, per_prefix)) {
    for (std::size_t i = 0; i < prefix_of_.size(); ++i)
      prefix_of_[i] = static_cast<std::uint32_t>(i / static_cast<std::size_t>(per_prefix));
    PythonRandom(static_cast<std::uint64_t>(options.seed)).shuffle(std::span<std::uint32_t>(prefix_of_));
  }
  [[nodiscard]] double last_seconds() const { return instants_.last_seconds(); }

  bool next(Request& request) override {
    if (index_ == prefix_of_.size()) return false;
    const std::int64_t prefix = options_.prefix_repetition_prefix_len;
    request.arrival = instants_.next();
    request.input_tokens = options_.tokenizer.special_tokens + prefix + options_.prefix_repetition_suffix_len;
    request.output_tokens = options_.prefix_repetition_output_len;
    request.priority = 0;
    put_special_tokens(options_.tokenizer, request);
    if (prefix > 0) request.shared.push_back({prefix, prompt_content(PromptContent::kPrefix, prefix_of_[index_])});
    ++index_;
    return true;
  }

 private:
  static NumpyRandomState gaps(const VllmBenchOptions& o, std::int64_t per_prefix) {
    NumpyRandomState random(static_cast<std::uint32_t>(o.seed));
    if (std::isinf(o.request_rate) && !o.ramp_up_strategy) return random;
    const std::int64_t tokens = o.prefix_repetition_num_prefixes *
                                (o.prefix_repetition_prefix_len + per_prefix * o.prefix_repetition_suffix_len);
    for (std::int64_t i = 0; i < tokens; ++i) random.randint(0, o.tokenizer.vocabulary);
    return random;
  }

  VllmBenchOptions options_;
  std::vector<std::uint32_t> prefix_of_;
  SendInstants instants_;
  std::size_t index_ = 0;
};

void check_pacing(const VllmBenchOptions& o, Refusals& refuse) {
  if (!(o.request_rate > 0))
    refuse.value("--request-rate", fmt::format("the request rate is {}, it must be above 0", o.request_rate),
                 "leave --request-rate out to send everything at once");
  if (!(o.burstiness > 0))
    refuse.value("--burstiness", fmt::format("the burstiness is {}, it must be above 0", o.burstiness),
                 "1 for Poisson arrivals");
  if (!o.ramp_up_strategy) return;
  if (!std::isinf(o.request_rate))
    refuse.value("--request-rate", "a rate together with a ramp-up", "leave --request-rate out, or the ramp-up");
  if (!(o.ramp_up_start_rps > 0 && o.ramp_up_end_rps > 0) || std::isinf(o.ramp_up_start_rps) ||
      std::isinf(o.ramp_up_end_rps))
    refuse.value("--ramp-up-start-rps",
                 fmt::format("a ramp-up from {} to {} requests a second; both must be above 0", o.ramp_up_start_rps,
                             o.ramp_up_end_rps),
                 "start at 1, for instance");
}

void check_random(const VllmBenchOptions& o, Refusals& refuse) {
  refuse.at_least(0, {{"--random-input-len", o.random_input_len},
                      {"--random-output-len", o.random_output_len},
                      {"--random-prefix-len", o.random_prefix_len}});
  for (const double ratio : {o.random_range_ratio_input, o.random_range_ratio_output})
    if (!(ratio >= 0 && ratio < 1)) {
      refuse.value("--random-range-ratio", fmt::format("a range ratio of {}, it must be within [0, 1)", ratio));
      return;
    }
  const std::int64_t least = o.random_prefix_len + input_interval(o).low;
  if (least < 1)
    refuse.value("--random-input-len",
                 fmt::format("--random-input-len {} is too small: without {} special tokens and with a range ratio of "
                             "{}, a prompt could have {} tokens",
                             o.random_input_len, o.tokenizer.special_tokens, o.random_range_ratio_input, least),
                 "a longer --random-input-len or --random-prefix-len, or a smaller --random-range-ratio");
}

}  // namespace

bool draws_lengths(const VllmBenchOptions& o) {
  return o.dataset_name == "random" || o.dataset_name == "prefix_repetition";
}

std::unique_ptr<RequestSource> make_vllm_bench(const VllmBenchOptions& o, const SourceLocation& where,
                                               Diagnostics& diagnostics) {
  Refusals refuse(diagnostics, where, "vllm bench serve");
  const bool random = o.dataset_name == "random";
  if (!draws_lengths(o)) {
    refuse.absent("--dataset-name",
                  fmt::format("the data set {} needs a download or texts with the model's tokenizer", o.dataset_name),
                  "--dataset-name random or prefix_repetition, or a file of lengths as a trace");
    return nullptr;
  }
  refuse.seed("--seed", o.seed);
  refuse.at_least(1, {{"--num-prompts", o.num_prompts}, {"the vocabulary", o.tokenizer.vocabulary}});
  check_pacing(o, refuse);
  if (random) {
    check_random(o, refuse);
    if (refuse.any()) return nullptr;
    auto source = std::make_unique<VllmRandomRequests>(o);
    refuse.last_instant("--request-rate", source->last_seconds());
    return refuse.any() ? nullptr : std::move(source);
  }
  refuse.at_least(0, {{"--prefix-repetition-prefix-len", o.prefix_repetition_prefix_len},
                      {"--prefix-repetition-suffix-len", o.prefix_repetition_suffix_len}});
  refuse.at_least(1, {{"--prefix-repetition-num-prefixes", o.prefix_repetition_num_prefixes},
                      {"--prefix-repetition-output-len", o.prefix_repetition_output_len},
                      {"the length of a prompt", o.prefix_repetition_prefix_len + o.prefix_repetition_suffix_len}});
  if (!refuse.any() && o.num_prompts < o.prefix_repetition_num_prefixes)
    refuse.value("--num-prompts",
                 fmt::format("{} prompts are fewer than {} prefixes", o.num_prompts, o.prefix_repetition_num_prefixes));
  if (refuse.any()) return nullptr;
  auto source = std::make_unique<PrefixRepetition>(o, o.num_prompts / o.prefix_repetition_num_prefixes);
  refuse.last_instant("--request-rate", source->last_seconds());
  return refuse.any() ? nullptr : std::move(source);
}

}  // namespace ascendsim
