// MindIE: Ascend/MindIE-LLM and its documentation, 2026-04.
#include "strategies/engines/keys.h"
#include "strategies/engines/mindie/import.h"
#include "strategies/engines/mindie/keys.h"
#include "strategies/engines/mindie/parts.h"
#include "strategies/programs/context.h"

namespace ascendsim {

constinit const Engine kMindieEngine{
    .name = "mindie",
    .product = "MindIE",
    .called = "mindie",
    .scheduler = "mindie",
    // Documentation, Expert Parallelism.
    .words = {.exchanges = {"ep_level 1", "ep_level 2", ""}},
    .traits =
        {
            .context = chunk_by_chunk,
            // Documentation, Configuration Parameters: without moe_ep there is no expert parallelism.
            .cuts_experts = true,
            // Documentation, Expert Parallelism: enable_init_routing_cutoff with topk_scaling_factor.
            .cuts_initial_routing = true,
        },
    .texts =
        {
            .prefix_cache = "MindIE documentation, Prefix Cache: plugin_type prefix_cache",
            // operation/ring_attention.cpp against the page Context Parallelism.
            .context_gather = ", as the code of MindIE does; the documentation describes a ring",
            .mtp_on_both_sides =
                "MindIE documentation, MTP: in a disaggregated deployment configure it on prefill and decode nodes",
            .mtp_remedy = "set plugin_type mtp in both files, or in neither",
        },
    .import_document = import_mindie,
    .keys = mindie_keys,
    .check = check_mindie,
    // Its own rules say that a decode node has neither sp nor cp.
    .check_pair = nullptr,
    .write = write_mindie,
    .limitations = mindie_limitations,
};

}  // namespace ascendsim
