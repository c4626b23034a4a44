// Signs of life of a long calculation, on stderr: a line that is written over on a terminal, a line every ten seconds
// in a file. Nothing in the first second.
#pragma once

#include <chrono>
#include <string>

namespace ascendsim {

class Progress {
 public:
  Progress();
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  // Whether it is time for another line; cheap.
  [[nodiscard]] bool due();
  void say(const std::string& line);

 private:
  using Clock = std::chrono::steady_clock;
  bool terminal_;
  Clock::duration every_;
  Clock::time_point next_;
  bool said_ = false;
};

}  // namespace ascendsim
