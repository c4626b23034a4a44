// Weights of which each rank of the instance holds those of a few layers: rank r those of layers r, r + ranks, ... When
// attention of a layer begins, the next layer's weight is broadcast from the rank that has it into one of two windows,
// on a stream of its own; the last layer fetches the first one's for the next step
// (vllm_ascend/ops/layer_shard_linear.py, prefetch_step 1). Internal to programs/.
#pragma once

#include <array>

#include "sim/program.h"
#include "workloads/quantisation.h"

namespace ascendsim {

struct RankStep;
struct Deployment;

struct LayerSeries {
  Module module;
  const char* key;    // "o_proj"
  const char* fetch;  // label of the broadcast
  std::int64_t inputs, outputs;
};
LayerSeries o_proj_series(const Deployment& d);
LayerSeries q_b_series(const Deployment& d);
// What shards layers, if anything does: q_b and o_proj, whole on every rank of a prefill node, under DSA-CP
// (sfa_v1.py).
bool shards_o_proj(const Deployment& d);
bool shards_q_b(const Deployment& d);
// In this step and layer: layers that draft are in no series.
bool shards_o_proj(const RankStep& s);
bool shards_q_b(const RankStep& s);
// Layers of the series on the rank that holds most.
std::int64_t held_layers(const Deployment& d);
// Slices that stand for what another rank holds: in the program, not in memory.
inline constexpr const char* kElsewhere = "of_another_rank";

class LayerWindows {
 public:
  // The present layer's weight: left in a window by the step before, or by the layer before.
  Value weight(RankStep& s, const LayerSeries& series);
  // Fetches the next layer's once `reached` has been computed.
  void fetch(RankStep& s, const LayerSeries& series, Value reached);

 private:
  std::array<Value, 2> windows_{};
  bool allocated_ = false;
};

}  // namespace ascendsim
