// Logarithm and power with the same bits on every machine: only +, -, * and / of IEEE doubles, no libm, whose last bit
// differs between versions and processors. The result is what exact mathematics gives, rounded once, in all but a few
// of ten thousand cases, where it is the neighbouring double (a test counts them).
#pragma once

namespace ascendsim {

// REQUIRES: x >= 0 and finite. -infinity for 0.
double portable_log(double x);

// REQUIRES: base >= 0, both finite. 0 to a positive power is 0, anything to the power 0 is 1.
double portable_pow(double base, double exponent);

}  // namespace ascendsim
