// Which layout serves a load with the fewest servers: layouts are enumerated, the engine's rules asked, then memory,
// and what is left is priced. Requests all arrive at once and nothing queues behind them.
//   Best: the layout whose requests are done first (mean end-to-end latency), of those with the fewest servers that fit
//   and meet the targets; of a prefill side by TTFT. Equal ones: the first in the order of enumeration.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "strategies/deployment/completion.h"
#include "strategies/deployment/field_text.h"
#include "strategies/deployment/versions.h"
#include "strategies/prediction/predict.h"

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
  std::int64_t enumerated = 0, legal = 0, in_memory = 0, priced = 0;
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
  // On the same servers, where an instance does both: the layout whose first tokens come soonest, if they take half the
  // time or less. What serves prompts best may decode badly; that choice is the reader's.
  std::optional<PlanChoice> soonest;
  PlanCounts counts;
  // When there is no choice: what stood in the way, and what would make it fit.
  std::string why, remedy;
};

// What tells the layouts of a site apart: a hundred bytes, where a question has thousands.
struct LayoutChoice {
  Layout layout;
  std::int64_t ranks = 0;
  ExpertExchange exchange{};
  bool flashcomm1 = false;  // where the site leaves it open
};

// Degrees of parallelism whose product is the ranks, KV cuts, expert degrees and exchanges, in a fixed order: what the
// engine's rules are then asked about. Every combination of divisors; degrees that the question names stay as named.
// Where the engine's version has FlashComm1 and nobody says whether it is on: each layout without and with it.
std::vector<LayoutChoice> enumerate_layouts(const PlanSite& site, std::int64_t ranks);
void choose(Question& question, const PlanSite& site, const LayoutChoice& choice);  // nothing else is touched
bool offers_flashcomm(const PlanSite& site);                                        // ... and nobody says
// Whether the engine takes it on these servers.
bool is_legal(const Question& question, const PlanSite& site, int servers);

class Planner {
 public:
  // Enumerates and asks the rules, once for all cells.
  Planner(const PlanSite& site, Targets targets);
  [[nodiscard]] PlanCell plan(const Workload& load) const;  // safe from several threads
  [[nodiscard]] const PlanCounts& layouts() const { return layouts_; }

  [[nodiscard]] bool cuts_prompts() const;  // some legal layout has cp > 1

  // A layout with the load's limits; nothing when the rules refuse the load on it.
  [[nodiscard]] std::optional<Question> with_load(const LayoutChoice& layout, const Workload& load) const;
  [[nodiscard]] std::optional<Question> with_load(const LayoutChoice& layout, const Workload& load,
                                                  Diagnostics& said) const;

 private:
  struct Fleet {
    int servers = 0;
    std::vector<LayoutChoice> legal;
    std::optional<Cluster> cluster;
  };
  struct Search;
  const PlanSite& site_;
  Targets targets_;
  KernelFacts facts_;
  Question base_;  // without a layout, with the limits of the smallest load: rules about limits need some
  std::vector<Fleet> fleets_;
  PlanCounts layouts_;
};

// Where an engine keeps context parallelism for the prefill instances of a pair: the same site with those. Nothing
// where instances that do both have it, or where none has.
std::optional<PlanSite> prefill_instances(const PlanSite& site, const Planner& planner);

}  // namespace ascendsim
