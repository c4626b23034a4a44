// Vectors to compute with where the same numbers come out whatever their width: a lane never meets another.
#pragma once

#include <cstdint>

namespace ascendsim {

enum class Vectors : std::uint8_t {
  kPortable,  // 16 bytes: every processor that we compile for
  kWide,      // 32 bytes, where wide_vectors() holds
};
bool wide_vectors();
inline Vectors widest_vectors() { return wide_vectors() ? Vectors::kWide : Vectors::kPortable; }

template <class Scalar, int kBytes>
struct VectorOf {
  typedef Scalar Type __attribute__((vector_size(kBytes)));
};

// Functions with the target of their caller; what they call is inlined into them, for the same reason.
#define ASCENDSIM_INLINE [[gnu::always_inline]] inline
#ifdef __x86_64__
#define ASCENDSIM_WIDE [[gnu::target("avx2")]]
#else
#define ASCENDSIM_WIDE
#endif

}  // namespace ascendsim
