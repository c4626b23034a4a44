// A picture of a cluster's links: as Graphviz text, or as SVG with a layout of our own (nothing needs to be installed).
// Servers that are alike are drawn once with their number; servers with a fault are drawn for themselves.
#pragma once

#include <string>

#include "hardware/link_graph.h"

namespace ascendsim {

std::string fabric_dot(const Cluster& cluster);
std::string fabric_svg(const Cluster& cluster);

}  // namespace ascendsim
