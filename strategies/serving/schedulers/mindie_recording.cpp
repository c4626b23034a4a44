#include "strategies/serving/schedulers/mindie_recording.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string_view>

namespace ascendsim {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kMany = 1'000'000'000;  // above it, sums of times and tokens could leave 64 bits

class MindieReader {
 public:
  MindieReader(Section section, Diagnostics& diagnostics) : section_(std::move(section)), diagnostics_(diagnostics) {}

  std::int64_t integer(std::string_view key, std::int64_t fallback, std::int64_t least, std::int64_t most = kMany) {
    return checked(key, section_.optional<std::int64_t>(key).value_or(fallback), least, most);
  }
  std::int64_t required(std::string_view key, std::int64_t least, std::int64_t most = kMany) {
    return checked(key, section_.required<std::int64_t>(key), least, most);
  }
  bool flag(std::string_view key) { return section_.optional<bool>(key, false); }
  Section& section() { return section_; }
  void wrong(std::string_view key, std::string message) {
    diagnostics_.error("E0520", section_.self().find(key).where(), std::move(message));
  }

 private:
  std::int64_t checked(std::string_view key, std::int64_t value, std::int64_t least, std::int64_t most) {
    const ConfigNode node = section_.self().find(key);
    if (node && (value < least || value > most)) {
      wrong(key, fmt::format("{} is {}, outside {} to {}", key, value, least, most));
      return least;
    }
    return value;
  }
  Section section_;
  Diagnostics& diagnostics_;
};

MindieRole role_of(MindieReader& reader) {
  const std::string word = reader.section().optional<std::string>("role", "PnD");
  if (word == "P") return MindieRole::kPrefill;
  if (word == "D") return MindieRole::kDecode;
  if (word != "PnD") reader.wrong("role", fmt::format("role is {}; it is PnD, P or D", word));
  return MindieRole::kBoth;
}

void read_config(MindieReader r, MindieRecording& recording, Diagnostics& diagnostics) {
  const auto microseconds = [&](std::string_view key, std::int64_t fallback) {
    return Duration(std::chrono::microseconds(r.integer(key, fallback, 0)));
  };
  MindieConfig& c = recording.config;
  c.block_size = r.integer("cacheBlockSize", c.block_size, 1);
  c.npu_blocks = r.integer("npuBlockNum", c.npu_blocks, 1, 10'000'000);
  c.host_blocks = r.integer("cpuBlockNum", c.host_blocks, 0, 10'000'000);
  c.max_prefill_batch = r.integer("maxPrefillBatchSize", c.max_prefill_batch, 0);
  c.max_batch = r.integer("maxBatchSize", c.max_batch, 1);
  c.max_prefill_tokens = r.integer("maxPrefillTokens", c.max_prefill_tokens, 1);
  c.max_seq_len = r.integer("maxSeqLen", c.max_seq_len, 1);
  c.max_queue_delay = microseconds("maxQueueDelayMicroseconds", 5000);
  c.max_first_token_wait = std::chrono::milliseconds(r.integer("maxFirstTokenWaitTime", 2500, 0, kMany / 1000));
  c.max_preempt_count = r.integer("maxPreemptCount", c.max_preempt_count, 0);
  c.prefill_ms_per_request = r.integer("prefillTimeMsPerReq", c.prefill_ms_per_request, 0, kMany / 1000);
  c.decode_ms_per_request = r.integer("decodeTimeMsPerReq", c.decode_ms_per_request, 0, kMany / 1000);
  c.prefill_expected_ms = r.integer("prefillExpectedTime", c.prefill_expected_ms, 0, kMany / 1000);
  c.decode_expected_ms = r.integer("decodeExpectedTime", c.decode_expected_ms, 0, kMany / 1000);
  c.dynamic_batch = r.flag("dynamicBatchSizeEnable");
  constexpr std::array kPolicies = {MindieStagePolicy::kPrefillFirst, MindieStagePolicy::kSelectBatch,
                                    MindieStagePolicy::kLatency};
  c.stage_policy = kPolicies[static_cast<std::size_t>(r.integer("stageSelectPolicy", 0, 0, 2))];
  if (r.flag("supportSelectBatch")) c.stage_policy = MindieStagePolicy::kSelectBatch;
  c.split_fuse = r.flag("splitfuse");
  c.prefill_chunk = r.integer("prefillChunkSize", c.prefill_chunk, 0);
  r.integer("maxNumPartialPrefills", 64, 1);  // MindIE reads it and decides nothing by it
  c.long_prefill_threshold = r.integer("longPrefillTokenThreshold", c.long_prefill_threshold, 0);
  c.max_long_partial_prefills = r.integer("maxLongPartialPrefills", c.max_long_partial_prefills, 0);
  c.prefix_cache = r.flag("prefixcache");
  c.speculation_gamma = r.integer("speculationGamma", c.speculation_gamma, 0, 1000);
  c.async_inference = r.flag("activateAsyncInference");
  c.sp = r.integer("sp", c.sp, 1, 1024);
  c.cp = r.integer("cp", c.cp, 1, 1024);
  c.role = role_of(r);
  c.measures_times = false;  // the recorded scheduler was not told what its batches took
  recording.by_rank = static_cast<bool>(r.section().self().find("dp"));
  recording.dp = r.integer("dp", 1, 1, 1024);
  recording.prefill_fixed = microseconds("prefill_fixed_us", 10'000);
  recording.prefill_per_token = std::chrono::nanoseconds(r.integer("prefill_per_token_ns", 50'000, 0));
  recording.decode = microseconds("decode_us", 20'000);
  recording.decode_per_request = microseconds("decode_per_request_us", 0);
  recording.pull = microseconds("pull_us", 3'000);
  recording.max_steps = r.integer("max_steps", recording.max_steps, 1);
  r.integer("seed", 0, 0);  // of the tool that made the requests
  const ConfigNode config = r.section().self();
  r.section().finish();

  std::string reason = unsupported(c);
  if (recording.dp > 1 && c.role != MindieRole::kBoth)
    reason = "votes of data-parallel ranks are those of role PnD: with role P or D dp must be 1";
  else if (recording.dp > 1 && c.dynamic_batch)
    reason = "data-parallel ranks share one dynamic batch size in an order that threads decide: dp must be 1";
  if (!reason.empty()) diagnostics.error("E0522", config.where(), std::move(reason));
}

// The text of every prompt and of its output in stretches, so that turns of a conversation find each other.
struct Stretches {
  std::vector<PromptSegment> segments{};
  void add(std::int64_t tokens, std::uint64_t content) {
    if (tokens > 0) segments.push_back({tokens, content});
  }
  void cut(std::int64_t tokens) {
    std::int64_t left = tokens;
    for (PromptSegment& s : segments) {
      s.tokens = std::min(s.tokens, left);
      left -= s.tokens;
    }
    std::erase_if(segments, [](const PromptSegment& s) { return s.tokens == 0; });
  }
  [[nodiscard]] std::int64_t tokens() const {
    std::int64_t sum = 0;
    for (const PromptSegment& s : segments) sum += s.tokens;
    return sum;
  }
};

void read_request(const ConfigNode& node, MindieRecording& recording, std::map<std::string, std::size_t>& numbers,
                  Diagnostics& diagnostics) {
  MindieReader r(Section(node, diagnostics), diagnostics);
  MindieRecording::Submitted submitted;
  submitted.id = r.section().required<std::string>("id");
  Request& request = submitted.request;
  request.input_tokens = r.required("input", 1);
  request.output_tokens = r.required("output", 1);
  const double arrival_ms = r.section().required<double>("arrival_ms");
  if (!(arrival_ms >= 0 && arrival_ms <= 1e9))
    r.wrong("arrival_ms", "arrival_ms is not a time of 0 to 1e9 milliseconds");
  else
    request.arrival = std::chrono::nanoseconds(std::llround(arrival_ms * 1e6));
  const ConfigNode accepted = r.section().node("accepted");
  for (std::size_t i = 0; i < accepted.size(); ++i) {
    const auto drafts = accepted.at(i).as_integer(diagnostics);
    if (drafts && (*drafts < 0 || *drafts > recording.config.speculation_gamma))
      diagnostics.error("E0520", accepted.at(i).where(),
                        fmt::format("{} accepted drafts of {}", *drafts, recording.config.speculation_gamma));
    submitted.accepted.push_back(drafts.value_or(0));
  }

  const std::int64_t shared = r.integer("shared_prefix", 0, 0), group = r.integer("prefix_group", 0, 0);
  const std::optional<std::string> continues = r.section().optional<std::string>("continues");
  Stretches text;
  if (continues) {
    const auto before = numbers.find(*continues);
    if (before == numbers.end())
      r.wrong("continues", fmt::format("{} continues {}, which does not stand before it", submitted.id, *continues));
    else
      text.segments = recording.requests[before->second].request.shared;
  } else {
    text.add(shared, 2 * static_cast<std::uint64_t>(group));
  }
  text.cut(request.input_tokens);
  text.add(request.input_tokens + request.output_tokens - text.tokens(), 2 * recording.requests.size() + 1);
  request.shared = std::move(text.segments);
  r.section().finish();
  if (!numbers.emplace(submitted.id, recording.requests.size()).second)
    r.wrong("id", fmt::format("two requests with the id {}", submitted.id));
  recording.requests.push_back(std::move(submitted));
}

Json as_json(const ConfigNode& node) {
  switch (node.kind()) {
    case ConfigNode::Kind::kMap: {
      Json map = Json::object();
      for (std::size_t i = 0; i < node.size(); ++i) map[std::string(node.at(i).key())] = as_json(node.at(i));
      return map;
    }
    case ConfigNode::Kind::kSequence: {
      Json list = Json::array();
      for (std::size_t i = 0; i < node.size(); ++i) list.push_back(as_json(node.at(i)));
      return list;
    }
    case ConfigNode::Kind::kScalar:
      if (!node.is_quoted()) {
        Json value = Json::parse(node.text(), nullptr, false);
        if (!value.is_discarded()) return value;
      }
      return std::string(node.text());
    case ConfigNode::Kind::kNull:
    case ConfigNode::Kind::kAbsent:
      break;
  }
  return nullptr;
}

std::string in_lines(const Json& recording) {
  std::string text = "{\n";
  for (const auto& [key, value] : recording.items()) {
    if (text.size() > 2) text += ",\n";
    text += fmt::format(" {}: ", Json(key).dump());
    if (!value.is_array()) {
      text += value.dump();
      continue;
    }
    text += '[';
    for (std::size_t i = 0; i < value.size(); ++i) text += fmt::format("{}\n  {}", i == 0 ? "" : ",", value[i].dump());
    text += "\n ]";
  }
  return text + "\n}\n";
}

}  // namespace

std::optional<MindieRecording> read_mindie_recording(const ConfigNode& root, Diagnostics& diagnostics) {
  Diagnostics found;
  MindieRecording recording;
  Section top(root, found);
  for (const char* ours : {"name", "about", "source", "steps", "result", "error"}) (void)top.node(ours);
  read_config(MindieReader(top.section("config"), found), recording, found);
  const ConfigNode requests = top.node("requests");
  if (!requests.is_sequence() || requests.size() == 0)
    found.error("E0520", (requests ? requests : root).where(), "a recording needs a list of requests");
  std::map<std::string, std::size_t> numbers;
  for (std::size_t i = 0; requests.is_sequence() && i < requests.size(); ++i)
    read_request(requests.at(i), recording, numbers, found);
  top.finish();
  diagnostics.append(found);
  if (found.has_errors()) return std::nullopt;
  return recording;
}

std::optional<std::string> replay_mindie_recording(const ConfigNode& root, Diagnostics& diagnostics) {
  const std::optional<MindieRecording> recording = read_mindie_recording(root, diagnostics);
  if (!recording) return std::nullopt;
  const std::optional<Json> decided = replay_mindie(*recording, root.where(), diagnostics);
  if (!decided) return std::nullopt;
  Json whole;
  for (const char* key : {"name", "about", "config", "requests"})
    if (root.find(key)) whole[key] = as_json(root.find(key));
  whole.update(*decided);
  return in_lines(whole);
}

}  // namespace ascendsim
