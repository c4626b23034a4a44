#include "strategies/prediction/step_report.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace ascendsim {

namespace {

class RowTable {
 public:
  OperatorRow& row(const Operator& op) {
    // Labels have static storage: nearly always the pointer has been seen, and no text is compared.
    for (const Seen& s : seen_)
      if (s.label == op.label && s.category == op.category) return rows_[s.row];
    auto known = std::ranges::find_if(
        rows_, [&](const OperatorRow& r) { return r.category == op.category && r.label == op.label; });
    if (known == rows_.end())
      known = rows_.insert(rows_.end(), OperatorRow{.label = op.label, .category = op.category});
    seen_.push_back({op.label, op.category, static_cast<std::size_t>(known - rows_.begin())});
    return *known;
  }
  std::vector<OperatorRow> take() {
    std::erase_if(rows_, [](const OperatorRow& r) { return r.time.count() == 0; });
    std::ranges::stable_sort(rows_, [](const auto& a, const auto& b) { return a.time > b.time; });
    return std::move(rows_);
  }

 private:
  struct Seen {
    const char* label;
    std::uint8_t category;
    std::size_t row;
  };
  std::vector<Seen> seen_;
  std::vector<OperatorRow> rows_;
};

void add_flops(MatrixFlops& sum, const Work& w) {
  switch (w.matrix_type) {
    case MatrixType::k16Bit:
      sum.bits16 += w.matrix;
      break;
    case MatrixType::kInt8:
      sum.int8 += w.matrix;
      break;
    case MatrixType::kFp32:
      sum.fp32 += w.matrix;
      break;
    case MatrixType::kNone:
      break;
  }
}

// When each layer's attention is done on all ranks.
std::vector<Duration> attention_ends(std::span<const PricedProgram> priced, const Timeline& timeline) {
  std::map<int, std::int64_t> ends;
  for (std::size_t c = 0; c < priced.size(); ++c)
    for (std::size_t i = 0; i < timeline[c].size(); ++i) {
      const Operator& op = priced[c].program.operators[i];
      if (op.category != static_cast<std::uint8_t>(Category::kAttention) || op.type->primitive != Primitive::kNone)
        continue;
      std::int64_t& end = ends[op.layer];
      end = std::max(end, timeline[c][i].end);
    }
  std::vector<Duration> out;
  for (const auto& [layer, end] : ends) out.emplace_back(end);
  return out;
}

void add_local(StepTime& step, OperatorRow& row, const Work& w, Bound bound, Duration time, const KernelCost& kernels) {
  if (w.launches == 0) return;
  row.flops += w.matrix;
  row.bytes += w.read + w.written;
  step.kernels.set(w.family);
  if (row.count++ == 0) {
    row.limit = to_text(bound);
    row.terms = kernels.terms(w);
    constexpr double kNoTime = 1e-12;  // seconds
    for (double& term : row.terms) term /= std::max(kNoTime, seconds(time));
    row.source = "kernels: " + std::string(kKernelNames[w.family]);
  }
  add_flops(step.flops, w);
}

void add_collective(StepTime& step, OperatorRow& row, const OperatorView& v, const CollectiveChoice& choice,
                    const std::string& group, Duration time) {
  const auto& params = v.params<CollectiveParams>();
  const Bytes sent = bytes_sent(v.op().type->primitive, params);
  row.bytes += sent;
  if (row.count++ == 0) {
    row.limit = to_text(choice);
    row.source = "collectives: " + row.limit;
  }
  auto known = std::ranges::find_if(step.collective_rows, [&](const CollectiveRow& r) {
    return r.label == v.op().label && r.group == group && r.bytes == params.bytes;
  });
  if (known == step.collective_rows.end()) {
    step.collective_rows.push_back(
        {v.op().label, std::string(to_text(v.op().type->primitive)), group, to_text(choice), 0, params.bytes});
    known = step.collective_rows.end() - 1;
  }
  ++known->count;
  known->sent += sent;
  known->time += time;
}

void add_rows(StepTime& step, const PricedProgram& priced, const ProgramPricer& pricer,
              std::span<const GroupKind> groups, const KernelCost& kernels) {
  RowTable table;
  Bytes memory{};
  Duration matrix{};
  const Program& program = priced.program;
  for (std::size_t i = 0; i < program.operators.size(); ++i) {
    const OperatorView v = program.view(i);
    OperatorRow& row = table.row(v.op());
    const std::size_t built = priced.built(i);
    row.time += priced.ticks[built];
    if (v.op().type->primitive != Primitive::kNone) {
      add_collective(step, row, v, pricer.collective(priced, i).choice, groups[v.op().group].name, priced.ticks[built]);
      continue;
    }
    const Work& w = priced.works[built];
    add_local(step, row, w, priced.bounds[built], priced.ticks[built], kernels);
    if (w.launches == 0) continue;
    memory += w.read + w.written;
    matrix += kernels.matrix_at_peak(w);
  }
  step.operator_rows = table.take();
  step.speed_of_light = std::max(matrix, kernels.memory_at_peak(memory));
}

// The rank that computes longest is the one to explain: the others wait for it.
std::size_t slowest_class(const SweepResult& swept) {
  const auto busy = [&](std::size_t c) { return swept.classes[c].finish - swept.classes[c].waiting; };
  std::size_t slowest = 0;
  for (std::size_t c = 1; c < swept.classes.size(); ++c)
    if (busy(c) > busy(slowest)) slowest = c;
  return slowest;
}

// Where two lanes compute at once, busy times overlap: the parts share the time in which anything computes.
void add_parts(StepTime& out, const ClassTime& t) {
  constexpr std::pair<Category, Duration StepTime::*> kParts[] = {{Category::kAttention, &StepTime::attention},
                                                                  {Category::kLinear, &StepTime::linear},
                                                                  {Category::kMoe, &StepTime::moe},
                                                                  {Category::kVector, &StepTime::vector}};
  const auto spent = [&](Category c) { return t.by_category[static_cast<std::size_t>(c)]; };
  Duration busy_sum{};
  for (const auto& [category, part] : kParts) busy_sum += spent(category);
  for (const auto& [category, part] : kParts) {
    out.*part = spent(category);
    if (busy_sum == t.computing) continue;
    const double share = static_cast<double>(spent(category).count()) / static_cast<double>(busy_sum.count());
    out.*part = Duration(std::llround(share * static_cast<double>(t.computing.count())));
  }
  out.communication = t.by_category[kCommunicationCategory];
  out.exposed_communication = t.exposed_communication;
  out.waiting = t.waiting;
  out.host = t.host;
  out.computing = t.computing;
  out.idle = std::max(Duration{}, out.total - t.computing - out.exposed_communication - out.host);
}

}  // namespace

StepTime report(const SweptStep& step, const ProgramPricer& pricer, std::span<const GroupKind> groups,
                const KernelCost& kernels) {
  const std::size_t slowest = slowest_class(step.swept);
  StepTime out{.total = step.swept.finish,
               .classes = step.folding.classes(),
               .operators = step.programs[slowest].program.operators.size(),
               .longest_wait = std::ranges::max_element(step.swept.classes, {}, &ClassTime::waiting)->waiting};
  add_parts(out, step.swept.classes[slowest]);
  for (std::size_t c = 0; c < step.programs.size(); ++c)
    out.performed += step.programs[c].matrix() * step.folding.ranks_in_class[c];
  if (step.timeline != nullptr) out.attention_ends = attention_ends(step.programs, *step.timeline);
  add_rows(out, step.programs[slowest], pricer, groups, kernels);
  return out;
}

}  // namespace ascendsim
