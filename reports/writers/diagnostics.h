// Diagnostics as people, editors and CI want them.
#pragma once

#include <string>

#include "reports/writers/writers.h"

namespace ascendsim {

// Errors and warnings in full, then the notes, one line each (in full when verbose).
std::string findings_text(const Diagnostics& diagnostics, bool verbose);
std::string warnings_text(const Diagnostics& diagnostics);
// One line each: a compiler's short form, or GitHub annotations (::error file=..,line=..,col=..::message).
std::string findings_lines(const Diagnostics& diagnostics, Format format);

}  // namespace ascendsim
