#include "sim/heap.h"

#include <malloc.h>

namespace ascendsim {

void keep_freed_memory() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 4 << 20);
}

}  // namespace ascendsim
