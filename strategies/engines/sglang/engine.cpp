// SGLang on Ascend, 0.5; features that came with a version: strategies/engines/versions/sglang.yaml.
#include <fmt/format.h>

#include "strategies/deployment/deployment.h"
#include "strategies/engines/rules.h"
#include "strategies/engines/sglang/import.h"
#include "strategies/engines/sglang/parts.h"
#include "strategies/programs/context.h"

namespace ascendsim {

namespace {

// sgl-project/sglang#12207; python/sglang/srt/layers/utils/cp_utils.py.
void context(const Deployment&, ContextScheme& s) { s.merges_in_32_bit = s.head_gathers_by_group = true; }

std::string_view field_of(std::string_view option) { return field_of_option(sglang_options(), option); }
std::string_view option_of(std::string_view field) { return option_of_field(sglang_options(), field); }

// tp-size counts all ranks of the instance (python/sglang/srt/server_args.py).
std::string degrees_in_options(const Layout& l) {
  return fmt::format("--tp-size {}{}{}", l.world(), l.dp > 1 ? fmt::format(" --dp-size {}", l.dp) : "",
                     l.cp > 1 ? fmt::format(" --attn-cp-size {}", l.cp) : "");
}

constexpr ProgramWords kServers[] = {{{"sglang.launch_server"}}, {{"sglang", "serve"}}};
constexpr ProgramWords kRouters[] = {{{"sglang_router.launch_router"}}, {{"sglang_router.launch_server"}}};
// Lengths when none are set: sglang/bench_serving.py 1024 in, 1024 out. The second name is that of 0.5.15 and later.
constexpr BenchmarkProgram kBenchmarks[] = {{{{"sglang.bench_serving"}}, sglang_serving_options, 1024, 1024},
                                            {{{"sglang.benchmark.serving"}}, sglang_serving_options, 1024, 1024}};
constexpr std::string_view kMentions[] = {"sglang.", "sglang serve", "sglang_router"};

}  // namespace

constinit const Engine kSglangEngine{
    .name = "sglang",
    .product = "SGLang",
    .called = "sglang",
    .scheduler = "sglang",
    .words =
        {
            .field_of = field_of,
            .option_of = option_of,
            .degrees_in_options = degrees_in_options,
            // python/sglang/srt/layers/moe/token_dispatcher/deepep.py: nothing is padded.
            .exchanges = {"moe-a2a-backend none", "", "moe-a2a-backend deepep"},
            // --max-running-requests is of all DP ranks (python/sglang/srt/server_args.py).
            .batch_of_all_groups = true,
        },
    .traits =
        {
            .context = context,
            // python/sglang/srt/layers/moe/token_dispatcher/deepep.py: normal mode prefills, low-latency mode decodes.
            .carrier_choice = CarrierChoice::kByPhase,
            // --moe-a2a-backend ascend_fuseep: the fused kernel of few rows, in decode steps.
            .fused_mc2 = FusedMc2::kFewRows,
            // python/sglang/srt/layers/utils/cp_utils.py: prefill writes what it has gathered to the cache of every rank.
            .cp_keeps_whole_cache = true,
            // python/sglang/srt/managers/schedule_policy.py, PrefillAdder: --chunked-prefill-size limits what is taken
            // of a prompt; it may exceed every prompt.
            .chunk_may_exceed_prompts = true,
            // --mem-fraction-static is of weights and KV pool (server_args.py); what lives during a step comes on top.
            .fraction_of = FractionOf::kWeightsAndCache,
            // No such option.
            .cuts_initial_routing = false,
            // python/sglang/srt/disaggregation/common/conn.py, _resolve_rank_mapping: decode TP rank i of D pulls from
            // prefill TP rank i div (D / P).
            .shared_source = SharedSource::kNeighbours,
        },
    .launch =
        {
            .servers = kServers,
            .benchmarks = kBenchmarks,
            .routers = kRouters,
            .mentions = kMentions,
            .usage = "python -m sglang.launch_server ...",
        },
    .import_command = import_sglang,
    .options = sglang_options,
    .check = check_sglang,
    .check_pair = check_whole_decode_cache,
    .write = write_sglang,
    .limitations = sglang_limitations,
};

}  // namespace ascendsim
