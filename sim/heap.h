// Memory that is freed stays with the process. Programs of a few MB are built and dropped again and again: giving the
// pages back in between costs a fifth of a run, and where steps are priced by the hundred nine tenths.
#pragma once

namespace ascendsim {

void keep_freed_memory();

}  // namespace ascendsim
