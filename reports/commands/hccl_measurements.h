// What hccl_test prints, read back. Its table has the columns data_size(Bytes): | aveg_time(us): | alg_bandwidth(GB/s):
// | check_result:, and neither the operator nor the ranks. data_size is what one NPU takes part with; for all-gather
// and reduce-scatter it is the whole vector in newer versions (the count is divided by the ranks) and the share of a
// rank in older ones, so whoever reads it says which.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/diagnostics.h"
#include "sim/units.h"

namespace ascendsim {

struct HcclTestRow {
  Bytes size{};
  Duration time{};
  bool failed = false;  // check_result: failed
};
// Everything before the header is somebody else's (mpirun, the test's own start); after it only rows may follow.
// Diagnostics with file, line and column: no table, no rows, wrong numbers, a bandwidth that is not size / time.
std::vector<HcclTestRow> read_hccl_test(const std::string& path, Diagnostics& diagnostics);
std::vector<HcclTestRow> parse_hccl_test(std::string text, const std::string& name, Diagnostics& diagnostics);

}  // namespace ascendsim
