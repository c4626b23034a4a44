#include <cerrno>
#include <cstdio>
#include <string>
#include <vector>

#include "reports/command_line/cli.h"
#include "reports/command_line/interrupt.h"
#include "sim/heap.h"

int main(int argc, char** argv) {
  ascendsim::keep_freed_memory();
  ascendsim::install_interrupt_handler();
  const std::vector<std::string> args(argv + 1, argv + argc);
  std::string out, err;
  int code = ascendsim::run_application(args, out, err);
  std::fwrite(err.data(), 1, err.size(), stderr);
  const bool written = std::fwrite(out.data(), 1, out.size(), stdout) == out.size() && std::fflush(stdout) == 0;
  // A reader that has seen enough is no failure; a full disk is.
  if (!written && errno != EPIPE) {
    std::perror("ascendsim: cannot write to standard output");
    code = ascendsim::kWrongInput;
  }
  return code;
}
