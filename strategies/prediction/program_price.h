// Prices of a program's operators: work by the cost of kernels, collectives by their closed forms.
#pragma once

#include <unordered_map>
#include <vector>

#include "hardware/cluster_network.h"
#include "hardware/kernel_cost.h"
#include "sim/fold.h"
#include "sim/program.h"
#include "strategies/collectives/collective_cost.h"
#include "strategies/deployment/deployment.h"
#include "strategies/prediction/step_time.h"
#include "strategies/programs/step.h"

namespace ascendsim {

struct PricedProgram {
  Program program;
  // Of the operators that were built: fewer than the program has, where equal layers were built once (`origin`).
  std::vector<Duration> ticks{};
  std::vector<Work> works{};  // of local operators, as are the bounds
  std::vector<Bound> bounds{};
  std::vector<std::uint32_t> collectives{};  // of collectives: where ProgramPricer::collective() has them
  std::vector<std::uint32_t> origin{};       // of the program's operators; empty = all were built
  double slowness = 1;                       // of the rank's computation against the mean

  [[nodiscard]] std::size_t built(std::size_t op) const { return origin.empty() ? op : origin[op]; }
  // An entry for each operator of the program from one for each that was built.
  template <class T>
  [[nodiscard]] std::vector<T> of_each(std::vector<T> of_built) const {
    if (origin.empty() || of_built.empty()) return of_built;
    std::vector<T> out;
    out.reserve(origin.size());
    for (const std::uint32_t i : origin) out.push_back(of_built[i]);
    return out;
  }
  [[nodiscard]] Flops matrix() const;
  [[nodiscard]] std::int64_t slowed(Duration t) const;
};

// For one folding of ranks. A step has a handful of different collectives, repeated in every layer: each is priced once.
class ProgramPricer {
 public:
  // degraded: the links of a cluster with faults, or none; cluster: without its faults. All are kept by reference.
  ProgramPricer(const Deployment& deployment, const Cluster& cluster, ClusterNetwork* degraded,
                const KernelCost& kernels, const KernelFacts& facts, std::span<const GroupKind> groups,
                const Folding& folding);

  PricedProgram operator()(Program program, std::size_t rank_class, double slowness);
  [[nodiscard]] std::vector<SlowedCollective> take_slowed() { return std::move(slowed_); }
  [[nodiscard]] const CollectiveTime& collective(const PricedProgram& priced, std::size_t op) const {
    return times_[priced.collectives[priced.built(op)]];
  }
  // Forgets collectives when it knows very many. Programs that were priced before are void.
  void stay_small() {
    if (times_.size() < kMostKnown) return;
    known_.clear();
    times_.clear();
    slowed_.clear();
  }

 private:
  struct Key {
    const OperatorType* type;
    int meeting;
    Bytes bytes;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const {
      return std::hash<const void*>{}(key.type) ^ (static_cast<std::size_t>(key.meeting) << 48) ^
             (static_cast<std::size_t>(key.bytes.count()) * 0x9e3779b97f4a7c15);
    }
  };
  static constexpr std::size_t kMostKnown = 4096;

  std::uint32_t collective(const OperatorView& v, std::size_t rank_class);
  [[nodiscard]] CollectiveTime price(const OperatorView& v, const Key& key);
  void note_slowed(const OperatorView& v, const CollectiveCall& call, const std::string& group, Duration time,
                   Duration added);
  void overlap_fused(PricedProgram& priced) const;

  const Deployment& deployment_;
  const Cluster& cluster_;
  ClusterNetwork* degraded_;
  const KernelCost& kernels_;
  Duration kernel_gap_;
  double fused_overlap_;
  std::span<const GroupKind> groups_;
  const Folding& folding_;
  std::unordered_map<Key, std::uint32_t, Hash> known_;  // looked up, never walked
  std::vector<CollectiveTime> times_;
  std::vector<SlowedCollective> slowed_;
};

}  // namespace ascendsim
