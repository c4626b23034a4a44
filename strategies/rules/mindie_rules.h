// What MindIE allows: the rules of its documentation and of mapping.py, each a function with its citation. A rule about a
// key that is absent never errs; the importer has printed what it assumes.
#pragma once

#include "hardware/link_graph.h"
#include "strategies/importers/mindie.h"

namespace ascendsim {

// Rules about the file alone, and about its ranks on these servers (server.dies() dies each).
void check_mindie(const Import& import, const Server& server, int servers, Diagnostics& diagnostics);

// Rules about a load: prompt and output lengths, requests side by side.
void check_workload(const Deployment& deployment, const Workload& workload, Diagnostics& diagnostics);

}  // namespace ascendsim
