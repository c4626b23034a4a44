// `vllm serve` with vLLM-Ascend -> Question. Meaning of the options: vllm-project/vllm engine/arg_utils.py and config/;
// vLLM-Ascend 0.15: docs/source/user_guide and vllm_ascend/. PCP becomes layout.cp, DCP layout.sp: cp x sp cache
// shards.
#pragma once

#include "strategies/engines/launch/instances.h"

namespace ascendsim {

const OptionTable& vllm_options();
LaunchedNode import_vllm(const LaunchedCommand& command, const LaunchContext& context, Diagnostics& diagnostics);

}  // namespace ascendsim
