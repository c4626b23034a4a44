// The load generators that people measure with: the requests and the instants at which they are sent, the same as the
// real tool's with the same seed. Options have the tools' own names and defaults. Sources: `vllm bench serve` of vLLM
// 0.15.0 (vllm/benchmarks/serve.py, datasets.py; the same numbers from 0.11.0 to the main branch of 2026-08-17),
// sglang.bench_serving of SGLang 0.5.18, 0.5.9 and 0.5.2, AISBench 29c363e of 2026-08-20; numbers recorded from them
// are in tests/data/loads. docs/loads.md explains them.
//
// A limit on requests in flight (--max-concurrency, batch_size) is the client's loop and not the generator's: an
// instant here is the earliest at which the client sends. Warm-up requests are the client's as well.
//
// Every make_ function answers nothing after a diagnostic: E0601 (needs a tokenizer, a download or something else that
// is not here), E0602 (a value that the tool refuses, or that no load can have).
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "sim/diagnostics.h"
#include "workloads/requests/pacing.h"
#include "workloads/requests/request_source.h"

namespace ascendsim {

constexpr double kAllAtOnce = std::numeric_limits<double>::infinity();

// What the tools ask the model's tokenizer. Prompts are taken as if encoding a decoded prompt gave the same tokens.
struct TokenizerFacts {
  std::int64_t vocabulary = 129'280;  // tokenizer.vocab_size; 129,280 is DeepSeek-V3's configuration
  std::int64_t special_ids = 2;       // of those, ids that `vllm bench serve` never draws
  // Put in front of a prompt when it is encoded (DeepSeek: BOS). The tools take them off the drawn length of random
  // prompts, and the server puts them back: Request::input_tokens is what arrives at the engine, so it has them.
  std::int64_t special_tokens = 1;
};

// `vllm bench serve`.
struct VllmBenchOptions {
  enum class Version : std::uint8_t {
    kUpTo0_9_2,  // the first request at 0, gaps not scaled
    kFrom0_10,
  };
  Version version = Version::kFrom0_10;
  std::string dataset_name = "random";
  std::int64_t seed = 0, num_prompts = 1000;
  std::int64_t random_input_len = 1024, random_output_len = 128, random_prefix_len = 0;
  // --random-range-ratio R, or since 0.15 {"input": ..., "output": ...}
  double random_range_ratio_input = 0, random_range_ratio_output = 0;
  std::int64_t prefix_repetition_prefix_len = 256, prefix_repetition_suffix_len = 256;
  std::int64_t prefix_repetition_num_prefixes = 10, prefix_repetition_output_len = 128;
  double request_rate = kAllAtOnce, burstiness = 1;
  std::optional<RampUp> ramp_up_strategy{};
  double ramp_up_start_rps = 0, ramp_up_end_rps = 0;
  TokenizerFacts tokenizer{};
};
// Whether options alone say how long prompts and outputs are.
bool draws_lengths(const VllmBenchOptions& options);
// random: constant memory; prefix_repetition: 4 bytes a request, as it is shuffled.
std::unique_ptr<RequestSource> make_vllm_bench(const VllmBenchOptions& options, const SourceLocation& where,
                                               Diagnostics& diagnostics);

// `python3 -m sglang.bench_serving`, from 0.5.15 `sglang.benchmark.serving`.
struct SglangBenchOptions {
  enum class Version : std::uint8_t {
    k0_5_2,   // outputs may have 0 tokens; seed 1
    k0_5_9,   // seed 1
    k0_5_18,  // seed 42
  };
  Version version = Version::k0_5_18;
  std::string dataset_name = "sharegpt";
  std::optional<std::int64_t> seed{};
  std::int64_t num_prompts = 1000, random_input_len = 1024, random_output_len = 1024;
  double random_range_ratio = 0;
  bool tokenize_prompt = false;  // sends token ids: nothing is taken off, and the server adds nothing
  std::int64_t gsp_num_groups = 64, gsp_prompts_per_group = 16, gsp_system_prompt_len = 2048, gsp_question_len = 128;
  std::int64_t gsp_output_len = 256, gsp_num_turns = 1;
  double gsp_range_ratio = 1;
  bool gsp_ordered = false;
  std::string gsp_group_distribution = "uniform";
  std::optional<double> gsp_zipf_alpha{};
  double request_rate = kAllAtOnce;
  TokenizerFacts tokenizer{};
};
bool draws_lengths(const SglangBenchOptions& options);
// random, random-ids: constant memory; generated-shared-prefix: 16 bytes a request, as it is shuffled.
std::unique_ptr<RequestSource> make_sglang_bench(const SglangBenchOptions& options, const SourceLocation& where,
                                                 Diagnostics& diagnostics);

// AISBench with a synthetic data set. The tool itself does not seed its generators, so two of its runs differ; `seed`
// is ours, and makes the load one that the tool could have sent.
struct AisBenchLength {            // Input or Output of StringConfig: {"Method": ..., "Params": {...}}
  std::string method = "uniform";  // uniform, gaussian, zipf
  std::int64_t min_value = 1, max_value = 1;
  double mean = 0, variance = 0;  // gaussian: Mean, Var
  double alpha = 1.5;             // zipf: Alpha
};
std::int64_t draw(const AisBenchLength& length, NumpyRandomState& random);

struct AisBenchOptions {
  std::string type = "string";  // or tokenid
  std::int64_t seed = 0, request_count = 1;
  AisBenchLength input{}, output{};                                  // string
  std::int64_t request_size = 1, prefix_len = 0, max_out_len = 512;  // tokenid: its prompts have one length
  double request_rate = 0;                                           // below 0.001: all at once
  double burstiness = 1;                                             // 0: equal gaps
  std::optional<RampUp> ramp_up_strategy{};
  double ramp_up_start_rps = 0, ramp_up_end_rps = 0;
  TokenizerFacts tokenizer{};
};
std::unique_ptr<RequestSource> make_ais_bench(const AisBenchOptions& options, const SourceLocation& where,
                                              Diagnostics& diagnostics);

// AISBench's use_timestamp: the tool sends every request of a trace later by the first time stamp once more, so a trace
// that starts at t is sent from 2 t on.
std::unique_ptr<RequestSource> with_ais_bench_timestamps(std::unique_ptr<RequestSource> trace);

// Lengths of a file at the instants of a generator: what the tools do with a data set of lengths. `count` requests at
// most; the source may end earlier.
std::unique_ptr<RequestSource> paced(std::unique_ptr<RequestSource> lengths, const SendInstants& instants,
                                     std::int64_t count);

}  // namespace ascendsim
