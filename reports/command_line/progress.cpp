#include "reports/command_line/progress.h"

#include <unistd.h>

#include <cstdio>

namespace ascendsim {

Progress::Progress()
    : terminal_(isatty(STDERR_FILENO) != 0),
      every_(terminal_ ? std::chrono::milliseconds(500) : std::chrono::seconds(10)),
      next_(Clock::now() + (terminal_ ? Clock::duration(std::chrono::seconds(1)) : every_)) {}

Progress::~Progress() {
  if (terminal_ && said_) std::fputs("\r\x1b[K", stderr);
}

bool Progress::due() { return Clock::now() >= next_; }

void Progress::say(const std::string& line) {
  std::fprintf(stderr, terminal_ ? "\r\x1b[K%s" : "%s\n", line.c_str());
  std::fflush(stderr);
  said_ = true;
  next_ = Clock::now() + every_;
}

}  // namespace ascendsim
