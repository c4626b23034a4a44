// The tools that services are measured with: whose load is sent (generators.h), and whose definitions metrics follow
// (strategies/serving/metrics.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ascendsim {

enum class BenchmarkTool : std::uint8_t { kVllmBench, kSglangBench, kAisBench };

constexpr std::string_view to_text(BenchmarkTool tool) {
  constexpr std::string_view kTexts[] = {"vllm bench serve", "sglang.bench_serving", "AISBench"};
  return kTexts[static_cast<std::size_t>(tool)];
}

}  // namespace ascendsim
