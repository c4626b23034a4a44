// Ctrl-C. As long as someone can stop and say what is there, the first one asks for that; else, and the second time, the
// program ends at once.
#pragma once

namespace ascendsim {

void install_interrupt_handler();

class StopsWhenInterrupted {
 public:
  StopsWhenInterrupted();
  ~StopsWhenInterrupted();
  StopsWhenInterrupted(const StopsWhenInterrupted&) = delete;
  StopsWhenInterrupted& operator=(const StopsWhenInterrupted&) = delete;
  [[nodiscard]] static bool asked();
};

}  // namespace ascendsim
