// Services as the command line would start them, loads made here, and what a service says of them.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/heap.h"
#include "strategies/intake/subject.h"
#include "strategies/prediction/predict.h"
#include "strategies/serving/service.h"

namespace ascendsim {

inline const Libraries& libraries_under_test() {
  static const Libraries libraries = [] {
    keep_freed_memory();
    return Libraries();
  }();
  return libraries;
}

// A launch script or configuration on Atlas 800I A3.
inline Subject served_subject(const std::string& name, const std::string& text, std::vector<std::string> set = {}) {
  Settings settings;
  settings.hardware = "atlas-800i-a3";
  settings.input = 1024;
  settings.output = 256;
  settings.memory_fraction = name == "config.json" ? "0.92" : "";
  settings.set = std::move(set);
  Diagnostics diagnostics;
  std::vector<FileChoice> choices = read_texts({{name, text}}, libraries_under_test(), settings, diagnostics);
  Subject subject = load_subject(choices.at(0), Load::kAsked, libraries_under_test(), settings, diagnostics);
  for (const Diagnostic& d : diagnostics.all())
    if (d.severity == Severity::kError) ADD_FAILURE() << render_short(d);
  return subject;
}

// DeepSeek-R1 on the 16 dies of a server.
inline Subject vllm_subject(const std::string& more = "-tp 16", std::vector<std::string> set = {}) {
  return served_subject("serve.sh",
                        "vllm serve /data/DeepSeek-R1_w8a8 --enable-expert-parallel --quantization ascend "
                        "--max-model-len 16K " +
                            more + "\n",
                        std::move(set));
}
inline Subject sglang_subject(const std::string& more = "--tp-size 16", std::vector<std::string> set = {}) {
  return served_subject("serve.sh",
                        "python3 -m sglang.launch_server --model-path /data/DeepSeek-R1_w8a8 --quantization w8a8_int8 "
                        "--attention-backend ascend --device npu --context-length 16384 --mem-fraction-static 0.85 "
                        "--max-running-requests 128 --trust-remote-code " +
                            more + "\n",
                        std::move(set));
}
inline Subject mindie_subject(const std::string& layout = R"("tp": 16, "dp": 1, "moe_ep": 16, "moe_tp": 1)",
                              std::vector<std::string> set = {}) {
  return served_subject(
      "config.json",
      R"({"ServerConfig": {}, "BackendConfig": {"ModelDeployConfig": {"maxSeqLen": 16384, "maxInputTokenLen": 8000,
         "ModelConfig": [{"modelName": "DeepSeek-R1_w8a8", "modelWeightPath": "/data/DeepSeek-R1_w8a8", "worldSize": 16, )" +
          layout + R"(}]},
         "ScheduleConfig": {"maxPrefillBatchSize": 50, "maxPrefillTokens": 8192, "maxBatchSize": 100}}})",
      std::move(set));
}

// Requests that are listed.
class ListedRequests : public RequestSource {
 public:
  explicit ListedRequests(std::vector<Request> requests) : requests_(std::move(requests)) {}
  bool next(Request& request) override {
    if (at_ == requests_.size()) return false;
    request = requests_[at_++];
    return true;
  }

 private:
  std::vector<Request> requests_;
  std::size_t at_ = 0;
};

struct ServedLoad : ServiceListener {
  std::vector<RequestOutcome> outcomes{};  // by id
  std::vector<Duration> sends{};
  std::int64_t later_tokens = 0;  // of chunks
  __int128 gaps = 0;              // their sum
  std::uint64_t fingerprint = 0;  // of all chunks, whatever their order and grouping
  ServiceEnd end{};
  std::string said{};

  void sent(Duration at) override { sends.push_back(at); }
  void chunks(std::span<const TokenChunks> chunks) override {
    for (const TokenChunks& c : chunks) {
      later_tokens += c.tokens * c.count;
      gaps += static_cast<__int128>(c.gap.count()) * c.count;
      const auto mixed =
          (static_cast<std::uint64_t>(c.at.count()) * 0x9e3779b97f4a7c15 ^ static_cast<std::uint64_t>(c.gap.count())) *
          0xff51afd7ed558ccd;
      fingerprint += (mixed ^ mixed >> 29) * static_cast<std::uint64_t>(c.tokens * c.count);
    }
  }
  void finished(const RequestOutcome& outcome) override {
    const auto id = static_cast<std::size_t>(outcome.id);
    if (id >= outcomes.size()) outcomes.resize(id + 1);
    outcomes[id] = outcome;
  }
};

inline ServedLoad serve_listed(const ServiceSite& site, std::vector<Request> requests, ServiceLoad load = {}) {
  ServedLoad out;
  ListedRequests source(std::move(requests));
  load.requests = &source;
  Diagnostics diagnostics;
  if (can_be_served(site, diagnostics)) out.end = serve(site, load, out, diagnostics);
  for (const Diagnostic& d : diagnostics.all()) out.said += render_short(d) + "\n";
  return out;
}

inline std::vector<Request> equal_requests(std::int64_t count, std::int64_t input, std::int64_t output,
                                           Duration gap = {}) {
  std::vector<Request> out;
  for (std::int64_t i = 0; i < count; ++i)
    out.push_back({.arrival = gap * i, .input_tokens = input, .output_tokens = output});
  return out;
}

}  // namespace ascendsim
