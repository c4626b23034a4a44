// Programs small enough to follow by hand: an operator that does nothing but read and write, and groups over few ranks.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "sim/check.h"
#include "sim/fold.h"
#include "sim/program.h"

namespace ascendsim {

struct NoParams {};
inline Work no_work(const OperatorView&) { return Work{.launches = 0}; }
inline constexpr OperatorType kTouch{"touch", no_work};

inline void touch(ProgramBuilder& p, const char* label, std::initializer_list<Value> in,
                  std::initializer_list<Value> out) {
  p.apply(kTouch, label, NoParams{}, in, out);
}

inline GroupKind group_kind(std::string name, std::vector<std::vector<int>> groups,
                            std::vector<std::uint64_t> signature = {}, bool ordered = false) {
  return {std::move(name), std::move(groups), std::move(signature), ordered};
}

inline std::vector<const Program*> pointers(std::span<const Program> programs) {
  std::vector<const Program*> out;
  for (const Program& p : programs) out.push_back(&p);
  return out;
}

// What an InternalError says behind "file:line: "; empty when nothing is thrown.
template <class Action>
std::string internal_error(Action action) {
  try {
    action();
  } catch (const InternalError& e) {
    const std::string text = e.what();
    return text.substr(text.find(": ") + 2);
  }
  return "";
}

}  // namespace ascendsim
