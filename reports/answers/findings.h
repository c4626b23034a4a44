// Diagnostics as people, editors and CI want them.
#pragma once

#include <string>
#include <vector>

#include "reports/writers/table.h"
#include "sim/diagnostics.h"

namespace ascendsim {

std::string_view to_text(Severity severity);

// Errors and warnings in full, then the notes, one line each (in full when verbose).
std::string findings_text(const Diagnostics& diagnostics, bool verbose);
std::string warnings_text(const Diagnostics& diagnostics);
// One line each: a compiler's short form, or GitHub annotations (::error file=..,line=..,col=..::message).
std::string findings_lines(const Diagnostics& diagnostics, Format format);
// "2 errors, 1 warning"; empty when there is neither.
std::string count_in_words(const Diagnostics& diagnostics);
// What predictions rest on beside the numbers: every note with its place.
std::vector<std::string> notes(const Diagnostics& diagnostics);

}  // namespace ascendsim
