#include "sim/messages.h"

#include <algorithm>
#include <limits>

namespace ascendsim {

namespace {

constexpr std::uint32_t kLimit = std::numeric_limits<std::uint32_t>::max() / 2;

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
    std::uint32_t undone = 0;          // messages that it sends or receives
    std::uint32_t first_send = 0, last_send = 0;
  };
  struct Rank {
    std::uint32_t schedule = 0;
    std::uint32_t part = 0, last_part = 0;   // the one it is in, and the end of its own
    bool begun = false;
    Duration finish{};
  };
  // What the run needs of a message.
  struct Transfer {
    Bytes bytes;
    RouteIndex route = 0;
    std::uint32_t copies = 1;
    std::uint32_t sending = 0, receiving = 0;   // the parts that wait for it
  };
  struct Due {
    std::uint32_t id = 0;
    bool is_rank = false;
  };

  void add(const MessageSchedule& schedule);
  void go_on(Rank& rank);
  void post(const Part& part, std::uint32_t schedule);
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
  std::vector<Transfer> transfers_;
  std::vector<std::uint32_t> sends_;   // transfers, part by part
  std::uint64_t events_ = 0;
};

// Every rank's messages in the order of its steps: the messages by rank (a counting sort, which keeps their order),
// then each rank's by step, which is nothing to do when they came in that order.
void Player::add(const MessageSchedule& schedule) {
  struct Side {
    std::uint32_t step, transfer;
    bool sends;
  };
  const auto& messages = schedule.messages;
  const std::size_t first_rank = ranks_.size(), first_transfer = transfers_.size();
  check(schedule.starts.empty() || schedule.starts.size() == schedule.ranks, "every rank of a schedule needs a start");
  check(first_transfer + messages.size() < kLimit && first_rank + schedule.ranks < kLimit, "too many messages");
  std::vector<std::uint32_t> ends(schedule.ranks + 1, 0);
  for (const Message& m : messages) {
    check(m.from < schedule.ranks && m.to < schedule.ranks, "a message names a rank that is not in the schedule");
    check(m.route < network_.routes(), "a message takes a route that is not there");
    check(m.bytes.count() >= 0 && m.copies >= 1, "a message has bytes and copies");
    ++ends[m.from + 1];
    ++ends[m.to + 1];
  }
  for (std::size_t r = 1; r < ends.size(); ++r) ends[r] += ends[r - 1];
  std::vector<Side> sides(2 * messages.size());
  transfers_.reserve(first_transfer + messages.size());
  for (const Message& m : messages) {
    const auto transfer = static_cast<std::uint32_t>(transfers_.size());
    transfers_.push_back({m.bytes, m.route, m.copies, 0, 0});
    sides[ends[m.from]++] = {m.step, transfer, true};
    sides[ends[m.to]++] = {m.step, transfer, false};
  }
  sends_.reserve(sends_.size() + messages.size());
  std::size_t at = 0;
  for (std::uint32_t r = 0; r < schedule.ranks; ++r) {
    const std::span<Side> own(sides.begin() + static_cast<std::ptrdiff_t>(at), sides.begin() + ends[r]);
    at = ends[r];
    if (!std::ranges::is_sorted(own, {}, &Side::step)) std::ranges::stable_sort(own, {}, &Side::step);
    Rank rank{.schedule = static_cast<std::uint32_t>(&schedule - schedules_.data()),
              .part = static_cast<std::uint32_t>(parts_.size())};
    for (std::size_t i = 0; i < own.size(); ++i) {
      if (i == 0 || own[i].step != own[i - 1].step) {
        const auto sent = static_cast<std::uint32_t>(sends_.size());
        parts_.push_back({static_cast<std::uint32_t>(first_rank + r), 0, sent, sent});
      }
      Part& part = parts_.back();
      ++part.undone;
      const auto index = static_cast<std::uint32_t>(parts_.size() - 1);
      if (own[i].sends) {
        sends_.push_back(own[i].transfer);
        ++part.last_send;
        transfers_[own[i].transfer].sending = index;
      } else {
        transfers_[own[i].transfer].receiving = index;
      }
    }
    rank.last_part = static_cast<std::uint32_t>(parts_.size());
    check(parts_.size() < kLimit, "too many steps");
    ranks_.push_back(rank);
    const Duration start = schedule.starts.empty() ? Duration{} : schedule.starts[r];
    check(start.count() >= 0, "a rank starts before time does");
    due_.push(start, {static_cast<std::uint32_t>(first_rank + r), true});
  }
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
    check(rank.begun && rank.part == rank.last_part, "a schedule of messages did not come to its end");
    ScheduleResult& schedule = result.schedules[rank.schedule];
    schedule.rank_finish.push_back(rank.finish);
    schedule.finish = std::max(schedule.finish, rank.finish);
    result.finish = std::max(result.finish, rank.finish);
  }
  std::vector<std::uint32_t> steps(ranks_.size(), 0);
  for (const Part& part : parts_) {
    std::uint32_t& most = result.schedules[ranks_[part.rank].schedule].steps;
    most = std::max(most, ++steps[part.rank]);
  }
  for (LinkIndex l = 0; l < network_.links().size(); ++l) result.links.push_back(solver_.use(l));
  result.counts = {transfers_.size(), events_, solver_.counts()};
  return result;
}

// Posts the steps that a rank may start: the next one, and those after steps that are done before they begin.
void Player::go_on(Rank& rank) {
  for (; rank.part < rank.last_part; ++rank.part) {
    Part& part = parts_[rank.part];
    if (part.first_send < part.last_send) {
      post(part, rank.schedule);
      part.first_send = part.last_send;
    }
    if (part.undone > 0) return;
  }
  rank.finish = now_;
}

void Player::post(const Part& part, std::uint32_t schedule) {
  const MessageCosts& costs = schedules_[schedule].costs;
  const Duration ready = now_ + costs.per_step + costs.per_message;
  for (std::uint32_t i = part.first_send; i < part.last_send; ++i)
    due_.push(ready + network_.latency(transfers_[sends_[i]].route), {sends_[i], false});
}

void Player::enter(std::uint32_t id) {
  const Transfer& t = transfers_[id];
  if (t.bytes.count() == 0 || network_.route(t.route).empty()) return done(id);
  solver_.start(t.route, t.bytes, t.copies, id);
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
