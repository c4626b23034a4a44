#include "strategies/serving/schedulers/vllm_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace ascendsim {

namespace {

// Observed on the schedulers themselves: each version was run on the recorded workloads of tests/data/schedules/vllm.
// v0.26.0 and v0.25.1 decided them as the newest does, but for several MTP modules; that they still have the slip of the
// priority policy follows from the date of its repair.
constexpr VllmTraits kMain = {.version = "main", .commit = "cdc4824a21ea", .date = "2026-08-14"};

constexpr VllmTraits kV026 = [] {
  VllmTraits t = kMain;
  t.version = "v0.26.0";
  t.commit = "d02df748bf9e";
  t.date = "";
  t.keeps_module_tail = false;
  t.skips_after_victim = true;
  return t;
}();

constexpr VllmTraits kV025 = [] {
  VllmTraits t = kV026;
  t.version = "v0.25.1";
  t.commit = "fe784ff22e63";
  return t;
}();

// Base of vLLM-Ascend v0.23.0.
constexpr VllmTraits kV023 = [] {
  VllmTraits t = kV025;
  t.version = "v0.23.0";
  t.commit = "0fc695fc6d";
  t.date = "2026-06-14";
  t.unhashed_blocks_first = false;
  t.pads_single_tokens = false;
  t.parks_blocks_in_flight = false;
  t.watermark = false;
  t.throttles_prefills = false;
  return t;
}();

// Base of vLLM-Ascend v0.18.0.
constexpr VllmTraits kV018 = [] {
  VllmTraits t = kV023;
  t.version = "v0.18";
  t.commit = "061980c36a7b";
  t.date = "2026-03-16";
  t.checks_whole_prompt = false;
  t.looks_ahead_at_first_chunk = false;
  t.reserves_for_loads = false;
  t.steps_while_sending = false;
  return t;
}();

constexpr std::array kVersions = {kMain, kV026, kV025, kV023, kV018};

}  // namespace

std::span<const VllmTraits> vllm_versions() { return kVersions; }

const VllmTraits* find_vllm_version(std::string_view name_or_commit) {
  const auto* found = std::ranges::find_if(kVersions, [&](const VllmTraits& v) {
    return name_or_commit == v.version || name_or_commit.starts_with(v.commit);
  });
  return found == kVersions.end() ? nullptr : found;
}

std::optional<VllmConfigProblem> vllm_config_problem(const VllmConfig& c) {
  // Beyond these no real service goes; they keep sums of tokens and the memory of the block pool in bounds.
  constexpr std::int64_t kMostTokens = std::int64_t{1} << 30;
  constexpr std::int64_t kMostBlocks = std::int64_t{1} << 24;
  struct SettingBound {
    std::string_view name;
    std::int64_t value, least, most;
  };
  for (const SettingBound& r : std::initializer_list<SettingBound>{
           {"max_num_batched_tokens", c.max_num_batched_tokens, 1, kMostTokens},
           {"max_num_scheduled_tokens", c.max_num_scheduled_tokens, 0, kMostTokens},
           {"max_num_seqs", c.max_num_seqs, 1, kMostTokens},
           {"max_model_len", c.max_model_len, 2, kMostTokens},
           {"block_size", c.block_size, 1, kMostTokens},
           {"num_gpu_blocks", c.num_gpu_blocks, 2, kMostBlocks},
           {"long_prefill_token_threshold", c.long_prefill_token_threshold, 0, kMostTokens},
           {"prefill_schedule_interval", c.prefill_schedule_interval, 1, kMostTokens},
           {"pipeline_parallel_size", c.pipeline_parallel_size, 1, 1024},
           {"decode_context_parallel_size", c.decode_context_parallel_size, 1, 1024},
           {"num_speculative_tokens", c.num_speculative_tokens, 0, 1024},
           {"mtp_modules", c.mtp_modules, 1, 1024},
       }) {
    if (r.value < r.least || r.value > r.most)
      return VllmConfigProblem{r.name, fmt::format("{} is {}, outside {} to {}", r.name, r.value, r.least, r.most)};
  }
  if (!(c.watermark >= 0.0 && c.watermark < 1.0))
    return VllmConfigProblem{"watermark", fmt::format("watermark is {}, not a share below 1", c.watermark)};
  if (c.pipeline_parallel_size > 1 && c.num_speculative_tokens > 0)
    return VllmConfigProblem{"pipeline_parallel_size",
                             "pipeline stages together with drafts: how vLLM decides there was never observed", true};
  return std::nullopt;
}

}  // namespace ascendsim
