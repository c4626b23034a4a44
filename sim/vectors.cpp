#include "sim/vectors.h"

namespace ascendsim {

bool wide_vectors() {
#ifdef __x86_64__
  static const bool has = __builtin_cpu_supports("avx2") != 0;
  return has;
#else
  return false;
#endif
}

}  // namespace ascendsim
