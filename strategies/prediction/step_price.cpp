#include "strategies/prediction/step_price.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "sim/executor.h"
#include "sim/repeat.h"
#include "sim/verifier.h"
#include "strategies/collectives/collective_cost.h"
#include "strategies/programs/expert_loads.h"
#include "strategies/programs/launching.h"
#include "strategies/programs/layer_sharding.h"
#include "strategies/programs/short_model.h"
#include "workloads/kernels.h"
#include "workloads/operators/routing.h"

namespace ascendsim {

namespace {

struct Priced {
  Program program;
  // Of the operators that were built: fewer than the program has, where equal layers were built once (`origin`).
  std::vector<Duration> ticks{};
  std::vector<Work> works{};  // of local operators, as are the bounds
  std::vector<Bound> bounds{};
  std::vector<std::uint32_t> collectives{};  // of collectives: where ProgramPricer::collective() has them
  std::vector<std::uint32_t> origin{};       // of the program's operators; empty = all were built
  double slowness = 1;                       // of the rank's computation against the mean
  [[nodiscard]] std::size_t built(std::size_t op) const { return origin.empty() ? op : origin[op]; }
  template <class T>
  [[nodiscard]] std::vector<T> of_each(std::vector<T> of_built) const {
    if (origin.empty() || of_built.empty()) return of_built;
    std::vector<T> out;
    out.reserve(origin.size());
    for (const std::uint32_t i : origin) out.push_back(of_built[i]);
    return out;
  }
  [[nodiscard]] Flops matrix() const {
    Flops sum{};
    for (std::size_t i = 0; i < program.operators.size(); ++i) sum += works[built(i)].matrix;
    return sum;
  }
  [[nodiscard]] std::int64_t slowed(Duration t) const {
    return slowness == 1 ? t.count() : std::llround(static_cast<double>(t.count()) * slowness);
  }
};

class ProgramPricer {
 public:
  // degraded: the links of a cluster with faults, or none; cluster: without its faults.
  ProgramPricer(const Deployment& deployment, const Cluster& cluster, ClusterNetwork* degraded,
                const KernelCost& kernels, const KernelFacts& facts, std::span<const GroupKind> groups,
                const Folding& folding)
      : deployment_(deployment),
        cluster_(cluster),
        degraded_(degraded),
        kernels_(kernels),
        kernel_gap_(facts.kernel_gap),
        fused_overlap_(facts.fused_moe_overlap),
        groups_(groups),
        folding_(folding) {}

  Priced operator()(Program program, std::size_t rank_class, double slowness) {
    const std::size_t n = program.operators.size();
    Priced priced{.program = std::move(program), .slowness = slowness};
    priced.ticks.resize(n);
    priced.works.resize(n);
    priced.bounds.resize(n);
    priced.collectives.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
      const OperatorView v = priced.program.view(i);
      if (v.op().type->primitive == Primitive::kNone) {
        const Work& work = priced.works[i] = v.op().type->work(v);
        const KernelTime t = kernels_.price(work);
        priced.ticks[i] = Duration(t.total.count() > 0 ? priced.slowed(t.total + kernel_gap_) : 0);
        priced.bounds[i] = t.bound;
      } else {
        priced.collectives[i] = collective(v, rank_class);
        priced.ticks[i] = memo_[priced.collectives[i]].time.time;
      }
    }
    overlap_fused(priced);
    return priced;
  }
  [[nodiscard]] std::vector<SlowedCollective> take_slowed() { return std::move(slowed_); }
  [[nodiscard]] const CollectiveTime& collective(const Priced& priced, std::size_t op) const {
    return memo_[priced.collectives[priced.built(op)]].time;
  }

 private:
  struct Memo {
    const OperatorType* type;
    int meeting;
    Bytes bytes;
    CollectiveTime time;
  };

  // Dispatch, products and combine of one kernel work on the rows of one expert after another: of exchange and products
  // the shorter hides a share of itself. The products keep their time, the exchange what shows of it.
  void overlap_fused(Priced& priced) const {
    std::size_t dispatch = 0;
    std::int64_t products = 0;
    for (std::size_t i = 0; i < priced.ticks.size(); ++i) {
      const Operator& op = priced.program.operators[i];
      if (op.type == &kFusedDispatch) {
        dispatch = i;
        products = 0;
      } else if (op.type == &kFusedCombine) {
        const std::int64_t exchange = (priced.ticks[dispatch] + priced.ticks[i]).count();
        if (exchange == 0) continue;
        const double hidden = fused_overlap_ * static_cast<double>(std::min(exchange, products));
        for (const std::size_t part : {dispatch, i})
          priced.ticks[part] -= Duration(
              std::llround(static_cast<double>(priced.ticks[part].count()) * hidden / static_cast<double>(exchange)));
      } else if (op.type->primitive == Primitive::kNone) {
        products += priced.ticks[i].count();
      }
    }
  }

  void note_slowed(const OperatorView& v, const CollectiveCall& call, const std::string& group, Duration time,
                   Duration added) {
    const auto known = std::ranges::find_if(
        slowed_, [&](const SlowedCollective& s) { return s.label == v.op().label && s.bytes == call.bytes; });
    if (known != slowed_.end()) {
      known->time = std::max(known->time, time + added);
      return;
    }
    slowed_.push_back(
        {v.op().label, std::string(to_text(call.primitive)), group, call.span.ranks, call.bytes, time + added, time});
  }

  // A step has a handful of different collectives, repeated in every layer.
  std::uint32_t collective(const OperatorView& v, std::size_t rank_class) {
    const OperatorType* type = v.op().type;
    const int meeting = folding_.meeting_of[rank_class][v.op().group];
    const Bytes bytes = v.params<CollectiveParams>().bytes;
    for (std::size_t i = 0; i < memo_.size(); ++i)
      if (memo_[i].type == type && memo_[i].meeting == meeting && memo_[i].bytes == bytes)
        return static_cast<std::uint32_t>(i);
    const auto& where = folding_.meetings[static_cast<std::size_t>(meeting)];
    const auto& ranks = groups_[where.kind].groups[static_cast<std::size_t>(where.representative_group)];
    CollectiveCall call{.primitive = type->primitive, .bytes = bytes, .span = cluster_.span_of(ranks)};
    call.moe_rows = type == &kAllToAllRows;
    std::vector<double> loads;
    if (moves_rows(call) && !deployment_.experts.rank_loads.empty())
      for (const int rank : ranks)
        loads.push_back(static_cast<double>(routed_load(deployment_, rank)) / RoutedRows::kEven);
    call.loads = loads;
    CollectiveTime time = collective_time(call, cluster_.server(), {nullptr, deployment_.expansion});
    if (degraded_ != nullptr) {
      const Duration added = added_by_faults(call, cluster_.server(), *degraded_, ranks);
      if (added > Duration{}) note_slowed(v, call, groups_[where.kind].name, time.time, added);
      time.time += added;
      time.transfer += added;
    }
    memo_.push_back({type, meeting, bytes, time});
    return static_cast<std::uint32_t>(memo_.size() - 1);
  }

  const Deployment& deployment_;
  const Cluster& cluster_;
  ClusterNetwork* degraded_;
  const KernelCost& kernels_;
  Duration kernel_gap_;
  double fused_overlap_;
  std::span<const GroupKind> groups_;
  const Folding& folding_;
  std::vector<Memo> memo_;
  std::vector<SlowedCollective> slowed_;
};

// Two lanes: how long compute takes while the other one computes too; never faster than alone. Kernels of prefill fill
// the die and take turns; those of decode run side by side on split cores, attention on the first lane, feed-forward
// parts on the second (decoder.cpp).
std::int64_t shared_ticks(const Operator& op, const Work& work, const Priced& priced, std::int64_t alone, Phase phase,
                          const SharedKernels& kernels, Duration kernel_gap) {
  if (phase == Phase::kPrefill) return 2 * alone;
  const bool second = op.stream >= kMaxStreams / 2;
  const KernelTime t = (second ? kernels.experts : kernels.attention).price(work);
  return std::max(alone, priced.slowed(t.total + kernel_gap));
}

// The part of a kernel that vector cores limit: how much longer it takes with half of them.
std::uint32_t vector_part(const Work& work, const Priced& priced, std::int64_t alone, const KernelCost& half_vector,
                          Duration kernel_gap) {
  if (work.groups > 0 && work.vector == Flops{}) return 0;  // matrix work alone
  const std::int64_t longer = priced.slowed(half_vector.price(work).total + kernel_gap) - alone;
  const double part = static_cast<double>(longer) / static_cast<double>(alone);
  return static_cast<std::uint32_t>(std::llround(std::clamp(part, 0.0, 1.0) * Contention::kWhole));
}

std::uint8_t port_load(Ratio load) {
  return static_cast<std::uint8_t>(
      std::clamp<long long>(std::llround(load.count() * PortUse::kFull), 1, PortUse::kFull));
}

// One lane has ports for itself, and needs no contention at all when its collectives leave vector cores alone.
Contention contention_of(const Priced& priced, const ProgramPricer& pricer, bool two_lanes, bool cores_taken,
                         Phase phase, const SharedKernels& kernels, Duration kernel_gap) {
  Contention c;
  const std::size_t n = priced.ticks.size();
  c.shared.resize(n);
  if (two_lanes) c.ports.resize(n);
  if (cores_taken) c.part.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    const Operator& op = priced.program.operators[i];
    const std::int64_t alone = priced.ticks[i].count();
    c.shared[i] = alone;
    if (alone == 0) continue;
    if (op.type->primitive == Primitive::kNone) {
      if (two_lanes) c.shared[i] = shared_ticks(op, priced.works[i], priced, alone, phase, kernels, kernel_gap);
      if (cores_taken) c.part[i] = vector_part(priced.works[i], priced, alone, kernels.half_vector, kernel_gap);
      continue;
    }
    const CollectiveTime& t = pricer.collective(priced, i);
    if (t.vector_cores > Ratio{}) c.shared[i] = std::llround(static_cast<double>(alone) / (1 - t.vector_cores.count()));
    if (two_lanes)
      c.ports[i] = {std::min(t.transfer.count(), alone), static_cast<std::uint8_t>(t.port), port_load(t.load)};
  }
  return c;
}

// Beside computation: on a communication stream.
bool takes_vector_cores(const Priced& priced, const ProgramPricer& pricer) {
  for (std::size_t i = 0; i < priced.ticks.size(); ++i) {
    const Operator& op = priced.program.operators[i];
    if (op.type->primitive != Primitive::kNone && !is_compute(op.stream) &&
        pricer.collective(priced, i).vector_cores > Ratio{})
      return true;
  }
  return false;
}

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
std::vector<Duration> attention_ends(std::span<const Priced> priced, const Timeline& timeline) {
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

void describe(StepTime& step, const Priced& priced, const ProgramPricer& pricer, std::span<const GroupKind> groups,
              const KernelCost& kernels) {
  RowTable table;
  Bytes memory{};
  Duration matrix{};
  const Program& program = priced.program;
  for (std::size_t i = 0; i < program.operators.size(); ++i) {
    const OperatorView v = program.view(i);
    OperatorRow& row = table.row(v.op());
    const std::size_t built = priced.built(i);
    row.time += priced.ticks[built];
    if (v.op().type->primitive == Primitive::kNone) {
      const Work& w = priced.works[built];
      if (w.launches == 0) continue;
      row.flops += w.matrix;
      row.bytes += w.read + w.written;
      step.kernels.set(w.family);
      if (row.count++ == 0) {
        row.limit = to_text(priced.bounds[built]);
        row.source = "kernels: " + std::string(kKernelNames[w.family]);
      }
      add_flops(step.flops, w);
      memory += w.read + w.written;
      matrix += kernels.matrix_at_peak(w);
      continue;
    }
    const auto& params = v.params<CollectiveParams>();
    const Bytes sent = bytes_sent(v.op().type->primitive, params);
    row.bytes += sent;
    const CollectiveChoice& choice = pricer.collective(priced, i).choice;
    if (row.count++ == 0) {
      row.limit = to_text(choice);
      row.source = "collectives: " + row.limit;
    }
    const std::string_view primitive = to_text(v.op().type->primitive);
    const std::string& group = groups[v.op().group].name;
    auto known = std::ranges::find_if(step.collective_rows, [&](const CollectiveRow& r) {
      return r.label == v.op().label && r.group == group && r.bytes == params.bytes;
    });
    if (known == step.collective_rows.end()) {
      step.collective_rows.push_back({v.op().label, std::string(primitive), group, to_text(choice), 0, params.bytes});
      known = step.collective_rows.end() - 1;
    }
    ++known->count;
    known->sent += sent;
    known->time += priced.ticks[built];
  }
  step.operator_rows = table.take();
  step.speed_of_light = std::max(matrix, kernels.memory_at_peak(memory));
}

}  // namespace

StepPricer::StepPricer(const Deployment& deployment, const KernelFacts& facts, const Cluster& cluster,
                       const KernelCost& kernels, SharedKernels shared, HostFigures host)
    : deployment_(deployment),
      facts_(facts),
      cluster_(cluster),
      kernels_(kernels),
      shared_(shared),
      host_(host),
      groups_(rank_groups(deployment.layout, cluster)) {
  if (cluster.faults().empty()) return;
  healthy_ = std::make_unique<Cluster>(cluster.server(), cluster.servers(), cluster.ranks_per_server());
  LinkShares nominal;
  nominal.fill(Ratio(1));
  degraded_ = std::make_unique<ClusterNetwork>(cluster, nominal);
}

StepTime StepPricer::price(const Step& step, bool fold_ranks, bool repeat_layers) const {
  const auto ranks = static_cast<std::size_t>(deployment_.layout.world());
  std::vector<std::uint64_t> roles(ranks);
  for (std::size_t r = 0; r < ranks; ++r) roles[r] = role_of(deployment_, step, static_cast<std::int64_t>(r));
  const Folding folding = fold_ranks ? fold(roles, groups_) : unfolded(ranks, groups_);

  std::vector<double> slowness;
  if (deployment_.compute_skew > 0)
    slowness = compute_slowness(deployment_.layout.world(), deployment_.compute_skew, deployment_.experts.seed);
  ProgramPricer pricer(deployment_, healthy_ ? *healthy_ : cluster_, degraded_.get(), kernels_, facts_, groups_,
                       folding);
  // A layer that only follows others, the one that then occurs again and again, and the last.
  constexpr std::int64_t kBuilt = 4;
  // Weights that are broadcast ahead come from one layer after another: no layer stands for others.
  const bool fetches = step.phase == Phase::kPrefill && (shards_o_proj(deployment_) || shards_q_b(deployment_));
  const bool pushed =
      deployment_.kv_transfer.layer_wise && step.phase == Phase::kPrefill;  // each layer's cache has its own time
  const ShortModel model(deployment_, repeat_layers && !pushed && !fetches ? kBuilt : deployment_.model.layers);
  std::vector<Priced> priced;
  std::vector<const Program*> programs;
  for (const int rank : folding.representative)
    priced.push_back(pricer(build_program(model.deployment, step, facts_, rank), priced.size(),
                            slowness.empty() ? 1 : slowness[static_cast<std::size_t>(rank)]));
  for (const Priced& p : priced) programs.push_back(&p.program);
  verify(programs, folding);

  // ... and travel beside other collectives, as those of a second lane do.
  const bool two_lanes = fetches || splits_into_micro_batches(deployment_, step);
  const bool cores_taken = std::ranges::any_of(priced, [&](const Priced& p) { return takes_vector_cores(p, pricer); });
  std::vector<Contention> contention;
  if (two_lanes || cores_taken)
    for (const Priced& p : priced)
      contention.push_back(contention_of(p, pricer, two_lanes, cores_taken, step.phase, shared_, facts_.kernel_gap));
  if (model.dropped > 0) {
    std::vector<std::optional<Stretch>> stretches;
    for (const Priced& p : priced)
      stretches.push_back(stretch_of(p.program, static_cast<int>(model.first + kBuilt - 2), 1 + model.dropped));
    if (std::ranges::any_of(stretches, [](const auto& s) { return !s; })) return price(step, fold_ranks, false);
    for (std::size_t c = 0; c < priced.size(); ++c) priced[c].origin = repeat(priced[c].program, *stretches[c]);
    for (std::size_t c = 0; c < contention.size(); ++c)
      contention[c] = {priced[c].of_each(std::move(contention[c].shared)),
                       priced[c].of_each(std::move(contention[c].part)),
                       priced[c].of_each(std::move(contention[c].ports))};
  }

  const Launching launched = launching(deployment_, step);
  const bool replayed = launched.how == Launching::How::kStack || launched.how == Launching::How::kGraph;
  // Prefill drafts once, over all prompt tokens.
  const std::int64_t drafts = step.phase == Phase::kDecode ? deployment_.features.speculative_tokens
                                                           : deployment_.features.speculative_tokens > 0;
  const HostModel host{host_.before_step + host_.before_draft * drafts, replayed ? host_.issue : host_.eager_issue};
  std::vector<std::vector<Node>> nodes;
  for (const Priced& p : priced)
    nodes.push_back(lower(p.program, p.of_each(p.ticks),
                          launched.how == Launching::How::kPieces ? Issued::kOutsideGraphs : Issued::kEveryKernel));
  ExecutionTrace trace;
  const SweepResult swept = contention.empty()
                                ? sweep(programs, nodes, folding, host, pushed ? &trace.timeline : nullptr)
                                : execute(programs, nodes, folding, host, contention, pushed ? &trace : nullptr);

  // The rank that computes longest is the one to explain: the others wait for it.
  const auto busy = [&](std::size_t c) { return swept.classes[c].finish - swept.classes[c].waiting; };
  std::size_t slowest = 0;
  for (std::size_t c = 1; c < swept.classes.size(); ++c)
    if (busy(c) > busy(slowest)) slowest = c;
  const ClassTime& t = swept.classes[slowest];
  // Where two lanes compute at once, busy times overlap: the parts share the time in which anything computes.
  Duration busy_sum{};
  for (const Category c : {Category::kAttention, Category::kLinear, Category::kMoe, Category::kVector})
    busy_sum += t.by_category[static_cast<std::size_t>(c)];
  const auto category = [&](Category c) {
    const Duration spent = t.by_category[static_cast<std::size_t>(c)];
    if (busy_sum == t.computing) return spent;
    const double share = static_cast<double>(spent.count()) / static_cast<double>(busy_sum.count());
    return Duration(std::llround(share * static_cast<double>(t.computing.count())));
  };
  StepTime out{.total = swept.finish,
               .classes = folding.classes(),
               .launched = to_text(launched, deployment_, step),
               .operators = priced[slowest].program.operators.size(),
               .attention = category(Category::kAttention),
               .linear = category(Category::kLinear),
               .moe = category(Category::kMoe),
               .vector = category(Category::kVector),
               .communication = t.by_category[kCommunicationCategory],
               .exposed_communication = t.exposed_communication,
               .waiting = t.waiting,
               .host = t.host,
               .longest_wait = std::ranges::max_element(swept.classes, {}, &ClassTime::waiting)->waiting};
  for (std::size_t c = 0; c < priced.size(); ++c) out.performed += priced[c].matrix() * folding.ranks_in_class[c];
  out.computing = t.computing;
  out.idle = std::max(Duration{}, out.total - t.computing - out.exposed_communication - out.host);
  out.slowed = pricer.take_slowed();
  if (pushed) out.attention_ends = attention_ends(priced, trace.timeline);
  describe(out, priced[slowest], pricer, groups_, kernels_);
  return out;
}

Flops work_once(const Deployment& deployment, const Step& step, const KernelFacts& facts) {
  Deployment alone = deployment;
  alone.layout = {};
  alone.stage = {};
  alone.experts = {};
  alone.token_split_prefill = false;
  alone.micro_batches = 1;
  alone.graph = {};
  // MoE layers are alike: the first of them stands for all.
  const std::int64_t repeated = alone.model.dense_layers;
  const std::int64_t times = std::max<std::int64_t>(1, alone.model.layers - repeated);
  alone.model.layers = std::min(alone.model.layers, repeated + 1);
  // Group by group: a group's requests are all alike.
  Flops sum{};
  std::vector<std::pair<GroupLoad, Flops>> known;
  for (const GroupLoad& load : step.load) {
    if (load.sequences == 0) continue;
    auto at = std::ranges::find(known, load, &std::pair<GroupLoad, Flops>::first);
    if (at == known.end()) {
      const Program program = build_program(alone, {step.phase, {load}}, facts, 0);
      Flops work{};
      for (std::size_t i = 0; i < program.operators.size(); ++i) {
        const OperatorView v = program.view(i);
        if (v.op().type->primitive != Primitive::kNone) continue;
        work += v.op().type->work(v).matrix * (v.op().layer == repeated ? times : 1);
      }
      at = known.insert(known.end(), {load, work});
    }
    sum += at->second;
  }
  return sum;
}

}  // namespace ascendsim
