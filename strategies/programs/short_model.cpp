#include "strategies/programs/short_model.h"

#include <algorithm>

namespace ascendsim {

ShortModel::ShortModel(const Deployment& full, std::int64_t kept)
    : deployment(full), first(std::max(full.model.dense_layers, full.first_layer())) {
  dropped = std::max<std::int64_t>(0, full.end_layer() - first - kept);
  if (dropped == 0) return;
  deployment.stage.end = full.end_layer() - dropped;
  if (full.last_stage()) deployment.model.layers -= dropped;
}

}  // namespace ascendsim
