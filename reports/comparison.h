// Alternatives of one deployment under several loads: what `compare` computes before it prints anything.
// Every alternative has as many ranks as the file says, unless world_size is varied (strategies/search/variation.h).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reports/scenario.h"
#include "strategies/search/variation.h"

namespace ascendsim {

struct Alternative {
  std::vector<Assignment> vary;  // one for each --vary
  std::string model, hardware;   // empty: as the file says
  [[nodiscard]] bool operator==(const Alternative& other) const;
};

struct Condition {
  std::int64_t input_tokens = 0, batch = 0;  // 0: as the file says
};

// What an engine refuses may still be computed, when its programs can be built.
enum class Standing : std::uint8_t { kLegal, kWhatIf, kCannotRun };
std::string_view to_text(Standing standing);

struct Point {
  std::size_t alternative = 0;
  Standing standing = Standing::kCannotRun;
  Diagnostics broken, warned;        // rules that refuse it; what else they say
  std::vector<std::string> derived;  // degrees that follow from the change: "tp 16"
  std::vector<std::string> raised;   // limits that the load exceeds: "maxSeqLen 132,096"
  Subject subject;                   // its scenario is empty when it cannot run
  Prediction prediction;
  Flops prefill_once{}, decode_once{};  // matrix work of the steps' requests done by one rank

  [[nodiscard]] bool runs() const { return standing != Standing::kCannotRun; }
  [[nodiscard]] Role role() const { return subject.question.deployment.role; }
  // What alternatives are ranked by: mean TTFT, of a decode side mean TPOT.
  [[nodiscard]] Duration score() const;
};

// Between two neighbouring lengths the winner changes: from `tokens` on `later` is faster than `earlier`.
struct Crossover {
  std::size_t earlier = 0, later = 0;             // alternatives
  std::int64_t batch = 0, tokens = 0, below = 0;  // at `below` tokens `earlier` is still faster
};

struct Comparison {
  LoadedQuestion base;
  std::vector<std::string> keys;  // of --vary
  std::vector<Alternative> alternatives;
  std::vector<Condition> conditions;
  std::vector<Point> points;  // by condition, then by alternative
  std::vector<Crossover> crossovers;
  std::vector<std::string> without_effect;  // keys whose values all lead to the same times and memory

  [[nodiscard]] const Point& at(std::size_t condition, std::size_t alternative) const {
    return points[condition * alternatives.size() + alternative];
  }
  // Alternatives that answer the same question: equal model and hardware where --vary makes the difference.
  [[nodiscard]] std::vector<std::vector<std::size_t>> contests() const;
  // The fastest of these alternatives that run, first come first when equal; none when none runs.
  [[nodiscard]] std::optional<std::size_t> winner(std::size_t condition, const std::vector<std::size_t>& contest) const;
};

// Throws ConfigError when the file, an option or a --vary is wrong. Rules that alternatives break are part of the
// answer.
Comparison compare(const Libraries& libraries, const Options& options, Diagnostics& diagnostics);

// Data files that several alternatives need are read once.
class SharedParts {
 public:
  explicit SharedParts(const Libraries& libraries) : libraries_(libraries) {}
  const Server& server(const HardwareChoice& choice, Diagnostics& diagnostics);
  const KernelTable& kernels(const std::string& name, Diagnostics& diagnostics);
  [[nodiscard]] const Libraries& libraries() const { return libraries_; }

 private:
  const Libraries& libraries_;
  std::map<std::pair<std::string, std::string>, Server> servers_;
  std::map<std::string, KernelTable> kernels_;
};

// A point by its own question: everything is loaded once for an alternative, then asked for any load.
class AlternativePricer {
 public:
  AlternativePricer(const LoadedQuestion& base, const Alternative& alternative, std::size_t index, SharedParts& parts,
                    Diagnostics& diagnostics);
  [[nodiscard]] Point point(const Condition& condition) const;  // reads no file; safe from several threads

 private:
  struct Verdict {
    Standing standing = Standing::kLegal;
    Diagnostics broken, warned;
  };
  [[nodiscard]] Verdict judge(const Question& question, const Workload* workload) const;

  std::size_t index_;
  Question question_;
  std::vector<std::string> derived_;
  Stack stack_;
  KernelTable kernels_;
  Server server_;
};

}  // namespace ascendsim
