// Where the sources lie. A function and not a definition on the command line, so that only one file is compiled for the
// place where the tree stands.
#pragma once

#include <string>

namespace ascendsim {

// source_path("examples") is the absolute path of that folder; without an argument, of the tree.
std::string source_path(const char* inside = "");

}  // namespace ascendsim
