// Pictures of a comparison as SVG: where the time goes, and what each alternative puts on which rank.
#pragma once

#include <string>
#include <vector>

#include "strategies/search/comparison.h"

namespace ascendsim {

struct Picture {
  std::string file, svg;  // "prefill-time.svg"
};
// Stacked bars of each phase, and one picture for each alternative that runs, under the last load.
std::vector<Picture> pictures_of(const Comparison& comparison);

}  // namespace ascendsim
