#include "sim/drive.h"

#include <cstdlib>

#include "sim/check.h"

namespace ascendsim {

void report_stuck(std::span<const Program* const> programs, const Folding& folding, std::span<const Arrival> waiting) {
  std::string text = "the programs of the ranks do not match: ";
  auto next = waiting.begin();
  for (int c = 0; c < folding.classes(); ++c) {
    const int rank = folding.representative[static_cast<std::size_t>(c)];
    if (next == waiting.end() || next->rank_class != c) text += fmt::format("rank {} has finished; ", rank);
    for (; next != waiting.end() && next->rank_class == c; ++next) {
      const Operator& op = programs[static_cast<std::size_t>(c)]->operators[next->op];
      text += fmt::format("rank {} waits in '{}' (operator {}, layer {}); ", rank, op.label, next->op, op.layer);
    }
  }
  check(false, text);
  std::abort();
}

std::vector<StreamLine> stream_lines(std::span<const Program* const> programs) {
  std::vector<StreamLine> lines;
  for (std::size_t c = 0; c < programs.size(); ++c)
    for (StreamId s = 0; s < kMaxStreams; ++s) {
      StreamLine line{.rank_class = static_cast<int>(c), .stream = s, .operators = {}};
      for (std::size_t i = 0; i < programs[c]->operators.size(); ++i)
        if (programs[c]->operators[i].stream == s) line.operators.push_back(i);
      if (!line.operators.empty()) lines.push_back(std::move(line));
    }
  return lines;
}

}  // namespace ascendsim
