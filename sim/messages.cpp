#include "sim/messages.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace ascendsim {

namespace {

constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();

class Player {
 public:
  Player(const FlowNetwork& network, std::span<const MessageSchedule> schedules, Resolve resolve)
      : network_(network), schedules_(schedules), solver_(network, resolve) {
    for (const MessageSchedule& schedule : schedules) add(schedule);
  }

  MessagesResult run();

 private:
  // A step in which a rank takes part.
  struct Part {
    std::uint32_t rank = 0;
    std::uint32_t undone = 0;                             // messages that it sends or receives
    std::uint32_t first_send = kNone, last_send = kNone;  // a list of transfers
    std::uint32_t next = kNone;                           // of its rank
  };
  struct Rank {
    std::uint32_t schedule = 0;
    std::uint32_t part = kNone, last_part = kNone;  // the one it is in
    std::uint32_t parts = 0;
    bool begun = false;
    Duration finish{};
  };
  struct Transfer {
    std::uint32_t sending = 0, receiving = 0;  // the parts that wait for it
    std::uint32_t next_send = kNone;           // of its part
  };
  struct Due {
    std::uint32_t id = 0;
    bool is_rank = false;
  };

  void add(const MessageSchedule& schedule);
  void add(const Message& message, std::uint32_t transfer, std::uint32_t first_rank);
  std::uint32_t part_of(std::uint32_t rank, std::uint32_t step);
  [[nodiscard]] const Message& message(std::uint32_t transfer) const;
  void go_on(Rank& rank);
  void post(Part& part, std::uint32_t schedule);
  void enter(std::uint32_t transfer);
  void done(std::uint32_t transfer);
  void tick_off(std::uint32_t part);

  const FlowNetwork& network_;
  std::span<const MessageSchedule> schedules_;
  FlowSolver solver_;
  InstantQueue<Due> due_;
  Duration now_{};
  std::vector<Rank> ranks_;
  std::vector<Part> parts_;
  std::vector<std::uint32_t> step_of_last_part_;  // by rank, while schedules are added
  std::vector<Transfer> transfers_;
  std::vector<std::uint32_t> first_transfers_;  // of each schedule
  std::uint64_t events_ = 0;
};

// Parts are made in the order of steps, whoever has them: ranks in lockstep then go through memory in order.
void Player::add(const MessageSchedule& schedule) {
  const auto& messages = schedule.messages;
  const std::size_t first_rank = ranks_.size(), first = transfers_.size();
  check(schedule.starts.empty() || schedule.starts.size() == schedule.ranks, "every rank of a schedule needs a start");
  check(first + messages.size() < kNone / 2 && first_rank + schedule.ranks < kNone, "too many messages");
  for (std::uint32_t r = 0; r < schedule.ranks; ++r) {
    const Duration start = schedule.starts.empty() ? Duration{} : schedule.starts[r];
    check(start.count() >= 0, "a rank starts before time does");
    due_.push(start, {static_cast<std::uint32_t>(ranks_.size()), true});
    ranks_.push_back({.schedule = static_cast<std::uint32_t>(first_transfers_.size())});
    step_of_last_part_.push_back(0);
  }
  first_transfers_.push_back(static_cast<std::uint32_t>(first));
  transfers_.resize(first + messages.size());
  parts_.reserve(parts_.size() + messages.size());  // as many when a step is one message sent and one received
  if (std::ranges::is_sorted(messages, {}, &Message::step)) {
    for (std::size_t i = 0; i < messages.size(); ++i)
      add(messages[i], static_cast<std::uint32_t>(first + i), static_cast<std::uint32_t>(first_rank));
  } else {
    std::vector<std::uint32_t> order(messages.size());
    std::iota(order.begin(), order.end(), 0U);
    std::ranges::stable_sort(order, {}, [&](std::uint32_t i) { return messages[i].step; });
    for (const std::uint32_t i : order)
      add(messages[i], static_cast<std::uint32_t>(first + i), static_cast<std::uint32_t>(first_rank));
  }
}

void Player::add(const Message& m, std::uint32_t id, std::uint32_t first_rank) {
  const MessageSchedule& schedule = schedules_[first_transfers_.size() - 1];
  check(m.from < schedule.ranks && m.to < schedule.ranks, "a message names a rank that is not in the schedule");
  check(m.route < network_.routes(), "a message takes a route that is not there");
  check(m.bytes.count() >= 0 && m.copies >= 1, "a message has bytes and copies");
  Transfer& transfer = transfers_[id];
  transfer.sending = part_of(first_rank + m.from, m.step);
  Part& part = parts_[transfer.sending];
  ++part.undone;
  (part.first_send == kNone ? part.first_send : transfers_[part.last_send].next_send) = id;
  part.last_send = id;
  transfer.receiving = part_of(first_rank + m.to, m.step);
  ++parts_[transfer.receiving].undone;
}

// REQUIRES: steps come in order.
std::uint32_t Player::part_of(std::uint32_t r, std::uint32_t step) {
  Rank& rank = ranks_[r];
  if (rank.last_part != kNone && step_of_last_part_[r] == step) return rank.last_part;
  const auto index = static_cast<std::uint32_t>(parts_.size());
  parts_.push_back({.rank = r});
  (rank.last_part == kNone ? rank.part : parts_[rank.last_part].next) = index;
  rank.last_part = index;
  step_of_last_part_[r] = step;
  ++rank.parts;
  return index;
}

const Message& Player::message(std::uint32_t transfer) const {
  const auto after = std::ranges::upper_bound(first_transfers_, transfer);
  const auto schedule = static_cast<std::size_t>(after - first_transfers_.begin()) - 1;
  return schedules_[schedule].messages[transfer - first_transfers_[schedule]];
}

MessagesResult Player::run() {
  for (;;) {
    now_ = std::min(due_.first(), solver_.next_end());
    if (now_ == kNever) break;
    for (const std::uint32_t transfer : solver_.advance(now_)) done(transfer);
    if (due_.first() != now_) continue;
    due_.take_first([this](Due due) {
      ++events_;
      if (!due.is_rank) return enter(due.id);
      ranks_[due.id].begun = true;
      go_on(ranks_[due.id]);
    });
  }
  MessagesResult result;
  result.schedules.resize(schedules_.size());
  for (const Rank& rank : ranks_) {
    check(rank.begun && rank.part == kNone, "a schedule of messages did not come to its end");
    ScheduleResult& schedule = result.schedules[rank.schedule];
    schedule.rank_finish.push_back(rank.finish);
    schedule.finish = std::max(schedule.finish, rank.finish);
    schedule.steps = std::max(schedule.steps, rank.parts);
    result.finish = std::max(result.finish, rank.finish);
  }
  for (LinkIndex l = 0; l < network_.links().size(); ++l) result.links.push_back(solver_.use(l));
  result.counts = {transfers_.size(), events_, solver_.counts()};
  return result;
}

// Posts the steps that a rank may start: the next one, and those after steps that are done before they begin.
void Player::go_on(Rank& rank) {
  for (; rank.part != kNone; rank.part = parts_[rank.part].next) {
    post(parts_[rank.part], rank.schedule);
    if (parts_[rank.part].undone > 0) return;
  }
  rank.finish = now_;
}

void Player::post(Part& part, std::uint32_t schedule) {
  const MessageCosts& costs = schedules_[schedule].costs;
  const Duration ready = now_ + costs.per_step + costs.per_message;
  for (std::uint32_t i = part.first_send; i != kNone; i = transfers_[i].next_send)
    due_.push(ready + network_.latency(message(i).route), {i, false});
  part.first_send = kNone;  // once
}

void Player::enter(std::uint32_t id) {
  const Message& m = message(id);
  if (m.bytes.count() == 0 || network_.route(m.route).empty()) return done(id);
  solver_.start(m.route, m.bytes, m.copies, id);
}

void Player::done(std::uint32_t id) {
  ++events_;
  tick_off(transfers_[id].sending);
  tick_off(transfers_[id].receiving);
}

void Player::tick_off(std::uint32_t index) {
  Part& part = parts_[index];
  Rank& rank = ranks_[part.rank];
  if (--part.undone == 0 && rank.begun && rank.part == index) go_on(rank);
}

}  // namespace

MessagesResult play(const FlowNetwork& network, std::span<const MessageSchedule> schedules, Resolve resolve) {
  return Player(network, schedules, resolve).run();
}

}  // namespace ascendsim
