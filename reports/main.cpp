#include <malloc.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <vector>

#include "reports/command_line/cli.h"
#include "reports/command_line/interrupt.h"

int main(int argc, char** argv) {
  // Programs of a few MB are built and dropped several times: giving the pages back in between costs a fifth of the
  // run.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 4 << 20);
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
