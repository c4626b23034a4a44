// A collective as messages that say what they carry: from which part of which buffer of one rank to which part of which
// buffer of another, and whether they are added there. The clock plays the same schedule as flows (traffic()) that
// tests run on real numbers (perform()), so what is timed is what is shown to be the collective.
//
// Steps order as in sim/messages.h: a rank starts what it sends in a step when all that it sends or receives in earlier
// steps is done; a message takes what it carries when it starts and may arrive before its receiver has come to the
// step. A transfer to oneself is a local copy: it takes its place in the order and no time.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "sim/checked.h"
#include "sim/units.h"

namespace ascendsim {

// kVector: what a rank has, and where the in-place collectives leave their result. kResult: what an exchange delivers.
enum class Place : std::uint8_t { kVector, kResult, kScratch };
constexpr std::size_t kPlaces = 3;

struct Transfer {
  std::int32_t from = 0, to = 0, step = 0;
  Place source_place = Place::kVector, target_place = Place::kVector;
  bool adds = false;
  std::int64_t source = 0, target = 0, bytes = 0;  // offsets and length
};

struct Range {
  std::int64_t begin = 0, bytes = 0;
};
// Part i of `parts` of n bytes: the first n mod parts have one byte more. REQUIRES: 0 <= i <= parts.
constexpr Range part(std::int64_t n, std::int64_t parts, std::int64_t i) {
  const std::int64_t whole = n / parts, rest = n % parts;
  return {i * whole + (i < rest ? i : rest), whole + (i < rest ? 1 : 0)};
}

class Schedule {
 public:
  explicit Schedule(int ranks) : ranks_(ranks) {}
  // Nothing is added for no bytes.
  void add(const Transfer& t);
  // The same part of the vector of another rank.
  void send(int from, int to, int step, Range range) {
    add({from, to, step, Place::kVector, Place::kVector, false, range.begin, range.begin, range.bytes});
  }
  // `later` behind this one.
  void append(const Schedule& later);

  [[nodiscard]] int ranks() const { return ranks_; }
  [[nodiscard]] int steps() const { return steps_; }
  [[nodiscard]] std::span<const Transfer> transfers() const { return transfers_; }

  friend Schedule reversed(const Schedule& s);

 private:
  int ranks_ = 0, steps_ = 0;
  std::vector<Transfer> transfers_;
};

// Everything backwards and added: the reduce-scatter of an all-gather. REQUIRES: every part of the vector reaches a
// rank once (no transfer adds).
Schedule reversed(const Schedule& s);

// What crosses between ranks: one entry for each (from, to, step), in that order.
struct Crossing {
  std::int32_t from = 0, to = 0, step = 0;
  std::int64_t bytes = 0;
  bool adds = false;
};
std::vector<Crossing> traffic(const Schedule& s);
std::vector<std::int64_t> bytes_sent_by_rank(const Schedule& s);

// The schedule on numbers, a byte being an element. choose(n) picks one of n things that may happen next (a message
// starts, or arrives): every order that it can produce is a legal one.
using Numbers = std::vector<std::int64_t>;
struct RankNumbers {
  Numbers place[kPlaces];
  Numbers& operator[](Place p) { return place[static_cast<std::size_t>(p)]; }
};
// REQUIRES: the places of all ranks are large enough.
void perform(const Schedule& s, std::span<RankNumbers> ranks, const std::function<std::size_t(std::size_t)>& choose);

}  // namespace ascendsim
