#include "strategies/serving/schedulers/sglang_recording.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <span>
#include <string_view>

namespace ascendsim {

namespace {

using Json = nlohmann::ordered_json;

// Sums of lengths stay far from overflow, and a replay keeps every pass in memory.
constexpr std::int64_t kMostSglangTokens = std::int64_t{1} << 30;
constexpr std::int64_t kMostSteps = 100'000;
constexpr std::int64_t kMostRanks = 1024;

class SglangReader {
 public:
  explicit SglangReader(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  SglangRecording read(const ConfigNode& root) {
    Section section(root, diagnostics_);
    for (const char* key : {"name", "what", "source", "results", "rejected", "steps"}) (void)section.node(key);
    config(section.section("config"));
    const ConfigNode requests = section.node("requests");
    section.finish();
    if (!requests.is_sequence()) {
      wrong(requests ? requests : root, "a recording needs a list of requests");
    } else if (!diagnostics_.has_errors()) {
      for (std::size_t i = 0; i < requests.size(); ++i) request(Section(requests.at(i), diagnostics_));
    }
    std::ranges::stable_sort(recording_.requests, {}, &SglangRecording::Load::arrival_step);
    return std::move(recording_);
  }

 private:
  void wrong(const ConfigNode& node, std::string message) {
    diagnostics_.error("E0520", node.where(), std::move(message));
  }
  void beyond(const ConfigNode& node, std::string message, std::string help = {}) {
    diagnostics_.error("E0522", node.where(), std::move(message), "only what was recorded of SGLang v0.5.18 is decided",
                       std::move(help));
  }

  void within(const Section& section, std::string_view key, std::int64_t& value, std::int64_t least,
              std::int64_t most) {
    if (value >= least && value <= most) return;
    const ConfigNode node = section.self().find(key);
    wrong(node ? node : section.self(), fmt::format("{} is {}, outside {} to {}", key, value, least, most));
    value = least;
  }
  void integer(Section& section, std::string_view key, std::int64_t& value, std::int64_t least, std::int64_t most) {
    value = section.optional<std::int64_t>(key, value);
    within(section, key, value, least, most);
  }
  void required(Section& section, std::string_view key, std::int64_t& value, std::int64_t least, std::int64_t most) {
    value = least;
    if (!section.self().find(key)) {
      (void)section.required<std::int64_t>(key);  // says that it is missing
    } else {
      integer(section, key, value, least, most);
    }
  }
  template <class Enum>
  void word(Section& section, std::string_view key, Enum& value, std::span<const std::string_view> words) {
    const ConfigNode node = section.node(key);
    if (!node || node.kind() == ConfigNode::Kind::kNull) return;
    const auto found = std::ranges::find(words, node.text());
    if (found == words.end() || !node.is_scalar()) {
      return beyond(node, fmt::format("{} \"{}\" is not reproduced", key, node.text()),
                    fmt::format("known: {}", fmt::join(words, ", ")));
    }
    value = static_cast<Enum>(found - words.begin());
  }

  void config(Section section) {
    SglangConfig& c = recording_.config;
    required(section, "page_size", c.page_size, 1, kMostSglangTokens);
    required(section, "pool_tokens", c.pool_tokens, 1, kMostSglangTokens);
    integer(section, "pool_tokens_effective", c.pool_tokens, 1, kMostSglangTokens);
    required(section, "max_running_requests", c.max_running_requests, 1, kMostSglangTokens);
    required(section, "chunked_prefill_size", c.chunked_prefill_size, -1, kMostSglangTokens);
    integer(section, "max_prefill_tokens", c.max_prefill_tokens, 1, kMostSglangTokens);
    integer(section, "context_len", c.context_len, 1, kMostSglangTokens);
    c.prefill_max_requests = section.optional<std::int64_t>("prefill_max_requests");
    c.min_free_slots = section.optional<std::int64_t>("min_free_slots");
    c.schedule_conservativeness = section.optional("schedule_conservativeness", c.schedule_conservativeness);
    for (const auto& [key, flag] : {std::pair{"enable_mixed_chunk", &c.enable_mixed_chunk},
                                    {"disable_radix_cache", &c.disable_radix_cache},
                                    {"disable_overlap_schedule", &c.disable_overlap_schedule},
                                    {"enable_priority_scheduling", &c.enable_priority_scheduling},
                                    {"schedule_low_priority_values_first", &c.schedule_low_priority_values_first},
                                    {"disable_priority_preemption", &c.disable_priority_preemption},
                                    {"speculative_skip_dp_mlp_sync", &recording_.skip_mlp_sync}}) {
      *flag = section.optional<bool>(key, *flag);
    }
    integer(section, "priority_scheduling_preemption_threshold", c.priority_scheduling_preemption_threshold,
            -kMostSglangTokens, kMostSglangTokens);
    word(section, "schedule_policy", c.schedule_policy, std::array<std::string_view, 3>{"fcfs", "lpm", "lof"});
    word(section, "retraction_policy", c.retraction_policy, std::array<std::string_view, 2>{"length", "priority"});
    word(section, "disaggregation_mode", c.role, std::array<std::string_view, 3>{"null", "prefill", "decode"});
    integer(section, "num_reserved_decode_tokens", c.num_reserved_decode_tokens, 0, kMostSglangTokens);
    integer(section, "extra_slots", c.extra_slots, 0, kMostSglangTokens);
    integer(section, "handshake_steps", recording_.handshake_steps, 0, kMostSteps);
    integer(section, "transfer_steps", recording_.transfer_steps, 0, kMostSteps);
    drafts(section);
    ranks(section);
    const ConfigNode variables = section.node("environment");
    section.finish();
    if (variables && variables.kind() != ConfigNode::Kind::kNull) environment(variables);
    if (diagnostics_.has_errors()) return;  // what is missing has no value to be judged
    if (const std::string why = why_refused(c); !why.empty()) beyond(section.self(), why);
  }

  void drafts(Section& section) {
    std::int64_t steps = 0;
    integer(section, "num_steps", steps, 0, kMostSteps);
    std::int64_t& tokens = recording_.config.num_draft_tokens;
    tokens = steps > 0 ? steps + 1 : 0;
    integer(section, "num_draft_tokens", tokens, 0, kMostSteps);
    const ConfigNode pattern = section.node("accept_pattern");
    if (tokens == 0) return;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
      const std::int64_t gain = pattern.at(i).as_integer(diagnostics_).value_or(1);
      if (gain < 1 || gain > tokens) {
        wrong(pattern.at(i), fmt::format("a verify of {} tokens gains 1 to {}, not {}", tokens, tokens, gain));
      }
      recording_.accept_pattern.push_back(static_cast<std::int32_t>(gain));
    }
    if (recording_.accept_pattern.empty()) {
      wrong(pattern ? pattern : section.self(), "accept_pattern is missing: the tokens that each verify gains");
    }
  }

  void ranks(Section& section) {
    std::int64_t ranks = 1;
    integer(section, "dp_size", ranks, 1, kMostRanks);
    if (section.optional<bool>("enable_dp_attention", false)) recording_.ranks = static_cast<std::size_t>(ranks);
  }

  // Variables of the scheduler, written as text.
  void environment(const ConfigNode& variables) {
    if (!variables.is_map()) return wrong(variables, "environment is an object of variables");
    SglangConfig& c = recording_.config;
    const auto known = std::to_array<std::pair<std::string_view, std::int64_t*>>(
        {{"SGLANG_NEW_TOKEN_RATIO_DECAY_STEPS", &c.new_token_ratio_decay_steps},
         {"SGLANG_CLIP_MAX_NEW_TOKENS_ESTIMATION", &c.clip_max_new_tokens_estimation},
         {"SGLANG_RETRACT_DECODE_STEPS", &c.retract_decode_steps},
         {"IN_BATCH_PREFIX_CACHING_CHECK_THRESHOLD", &c.in_batch_prefix_caching_check_threshold},
         {"IN_BATCH_PREFIX_CACHING_DEPRIORITIZE_THRESHOLD", &c.in_batch_prefix_caching_deprioritize_threshold}});
    const auto ratios = std::to_array<std::pair<std::string_view, double*>>(
        {{"SGLANG_INIT_NEW_TOKEN_RATIO", &c.init_new_token_ratio},
         {"SGLANG_MIN_NEW_TOKEN_RATIO_FACTOR", &c.min_new_token_ratio_factor}});
    for (std::size_t i = 0; i < variables.size(); ++i) {
      const ConfigNode node = variables.at(i);
      const Json value = Json::parse(node.text(), nullptr, false);
      const auto whole = std::ranges::find(known, node.key(), &std::pair<std::string_view, std::int64_t*>::first);
      const auto ratio = std::ranges::find(ratios, node.key(), &std::pair<std::string_view, double*>::first);
      if (whole == known.end() && ratio == ratios.end()) {
        beyond(node, fmt::format("what {} changes is not reproduced", node.key()));
      } else if (whole != known.end() && value.is_number_integer() && value >= -1 && value <= kMostSglangTokens) {
        *whole->second = value.get<std::int64_t>();
      } else if (ratio != ratios.end() && value.is_number() && value >= 0 && value <= kMostSglangTokens) {
        *ratio->second = value.get<double>();
      } else {
        wrong(node, fmt::format("{} is \"{}\", which is no number of its range", node.key(), node.text()));
      }
    }
  }

  void request(Section section) {
    SglangRecording::Load r;
    std::int64_t rank = 0, prefix = 0, most = 0;
    r.id = section.required<std::string>("id");
    if (section.self().find("id") && !ids_.insert(r.id).second) {
      wrong(section.self().find("id"), fmt::format("a second request is called \"{}\"", r.id));
    }
    required(section, "arrival_step", r.arrival_step, 0, kMostSteps);
    required(section, "input_len", r.request.input_tokens, 1, kMostSglangTokens);
    required(section, "output_len", r.request.output_tokens, 1, kMostSteps);
    required(section, "max_new_tokens", most, 0, kMostSglangTokens);
    r.sampling = {.max_new_tokens = most, .ignore_eos = section.optional<bool>("ignore_eos", false)};
    integer(section, "priority", r.request.priority, -kMostSglangTokens, kMostSglangTokens);
    integer(section, "rank", rank, 0, static_cast<std::int64_t>(recording_.ranks) - 1);
    r.rank = static_cast<std::size_t>(rank);
    integer(section, "prefix_len", prefix, 0, r.request.input_tokens);
    const ConfigNode group = section.node("prefix_group");
    if (group && group.kind() != ConfigNode::Kind::kNull && prefix > 0) {
      const std::uint64_t content = groups_.try_emplace(std::string(group.text()), groups_.size()).first->second;
      r.request.shared.push_back({.tokens = prefix, .content = content});
    }
    section.finish();
    recording_.requests.push_back(std::move(r));
  }

  Diagnostics& diagnostics_;
  SglangRecording recording_;
  std::set<std::string> ids_;
  std::map<std::string, std::uint64_t> groups_;
};

// What the recording says, word for word; numbers keep their text's value.
Json json_of(const ConfigNode& node) {
  switch (node.kind()) {
    case ConfigNode::Kind::kMap: {
      Json object = Json::object();
      for (std::size_t i = 0; i < node.size(); ++i) object[std::string(node.at(i).key())] = json_of(node.at(i));
      return object;
    }
    case ConfigNode::Kind::kSequence: {
      Json list = Json::array();
      for (std::size_t i = 0; i < node.size(); ++i) list.push_back(json_of(node.at(i)));
      return list;
    }
    case ConfigNode::Kind::kScalar: {
      if (node.is_quoted()) return node.text();
      Json value = Json::parse(node.text(), nullptr, false);
      return value.is_discarded() ? Json(node.text()) : value;
    }
    default:
      return nullptr;
  }
}

std::string lines(const Json& list) {
  std::string text = "[\n";
  for (std::size_t i = 0; i < list.size(); ++i) {
    text += list[i].dump();
    if (i + 1 < list.size()) text += ",\n";
  }
  return text + "]";
}

}  // namespace

std::optional<SglangRecording> read_sglang_recording(const ConfigNode& root, Diagnostics& diagnostics) {
  Diagnostics found;
  SglangRecording recording = SglangReader(found).read(root);
  diagnostics.append(found);
  if (found.has_errors()) return std::nullopt;
  return recording;
}

std::optional<std::string> replay_sglang_recording(const ConfigNode& root, Diagnostics& diagnostics) {
  const std::optional<SglangRecording> recording = read_sglang_recording(root, diagnostics);
  if (!recording) return std::nullopt;
  const std::optional<SglangReplay> decided = replay(*recording, root.where(), diagnostics);
  if (!decided) return std::nullopt;
  std::string text = "{";
  for (const char* key : {"name", "what", "source", "config"}) {
    if (const ConfigNode node = root.find(key)) text += fmt::format("\"{}\":{},", key, json_of(node).dump());
  }
  text += fmt::format("\"results\":{},", decided->results.dump());
  if (!decided->rejected.empty()) text += fmt::format("\"rejected\":{},", decided->rejected.dump());
  text +=
      fmt::format("\"requests\":{},\n\"steps\":{}}}\n", lines(json_of(root.find("requests"))), lines(decided->steps));
  return text;
}

}  // namespace ascendsim
