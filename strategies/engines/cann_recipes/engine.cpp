// The reference recipes of the CANN team, an offline executor: hicann/cann-recipes-infer at fbc225d2 (2026-08-21).
#include "strategies/deployment/engine.h"

#include "strategies/engines/generic/parts.h"
#include "strategies/engines/rules.h"
#include "strategies/programs/context.h"

namespace ascendsim {

extern const Engine kCannRecipesEngine;

constinit const Engine kCannRecipesEngine{
    .name = "cann-recipes",
    .product = "cann-recipes",
    .words = {.field_of = generic_field_of},
    .traits =
        {
            .context = chunk_by_chunk,
            // executor/core/model_worker/mtp_worker.py, get_next_mtp_model_inputs: next_n + 1 rows a sequence in every
            // iteration, so that one captured graph serves all.
            .drafts_all_rows = true,
        },
    .check = check_generic,
    .check_pair = check_whole_decode_cache,
};

}  // namespace ascendsim
