// Elementary functions with the same bits on every machine: only +, -, *, / and comparisons of IEEE numbers, each
// rounded by itself. libm's last digit differs between versions and processors (with and without fused multiply-adds).
//
// Error in units in the last place (ulp) of the result, from the bounds of the methods in elementary.cpp; tests compare
// with long double. "Rounded once": what exact mathematics gives, rounded, in all but a few of ten thousand cases,
// where it is the neighbouring number. The functions of floats are as exact, in units of floats. NaN gives NaN.
#pragma once

#include <cstddef>
#include <span>

#include "sim/check.h"
#include "sim/vectors.h"

namespace ascendsim {

// e^x, below 1 ulp. 0 for -infinity.
double portable_exp(double x);
float portable_exp(float x);

// Each x becomes e^x, with the bits of the above whatever the vectors.
void portable_exp(std::span<double> x, Vectors vectors = widest_vectors());
void portable_exp(std::span<float> x, Vectors vectors = widest_vectors());

// The same for a matrix of Eigen or a part of it. REQUIRES: its elements lie side by side.
template <class Matrix>
void exponentiate(Matrix&& m) {
  check(m.innerStride() == 1 && (m.innerSize() == m.size() || m.outerStride() == m.innerSize()),
        "exponentials of a matrix with gaps");
  portable_exp(std::span(m.data(), static_cast<std::size_t>(m.size())));
}

// Rounded once. REQUIRES: not x < 0. -infinity for 0.
double portable_log(double x);
float portable_log(float x);

// log(1 + x), rounded once. REQUIRES: not x < 0.
double portable_log1p(double x);
float portable_log1p(float x);

// Rounded once. REQUIRES: base >= 0, both finite. 0 to a positive power is 0, anything to the power 0 is 1.
double portable_pow(double base, double exponent);

// Below 1 ulp each. REQUIRES: |x| <= 2^30.
struct SineCosine {
  double sine, cosine;
};
SineCosine portable_sine_cosine(double x);

}  // namespace ascendsim
