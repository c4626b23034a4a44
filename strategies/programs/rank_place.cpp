#include "strategies/programs/rank_place.h"

#include "strategies/programs/expert_loads.h"

namespace ascendsim {

RankPlace::RankPlace(const Deployment& deployment, const KernelFacts& kernel_facts, Phase phase_of_step,
                     std::int64_t own_rank)
    : d(deployment),
      m(deployment.model),
      l(deployment.layout),
      facts(kernel_facts),
      context(context_scheme(deployment)),
      phase(phase_of_step),
      rank(own_rank),
      at(coordinates(deployment.layout, own_rank)),
      expert_load(routed_load(deployment, own_rank)),
      heads(deployment.model.sparse() && scattered() ? deployment.model.heads
                                                     : deployment.model.heads / deployment.layout.tp) {}

ProgramBuilder::Group RankPlace::group(Group g) const {
  const auto size = [&]() -> std::int64_t {
    switch (g) {
      case Group::kAttnTp:
        return l.tp;
      case Group::kAttnSp:
        return l.sp;
      case Group::kAttnDp:
        return l.dp;
      case Group::kAttnCp:
        return l.cp;
      case Group::kMoeTp:
        return l.moe_tp;
      case Group::kMoeEp:
        return l.moe_ep;
      case Group::kWorld:
        return l.world();
      case Group::kKvShards:
        return l.kv_shards();
      case Group::kOProjTp:
        return l.o_proj_parts();
      case Group::kLmHeadTp:
        return l.lm_head_parts();
      case Group::kEmbeddingTp:
        return l.embedding_parts();
      case Group::kMlpTp:
        return l.mlp_parts();
    }
    return 1;
  };
  return {kind(g), static_cast<int>(size())};
}

}  // namespace ascendsim
