// Where a rank stands in a step: its coordinates and groups, and which of the ways to run apply to it. Constant. Internal
// to programs/.
#pragma once

#include "sim/program.h"
#include "strategies/programs/context.h"
#include "strategies/programs/placement.h"
#include "strategies/programs/step.h"

namespace ascendsim {

struct RankPlace {
  RankPlace(const Deployment& deployment, const KernelFacts& kernel_facts, Phase phase_of_step, std::int64_t own_rank);

  const Deployment& d;
  const Model& m;
  const Layout& l;
  const KernelFacts& facts;
  ContextScheme context;
  Phase phase;
  std::int64_t rank;
  RankCoordinates at;
  std::int64_t expert_load;  // of its experts against the mean, as RoutedRows::load
  std::int64_t heads;        // of this rank: N / tp; all where rows are scattered and attention is sparse (DSA-CP)

  [[nodiscard]] ProgramBuilder::Group group(Group g) const;
  [[nodiscard]] bool holds_shared_expert() const { return at.moe_ep < d.experts.shared_ranks; }
  // Every rank of the TP group keeps its own tokens outside attention (cann-recipes "SP-TP-SP").
  [[nodiscard]] bool token_split() const { return scattered() && !flashcomm(); }
  [[nodiscard]] bool flashcomm() const { return runs_flashcomm(d); }
  // The LM head is cut over the TP group, which computes the logits of its own requests.
  [[nodiscard]] bool head_of_group() const { return flashcomm() || d.traits().head_over_tp_group; }
  [[nodiscard]] bool scattered() const { return scatters_rows(d, phase); }
  // Whether a layer's moves of rows around the feed-forward part are gathers that its graph always has (stack.h); with
  // sizes of captured graphs all rows are those of the graph.
  [[nodiscard]] bool moves_by_index() const {
    return facts.moves_rows_by_index && d.graph.mode == GraphMode::kStack && !scattered() &&
           !shares_rows_for_experts(d) && l.o_proj_parts() == 1;
  }
  // Sparse attention on scattered rows: what comes out is final for the rank's own rows, nothing is left to sum over
  // the TP group.
  [[nodiscard]] bool whole_rows_after_attention() const {
    return m.sparse() && scattered() && phase == Phase::kPrefill;
  }
};

}  // namespace ascendsim
