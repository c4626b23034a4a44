#include "strategies/prediction/contention.h"

#include <algorithm>
#include <cmath>

namespace ascendsim {

namespace {

// Two lanes: how long compute takes while the other one computes too; never faster than alone. Kernels of prefill fill
// the die and take turns; those of decode run side by side on split cores, attention on the first lane, feed-forward
// parts on the second (decoder.cpp).
std::int64_t shared_ticks(const Operator& op, const Work& work, const PricedProgram& priced, std::int64_t alone,
                          const Sharing& s) {
  if (s.phase == Phase::kPrefill) return 2 * alone;
  const bool second = op.stream >= kMaxStreams / 2;
  const KernelTime t = (second ? s.kernels.experts : s.kernels.attention).price(work);
  return std::max(alone, priced.slowed(t.total + s.kernel_gap));
}

// The part of a kernel that vector cores limit: how much longer it takes with half of them.
std::uint32_t vector_part(const Work& work, const PricedProgram& priced, std::int64_t alone, const Sharing& s) {
  if (work.groups > 0 && work.vector == Flops{}) return 0;  // matrix work alone
  const std::int64_t longer = priced.slowed(s.kernels.half_vector.price(work).total + s.kernel_gap) - alone;
  const double part = static_cast<double>(longer) / static_cast<double>(alone);
  return static_cast<std::uint32_t>(std::llround(std::clamp(part, 0.0, 1.0) * Contention::kWhole));
}

std::uint8_t port_load(Ratio load) {
  return static_cast<std::uint8_t>(
      std::clamp<long long>(std::llround(load.count() * PortUse::kFull), 1, PortUse::kFull));
}

// One lane has ports for itself, and needs no contention at all when its collectives leave vector cores alone.
Contention contention_of(const PricedProgram& priced, const ProgramPricer& pricer, const Sharing& s, bool cores_taken) {
  Contention c;
  const std::size_t n = priced.ticks.size();
  c.shared.resize(n);
  if (s.two_lanes) c.ports.resize(n);
  if (cores_taken) c.part.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    const Operator& op = priced.program.operators[i];
    const std::int64_t alone = priced.ticks[i].count();
    c.shared[i] = alone;
    if (alone == 0) continue;
    if (op.type->primitive == Primitive::kNone) {
      if (s.two_lanes) c.shared[i] = shared_ticks(op, priced.works[i], priced, alone, s);
      if (cores_taken) c.part[i] = vector_part(priced.works[i], priced, alone, s);
      continue;
    }
    const CollectiveTime& t = pricer.collective(priced, i);
    if (t.vector_cores > Ratio{}) c.shared[i] = std::llround(static_cast<double>(alone) / (1 - t.vector_cores.count()));
    if (s.two_lanes)
      c.ports[i] = {std::min(t.transfer.count(), alone), static_cast<std::uint8_t>(t.port), port_load(t.load)};
  }
  return c;
}

// Beside computation: on a communication stream.
bool takes_vector_cores(const PricedProgram& priced, const ProgramPricer& pricer) {
  for (std::size_t i = 0; i < priced.ticks.size(); ++i) {
    const Operator& op = priced.program.operators[i];
    if (op.type->primitive != Primitive::kNone && !is_compute(op.stream) &&
        pricer.collective(priced, i).vector_cores > Ratio{})
      return true;
  }
  return false;
}

}  // namespace

std::vector<Contention> contention_of(std::span<const PricedProgram> programs, const ProgramPricer& pricer,
                                      const Sharing& sharing) {
  const bool cores_taken =
      std::ranges::any_of(programs, [&](const PricedProgram& p) { return takes_vector_cores(p, pricer); });
  std::vector<Contention> out;
  if (sharing.two_lanes || cores_taken)
    for (const PricedProgram& p : programs) out.push_back(contention_of(p, pricer, sharing, cores_taken));
  return out;
}

}  // namespace ascendsim
