#include "sim/executor.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <optional>

#include "sim/account.h"
#include "sim/drive.h"

namespace ascendsim {

namespace {

constexpr std::int64_t kNoTime = std::numeric_limits<std::int64_t>::max();

constexpr std::string_view kTooSlow = "a slowed operator takes longer than time lasts";

// ceil(value * numerator / denominator). REQUIRES: value, numerator >= 0, denominator > 0.
std::int64_t scale_up(std::int64_t value, std::int64_t numerator, std::int64_t denominator) {
  std::int64_t product = 0;
  if (!__builtin_mul_overflow(value, numerator, &product)) [[likely]]
    return product / denominator + (product % denominator != 0 ? 1 : 0);
  const unsigned __int128 wide = static_cast<unsigned __int128>(value) * static_cast<std::uint64_t>(numerator);
  const auto divisor = static_cast<std::uint64_t>(denominator);
  const unsigned __int128 scaled = wide / divisor + (wide % divisor != 0 ? 1 : 0);
  check(scaled <= static_cast<std::uint64_t>(kNoTime), kTooSlow);
  return static_cast<std::int64_t>(scaled);
}

// The earliest of a fixed number of slots, each with one due time: a tournament tree. Replacing a time costs one walk
// to the root, where a heap would remove and insert.
class Agenda {
 public:
  explicit Agenda(std::size_t slots) : leaves_(std::bit_ceil(std::max<std::size_t>(slots, 2))), tree_(2 * leaves_) {
    for (std::size_t i = 0; i < tree_.size(); ++i) tree_[i] = {kNoTime, i % leaves_};
  }
  struct Entry {
    std::int64_t due;
    std::size_t slot;
  };
  [[nodiscard]] const Entry& first() const { return tree_[1]; }
  void set(std::size_t slot, std::int64_t due) {
    Entry winner{due, slot};
    std::size_t at = leaves_ + slot;
    tree_[at] = winner;
    for (; at > 1; at /= 2) {
      const Entry& rival = tree_[at ^ 1];
      winner = rival.due < winner.due ? rival : winner;
      tree_[at / 2] = winner;
    }
  }

 private:
  std::size_t leaves_;
  std::vector<Entry> tree_;  // children of i are 2i and 2i + 1; slot s is leaf leaves_ + s
};

enum class State : std::uint8_t {
  kBlocked,  // its head waits for an operator of another stream
  kIssuing,  // ... for the host
  kArrived,  // ... in a collective for the other members
  kRunning,
  kFinished,
};

struct Stream {
  std::uint32_t head = 0;      // all its operators before this one have finished
  std::uint32_t launches = 0;  // of the program up to and including the head
  State state = State::kBlocked;
  bool collective = false;  // what runs has a duration agreed with other ranks
  bool leads = false;       // it is due when its collective begins to fill ports, not when it ends
  std::int64_t since = 0;   // running: its start; arrived: when it came
  std::int64_t due = 0;     // running: its end, if nothing changes
  std::int64_t pace = 0;    // running: what it would take, were the rank always as it is now
};

struct Rank {
  const Operator* operators = nullptr;
  const Node* nodes = nullptr;
  const std::int64_t* shared = nullptr;  // null = no sharing
  const std::uint32_t* part = nullptr;   // null = whole operators
  const PortUse* ports = nullptr;        // null = its collectives share nothing
  std::uint32_t size = 0;
  bool unsettled = false;  // what runs has changed at this instant
  std::array<Stream, kMaxStreams> streams{};
};

class Executor {
 public:
  Executor(std::span<const Program* const> programs, std::span<const std::vector<Node>> nodes, const Folding& folding,
           HostModel host, std::span<const Contention> contention, Timeline* timeline);

  void run();
  SweepResult result() { return close(accounts_); }
  void count(ExecutionTrace& trace) const {
    trace.events = events_;
    trace.speed_changes = speed_changes_;
    if (flows_) trace.flows = flows_->counts();
  }

 private:
  struct Gathering {  // of one collective on one stream
    std::uint32_t arrived = 0;
    const OperatorType* type = nullptr;
    PortUse use{};  // when it fills ports
  };

  struct PortRoute {  // of the collectives of a gathering that load a port alike
    std::uint8_t port, load;
    RouteIndex route;
  };

  static std::size_t slot(std::size_t rank, StreamId stream) { return rank * kMaxStreams + stream; }

  void seek(Rank& rank, StreamId id, std::uint32_t from);
  void take_up(std::size_t r, StreamId id);
  void begin(std::size_t r, StreamId id);
  void arrive(std::size_t r, StreamId id);
  void meet(std::size_t gathering);
  [[nodiscard]] PortUse port_use(std::span<const Folding::Member> members, StreamId id) const;
  void transfer(std::size_t gathering);
  void transferred(std::size_t gathering);
  void read(std::span<const Contention> contention);
  void read_ports(std::span<const Contention> contention);
  void add_route(std::size_t gathering, const PortUse& use);
  [[nodiscard]] const PortRoute* find_route(std::size_t gathering, const PortUse& use) const;
  void start(std::size_t r, StreamId id, std::int64_t ticks, bool collective);
  void finish(std::size_t r, StreamId id);
  void unsettle(std::size_t r);
  void handle(std::size_t due_slot);
  std::int64_t pace(const Rank& rank, StreamId id) const;
  void settle();
  [[noreturn]] void report() const;

  std::span<const Program* const> programs_;
  const Folding& folding_;
  HostModel host_;
  std::int64_t now_;
  std::vector<Rank> ranks_;
  std::vector<Account> accounts_;
  std::vector<Gathering> gatherings_;  // [meeting][stream]
  FlowNetwork network_;                // port k of class c is link c * kPortKinds + k and moves kFull bytes a tick
  std::optional<FlowSolver> flows_;    // where collectives share ports
  std::vector<std::vector<PortRoute>> routes_;  // [gathering]
  Agenda agenda_;
  std::vector<std::size_t> unsettled_;
  std::uint64_t events_ = 0, speed_changes_ = 0;
};

Executor::Executor(std::span<const Program* const> programs, std::span<const std::vector<Node>> nodes,
                   const Folding& folding, HostModel host, std::span<const Contention> contention, Timeline* timeline)
    : programs_(programs),
      folding_(folding),
      host_(host),
      now_(host.before_step.count()),
      ranks_(nodes.size()),
      accounts_(open_accounts(nodes, host, timeline)),
      gatherings_(folding.meetings.size() * kMaxStreams),
      agenda_(nodes.size() * kMaxStreams) {
  unsettled_.reserve(nodes.size());
  for (std::size_t r = 0; r < nodes.size(); ++r) {
    check(nodes[r].size() == programs[r]->operators.size(), "every operator needs a node");
    ranks_[r].operators = programs[r]->operators.data();
    ranks_[r].nodes = nodes[r].data();
    ranks_[r].size = static_cast<std::uint32_t>(nodes[r].size());
  }
  if (!contention.empty()) read(contention);
}

void Executor::read(std::span<const Contention> contention) {
  check(contention.size() == ranks_.size(), "contention is of other classes");
  for (std::size_t r = 0; r < ranks_.size(); ++r) {
    Rank& rank = ranks_[r];
    const Contention& c = contention[r];
    check(c.part.empty() || (c.part.size() == rank.size && !c.shared.empty()),
          "every operator needs a part that is slowed");
    if (c.shared.empty()) continue;
    check(c.shared.size() == rank.size, "every operator needs a shared duration");
    for (std::size_t i = 0; i < rank.size; ++i)
      check(c.shared[i] >= rank.nodes[i].ticks && (c.shared[i] == 0) == (rank.nodes[i].ticks == 0),
            "sharing a processor cannot make an operator faster");
    rank.shared = c.shared.data();
    if (!c.part.empty()) rank.part = c.part.data();
  }
  if (std::ranges::any_of(contention, [](const Contention& c) { return !c.ports.empty(); })) read_ports(contention);
}

void Executor::read_ports(std::span<const Contention> contention) {
  for (std::size_t l = 0; l < ranks_.size() * kPortKinds; ++l)
    network_.add_link({BytesPerSecond(PortUse::kFull * kPicosecondsPerSecond)});
  routes_.resize(gatherings_.size());
  for (std::size_t r = 0; r < ranks_.size(); ++r) {
    const std::vector<PortUse>& ports = contention[r].ports;
    if (ports.empty()) continue;
    const Rank& rank = ranks_[r];
    check(ports.size() == rank.size, "every operator needs a port use");
    for (std::size_t i = 0; i < ports.size(); ++i) {
      check(ports[i].transfer >= 0 && ports[i].transfer <= rank.nodes[i].ticks && ports[i].port < kPortKinds,
            "a collective cannot fill a port for longer than it takes");
      check(ports[i].load > 0 && ports[i].load <= PortUse::kFull, "a collective loads a port with a part of it");
      if (ports[i].transfer == 0 || rank.operators[i].type->primitive == Primitive::kNone) continue;
      const int meeting = folding_.meeting_of[r][rank.operators[i].group];
      check(meeting >= 0, "a collective names a group kind that its rank is not in");
      add_route(static_cast<std::size_t>(meeting) * kMaxStreams + rank.nodes[i].stream, ports[i]);
    }
    ranks_[r].ports = ports.data();
  }
  flows_.emplace(network_);
}

// What loads a port in part goes through a link of its own besides, which no other collective uses.
void Executor::add_route(std::size_t gathering, const PortUse& use) {
  if (find_route(gathering, use) != nullptr) return;
  std::vector<LinkIndex> links;
  if (use.load < PortUse::kFull) links.push_back(network_.add_link({BytesPerSecond(use.load * kPicosecondsPerSecond)}));
  for (const Folding::Member& m : folding_.meetings[gathering / kMaxStreams].members)
    links.push_back(static_cast<LinkIndex>(static_cast<std::size_t>(m.rank_class) * kPortKinds + use.port));
  routes_[gathering].push_back({use.port, use.load, network_.add_route(links)});
}

const Executor::PortRoute* Executor::find_route(std::size_t gathering, const PortUse& use) const {
  for (const PortRoute& r : routes_[gathering])
    if (r.port == use.port && r.load == use.load) return &r;
  return nullptr;
}

void Executor::run() {
  for (std::size_t r = 0; r < ranks_.size(); ++r)
    for (StreamId id = 0; id < kMaxStreams; ++id) seek(ranks_[r], id, 0);
  for (std::size_t r = 0; r < ranks_.size(); ++r)
    for (StreamId id = 0; id < kMaxStreams; ++id) take_up(r, id);
  settle();
  for (;;) {
    now_ = agenda_.first().due;
    if (flows_) now_ = std::min(now_, flows_->next_end().count());
    if (now_ == kNoTime) break;
    if (flows_)
      for (const std::uint32_t gathering : flows_->advance(Duration(now_))) transferred(gathering);
    while (agenda_.first().due == now_) handle(agenda_.first().slot);
    settle();
  }
  for (const Rank& rank : ranks_)
    for (const Stream& s : rank.streams)
      if (s.state != State::kFinished) report();
}

// Each stream reads past the operators of the others once in all: cheaper than lists per stream, and the launches
// before an operator, hence the time at which the host issues it, come with it.
void Executor::seek(Rank& rank, StreamId id, std::uint32_t from) {
  Stream& s = rank.streams[id];
  std::uint32_t launches = s.launches;
  std::uint32_t at = from;
  for (; at < rank.size; ++at) {
    launches += rank.nodes[at].launches;
    if (rank.nodes[at].stream == id) break;
  }
  s.head = at;
  s.launches = launches;
  s.state = at < rank.size ? State::kBlocked : State::kFinished;
}

void Executor::take_up(std::size_t r, StreamId id) {
  Rank& rank = ranks_[r];
  Stream& s = rank.streams[id];
  if (s.state != State::kBlocked) return;
  const std::uint32_t wait = rank.nodes[s.head].wait;
  if (wait != kNoWait && rank.streams[rank.nodes[wait].stream].head <= wait) return;
  const std::int64_t issued = (host_.before_step + host_.issue * s.launches).count();
  if (issued <= now_) return begin(r, id);
  accounts_[r].starved(issued - now_);
  s.state = State::kIssuing;
  agenda_.set(slot(r, id), issued);
}

void Executor::begin(std::size_t r, StreamId id) {
  const Rank& rank = ranks_[r];
  const std::uint32_t head = rank.streams[id].head;
  if (rank.operators[head].type->primitive == Primitive::kNone)
    start(r, id, rank.nodes[head].ticks, false);
  else
    arrive(r, id);
}

void Executor::arrive(std::size_t r, StreamId id) {
  Stream& s = ranks_[r].streams[id];
  const Operator& op = ranks_[r].operators[s.head];
  const int met = folding_.meeting_of[r][op.group];
  check(met >= 0, "a collective names a group kind that its rank is not in");
  const auto meeting = static_cast<std::size_t>(met);
  s.state = State::kArrived;
  s.since = now_;
  const std::size_t index = meeting * kMaxStreams + id;
  Gathering& gathering = gatherings_[index];
  if (gathering.arrived > 0 && gathering.type != op.type) report();
  gathering.type = op.type;
  const auto& members = folding_.meetings[meeting].members;
  if (++gathering.arrived < members.size()) return;
  gathering.arrived = 0;
  meet(index);
}

PortUse Executor::port_use(std::span<const Folding::Member> members, StreamId id) const {
  PortUse longest;
  for (const Folding::Member& m : members) {
    const Rank& member = ranks_[static_cast<std::size_t>(m.rank_class)];
    if (member.ports == nullptr) continue;
    const PortUse& own = member.ports[member.streams[id].head];
    if (own.transfer > longest.transfer) longest = own;
  }
  return longest;
}

void Executor::meet(std::size_t gathering) {
  const auto id = static_cast<StreamId>(gathering % kMaxStreams);
  const std::span<const Folding::Member> members = folding_.meetings[gathering / kMaxStreams].members;
  const PortUse use = flows_ ? port_use(members, id) : PortUse{};
  std::int64_t ticks = 0;
  for (const Folding::Member& m : members) {
    const Rank& member = ranks_[static_cast<std::size_t>(m.rank_class)];
    ticks = std::max(ticks, member.nodes[member.streams[id].head].ticks);
  }
  for (const Folding::Member& m : members) {
    const auto peer = static_cast<std::size_t>(m.rank_class);
    accounts_[peer].waited(now_ - ranks_[peer].streams[id].since);
    start(peer, id, ticks, true);
  }
  if (use.transfer == 0) return;
  // When it ends is up to the ports; until it fills them only the first member is due.
  gatherings_[gathering].use = use;
  for (const Folding::Member& m : members) agenda_.set(slot(static_cast<std::size_t>(m.rank_class), id), kNoTime);
  if (use.transfer == ticks) return transfer(gathering);
  const auto leader = static_cast<std::size_t>(members.front().rank_class);
  ranks_[leader].streams[id].leads = true;
  agenda_.set(slot(leader, id), now_ + ticks - use.transfer);
}

void Executor::transfer(std::size_t gathering) {
  const PortUse& use = gatherings_[gathering].use;
  flows_->start(find_route(gathering, use)->route, Bytes(use.transfer) * use.load, 1,
                static_cast<std::uint32_t>(gathering));
}

void Executor::transferred(std::size_t gathering) {
  for (const Folding::Member& m : folding_.meetings[gathering / kMaxStreams].members) {
    ++events_;
    finish(static_cast<std::size_t>(m.rank_class), static_cast<StreamId>(gathering % kMaxStreams));
  }
}

void Executor::start(std::size_t r, StreamId id, std::int64_t ticks, bool collective) {
  Rank& rank = ranks_[r];
  Stream& s = rank.streams[id];
  s.state = State::kRunning;
  s.collective = collective;
  s.since = now_;
  s.due = now_ + ticks;
  s.pace = ticks;
  agenda_.set(slot(r, id), s.due);
  unsettle(r);
}

void Executor::unsettle(std::size_t r) {
  Rank& rank = ranks_[r];
  if (rank.shared == nullptr || rank.unsettled) return;
  rank.unsettled = true;
  unsettled_.push_back(r);
}

void Executor::finish(std::size_t r, StreamId id) {
  Rank& rank = ranks_[r];
  Stream& s = rank.streams[id];
  accounts_[r].ran(s.head, rank.nodes[s.head], s.collective, s.since, now_);
  unsettle(r);
  seek(rank, id, s.head + 1);
  for (StreamId other = 0; other < kMaxStreams; ++other) take_up(r, other);
}

void Executor::handle(std::size_t due_slot) {
  const std::size_t r = due_slot / kMaxStreams;
  const auto id = static_cast<StreamId>(due_slot % kMaxStreams);
  Stream& s = ranks_[r].streams[id];  // its state changes in what follows
  if (s.leads) {
    s.leads = false;
    agenda_.set(due_slot, kNoTime);
    const int meeting = folding_.meeting_of[r][ranks_[r].operators[s.head].group];
    return transfer(static_cast<std::size_t>(meeting) * kMaxStreams + id);
  }
  ++events_;
  if (s.state == State::kIssuing)
    begin(r, id);
  else
    finish(r, id);
  if (s.state != State::kRunning && s.state != State::kIssuing) agenda_.set(due_slot, kNoTime);
}

std::int64_t Executor::pace(const Rank& rank, StreamId id) const {
  const std::uint32_t head = rank.streams[id].head;
  const Stream& beside = rank.streams[id ^ 2];
  const bool joined = beside.state == State::kRunning && !beside.collective;
  std::int64_t pace = joined ? rank.shared[head] : rank.nodes[head].ticks;
  const std::uint32_t part = rank.part == nullptr ? Contention::kWhole : rank.part[head];
  for (StreamId other = kCommunicationStream; other < kMaxStreams; other += 2) {
    const Stream& s = rank.streams[other];
    if (s.state != State::kRunning || part == 0) continue;
    const std::int64_t alone = rank.nodes[s.head].ticks, stretched = rank.shared[s.head];
    if (stretched == alone) continue;
    const std::int64_t longer = scale_up(scale_up(pace, stretched - alone, alone), part, Contention::kWhole);
    check(longer < kNoTime - pace, kTooSlow);
    pace += longer;
  }
  return pace;
}

void Executor::settle() {
  for (const std::size_t r : unsettled_) {
    Rank& rank = ranks_[r];
    rank.unsettled = false;
    for (StreamId id = kComputeStream; id < kMaxStreams; id += 2) {
      Stream& s = rank.streams[id];
      if (s.state != State::kRunning || s.collective) continue;
      const std::int64_t now_takes = pace(rank, id);
      if (now_takes == s.pace) continue;
      const std::int64_t left = scale_up(s.due - now_, now_takes, s.pace);
      check(left < kNoTime - now_, kTooSlow);
      s.due = now_ + left;
      s.pace = now_takes;
      agenda_.set(slot(r, id), s.due);
      ++speed_changes_;
    }
  }
  unsettled_.clear();
}

void Executor::report() const {
  std::vector<Arrival> waiting;
  for (std::size_t r = 0; r < ranks_.size(); ++r)
    for (const Stream& s : ranks_[r].streams)
      if (s.state != State::kFinished) waiting.push_back({static_cast<int>(r), s.head});
  report_stuck(programs_, folding_, waiting);
}

}  // namespace

SweepResult execute(std::span<const Program* const> programs, std::span<const std::vector<Node>> nodes,
                    const Folding& folding, HostModel host, std::span<const Contention> contention,
                    ExecutionTrace* trace) {
  Executor executor(programs, nodes, folding, host, contention, trace != nullptr ? &trace->timeline : nullptr);
  executor.run();
  if (trace != nullptr) executor.count(*trace);
  return executor.result();
}

}  // namespace ascendsim
