// Checks what ranks exchange: the same collective, stream, element type and matching shapes on every member of a group,
// and that nothing reads an activation before it was written. A violation is our bug: InternalError with rank and
// operator.
#pragma once

#include <span>

#include "sim/fold.h"
#include "sim/program.h"

namespace ascendsim {

void verify(std::span<const Program* const> programs, const Folding& folding);

}  // namespace ascendsim
