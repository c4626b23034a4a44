// Alternatives of one deployment under several loads: what `compare` computes before it prints anything.
// Every alternative has as many ranks as the file says, unless world_size is varied (strategies/search/variation.h).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "strategies/intake/pairs.h"
#include "strategies/search/variation.h"
#include "strategies/serving/measured.h"

namespace ascendsim {

struct Alternative {
  std::vector<Assignment> vary;  // one for each --vary
  std::string model, hardware;   // empty: as the file says
  [[nodiscard]] bool operator==(const Alternative& other) const;
};

struct Condition {
  std::int64_t input_tokens = 0, batch = 0;  // 0: as the file says
};

// What alternatives are ranked by: mean TTFT, mean TPOT, or where a decode side answers with one token, its step.
enum class RankedTime : std::uint8_t { kTtft, kTpot, kDecodeStep };

// Times that differ by less are level, neither is called faster: the parts of a step that are known best, transfers over
// links, are off by 2.7 % in the median of what is published (docs/validation.md, collective and link time).
inline constexpr double kLevelMargin = 0.03;

struct Point {
  std::size_t alternative = 0;
  Standing standing = Standing::kCannotRun;
  Diagnostics broken, warned;        // rules that refuse it; what else they say
  std::vector<std::string> derived;  // degrees that follow from the change: "tp 16"
  std::vector<std::string> raised;   // limits that the load exceeds: "maxSeqLen 132,096"
  Subject subject;                   // its scenario is empty when it cannot run
  Prediction prediction;
  Flops prefill_once{}, decode_once{};  // matrix work of the steps' requests done by one rank
  std::optional<MeasuredService> served;  // under a load over time; `prediction` is of one request then

  [[nodiscard]] bool runs() const { return standing != Standing::kCannotRun; }
  // The engine takes it and it fits.
  [[nodiscard]] bool starts() const { return runs() && standing == Standing::kLegal && prediction.memory.fits(); }
  [[nodiscard]] Role role() const { return subject.question.deployment.role; }
  [[nodiscard]] std::optional<Duration> time(RankedTime metric) const;  // nothing where its role has no such time
};

// The order of some alternatives under one load.
struct Ranking {
  bool starts = false;              // of those that can be started; where none can, of all that run
  std::vector<std::size_t> best;    // the fastest, then those level with it
  std::optional<std::size_t> next;  // the fastest of the others
};

// Between two neighbouring lengths the winner changes: from `tokens` on `later` is faster than `earlier`.
struct Crossover {
  std::size_t earlier = 0, later = 0;             // alternatives
  std::int64_t batch = 0, tokens = 0, below = 0;  // at `below` tokens `earlier` is still faster
  bool stops = false;                             // from `tokens` on `earlier` cannot be started
};

struct Comparison {
  AskedQuestion base;
  std::vector<std::string> keys;  // of --vary
  std::vector<Alternative> alternatives;
  std::vector<Condition> conditions;
  std::vector<Point> points;  // by condition, then by alternative
  std::vector<Crossover> crossovers;
  std::vector<std::string> without_effect;  // keys whose values all lead to the same times and memory
  std::vector<LoadOverTime> loads;          // by condition, where they are over time
  std::int64_t instances = 1;               // that share such a load

  [[nodiscard]] const Point& at(std::size_t condition, std::size_t alternative) const {
    return points[condition * alternatives.size() + alternative];
  }
  // Alternatives that answer the same question: equal model and hardware where --vary makes the difference.
  [[nodiscard]] std::vector<std::vector<std::size_t>> contests() const;
  // TTFT where an alternative has one, then TPOT; else the step of a decode side. What winners win by is the first.
  [[nodiscard]] std::vector<RankedTime> metrics(const std::vector<std::size_t>& contest) const;
  // Equal ones as they come; nothing when none runs. What cannot be started wins only where nothing can.
  [[nodiscard]] std::optional<Ranking> ranking(std::size_t condition, const std::vector<std::size_t>& contest,
                                               RankedTime metric) const;
  [[nodiscard]] bool varies_length() const;
};

// One --vary: a field, by any of its names, and its values. Without values it is an error.
struct Varied {
  std::string key;
  std::vector<std::string> values;
};
struct ComparisonRequest {
  std::vector<std::string> files;
  std::vector<Varied> vary;
  std::vector<std::string> models, hardware;
  std::vector<std::int64_t> inputs, batches;
};

// Throws ConfigError when the file, a setting or a --vary is wrong. Rules that alternatives break are part of the
// answer.
Comparison compare(const ComparisonRequest& request, const Libraries& libraries, const Settings& settings,
                   Diagnostics& diagnostics);

// "cp 2", "DeepSeek-R1, atlas-800i-a2, cp 2"; "as in the file" when there is one alternative.
std::string label(const Comparison& comparison, std::size_t alternative);

// A point by its own question: everything is loaded once for an alternative, then asked for any load.
class AlternativePricer {
 public:
  AlternativePricer(const AskedQuestion& base, const Alternative& alternative, std::size_t index,
                    const Libraries& libraries, const Settings& settings, Diagnostics& diagnostics);
  [[nodiscard]] Point point(const Condition& condition) const;  // reads no file; safe from several threads
  // Under a load over time, as `run` serves it; a deployment without room for one request is not served.
  [[nodiscard]] Point point(const Condition& condition, const LoadOverTime& load, std::int64_t instances) const;

 private:
  std::size_t index_;
  Question question_;  // settled
  std::vector<std::string> derived_;
  Stack stack_;
  Platform platform_;
};

}  // namespace ascendsim
