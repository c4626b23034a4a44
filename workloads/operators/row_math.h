// What several operators do to rows in the calculator. Internal to operators/.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/elementary.h"
#include "sim/tensors.h"
#include "workloads/operators/elementwise.h"

namespace ascendsim {

constexpr double kNormEpsilon = 1e-6;  // rms_norm_eps of DeepSeek-V3's config.json
constexpr double kRopeBase = 10000;    // rope_theta, likewise
constexpr double kInt8Steps = 127;

// y = x / sqrt(mean(x^2) + epsilon) * w, row by row.
template <class Scalar, class In, class Weight, class Out>
void norm_rows(const In& x, const Weight& w, Out&& y) {
  for (Eigen::Index r = 0; r < x.rows(); ++r) {
    const Scalar mean = x.row(r).squaredNorm() / static_cast<Scalar>(x.cols());
    y.row(r) = x.row(r).cwiseProduct(w.row(0)) / std::sqrt(mean + static_cast<Scalar>(kNormEpsilon));
  }
}

// A rotary embedding of `width` columns: pair i of the row at a position turns by position * base^(-2i / width). What the
// pairs are is the caller's business; heads of a row turn alike.
template <class Scalar>
class Rotation {
 public:
  template <class Positions>
  Rotation(const Positions& positions, Eigen::Index width) : cos_(positions.rows(), width / 2), sin_(cos_) {
    for (Eigen::Index i = 0; i < cos_.cols(); ++i) {
      const double frequency = portable_pow(kRopeBase, -2.0 * static_cast<double>(i) / static_cast<double>(width));
      for (Eigen::Index r = 0; r < cos_.rows(); ++r) {
        const auto [sine, cosine] = portable_sine_cosine(static_cast<double>(positions(r, 0)) * frequency);
        cos_(r, i) = static_cast<Scalar>(cosine);
        sin_(r, i) = static_cast<Scalar>(sine);
      }
    }
  }

  // Columns 2i and 2i + 1.
  template <class Columns>
  void turn_pairs(Columns&& x) const {
    turn(x, [](Eigen::Index i) { return std::pair(2 * i, 2 * i + 1); });
  }
  // Columns i and i + width / 2.
  template <class Columns>
  void turn_halves(Columns&& x) const {
    turn(x, [half = cos_.cols()](Eigen::Index i) { return std::pair(i, i + half); });
  }

 private:
  template <class Columns, class Pair>
  void turn(Columns& x, Pair pair) const {
    for (Eigen::Index r = 0; r < x.rows(); ++r)
      for (Eigen::Index i = 0; i < cos_.cols(); ++i) {
        const auto [a, b] = pair(i);
        const Scalar first = x(r, a), second = x(r, b);
        x(r, a) = first * cos_(r, i) - second * sin_(r, i);
        x(r, b) = first * sin_(r, i) + second * cos_(r, i);
      }
  }

  typename Tensors<Scalar>::Matrix cos_, sin_;
};

// int8 activations hold the numbers that their integers and scales stand for; without a calibration (fp64, fp16, ...)
// nothing is quantised. One scale a row, from its largest element:
template <class Scalar, class Rows>
void quantise_rows(const Tensors<Scalar>& t, Rows&& x) {
  if (t.calibration() == nullptr || x.cols() == 0) return;
  for (Eigen::Index r = 0; r < x.rows(); ++r) {
    const Scalar scale = x.row(r).cwiseAbs().maxCoeff() / static_cast<Scalar>(kInt8Steps);
    if (scale > 0) x.row(r) = (x.row(r) / scale).array().round() * scale;
  }
}

// One scale for all, known from calibration; what lies beyond its range is cut off. tensor: counts those of one
// operator.
template <class Scalar, class Rows>
void quantise_static(const Tensors<Scalar>& t, const OperatorView& op, int tensor, Rows&& x) {
  if (t.calibration() == nullptr || x.size() == 0) return;
  const auto scale =
      static_cast<Scalar>(t.calibration()->scale(op, tensor, static_cast<double>(x.cwiseAbs().maxCoeff())));
  if (scale <= 0) return;
  const auto steps = static_cast<Scalar>(kInt8Steps);
  x = ((x / scale).array().round().cwiseMax(-steps).cwiseMin(steps) * scale).matrix();
}

template <class Scalar>
void move_rows(std::span<const RowMove> moves, const typename Tensors<Scalar>::View& from,
               typename Tensors<Scalar>::View to) {
  for (const RowMove& m : moves)
    for (std::int32_t i = 0; i < m.repeats; ++i)
      to.middleRows(m.to + i * m.to_stride, m.rows) = from.middleRows(m.from + i * m.from_stride, m.rows);
}

// Rows [latent | rope key] into a cache. An int8 cache has the latent in its first bytes, then the 16-bit rope key,
// which takes twice its columns. tensor: as above.
template <class Scalar>
void store_latent(Tensors<Scalar>& t, const OperatorView& op, int tensor, const typename Tensors<Scalar>::Matrix& rows,
                  Eigen::Index latent_width, const Value& cache, std::span<const RowMove> moves) {
  using Matrix = typename Tensors<Scalar>::Matrix;
  Matrix stored = Matrix::Zero(rows.rows(), cache.columns);
  stored.leftCols(rows.cols()) = rows;
  if (cache.dtype == Dtype::kInt8) quantise_static(t, op, tensor, stored.leftCols(latent_width));
  using View = typename Tensors<Scalar>::View;
  move_rows<Scalar>(moves, View(stored.data(), stored.rows(), stored.cols(), Eigen::OuterStride<>(stored.cols())),
                    t[cache]);
}

}  // namespace ascendsim
