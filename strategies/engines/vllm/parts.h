// What engine.cpp puts together.
#pragma once

#include "strategies/deployment/engine.h"

namespace ascendsim {

class OptionSet;
struct BenchmarkLoad;

std::string_view vllm_option_text();  // of options.txt

extern const Engine kVllmEngine;

void check_vllm(const RuleInput& input, Diagnostics& diagnostics);
// Caches are pulled by MooncakeConnector, whole prefill ranks at a time.
void check_vllm_pair(const Deployment& prefill, const Deployment& decode, Diagnostics& diagnostics);

Export write_vllm(const ExportRequest& request, Diagnostics& diagnostics);
std::span<const Limitation> vllm_limitations();

// Options of `vllm bench serve`, and of `vllm bench latency` and `throughput`.
const OptionTable& vllm_serving_options();
const OptionTable& vllm_offline_options();
void read_vllm_generator(const OptionSet& options, BenchmarkLoad& load, Diagnostics& diagnostics);

// YAML of --config; YAML of vllm-ascend's nightly tests, which holds command lines (server_cmd).
bool holds_vllm_options(ConfigNode root);
bool holds_vllm_commands(std::string_view text);
void read_vllm_commands(ConfigNode root, const std::string& name,
                        const std::map<std::string, std::string, std::less<>>& defines,
                        std::vector<LaunchedCommand>& out, Diagnostics& diagnostics);

}  // namespace ascendsim
