// `python -m sglang.launch_server` -> Question. Options: sgl-project/sglang python/sglang/srt/server_args.py (0.5), the
// cp-size of pull request 12207, and prefill context parallelism as it was merged (pull request 36230). tp-size counts
// all ranks of the instance; limits that are global there become those of one DP rank.
#pragma once

#include "strategies/engines/launch/instances.h"

namespace ascendsim {

const OptionTable& sglang_options();
LaunchedNode import_sglang(const LaunchedCommand& command, const LaunchContext& context, Diagnostics& diagnostics);

}  // namespace ascendsim
