// Which layout serves a load with the fewest servers: layouts are enumerated, the engine's rules asked, then memory, then
// a cheap estimate of the times, and only the most promising ones are priced exactly. Requests all arrive at once and
// nothing queues behind them.
//   Estimate: the model cut down to a few MoE layers at two sizes; the others cost what one more layer costs. Times of a
//   step are linear in the number of equal layers once streams are in their rhythm. a margin covers the rest (planning.cpp).
//   Best: the layout whose requests are done first (mean end-to-end latency), of those with the fewest servers that fit
//   and meet the targets; of a prefill side by TTFT. Equal ones: the first in the order of enumeration.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "strategies/importers/versions.h"
#include "strategies/predict.h"
#include "strategies/question.h"

namespace ascendsim {

// What every cell of a table shares: one server type, and a question without layout and load.
struct PlanSite {
  Question question;  // resolved; stack, model, quantisation, role, features
  Stack stack;
  KernelTable kernels;
  Server server;
  std::int64_t most_servers = 8;
  EngineVersions versions{};  // what the engine's versions have, as its rules ask
};

struct Targets {
  std::optional<Duration> ttft, tpot;  // of the slowest request; mean
};

// Operations of a search, for tests and for those who wonder what was looked at.
struct PlanCounts {
  std::int64_t enumerated = 0, legal = 0, in_memory = 0, estimated = 0, priced = 0;
  PlanCounts& operator+=(const PlanCounts& other);
};

struct PlanChoice {
  Question question;
  int servers = 0;
  Prediction prediction;
};

struct PlanCell {
  Workload workload;
  std::optional<PlanChoice> choice;
  PlanCounts counts;
  // When there is no choice: what stood in the way, and what would make it fit.
  std::string why, remedy;
};

// Degrees of parallelism whose product is the ranks, KV cuts, expert degrees and exchanges, in a fixed order: what the
// engine's rules are then asked about. Every combination of divisors; degrees that the question names stay as named.
std::vector<Question> enumerate_layouts(const Question& question, std::int64_t ranks);
// Whether the engine takes it on these servers.
bool is_legal(const Question& question, const PlanSite& site, int servers);

class Planner {
 public:
  // Enumerates and asks the rules, once for all cells.
  Planner(const PlanSite& site, Targets targets);
  [[nodiscard]] PlanCell plan(const Workload& load) const;  // safe from several threads
  [[nodiscard]] const PlanCounts& layouts() const { return layouts_; }

  // A layout with the load's limits; nothing when the rules refuse the load on it.
  [[nodiscard]] std::optional<Question> with_load(const Question& layout, const Workload& load) const;
  [[nodiscard]] std::optional<Question> with_load(const Question& layout, const Workload& load, Diagnostics& said) const;

 private:
  struct Fleet {
    int servers = 0;
    std::vector<Question> legal;
    std::optional<Cluster> cluster;
  };
  struct Search;
  const PlanSite& site_;
  Targets targets_;
  KernelFacts facts_;
  std::vector<Fleet> fleets_;
  PlanCounts layouts_;
};

}  // namespace ascendsim
