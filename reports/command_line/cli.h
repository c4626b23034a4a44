// The command line as a function: arguments in, exit code and text out.
#pragma once

#include <span>
#include <string>

namespace ascendsim {

enum ExitCode : int { kDone = 0, kAnswerIsNo = 1, kWrongInput = 2, kOurBug = 3, kInterrupted = 130 };

// args: without the program's name. `out` is data, `err` what is said about it.
int run_application(std::span<const std::string> args, std::string& out, std::string& err);

}  // namespace ascendsim
