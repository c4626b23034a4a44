// What engine.cpp puts together.
#pragma once

#include "strategies/deployment/engine.h"

namespace ascendsim {

class OptionSet;
struct BenchmarkLoad;

std::string_view sglang_option_text();  // of options.txt

extern const Engine kSglangEngine;

void check_sglang(const RuleInput& input, Diagnostics& diagnostics);

Export write_sglang(const ExportRequest& request, Diagnostics& diagnostics);
std::span<const Limitation> sglang_limitations();

const OptionTable& sglang_serving_options();  // of sglang.bench_serving
void read_sglang_generator(const OptionSet& options, BenchmarkLoad& load, Diagnostics& diagnostics);

}  // namespace ascendsim
