#include "reports/command_line/interrupt.h"

#include <atomic>
#include <csignal>
#include <cstdlib>

#include "reports/command_line/cli.h"

namespace ascendsim {

namespace {

std::atomic<bool> can_stop{false}, interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may touch them");

void on_interrupt(int) {
  if (can_stop && !interrupted.exchange(true)) return;
  std::_Exit(kInterrupted);
}

}  // namespace

void install_interrupt_handler() { std::signal(SIGINT, on_interrupt); }

StopsWhenInterrupted::StopsWhenInterrupted() {
  interrupted = false;
  can_stop = true;
}
StopsWhenInterrupted::~StopsWhenInterrupted() { can_stop = false; }
bool StopsWhenInterrupted::asked() { return interrupted; }

}  // namespace ascendsim
