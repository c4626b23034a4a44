// Which collective stands where in a decoder layer: MindIE's general rule over *streams*, the number of distinct token
// partitions before, inside and after the feed-forward part (Ascend/MindIE-LLM decoder_layer.cpp, CalculateDataPartition
// and CalculateCommType).
#pragma once

#include "strategies/deployment.h"

namespace ascendsim {

struct Placement {
  bool attention_all_reduce = false, attention_reduce_scatter = false, attention_all_gather = false;
  bool ffn_all_reduce = false, ffn_reduce_scatter = false, ffn_all_gather = false;
};
Placement place_collectives(const Layout& layout, bool moe_layer, bool last_layer);

}  // namespace ascendsim
