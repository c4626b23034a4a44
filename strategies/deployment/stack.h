// A software stack: engine, version and mode, with the figures that belong to it (never to a case).
// strategies/engines/stacks/<engine>-<version>.yaml
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hardware/catalogue.h"
#include "strategies/programs/step.h"

namespace ascendsim {

// Kernels that this stack has as one where others run two; each with where that is known from.
// add_rms_norm: the norm before attention adds the feed-forward part's result to the residual stream, and is no part of
// the fused prolog. add_rms_norm_cast: the norm before the experts puts its rows out in FP32 as well, for the router.
struct FusedKernels {
  bool add_rms_norm = false, add_rms_norm_cast = false;
};

struct Stack {
  std::string engine, version, source;
  std::string figures_of;  // the version that its figures were taken from; empty: its own
  std::string kernels;     // name of the kernel table in the catalogue
  FigureTable figures;
  bool communication_stream = true;  // collectives beside compute, not in line with it
  FusedKernels fused;
  // A graph that is built once holds its moves of rows around the feed-forward part as gathers over index lists: they
  // run in every step, also where no row is padding. Otherwise rows are padded and picked only where some are.
  bool moves_rows_by_index = false;
  double highest_memory_fraction = 1;  // the upper end of the figure's range
};

class StackLibrary {
 public:
  explicit StackLibrary(std::string folder);
  [[nodiscard]] std::vector<std::string> names() const;
  // The newest version of an engine, or the one asked for. `engine` may also be a whole name ("mindie-2026-04").
  Stack load(std::string_view engine, std::string_view version, Diagnostics&) const;

 private:
  [[nodiscard]] std::string find(std::string_view engine, std::string_view version, Diagnostics&) const;
  std::string folder_;
};

KernelFacts kernel_facts(const Stack& stack, const KernelTable& kernels);

}  // namespace ascendsim
