// What carries rows to experts and back in a step, as the engine chooses by phase, size and what it was asked for
// (vllm_ascend/ascend_forward_context.py, select_moe_comm_method, v0.15.0rc1; SGLang: deepep normal and low latency,
// ascend_fuseep).
#pragma once

#include <string>
#include <string_view>

#include "strategies/deployment/deployment.h"

namespace ascendsim {

// kFusedMc2: one kernel in which dispatch, both grouped products and combine overlap, expert by expert
// (dispatch_ffn_combine, dispatch_gmm_combine_decode).
enum class ExpertCarrier : std::uint8_t { kAllGather, kPadded, kAllToAllV, kMc2, kFusedMc2 };
std::string_view to_text(ExpertCarrier carrier);

// rows: of a DP group's stream, as routed. drafting: in the draft layer, which dispatch_ffn_combine leaves alone.
ExpertCarrier expert_carrier(const Deployment& deployment, Phase phase, std::int64_t rows, bool drafting);
bool asks_for_fused_mc2(const Deployment& deployment);
// Why that is never taken; empty = it is in some steps, or nobody asked.
std::string fused_mc2_refusal(const Deployment& deployment);

// MindIE's fixed-size all-to-all of ep_level 2 prefill: rows sent to all peers together (dynamic_ep_moe.cpp;
// flash_causal_deepseekv2.py, get_all2all_buffer_factor). Prefill of up to kShortExchange rows a rank takes buffers for
// 2 x moe_ep times its copies, of one more row two to four times: more rows can be faster.
constexpr std::int64_t kShortExchange = 32;
std::int64_t padded_all_to_all_rows(const Deployment& d, std::int64_t rows, bool prefill);

}  // namespace ascendsim
