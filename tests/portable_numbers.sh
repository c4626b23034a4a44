#!/usr/bin/env bash
# portable_numbers.sh BINARY: the program has no code whose numbers depend on the machine that it runs on.
#   libm       chooses by processor between code with and without fused multiply-adds, and the last digit differs between
#              versions; its functions are in sim/elementary.h. Roundings, roots and exponents of two are exact.
#   Eigen      cuts the sums of products by the cache sizes that the processor reports; products are in sim/products.h.
set -euo pipefail
inexact='(exp|exp2|exp10|expm1|log|log2|log10|log1p|pow|sin|cos|sincos|tan|asin|acos|atan|atan2|sinh|cosh|tanh|asinh|acosh|atanh'
inexact+='|cbrt|hypot|erf|erfc|lgamma|tgamma|[jy][01n]|c(exp|log|log10|pow|sqrt|abs|arg|sin|cos|tan|sinh|cosh|tanh))[fl]?'
result=0
if nm -D --undefined-only "$1" | grep -E " (__)?$inexact(_finite|_r)?(@|$)"; then
  echo "these are functions of libm: take those of sim/elementary.h"
  result=1
fi
if nm -C "$1" | grep -E 'Eigen::internal::(gebp_kernel|gemm_pack_|general_matrix_(matrix|vector)_product)' | cut -c1-200; then
  echo "these are products of Eigen: take those of sim/products.h"
  result=1
fi
exit $result
