// The graph behind Cluster (Boost.Graph). Only files that walk links include it: the library's headers cost more to
// compile than all of ours.
#pragma once

#include <boost/graph/adjacency_list.hpp>

#include "hardware/link_graph.h"

namespace ascendsim {

// A type of its own rather than an alias, so that link_graph.h can declare it without the library.
struct LinkGraphStorage : boost::adjacency_list<boost::vecS, boost::vecS, boost::bidirectionalS, Vertex, Link> {};

}  // namespace ascendsim
