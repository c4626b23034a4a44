// One forward step of a DeepSeek-V3-like model on one rank, in double over the global tensors: plain dense algebra that
// knows no partitions, no absorption and no blocks. What whole layers are compared with.
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
  // By layer and token name, rows computed or cached before; of an indexer its keys.
  std::map<std::pair<std::int32_t, std::int64_t>, DenseMatrix> cache, index_cache;
};

// A token whose experts, or keys of sparse attention, differ from those that the reference would take; margin: how far
// the scores of the two choices are apart in the reference, those of keys in units of the scores' root mean square.
struct Flip {
  enum class Of : std::uint8_t { kExperts, kKeys } of = Of::kExperts;
  std::int32_t pass = 0, layer = 0;
  std::int64_t token = 0;
  double margin = 0;
};
// What was chosen elsewhere, by (pass, layer, token): the reference follows it, so that one flipped choice does not
// make everything after it incomparable.
using Chosen = std::map<std::tuple<std::int32_t, std::int32_t, std::int64_t>, std::vector<std::int32_t>>;
struct Choices {
  Chosen experts, keys;
};

// stored: weights and cached tokens as their types hold them.
DenseStep dense_step(const Deployment& deployment, const Step& step, bool stored, const Choices* chosen,
                     std::vector<Flip>& flips);

}  // namespace ascendsim
