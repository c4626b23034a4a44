#include "sim/data_flow.h"

#include "sim/drive.h"

namespace ascendsim {

// The machine (drive.h) that only notes who wrote what. Members of a collective write each into their own buffers.
class DataFlow::Observer {
 public:
  explicit Observer(std::span<const Program* const> programs) : programs_(programs) {
    for (const Program* p : programs) {
      writers.found.emplace_back(p->values.size());
      writers.last.emplace_back(p->buffers.size());
    }
  }

  void local(int rank, std::size_t op) {
    const auto r = static_cast<std::size_t>(rank);
    const Program& p = *programs_[r];
    const Operator& o = p.operators[op];
    const std::uint32_t outputs = o.operands + o.inputs, end = outputs + o.outputs;
    for (std::uint32_t v = o.operands; v < end; ++v) writers.found[r][v] = writers.last[r][p.values[v].buffer];
    for (std::uint32_t v = outputs; v < end; ++v)
      writers.last[r][p.values[v].buffer] = static_cast<std::uint32_t>(op + 1);
  }

  void exchange(const Folding::Meeting&, std::span<const Arrival> arrivals) {
    for (const Arrival& a : arrivals) local(a.rank_class, a.op);
  }

  Writers writers;

 private:
  std::span<const Program* const> programs_;
};

DataFlow::DataFlow(std::span<const Program* const> programs, std::span<const GroupKind> kinds)
    : programs_(programs), folding_(unfolded(programs.size(), kinds)) {
  Observer observer(programs_);
  drive(programs_, folding_, observer);
  in_program_order_ = std::move(observer.writers);
}

bool DataFlow::same_in(std::uint64_t order) const {
  Observer observer(programs_);
  drive_streams(programs_, folding_, observer, order);
  return observer.writers == in_program_order_;
}

}  // namespace ascendsim
