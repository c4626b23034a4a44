#!/usr/bin/env bash
# Eigen 3.4.0 (Debian 12, libeigen3-dev 3.4.0-4): a matrix product sums its inner dimension in panels whose depth follows the
# cache sizes that the CPU reports. The same program, compiled once, prints other digits on another CPU. Seen here by telling
# Eigen two plausible cache hierarchies: of 4,096-deep float products some elements differ.
#
# Expected: "depth 192: 0 differ" and "depth 4096: N differ" with N > 0. Fails when either changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -q libeigen3-dev=3.4.0-4 >/dev/null
dpkg -x libeigen3-dev_*.deb eigen
cat >product.cpp <<'CPP'
#include <Eigen/Core>
#include <cstdio>

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic>;

Matrix product(int depth, long l1, long l2, long l3) {
  Eigen::setCpuCacheSizes(l1 << 10, l2 << 10, l3 << 10);
  Matrix a(48, depth), b(depth, 48);
  unsigned state = 1;  // the same numbers everywhere
  const auto draw = [&] { return static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) / 16777216.0f - 0.5f; };
  for (int i = 0; i < a.size(); ++i) a.data()[i] = draw();
  for (int i = 0; i < b.size(); ++i) b.data()[i] = draw();
  return a * b;
}

int main() {
  for (const int depth : {192, 4096}) {
    const Matrix first = product(depth, 32, 512, 16384), second = product(depth, 48, 1280, 24576);
    int differ = 0;
    for (int i = 0; i < first.size(); ++i) differ += first.data()[i] != second.data()[i];
    std::printf("depth %d: %d differ\n", depth, differ);
  }
}
CPP
g++ -O2 -std=c++17 -ffp-contract=off -I eigen/usr/include/eigen3 product.cpp -o product
./product | tee seen
grep -qx 'depth 192: 0 differ' seen
! grep -qx 'depth 4096: 0 differ' seen
echo "as expected: the sum of a deep product follows the cache sizes"
