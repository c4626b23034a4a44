// Numbers as the element types of buffers hold them: rounded to the nearest, ties to even.
#pragma once

#include <span>

#include "sim/program.h"

namespace ascendsim {

// x as the type holds it. Integer types are left alone: their scales belong to operators. Scalar: float, double (which
// goes through float).
template <class Scalar>
Scalar rounded(Scalar x, Dtype type);
template <class Scalar>
void round_all(std::span<Scalar> numbers, Dtype type);

}  // namespace ascendsim
