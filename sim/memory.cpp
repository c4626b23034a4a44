#include "sim/memory.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>

namespace ascendsim {

std::vector<TensorBytes> tensors(const Program& program, BufferKind kind) {
  using Identity = std::tuple<std::string_view, std::int32_t, std::int32_t, std::int32_t, std::int32_t>;
  std::set<Identity> seen;  // operators of one program may name the same slice more than once
  std::vector<TensorBytes> out;
  for (const Buffer& b : program.buffers) {
    if (b.kind != kind) continue;
    const TensorSlice& s = program.slices[b.slice];
    if (seen.emplace(s.key, s.layer, s.row, s.column, s.first_expert).second)
      out.push_back({s, b.allocated(), s.extra});
  }
  return out;
}

ActivationPeak activation_peak(const Program& program) {
  struct Lifetime {
    std::uint32_t first = kNoWait, last = 0;
  };
  std::vector<Lifetime> life(program.buffers.size());
  const std::size_t n = program.operators.size();
  for (std::size_t i = 0; i < n; ++i) {
    const Operator& op = program.operators[i];
    for (std::uint32_t v = op.operands; v < op.operands + op.inputs + op.outputs; ++v) {
      Lifetime& l = life[program.values[v].buffer];
      l.first = std::min(l.first, static_cast<std::uint32_t>(i));
      l.last = std::max(l.last, static_cast<std::uint32_t>(i));
    }
  }
  const auto counts = [&](std::size_t b) {
    const BufferKind kind = program.buffers[b].kind;
    return (kind == BufferKind::kActivation || kind == BufferKind::kInput) && life[b].first != kNoWait;
  };
  std::vector<std::int64_t> change(n + 1, 0);
  for (std::size_t b = 0; b < life.size(); ++b) {
    if (!counts(b)) continue;
    change[life[b].first] += program.buffers[b].allocated().count();
    change[life[b].last + 1] -= program.buffers[b].allocated().count();
  }
  ActivationPeak peak;
  std::int64_t now = 0;
  for (std::size_t i = 0; i < n; ++i) {
    now += change[i];
    if (now > peak.bytes.count()) peak = {Bytes(now), i, {}};
  }
  for (std::size_t b = 0; b < life.size(); ++b)
    if (counts(b) && life[b].first <= peak.at && peak.at <= life[b].last)
      peak.live.push_back({program.operators[life[b].first].label, program.buffers[b].allocated()});
  std::ranges::stable_sort(peak.live, [](const auto& x, const auto& y) { return x.bytes > y.bytes; });
  return peak;
}

}  // namespace ascendsim
