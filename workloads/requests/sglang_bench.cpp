#include <algorithm>
#include <cmath>
#include <vector>

#include "sim/elementary.h"
#include "workloads/requests/generators.h"
#include "workloads/requests/numpy_random.h"
#include "workloads/requests/refusals.h"

namespace ascendsim {
namespace {

struct SglangInterval {
  std::int64_t low = 0, high = 0;  // high excluded, as randint has it

  [[nodiscard]] std::int64_t draw(NumpyRandomState& random) const { return random.randint(low, high); }
  void skip(NumpyRandomState& random, std::int64_t draws) const {
    if (low + 1 < high)
      for (std::int64_t i = 0; i < draws; ++i) random.randint(low, high);
  }
};

// A length of 0 or less is 0 and draws nothing.
SglangInterval up_to(std::int64_t length, double ratio, std::int64_t least) {
  if (length <= 0) return {0, 1};
  return {std::max(static_cast<std::int64_t>(static_cast<double>(length) * ratio), least), length + 1};
}

SglangInterval input_interval(const SglangBenchOptions& o) { return up_to(o.random_input_len, o.random_range_ratio, 1); }
SglangInterval output_interval(const SglangBenchOptions& o) {
  const bool may_be_zero = o.version == SglangBenchOptions::Version::k0_5_2;
  return up_to(o.random_output_len, o.random_range_ratio, may_be_zero ? 0 : 1);
}

std::int64_t seed_of(const SglangBenchOptions& o) {
  return o.seed.value_or(o.version == SglangBenchOptions::Version::k0_5_18 ? 42 : 1);
}
NumpyRandomState numpy_of(const SglangBenchOptions& o) {
  return NumpyRandomState(static_cast<std::uint32_t>(seed_of(o)));
}

// The first request is sent at once, the gaps are never scaled.
Pacing pacing_of(const SglangBenchOptions& o) {
  Pacing p;
  p.request_rate = o.request_rate;
  p.first_at_zero = true;
  p.scaled = false;
  return p;
}

// One generator draws all prompt lengths, all output lengths, for random-ids all offsets, and then the gaps: a copy of
// it at the start of each gives the same requests one by one. `random` takes texts of ShareGPT instead of token ids, so
// offsets are not drawn and its gaps come earlier in the stream; what is in the texts is not known here.
class SglangRandomRequests : public RequestSource {
 public:
  explicit SglangRandomRequests(const SglangBenchOptions& options)
      : options_(options),
        input_(input_interval(options)),
        output_(output_interval(options)),
        has_ids_(options.dataset_name == "random-ids"),
        inputs_(numpy_of(options)),
        outputs_(inputs_),
        offsets_(inputs_),
        instants_(positioned(options)) {}
  [[nodiscard]] double last_seconds() const { return instants_.last_seconds(); }

  bool next(Request& request) override {
    if (index_ == options_.num_prompts) return false;
    const TokenizerFacts& t = options_.tokenizer;
    const std::int64_t special = options_.tokenize_prompt ? 0 : t.special_tokens;
    const std::int64_t sent = std::max<std::int64_t>(1, input_.draw(inputs_) - special);
    request.arrival = instants_.next();
    request.input_tokens = sent + special;
    request.output_tokens = output_.draw(outputs_);
    request.priority = 0;
    request.shared.clear();
    if (special > 0) request.shared.push_back({special, prompt_content(PromptContent::kSpecial, 0)});
    if (has_ids_) {
      const std::int64_t start = (offsets_.randint(0, t.vocabulary) + index_) % t.vocabulary;
      request.shared.push_back({sent, prompt_content(PromptContent::kRun, static_cast<std::uint64_t>(start))});
    }
    ++index_;
    return true;
  }

 private:
  SendInstants positioned(const SglangBenchOptions& o) {
    input_.skip(outputs_, o.num_prompts);
    offsets_ = outputs_;
    output_.skip(offsets_, o.num_prompts);
    NumpyRandomState gaps = offsets_;
    if (has_ids_) SglangInterval{0, o.tokenizer.vocabulary}.skip(gaps, o.num_prompts);
    return {pacing_of(o), o.num_prompts, gaps};
  }

  SglangBenchOptions options_;
  SglangInterval input_, output_;
  bool has_ids_;
  NumpyRandomState inputs_, outputs_, offsets_;
  SendInstants instants_;
  std::int64_t index_ = 0;
};

// numpy.random.default_rng(seed).choice(groups, size, p = 1 / rank^alpha, normalised). A sum in another order could
// move a boundary by 1e-16.
std::vector<std::uint32_t> zipf_groups(std::uint64_t seed, std::int64_t groups, double alpha, std::size_t size) {
  std::vector<double> cumulated(static_cast<std::size_t>(groups));
  double sum = 0;
  for (std::size_t i = 0; i < cumulated.size(); ++i)
    cumulated[i] = sum += 1.0 / portable_pow(static_cast<double>(i + 1), alpha);
  for (double& c : cumulated) c /= sum;
  NumpyGenerator random(seed);
  std::vector<std::uint32_t> result(size);
  for (std::uint32_t& group : result)
    group = static_cast<std::uint32_t>(std::upper_bound(cumulated.begin(), cumulated.end() - 1, random.random()) -
                                       cumulated.begin());
  return result;
}

// NumPy draws the lengths of system prompts, questions and outputs, and then the gaps; Python's generator draws the
// tokens of all prompts and then the order. With `zipf` a request takes the system prompt of a drawn group, and the
// question and output of its own place.
class SharedPrefix : public RequestSource {
 public:
  explicit SharedPrefix(const SglangBenchOptions& o)
      : options_(o),
        systems_(static_cast<std::size_t>(o.gsp_num_groups)),
        questions_(static_cast<std::size_t>(o.gsp_num_groups * o.gsp_prompts_per_group)),
        outputs_(questions_.size()),
        order_(questions_.size()),
        instants_(drawn(o)) {
    std::uint64_t tokens = 0;
    for (const std::uint32_t n : systems_) tokens += n;
    for (const std::uint32_t n : questions_) tokens += n;
    for (std::size_t i = 0; i < order_.size(); ++i) order_[i] = static_cast<std::uint32_t>(i);
    const auto seed = static_cast<std::uint64_t>(seed_of(o));
    PythonRandom random(seed);
    random.discard_choices(tokens);
    if (!o.gsp_ordered) random.shuffle(std::span<std::uint32_t>(order_));
    if (o.gsp_zipf_alpha) groups_ = zipf_groups(seed, o.gsp_num_groups, *o.gsp_zipf_alpha, order_.size());
  }
  [[nodiscard]] double last_seconds() const { return instants_.last_seconds(); }

  bool next(Request& request) override {
    if (index_ == order_.size()) return false;
    const std::size_t place = order_[index_++];
    const std::size_t group =
        groups_.empty() ? place / static_cast<std::size_t>(options_.gsp_prompts_per_group) : groups_[place];
    const std::int64_t special = options_.tokenizer.special_tokens, system = systems_[group];
    request.arrival = instants_.next();
    request.input_tokens = special + system + questions_[place];
    request.output_tokens = outputs_[place];
    request.priority = 0;
    request.shared.clear();
    if (special > 0) request.shared.push_back({special, prompt_content(PromptContent::kSpecial, 0)});
    request.shared.push_back({system, prompt_content(PromptContent::kPrefix, group)});
    return true;
  }

 private:
  SendInstants drawn(const SglangBenchOptions& o) {
    NumpyRandomState random = numpy_of(o);
    const auto draw_all = [&](std::vector<std::uint32_t>& lengths, std::int64_t length) {
      for (std::uint32_t& n : lengths) n = static_cast<std::uint32_t>(up_to(length, o.gsp_range_ratio, 1).draw(random));
    };
    draw_all(systems_, o.gsp_system_prompt_len);
    draw_all(questions_, o.gsp_question_len);
    draw_all(outputs_, o.gsp_output_len);
    return {pacing_of(o), static_cast<std::int64_t>(order_.size()), random};
  }

  SglangBenchOptions options_;
  std::vector<std::uint32_t> systems_, questions_, outputs_, order_, groups_;
  SendInstants instants_;
  std::size_t index_ = 0;
};

void check_ratio(std::string_view option, double ratio, Refusals& refuse) {
  if (!(ratio >= 0 && ratio <= 1))
    refuse.value(option, fmt::format("{} is {}, it must be within [0, 1]", option, ratio),
                 "0 draws lengths from 1 to the given one, 1 gives exactly the given one");
}

void check_shared_prefix(const SglangBenchOptions& o, Refusals& refuse) {
  refuse.at_least(1, {{"--gsp-num-groups", o.gsp_num_groups},
                      {"--gsp-prompts-per-group", o.gsp_prompts_per_group},
                      {"--gsp-system-prompt-len", o.gsp_system_prompt_len},
                      {"--gsp-question-len", o.gsp_question_len},
                      {"--gsp-output-len", o.gsp_output_len}});
  check_ratio("--gsp-range-ratio", o.gsp_range_ratio, refuse);
  if (o.tokenize_prompt)
    refuse.value("--tokenize-prompt", "generated-shared-prefix refuses --tokenize-prompt", "leave it out");
  if (o.gsp_num_turns != 1)
    refuse.absent("--gsp-num-turns", "a conversation of several turns sends a turn when the one before is answered",
                  "--gsp-num-turns 1");
  const bool zipf = o.gsp_group_distribution == "zipf";
  if (!zipf && o.gsp_group_distribution != "uniform")
    refuse.value("--gsp-group-distribution", fmt::format("{} is no distribution of groups", o.gsp_group_distribution),
                 "uniform or zipf");
  if (zipf && !(o.gsp_zipf_alpha && *o.gsp_zipf_alpha > 0 && std::isfinite(*o.gsp_zipf_alpha)))
    refuse.value("--gsp-zipf-alpha", "zipf needs --gsp-zipf-alpha, a number above 0", "--gsp-zipf-alpha 1.2");
  if (!zipf && o.gsp_zipf_alpha)
    refuse.value("--gsp-zipf-alpha", "--gsp-zipf-alpha without --gsp-group-distribution zipf", "leave it out");
}

}  // namespace

bool draws_lengths(const SglangBenchOptions& o) {
  return o.dataset_name == "generated-shared-prefix" || o.dataset_name == "random-ids" || o.dataset_name == "random";
}

std::unique_ptr<RequestSource> make_sglang_bench(const SglangBenchOptions& o, const SourceLocation& where,
                                                 Diagnostics& diagnostics) {
  Refusals refuse(diagnostics, where, "sglang.bench_serving");
  const bool shared = o.dataset_name == "generated-shared-prefix";
  if (!draws_lengths(o)) {
    refuse.absent("--dataset-name",
                  fmt::format("the data set {} needs a download or texts with the model's tokenizer", o.dataset_name),
                  "--dataset-name random-ids, random or generated-shared-prefix, or a file of lengths as a trace");
    return nullptr;
  }
  refuse.seed("--seed", seed_of(o));
  refuse.at_least(1, {{"the vocabulary", o.tokenizer.vocabulary}});
  if (!(o.request_rate > 0))
    refuse.value("--request-rate", fmt::format("the request rate is {}, it must be above 0", o.request_rate),
                 "leave --request-rate out to send everything at once");
  if (shared) {
    check_shared_prefix(o, refuse);
    if (refuse.any()) return nullptr;
    auto source = std::make_unique<SharedPrefix>(o);
    refuse.last_instant("--request-rate", source->last_seconds());
    return refuse.any() ? nullptr : std::move(source);
  }
  refuse.at_least(1, {{"--num-prompts", o.num_prompts}, {"--random-input-len", o.random_input_len}});
  refuse.at_least(0, {{"--random-output-len", o.random_output_len}});
  check_ratio("--random-range-ratio", o.random_range_ratio, refuse);
  if (refuse.any()) return nullptr;
  auto source = std::make_unique<SglangRandomRequests>(o);
  refuse.last_instant("--request-rate", source->last_seconds());
  return refuse.any() ? nullptr : std::move(source);
}

}  // namespace ascendsim
