// Degraded fabrics as data: which links of a cluster are slow or down. A YAML file,
//   faults:
//     - {link: hccs, server: 0, dies: [3, 5], remaining: 0}         A2: between two dies; remaining = share of the
//     bandwidth
//     - {link: sio, server: 0, dies: [0, 1], remaining: 0.5}        A3: between the dies of a package
//     - {link: ub, server: 1, die: 4, plane: 2, remaining: 0}       A3: a die's port into one plane, into all without
//     `plane`
//     - {link: ub-uplink, server: 1, plane: 2, remaining: 0}        A3: a plane of the server to L2, all without
//     `plane`
//     - {link: roce, server: 0, die: 7, remaining: 0}               a NIC, lost here
//     - {link: roce-uplink, leaf: 0, remaining: 0.5}                a leaf switch to the spine
// Both directions of a link are hit alike. Servers, dies, planes and leaves count from 0.
#pragma once

#include <string>
#include <vector>

#include "hardware/link_graph.h"

namespace ascendsim {

// E0213 for what the cluster does not have, E0214 for an unknown word, E0215 for a share outside of 0 <= share < 1 and
// a link that is named twice. `healthy`: the cluster without faults.
std::vector<LinkFault> read_faults(const std::string& path, const Cluster& healthy, Diagnostics& diagnostics);

}  // namespace ascendsim
