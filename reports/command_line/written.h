// Options as they were written, and what turns them into Options. Readers of single commands stand beside their
// commands.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reports/command_line/lists.h"
#include "reports/command_line/options.h"
#include "sim/diagnostics.h"

namespace ascendsim {

inline constexpr std::int64_t kMostTokens = 1 << 24, kMostRequests = 1 << 20;

// Options as they were written. Everything is text here, so that every mistake gets a message of ours.
struct Written {
  std::vector<std::string> words, env, set, define;
  std::string hardware, servers, die, model, quantisation, role, input, output, batch, top, format, output_file;
  std::string config, scale, seed, strategy, partition, ranks, cp, pcp, tp, sp, dcp, tokens, history, heads, interleave,
      dtype, lse_dtype, orders, threads;
  std::string prefix_hit, acceptance, engine_version, from, only_case, launch, workload;
  std::string op, bytes, algorithm, expansion, concurrent, sweep, compare, per, top_k, padding;
  std::string graph, faults;
  std::string svg, context, concurrency, engine, ttft, tpot;
  std::vector<std::string> vary;
  std::string to, base;
  std::string prefill, decode, prefill_hardware, decode_hardware, prefill_servers, decode_servers;
  bool all = false, what_if = false, layer = false;
  bool json = false, strict = false, verbose = false, print_config = false, schema = false, help = false,
       version = false, explain = false;
};

// One written value after the other; every mistake is a diagnostic, the first is not the last.
class ValueReader {
 public:
  explicit ValueReader(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  void wrong(std::string message, std::string help);
  // A whole number from `least` to `most`, also as 64K; empty when nothing is written.
  std::optional<std::int64_t> count(const char* name, const std::string& text, std::int64_t most, const char* examples,
                                    std::int64_t least = 1);
  // The same with commas between.
  std::vector<std::int64_t> counts(const char* name, const std::string& text, std::int64_t least, std::int64_t most,
                                   const char* examples);
  NumberList numbers(const char* name, const std::string& text, std::int64_t most, const char* example);
  std::optional<Duration> at_most(const char* name, const std::string& text);
  std::vector<std::string> names(const char* name, const std::string& text);
  std::vector<Varied> vary(const std::vector<std::string>& written);  // "cp=1,2"

  template <class T, std::size_t N>
  std::optional<T> choice(const char* name, const std::string& text, const std::pair<std::string_view, T> (&known)[N]) {
    return choice(name, text, std::span<const std::pair<std::string_view, T>>(known));
  }
  template <class T>
  std::optional<T> choice(const char* name, const std::string& text,
                          std::span<const std::pair<std::string_view, T>> known) {
    std::vector<std::string_view> words;
    for (const auto& [word, value] : known) {
      if (word == text) return value;
      if (!word.empty()) words.push_back(word);
    }
    const std::string_view near = nearest(text, words);
    wrong(fmt::format("unknown {} '{}'", name, text),
          near.empty() ? fmt::format("one of: {}", fmt::join(words, ", ")) : fmt::format("did you mean '{}'?", near));
    return std::nullopt;
  }

 private:
  Diagnostics& diagnostics_;
};

RingOptions read_ring_options(const Written& written, ValueReader& values);  // commands/ring_options.cpp
CollectiveOptions read_collective_options(const Written& written,
                                          ValueReader& values);  // commands/collective_options.cpp
// Of compare, where --model is a list too, and of plan; commands/list_options.cpp.
ListOptions read_list_options(const Written& written, bool models, ValueReader& values);

}  // namespace ascendsim
