#include "strategies/serving/schedulers/sglang_recording_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>
#include <string_view>

namespace ascendsim {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kForm = "form of a recording of the SGLang scheduler";
// More would not be a recording but overflow sums of lengths.
constexpr std::int64_t kLargest = std::int64_t{1} << 40;

// An object of the recording that is read strictly: every key must be known.
class Fields {
 public:
  Fields(const Json& object, std::string path, const std::string& file, Diagnostics& diagnostics)
      : object_(object), path_(std::move(path)), file_(file), diagnostics_(diagnostics) {}

  void wrong(std::string_view key, std::string message, std::string help = {}) {
    diagnostics_.error("E0520", {.file = file_, .key_path = key.empty() ? path_ : fmt::format("{}.{}", path_, key)},
                       std::move(message), std::string(kForm), std::move(help));
  }

  // The value, unless it is not there or null.
  const Json* find(std::string_view key) {
    known_.push_back(key);
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  const Json* need(std::string_view key) {
    const Json* value = find(key);
    if (value == nullptr) wrong(key, fmt::format("'{}' is missing", key));
    return value;
  }

  void integer(std::string_view key, std::int64_t& into, bool needed = false) {
    if (const Json* value = needed ? need(key) : find(key)) {
      if (!value->is_number_integer() || *value > kLargest || *value < -kLargest) {
        wrong(key, fmt::format("'{}' is {}, and an integer is expected", key, value->dump()));
      } else {
        into = value->get<std::int64_t>();
      }
    }
  }
  void integer(std::string_view key, std::optional<std::int64_t>& into) {
    if (find(key) != nullptr) integer(key, into.emplace());
  }
  void length(std::string_view key, std::int64_t& into, std::int64_t least) {
    into = least;
    integer(key, into, true);
    if (into < least) wrong(key, fmt::format("'{}' is {}, and at least {} is expected", key, into, least));
  }
  void boolean(std::string_view key, bool& into) {
    if (const Json* value = find(key)) {
      if (!value->is_boolean()) {
        wrong(key, fmt::format("'{}' is {}, and true or false is expected", key, value->dump()));
      } else {
        into = value->get<bool>();
      }
    }
  }
  void number(std::string_view key, double& into) {
    if (const Json* value = find(key)) {
      if (!value->is_number()) {
        wrong(key, fmt::format("'{}' is {}, and a number is expected", key, value->dump()));
      } else {
        into = value->get<double>();
      }
    }
  }
  template <class Enum, std::size_t N>
  void word(std::string_view key, Enum& into, const std::array<std::pair<std::string_view, Enum>, N>& words) {
    const Json* value = find(key);
    if (value == nullptr) return;
    std::string choices;
    for (const auto& [name, meaning] : words) {
      if (value->is_string() && value->get_ref<const std::string&>() == name) {
        into = meaning;
        return;
      }
      choices += fmt::format("{}{}", choices.empty() ? "" : ", ", name);
    }
    wrong(key, fmt::format("'{}' is {}, which is not reproduced", key, value->dump()), "one of " + choices);
  }

  void finish() {
    for (const auto& item : object_.items()) {
      if (std::ranges::find(known_, item.key()) != known_.end()) continue;
      const std::string_view meant = nearest(item.key(), known_);
      diagnostics_.error("E0521", {.file = file_, .key_path = fmt::format("{}.{}", path_, item.key())},
                         fmt::format("'{}' is unknown, so what it changes would be missed", item.key()),
                         std::string(kForm), meant.empty() ? "" : fmt::format("did you mean '{}'?", meant));
    }
  }

 private:
  const Json& object_;
  std::string path_;
  const std::string& file_;
  Diagnostics& diagnostics_;
  std::vector<std::string_view> known_;
};

class Reader {
 public:
  Reader(const std::string& file, Diagnostics& diagnostics) : file_(file), diagnostics_(diagnostics) {}

  SglangRecordingInput read(const Json& recording) {
    if (!recording.is_object()) {
      diagnostics_.error("E0520", {.file = file_}, "not a recording: an object with config and requests is expected",
                         std::string(kForm));
      return {};
    }
    const auto config = recording.find("config");
    const auto requests = recording.find("requests");
    if (config == recording.end() || !config->is_object()) missing("config", "the server's options by name");
    if (requests == recording.end() || !requests->is_array()) missing("requests", "a list of requests");
    if (diagnostics_.has_errors()) return {};
    read_config(*config);
    read_environment(*config);
    for (std::size_t i = 0; i < requests->size(); ++i) read_request((*requests)[i], fmt::format("requests[{}]", i));
    std::ranges::stable_sort(input_.requests, {}, &SglangRecordedRequest::arrival_step);
    return std::move(input_);
  }

 private:
  void missing(const char* key, const char* what) {
    diagnostics_.error("E0520", {.file = file_, .key_path = key}, fmt::format("'{}' is missing: {}", key, what),
                       std::string(kForm));
  }

  void read_config(const Json& object) {
    Fields f(object, "config", file_, diagnostics_);
    SglangConfig& c = input_.config;
    f.length("page_size", c.page_size, 1);
    f.length("pool_tokens", c.pool_tokens, 1);
    f.integer("pool_tokens_effective", c.pool_tokens);
    f.integer("max_running_requests", c.max_running_requests, true);
    f.integer("chunked_prefill_size", c.chunked_prefill_size, true);
    f.integer("max_prefill_tokens", c.max_prefill_tokens);
    f.integer("context_len", c.context_len);
    f.integer("prefill_max_requests", c.prefill_max_requests);
    f.integer("min_free_slots", c.min_free_slots);
    f.number("schedule_conservativeness", c.schedule_conservativeness);
    f.boolean("enable_mixed_chunk", c.enable_mixed_chunk);
    f.boolean("disable_radix_cache", c.disable_radix_cache);
    f.boolean("disable_overlap_schedule", c.disable_overlap_schedule);
    f.boolean("enable_priority_scheduling", c.enable_priority_scheduling);
    f.boolean("schedule_low_priority_values_first", c.schedule_low_priority_values_first);
    f.boolean("disable_priority_preemption", c.disable_priority_preemption);
    f.integer("priority_scheduling_preemption_threshold", c.priority_scheduling_preemption_threshold);
    f.word<SglangPolicy>("schedule_policy", c.schedule_policy,
                         std::array{std::pair{std::string_view("fcfs"), SglangPolicy::kFcfs},
                                    std::pair{std::string_view("lpm"), SglangPolicy::kLongestPrefix},
                                    std::pair{std::string_view("lof"), SglangPolicy::kLongestOutput}});
    f.word<SglangRetraction>("retraction_policy", c.retraction_policy,
                             std::array{std::pair{std::string_view("length"), SglangRetraction::kLength},
                                        std::pair{std::string_view("priority"), SglangRetraction::kPriority}});
    f.word<SglangRole>("disaggregation_mode", c.role,
                       std::array{std::pair{std::string_view("null"), SglangRole::kBoth},
                                  std::pair{std::string_view("prefill"), SglangRole::kPrefill},
                                  std::pair{std::string_view("decode"), SglangRole::kDecode}});
    f.integer("num_reserved_decode_tokens", c.num_reserved_decode_tokens);
    f.integer("extra_slots", c.extra_slots);
    f.integer("handshake_steps", input_.handshake_steps);
    f.integer("transfer_steps", input_.transfer_steps);
    if (input_.handshake_steps < 0) f.wrong("handshake_steps", "a handshake cannot end before it begins");
    if (input_.transfer_steps < 0) f.wrong("transfer_steps", "a transfer cannot end before it begins");
    read_drafts(f);
    read_ranks(f);
    (void)f.find("environment");
    f.finish();
    if (diagnostics_.has_errors()) return;
    if (const std::string why = why_refused(c); !why.empty()) f.wrong("", why);
  }

  void read_drafts(Fields& f) {
    std::int64_t steps = 0;
    f.integer("num_steps", steps);
    if (steps < 0) f.wrong("num_steps", "the number of drafts must not be negative");
    input_.config.num_draft_tokens = steps > 0 ? steps + 1 : 0;
    f.integer("num_draft_tokens", input_.config.num_draft_tokens);
    const std::int64_t drafts = input_.config.num_draft_tokens;
    const Json* pattern = drafts > 0 ? f.need("accept_pattern") : f.find("accept_pattern");
    if (pattern == nullptr || drafts <= 0) return;
    const auto gain = [&](const Json& value) { return value.is_number_integer() && value >= 1 && value <= drafts; };
    if (!pattern->is_array() || pattern->empty() || !std::ranges::all_of(*pattern, gain)) {
      f.wrong("accept_pattern",
              fmt::format("'accept_pattern' lists the tokens gained in each verify, 1 to {}", drafts));
      return;
    }
    input_.accept_pattern = pattern->get<std::vector<std::int32_t>>();
  }

  void read_ranks(Fields& f) {
    std::int64_t ranks = 1;
    bool attention = false;
    f.integer("dp_size", ranks);
    f.boolean("enable_dp_attention", attention);
    f.boolean("speculative_skip_dp_mlp_sync", input_.skip_mlp_sync);
    constexpr std::int64_t kMostRanks = 1024;
    if (ranks < 1 || ranks > kMostRanks) f.wrong("dp_size", fmt::format("'dp_size' is 1 to {}", kMostRanks));
    input_.ranks = attention ? static_cast<std::size_t>(std::clamp<std::int64_t>(ranks, 1, kMostRanks)) : 1;
  }

  // Variables that the scheduler reads; the recording has them as text.
  void read_environment(const Json& config) {
    const auto found = config.find("environment");
    if (found == config.end() || found->is_null()) return;
    if (!found->is_object()) return missing("config.environment", "an object of variables");
    Json numbers = Json::object();
    for (const auto& item : found->items()) {
      Json value = item.value();
      if (value.is_string()) value = Json::parse(value.get_ref<const std::string&>(), nullptr, false);
      numbers[item.key()] = value.is_discarded() ? item.value() : value;
    }
    Fields f(numbers, "config.environment", file_, diagnostics_);
    SglangConfig& c = input_.config;
    f.number("SGLANG_INIT_NEW_TOKEN_RATIO", c.init_new_token_ratio);
    f.number("SGLANG_MIN_NEW_TOKEN_RATIO_FACTOR", c.min_new_token_ratio_factor);
    f.integer("SGLANG_NEW_TOKEN_RATIO_DECAY_STEPS", c.new_token_ratio_decay_steps);
    f.integer("SGLANG_CLIP_MAX_NEW_TOKENS_ESTIMATION", c.clip_max_new_tokens_estimation);
    f.integer("SGLANG_RETRACT_DECODE_STEPS", c.retract_decode_steps);
    f.integer("IN_BATCH_PREFIX_CACHING_CHECK_THRESHOLD", c.in_batch_prefix_caching_check_threshold);
    f.integer("IN_BATCH_PREFIX_CACHING_DEPRIORITIZE_THRESHOLD", c.in_batch_prefix_caching_deprioritize_threshold);
    f.finish();
    if (diagnostics_.has_errors()) return;
    if (const std::string why = why_refused(c); !why.empty()) f.wrong("", why);
  }

  void read_request(const Json& object, const std::string& path) {
    if (!object.is_object()) return missing(path.c_str(), "a request with id, arrival_step, input_len, output_len");
    Fields f(object, path, file_, diagnostics_);
    SglangRecordedRequest r;
    if (const Json* id = f.need("id")) {
      if (!id->is_string()) {
        f.wrong("id", "'id' is a text");
      } else if (r.id = id->get<std::string>(); !ids_.insert(r.id).second) {
        f.wrong("id", fmt::format("two requests are called '{}'", r.id));
      }
    }
    f.length("arrival_step", r.arrival_step, 0);
    f.length("input_len", r.request.input_tokens, 1);
    f.length("output_len", r.request.output_tokens, 1);
    f.length("max_new_tokens", r.max_new_tokens, 0);
    f.integer("priority", r.request.priority);
    f.boolean("ignore_eos", r.ignore_eos);
    std::int64_t rank = 0;
    f.integer("rank", rank);
    if (rank < 0 || rank >= static_cast<std::int64_t>(input_.ranks)) {
      f.wrong("rank", fmt::format("'rank' is {}, and there are {} ranks", rank, input_.ranks));
    }
    r.rank = static_cast<std::size_t>(rank);
    std::int64_t prefix = 0;
    f.integer("prefix_len", prefix);
    if (prefix < 0 || prefix > r.request.input_tokens) f.wrong("prefix_len", "the prefix is no part of the prompt");
    if (const Json* group = f.find("prefix_group")) {
      const auto content = groups_.try_emplace(group->dump(), groups_.size()).first->second;
      if (prefix > 0) r.request.shared.push_back({.tokens = prefix, .content = content});
    }
    f.finish();
    input_.requests.push_back(std::move(r));
  }

  const std::string& file_;
  Diagnostics& diagnostics_;
  SglangRecordingInput input_;
  std::set<std::string> ids_;
  std::map<std::string, std::uint64_t> groups_;
};

}  // namespace

std::optional<SglangRecordingInput> read_sglang_recording(const nlohmann::ordered_json& recording,
                                                          const std::string& file, Diagnostics& diagnostics) {
  Diagnostics found;
  SglangRecordingInput input = Reader(file, found).read(recording);
  diagnostics.append(found);
  if (found.has_errors()) return std::nullopt;
  return input;
}

}  // namespace ascendsim
