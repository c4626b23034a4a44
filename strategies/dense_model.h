// One forward step of a DeepSeek-V3-like model on one rank, in double over the global tensors: plain dense algebra that knows
// no partitions, no absorption and no blocks. What whole layers are compared with.
#pragma once

#include <map>
#include <tuple>

#include "sim/tensors.h"
#include "strategies/programs/step.h"

namespace ascendsim {

using DenseMatrix = Tensors<double>::Matrix;

// The token that stands at a place of a sequence: a hash of its name.
std::int64_t token_id(std::int64_t name, std::int64_t vocabulary);

struct DenseStep {
  // By pass (0: the model itself, 1...: drafts), then by token name.
  std::vector<std::map<std::int64_t, DenseMatrix>> hidden, logits;
  std::map<std::pair<std::int32_t, std::int64_t>, DenseMatrix> cache;   // by layer and token name, rows computed or cached before
};

// A token whose experts differ from those that the reference would take; margin: how far the scores of the two choices are
// apart in the reference.
struct Flip {
  std::int32_t pass = 0, layer = 0;
  std::int64_t token = 0;
  double margin = 0;
};
// Experts that were chosen elsewhere, by (pass, layer, token): the reference follows them, so that one flipped choice does not
// make everything after it incomparable.
using ChosenExperts = std::map<std::tuple<std::int32_t, std::int32_t, std::int64_t>, std::vector<std::int32_t>>;

// stored: weights and cached tokens as their types hold them.
DenseStep dense_step(const Deployment& deployment, const Step& step, bool stored, const ChosenExperts* chosen,
                     std::vector<Flip>& flips);

}  // namespace ascendsim
