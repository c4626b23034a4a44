#include "strategies/deployment/deployment.h"

namespace ascendsim {

void Deployment::set_engine(std::string name, std::string version) {
  engine = &engine_of(name);
  engine_name = std::move(name);
  engine_version = std::move(version);
}

const Origin& Deployment::origin(std::string_view key) const {
  static const Origin kNowhere;
  const auto it = origins.find(key);
  return it == origins.end() ? kNowhere : it->second;
}

// Static scales stand beside the weights. Where index keys are cached too, latents have an fp32 scale for every 128
// columns of a token and index keys a 16-bit scale a token (dynamic per-token-head-tile-128 and per-token-head:
// hicann/cann-recipes-infer, deepseek_v3.2_exp_inference_guide.md).
Bytes Deployment::cached_latent() const {
  constexpr std::int64_t kTile = 128, kTileScale = 4;
  if (!kv_int8) return Bytes(model.cache_width() * bits(dtype) / 8);
  return Bytes(model.kv_rank + (model.sparse() ? ceil_div(model.kv_rank, kTile) * kTileScale : 0) +
               model.rope * bits(dtype) / 8);
}

Bytes Deployment::cached_index_key() const {
  constexpr std::int64_t kTokenScale = 2;
  if (!model.sparse()) return {};
  return Bytes(kv_int8 ? model.index_width + kTokenScale : model.index_width * bits(dtype) / 8);
}

}  // namespace ascendsim
