// Requests a second of traces and generators. The traces have the shape of Mooncake's conversations (12K tokens in 24
// blocks) and lie in memory, so that the reader is measured and not the disk. Bar: 1,000,000 requests in a few seconds.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <stdexcept>

#include "workloads/requests/generators.h"
#include "workloads/requests/traces.h"

namespace ascendsim {
namespace {

constexpr std::int64_t kRows = 100'000;

const std::string& mooncake() {
  static const std::string text = [] {
    std::string result;
    for (std::int64_t i = 0; i < kRows; ++i) {
      const std::int64_t tokens = 12'000 + i * 7919 % 800;
      std::string ids = "0";
      for (std::int64_t b = 1; b * 512 < tokens; ++b) ids += fmt::format(", {}", i * 3 + b);
      result += fmt::format(R"({{"timestamp": {}, "input_length": {}, "output_length": {}, "hash_ids": [{}]}})"
                            "\n",
                            i / 10 * 3000, tokens, 1 + i % 700, ids);
    }
    return result;
  }();
  return text;
}

const std::string& azure() {
  static const std::string text = [] {
    std::string result = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n";
    for (std::int64_t i = 0; i < kRows; ++i)
      result += fmt::format("2023-11-16 {:02}:{:02}:{:02}.{:07},{},{}\r\n", i / 3600 % 24, i / 60 % 60, i % 60, i * 10,
                            1 + i * 7919 % 4000, 1 + i % 700);
    return result;
  }();
  return text;
}

void read(benchmark::State& state, const std::string& text) {
  for (auto _ : state) {
    Diagnostics diagnostics;
    const auto source = read_trace(text, "trace", {}, diagnostics);
    std::int64_t requests = 0;
    for (Request r; source->next(r); ++requests) benchmark::DoNotOptimize(r.input_tokens);
    diagnostics.throw_if_errors();
    if (requests != kRows) throw std::runtime_error("rows were lost");
  }
  state.SetItemsProcessed(state.iterations() * kRows);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
void mooncake_rows(benchmark::State& state) { read(state, mooncake()); }
void azure_rows(benchmark::State& state) { read(state, azure()); }
BENCHMARK(mooncake_rows)->Unit(benchmark::kMillisecond);
BENCHMARK(azure_rows)->Unit(benchmark::kMillisecond);

template <class Make, class Options>
void generate(benchmark::State& state, Make&& make, const Options& options) {
  std::int64_t requests = 0;
  for (auto _ : state) {
    Diagnostics diagnostics;
    const auto source = make(options, SourceLocation{}, diagnostics);
    for (Request r; source->next(r); ++requests) benchmark::DoNotOptimize(r.input_tokens);
  }
  state.SetItemsProcessed(requests);
}
void vllm_requests(benchmark::State& state) {
  VllmBenchOptions o;
  o.num_prompts = kRows;
  o.request_rate = 100;
  o.random_range_ratio_input = o.random_range_ratio_output = 0.5;
  generate(state, make_vllm_bench, o);
}
void sglang_requests(benchmark::State& state) {
  SglangBenchOptions o;
  o.dataset_name = "random-ids";
  o.num_prompts = kRows;
  o.request_rate = 100;
  generate(state, make_sglang_bench, o);
}
BENCHMARK(vllm_requests)->Unit(benchmark::kMillisecond);
BENCHMARK(sglang_requests)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ascendsim
