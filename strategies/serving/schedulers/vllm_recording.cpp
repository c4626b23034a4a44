#include "strategies/serving/schedulers/vllm_recording.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "strategies/engines/launch/json_text.h"

namespace ascendsim {

namespace {

constexpr std::int64_t kMostVllmTokens = std::int64_t{1} << 30;
constexpr std::int64_t kMostTicks = std::int64_t{1} << 40;

class VllmReader {
 public:
  explicit VllmReader(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  // A member that may be missing; what it holds must be within the limits.
  std::int64_t integer(Section& section, std::string_view key, std::int64_t fallback, std::int64_t least,
                       std::int64_t most) {
    const std::int64_t value = section.optional<std::int64_t>(key, fallback);
    return within(value, key, section.self().find(key), least, most) ? value : fallback;
  }
  std::int64_t required(Section& section, std::string_view key, std::int64_t least, std::int64_t most) {
    const bool there = static_cast<bool>(section.self().find(key));
    const std::int64_t value = section.required<std::int64_t>(key);
    return there && within(value, key, section.self().find(key), least, most) ? value : least;
  }
  // Place of the word among `words`, 0 when it is null or missing.
  std::size_t choice(Section& section, std::string_view key, std::span<const std::string_view> words) {
    const ConfigNode node = section.node(key);
    if (!node || node.kind() == ConfigNode::Kind::kNull) return 0;
    const auto found = std::ranges::find(words, node.text());
    if (found != words.end() && node.is_scalar()) return static_cast<std::size_t>(found - words.begin());
    const std::string_view meant = nearest(node.text(), words);
    diagnostics_.error(
        "E0521", node.where(), fmt::format("unknown {} \"{}\"", key, node.text()), {},
        meant.empty() ? fmt::format("known: {}", fmt::join(words, ", ")) : fmt::format("did you mean \"{}\"?", meant));
    return 0;
  }

  VllmTraits version(Section& root) {
    const std::string text = root.optional<std::string>("vllm").value_or("main");
    if (const VllmTraits* found = find_vllm_version(text)) return *found;
    std::vector<std::string> known;
    for (const VllmTraits& v : vllm_versions()) known.push_back(fmt::format("{} ({})", v.commit, v.version));
    diagnostics_.error("E0521", root.node("vllm").where(), fmt::format("unknown version of vLLM \"{}\"", text), {},
                       fmt::format("known: {}", fmt::join(known, ", ")));
    return {};
  }

  void config(Section section, VllmRecording& recording) {
    VllmConfig& c = recording.config;
    const auto integer_of = [&](std::string_view key, std::int64_t& value) {
      value = section.optional<std::int64_t>(key, value);
    };
    c.max_num_batched_tokens = section.required<std::int64_t>("max_num_batched_tokens");
    c.max_num_seqs = section.required<std::int64_t>("max_num_seqs");
    c.max_model_len = section.required<std::int64_t>("max_model_len");
    c.block_size = section.required<std::int64_t>("block_size");
    c.num_gpu_blocks = section.required<std::int64_t>("num_gpu_blocks");
    integer_of("max_num_scheduled_tokens", c.max_num_scheduled_tokens);
    integer_of("long_prefill_token_threshold", c.long_prefill_token_threshold);
    integer_of("prefill_schedule_interval", c.prefill_schedule_interval);
    integer_of("pipeline_parallel_size", c.pipeline_parallel_size);
    integer_of("decode_context_parallel_size", c.decode_context_parallel_size);
    integer_of("num_speculative_tokens", c.num_speculative_tokens);
    integer_of("mtp_modules", c.mtp_modules);
    c.enable_chunked_prefill = section.optional<bool>("enable_chunked_prefill", c.enable_chunked_prefill);
    c.enable_prefix_caching = section.optional<bool>("enable_prefix_caching", c.enable_prefix_caching);
    c.scheduler_reserve_full_isl = section.optional<bool>("scheduler_reserve_full_isl", c.scheduler_reserve_full_isl);
    c.async_scheduling = section.optional<bool>("async_scheduling", c.async_scheduling);
    c.watermark = section.optional<double>("watermark", c.watermark);
    c.policy = static_cast<VllmPolicy>(choice(section, "policy", std::array<std::string_view, 2>{"fcfs", "priority"}));
    c.kv_role = static_cast<VllmRole>(
        choice(section, "kv_role", std::array<std::string_view, 4>{"none", "producer", "consumer", "both"}));
    const std::size_t scheduler =
        choice(section, "scheduler",
               std::array<std::string_view, 4>{"Scheduler", "AsyncScheduler", "RecomputeScheduler",
                                               "AsyncRecomputeScheduler"});
    c.recompute_scheduler = scheduler >= 2;
    recording.recv_delay = integer(section, "recv_delay", 0, 0, 1'000'000);
    recording.send_delay = integer(section, "send_delay", 0, 0, 1'000'000);
    const auto usable = section.optional<std::int64_t>("usable_blocks");
    section.finish();
    if (diagnostics_.has_errors()) return;  // what is missing has no value to be judged
    if (usable && *usable != c.usable_blocks()) {
      diagnostics_.error("E0520", section.self().find("usable_blocks").where(),
                         fmt::format("usable_blocks is {}, not num_gpu_blocks - 1 = {}", *usable, c.usable_blocks()));
    }
    if (const auto problem = vllm_config_problem(c)) {
      const ConfigNode culprit = section.self().find(problem->key);
      diagnostics_.error(problem->never_observed ? "E0522" : "E0520", (culprit ? culprit : section.self()).where(),
                         problem->message);
    }
  }

  void request(Section section, VllmRecording& recording) {
    VllmRecording::Load load;
    load.id = required(section, "id", 0, kMostTicks);
    load.arrival = required(section, "arrival", 0, kMostTicks);
    load.request.input_tokens = required(section, "prompt", 1, kMostVllmTokens);
    load.request.output_tokens = required(section, "output", 1, kMostVllmTokens);
    load.request.priority = section.optional<std::int64_t>("priority", 0);
    const std::int64_t shared = integer(section, "shared", 0, 0, kMostVllmTokens);
    if (const ConfigNode group = section.node("group"); group && group.kind() != ConfigNode::Kind::kNull && shared > 0)
      load.request.shared.push_back({shared, group_number(group.text())});
    const ConfigNode accepted = section.node("accept");
    for (std::size_t i = 0; i < accepted.size(); ++i) {
      const std::int64_t drafts = accepted.at(i).as_integer(diagnostics_).value_or(0);
      if (within(drafts, "accept", accepted.at(i), 0, kMostVllmTokens)) load.accepted.push_back(drafts);
    }
    constexpr std::array<std::string_view, 3> kTransfers = {"none", "prefill", "decode"};
    load.transfer = static_cast<VllmTransfer>(choice(section, "pd", kTransfers));
    section.finish();
    if (load.transfer != VllmTransfer::kNone && recording.config.kv_role == VllmRole::kNone) {
      diagnostics_.error("E0520", section.self().find("pd").where(), "pd of a request on an instance without kv_role");
    }
    if (!recording.requests.empty() && load.id <= recording.requests.back().id) {
      diagnostics_.error(
          "E0520", section.self().find("id").where(),
          fmt::format("id {} after id {}: ids ascend in the order of the file", load.id, recording.requests.back().id));
    }
    recording.requests.push_back(std::move(load));
  }

 private:
  bool within(std::int64_t value, std::string_view key, const ConfigNode& node, std::int64_t least, std::int64_t most) {
    if (value >= least && value <= most) return true;
    diagnostics_.error("E0520", node.where(), fmt::format("{} is {}, outside {} to {}", key, value, least, most));
    return false;
  }
  std::uint64_t group_number(std::string_view name) {
    const auto found = std::ranges::find(groups_, name);
    if (found != groups_.end()) return static_cast<std::uint64_t>(found - groups_.begin());
    groups_.emplace_back(name);
    return groups_.size() - 1;
  }

  Diagnostics& diagnostics_;
  std::vector<std::string> groups_;
};

// A value of the file as JSON; words that YAML leaves without quotes get them.
std::string json(const ConfigNode& node) {
  std::string text;
  switch (node.kind()) {
    case ConfigNode::Kind::kAbsent:
    case ConfigNode::Kind::kNull:
      return "null";
    case ConfigNode::Kind::kScalar: {
      const std::string_view word = node.text();
      double number = 0.0;
      const auto parsed = std::from_chars(word.data(), word.data() + word.size(), number);
      const bool bare = word == "true" || word == "false" || (parsed.ec == std::errc{} && parsed.ptr == word.end());
      return bare && !node.is_quoted() ? std::string(word) : json_quoted(word);
    }
    case ConfigNode::Kind::kSequence:
      for (std::size_t i = 0; i < node.size(); ++i) text += (i > 0 ? "," : "") + json(node.at(i));
      return "[" + text + "]";
    case ConfigNode::Kind::kMap:
      for (std::size_t i = 0; i < node.size(); ++i)
        text += (i > 0 ? "," : "") + json_quoted(node.at(i).key()) + ":" + json(node.at(i));
      return "{" + text + "}";
  }
  return text;
}

std::string lines(std::string_view name, const std::vector<std::string>& items) {
  return fmt::format("\"{}\":[{}{}]", name, items.empty() ? "" : "\n", fmt::join(items, ",\n"));
}

}  // namespace

std::optional<VllmRecording> read_vllm_recording(const ConfigNode& root, Diagnostics& diagnostics) {
  Diagnostics found;
  VllmReader reader(found);
  VllmRecording recording;
  Section section(root, found);
  recording.config.traits = reader.version(section);
  reader.config(section.section("config"), recording);
  const ConfigNode requests = section.node("requests");
  if (!requests.is_sequence() || requests.size() == 0) {
    found.error("E0520", (requests ? requests : root).where(), "a recording needs a list of requests");
  } else {
    for (std::size_t i = 0; i < requests.size(); ++i) reader.request(Section(requests.at(i), found), recording);
  }
  diagnostics.append(found);
  if (found.has_errors()) return std::nullopt;
  return recording;
}

std::optional<std::string> replay_vllm_recording(const ConfigNode& root, Diagnostics& diagnostics) {
  const std::optional<VllmRecording> recording = read_vllm_recording(root, diagnostics);
  if (!recording) return std::nullopt;
  const std::optional<VllmReplay> decided = replay(*recording, root.where(), diagnostics);
  if (!decided) return std::nullopt;
  std::vector<std::string> members;
  for (const std::string_view name : {"name", "about", "vllm", "config"}) {
    if (const ConfigNode node = root.find(name)) members.push_back(json_quoted(name) + ":" + json(node));
  }
  std::vector<std::string> requests;
  for (std::size_t i = 0; i < root.find("requests").size(); ++i) requests.push_back(json(root.find("requests").at(i)));
  members.push_back(lines("requests", requests));
  if (!decided->rejected.empty()) members.push_back("\"rejected\":" + decided->rejected);
  members.push_back(lines("steps", decided->steps));
  members.push_back("\"summary\":" + decided->summary);
  return fmt::format("{{\n{}\n}}\n", fmt::join(members, ",\n"));
}

}  // namespace ascendsim
