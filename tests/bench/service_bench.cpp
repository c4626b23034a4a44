// What services under load cost: CPU seconds and memory of a whole process each (a child of its own, so that nothing is
// warm), beside the fastest peers measured on the same kind of machine. Without arguments all cases; else those named.
//   cmake --build build/release --target service_bench && build/release/tests/bench/service_bench
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "sim/heap.h"
#include "strategies/intake/subject.h"
#include "strategies/serving/service.h"
#include "workloads/requests/generators.h"

namespace ascendsim {
namespace {

struct Case {
  const char* name;
  std::int64_t requests, input, output;
  double rate;  // a second
  std::int64_t instances, decode_instances;
  double at_most_s, aim_s;
  std::int64_t at_most_mib;  // 0: not limited
  const char* peers;
};
constexpr Case kCases[] = {
    {"1k", 1'000, 1024, 256, 4, 1, 0, 0.1, 0.05, 0, "BLIS 1.4 s"},
    {"10k", 10'000, 1024, 256, 4, 1, 0, 1, 0.5, 0, "BLIS 17.5 s, Vidur 13.3 s"},
    {"10k-8", 10'000, 1024, 256, 32, 8, 0, 1.5, 0.6, 100, "BLIS 39 s"},
    {"pairs", 12'000, 12'288, 350, 3, 4, 2, 4, 2, 300, "BLIS 185 s"},
    {"1m", 1'000'000, 3584, 1536, 0.3, 1, 0, 300, 120, 0, ""},
    {"10k-slow", 10'000, 3584, 1536, 0.3, 1, 0, 0, 0, 0, "(a hundredth of 1m)"},
    {"100k", 100'000, 1024, 256, 4, 1, 0, 0, 0, 0, "(ten times 10k)"},
};

constexpr const char* kHybrid =
    "vllm serve /data/DeepSeek-R1_w8a8 -tp 16 --enable-expert-parallel --quantization ascend --max-model-len 16K "
    "--max-num-seqs 256 --async-scheduling\n";
constexpr const char* kPrefill =
    "vllm serve /data/DeepSeek-R1_w8a8 -tp 8 -dp 2 --enable-expert-parallel --quantization ascend --max-model-len 32K "
    "--max-num-batched-tokens 16K --kv-transfer-config "
    R"('{"kv_connector": "MooncakeConnectorV1", "kv_role": "kv_producer", "kv_port": "30000"}')"
    "\n";
constexpr const char* kDecode =
    "vllm serve /data/DeepSeek-R1_w8a8 -tp 2 -dp 16 --enable-expert-parallel --quantization ascend --max-model-len 32K "
    "--max-num-seqs 64 --async-scheduling --kv-transfer-config "
    R"('{"kv_connector": "MooncakeConnectorV1", "kv_role": "kv_consumer", "kv_port": "30100"}')"
    "\n";

Subject load(const char* text, const Libraries& libraries) {
  Settings settings;
  settings.hardware = "atlas-800i-a3";
  settings.input = 1024;
  settings.output = 256;
  Diagnostics diagnostics;
  std::vector<FileChoice> choices = read_texts({{"serve.sh", text}}, libraries, settings, diagnostics);
  Subject subject = load_subject(choices.at(0), Load::kAsked, libraries, settings, diagnostics);
  diagnostics.throw_if_errors();
  return subject;
}

struct Sums : ServiceListener {
  Duration ttft{}, gaps{};
  std::int64_t tokens = 0;
  void sent(Duration) override {}
  void chunks(std::span<const TokenChunks> chunks) override {
    for (const TokenChunks& c : chunks) tokens += c.tokens * c.count;
  }
  void finished(const RequestOutcome& o) override { ttft += o.ttft() / 1000; }
};

void run(const Case& c) {
  const Libraries libraries;
  const Subject first = load(c.decode_instances > 0 ? kPrefill : kHybrid, libraries);
  Subject decode;
  if (c.decode_instances > 0) decode = load(kDecode, libraries);
  Diagnostics diagnostics;
  VllmBenchOptions options;
  options.num_prompts = c.requests;
  options.random_input_len = c.input;
  options.random_output_len = c.output;
  options.request_rate = c.rate;
  const auto requests = make_vllm_bench(options, {}, diagnostics);
  Sums sums;
  const ServiceSite site{.first = first.scenario.get(),
                         .decode = decode.scenario.get(),
                         .instances = c.instances,
                         .decode_instances = std::max<std::int64_t>(1, c.decode_instances)};
  ServiceEnd end;
  if (can_be_served(site, diagnostics))
    end = serve(site, {.requests = requests.get(), .lengths = EqualLengths{c.input, c.output}}, sums, diagnostics);
  diagnostics.throw_if_errors();
  fmt::print("{} finished, {} steps, {} of them priced, {:.0f} s served, mean TTFT {:.1f} ms; ", end.finished,
             end.steps, end.priced_steps, seconds(end.duration),
             seconds(sums.ttft) * 1e6 / static_cast<double>(std::max<std::int64_t>(1, end.finished)));
}

void measure(const Case& c) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    fmt::print("{:9} ", c.name);
    run(c);
    std::fflush(stdout);
    _exit(0);
  }
  int status = 0;
  rusage use{};
  wait4(child, &status, 0, &use);
  const auto in_s = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  fmt::print("{:.2f} s CPU, {} MiB (at most {} s, aim {} s{}) {}{}\n", in_s(use.ru_utime) + in_s(use.ru_stime),
             use.ru_maxrss / 1024, c.at_most_s, c.aim_s,
             c.at_most_mib > 0 ? fmt::format(", {} MiB", c.at_most_mib) : std::string(), c.peers,
             status == 0 ? "" : " FAILED");
}

}  // namespace
}  // namespace ascendsim

int main(int count, char** names) {
  ascendsim::keep_freed_memory();
  for (const ascendsim::Case& c : ascendsim::kCases) {
    const bool asked = std::any_of(names + 1, names + count, [&](const char* n) { return std::string(n) == c.name; });
    if (asked || (count == 1 && c.at_most_s > 0)) ascendsim::measure(c);
  }
}
