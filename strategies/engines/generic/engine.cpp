// Stacks without an engine of their own (omniinfer, xdeepserve, cloudmatrix): our words, the rules that programs need,
// and programs as MindIE runs them where nothing else is known.
#include "strategies/engines/generic/parts.h"
#include "strategies/engines/rules.h"
#include "strategies/engines/vllm/import.h"
#include "strategies/programs/context.h"

namespace ascendsim {

std::string_view generic_field_of(std::string_view option) { return field_of_option(vllm_options(), option); }

constinit const Engine kGenericEngine{
    .words = {.field_of = generic_field_of},
    .traits = {.context = chunk_by_chunk},
    .check = check_generic,
    .check_pair = check_whole_decode_cache,
};

}  // namespace ascendsim
