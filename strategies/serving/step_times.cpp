#include "strategies/serving/step_times.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "sim/check.h"
#include "strategies/deployment/partitions.h"
#include "strategies/programs/expert_carriers.h"
#include "strategies/programs/launching.h"
#include "strategies/programs/rank_step.h"

namespace ascendsim {

namespace {

std::vector<std::int64_t> ascending(std::vector<std::int64_t> values) {
  std::erase_if(values, [](std::int64_t v) { return v < 0; });
  std::ranges::sort(values);
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

double between(double low, double high, std::int64_t from, std::int64_t to, double at) {
  if (from == to) return low;
  return low + (at - static_cast<double>(from)) / static_cast<double>(to - from) * (high - low);
}

// Tokens cached before a chunk: none, a few, then a ratio of 3 : 2 and 4 : 3 in turn.
std::pair<std::int64_t, std::int64_t> cached_around(std::int64_t cached) {
  if (cached == 0) return {0, 0};
  if (cached < 32) return {1, 32};
  if (cached < 128) return cached < 64 ? std::pair{32, 64} : std::pair{64, 128};
  std::int64_t octave = 128;
  while (2 * octave <= cached) octave *= 2;
  return cached < octave / 2 * 3 ? std::pair{octave, octave / 2 * 3} : std::pair{octave / 2 * 3, 2 * octave};
}

std::uint64_t mixed_up(std::span<const std::int64_t> values) {
  std::uint64_t hash = 0x9e3779b97f4a7c15;
  for (const std::int64_t v : values) {
    hash ^= static_cast<std::uint64_t>(v);
    hash *= 0xff51afd7ed558ccd;
    hash ^= hash >> 32;
  }
  return hash;
}

}  // namespace

// ---- Rows at which a price is taken --------------------------------------------------------------------------------

RowLadder::Span RowLadder::around(std::int64_t rows) const {
  if (rows <= exact_) return {rows, rows};
  std::int64_t octave = 1;
  while (2 * octave <= rows) octave *= 2;
  const std::int64_t step = std::max(multiple_, octave / parts_);
  const std::int64_t below = octave + (rows - octave) / step * step;
  Span out{below, below == rows ? rows : std::min(below + step, 2 * octave)};
  const auto limit = [&](std::int64_t before, std::int64_t last) {
    out.low = std::max(out.low, before + 1);
    if (last >= rows) out.high = std::min(out.high, last);
  };
  for (const std::int64_t e : edges_) e < rows ? limit(e, 0) : limit(0, e);
  constexpr std::int64_t kMostRows = std::int64_t{1} << 40;  // no step has more: products with a denominator stay in range
  for (const Period& p : periods_) {
    const std::int64_t next = std::min(ceil_div(rows * p.denominator, p.numerator),
                                       std::min(p.most, kMostRows) * p.denominator / p.numerator + 1);
    const std::int64_t last = next * p.numerator / p.denominator;
    limit((next - 1) * p.numerator / p.denominator, last > p.most ? 0 : last);
  }
  return out;
}

std::size_t StepTimes::Hash::operator()(const Rows& r) const {
  const std::array<std::int64_t, 7> values = {r.kind.per_sequence, r.kind.place, r.kind.halves, r.kind.gaps,
                                              r.kind.cached,       r.rows,       r.total};
  return mixed_up(values);
}

std::size_t StepTimes::Hash::operator()(const Prompts& p) const {
  const std::array<std::int64_t, 4> values = {p.prompts, p.tokens, p.cached, p.halves};
  return mixed_up(values);
}

std::size_t StepTimes::Hash::operator()(const std::array<std::int64_t, 5>& key) const { return mixed_up(key); }

namespace {

// What follows is about speed and exactness alone (docs/serving.md, "Step times"): a finer ladder is more exact, and
// dearer.
constexpr std::int64_t kExactDecodes = 8, kExactPrompts = 128, kExactTotal = 16;  // rows
constexpr std::int64_t kTilesThatShow = 64;  // of more rows than so many tiles, one tile more hardly shows

// Rows of all groups at which each expert has another tile of rows, where all have equally many.
void edges_of_experts(const Deployment& d, std::int64_t tile, std::int64_t per_row, RowLadder& totals) {
  if (d.model.experts > 0) totals.edge_every(tile * d.physical_experts(), d.model.top_k * per_row);
}

}  // namespace

StepTimes::StepTimes(const Scenario& scenario, std::optional<EqualLengths> lengths)
    : scenario_(scenario),
      timer_(scenario.pricer),
      groups_(scenario.deployment.layout.dp),
      lengths_(lengths),
      prompt_rows_(kExactPrompts, 32, 16),
      prompt_totals_(64, 16, 1),
      attention_rows_(4, 8, 16) {
  const Deployment& d = scenario.deployment;
  check(d.layout.pp == 1, "steps of a pipeline are not served");
  const std::int64_t longest = std::max<std::int64_t>(d.limits.max_seq_len, 1024);
  contexts_ = {1};
  if (lengths) {
    // As predict.cpp, price_decode.
    const std::int64_t first = lengths->input_tokens + 1,
                       last = lengths->input_tokens + std::max<std::int64_t>(1, lengths->output_tokens - 1);
    contexts_.insert(contexts_.end(), {first, first + (last - first) / 2, last});
  } else {
    for (std::int64_t c = 256; c < 2 * longest; c *= 2) contexts_.insert(contexts_.end(), {c, c / 2 * 3});
  }
  contexts_ = ascending(std::move(contexts_));

  const std::int64_t tile = std::max<std::int64_t>(1, scenario.facts.cube_rows);
  const bool by_rows = d.traits().carrier_choice == CarrierChoice::kByRows;
  const bool decode_graphs = d.graph.mode == GraphMode::kFullDecode || d.graph.mode == GraphMode::kPiecewise;
  for (std::int64_t per = 1; per <= 1 + d.features.speculative_tokens; ++per) {
    RowLadder& rows = decode_rows_.emplace_back(kExactDecodes / per, 4, 1);
    if (decode_graphs)
      for (const std::int64_t size : captured_sizes(d)) rows.edge(size / per);
    if (by_rows) rows.edge(mc2_capacity(d) / per);
    if (scenario.facts.prolog_max_tokens > 0) rows.edge(scenario.facts.prolog_max_tokens / per);
    rows.edge_every(tile, per);
    rows.edge_every(d.layout.tp, per, kTilesThatShow * d.layout.tp / per);  // its share is padded
    edges_of_experts(d, tile, per * groups_, rows);
    edges_of_experts(d, tile, per, decode_totals_.emplace_back(kExactTotal / per, 4, 1));
  }

  if (d.graph.mode == GraphMode::kPiecewise)
    for (const std::int64_t size : captured_sizes(d)) prompt_rows_.edge(size);
  if (by_rows) prompt_rows_.edge(mc2_capacity(d));
  for (const std::int64_t share : {std::int64_t{1}, d.layout.tp, d.layout.cp, d.layout.tp * d.layout.cp}) {
    prompt_rows_.edge(kShortExchange * share);
    for (const auto& [at_least, factor] : d.all_to_all_scale)
      prompt_rows_.edge((static_cast<std::int64_t>(at_least) - 1) * share);
  }
  // Products have all rows of a group, or a share of its ranks.
  for (const std::int64_t share : {d.layout.cp, d.layout.cp * d.layout.tp})
    prompt_rows_.edge_every(tile * share, 1, kTilesThatShow * tile * share);
  edges_of_experts(d, tile, groups_, prompt_rows_);
  edges_of_experts(d, tile, 1, prompt_totals_);
}

const RowLadder& StepTimes::ladder(const Kind& kind) const {
  return kind.per_sequence == 0 ? prompt_rows_ : decode_rows_[static_cast<std::size_t>(kind.per_sequence - 1)];
}
const RowLadder& StepTimes::totals(const Kind& kind) const {
  return kind.per_sequence == 0 ? prompt_totals_ : decode_totals_[static_cast<std::size_t>(kind.per_sequence - 1)];
}

// ---- Rows of groups ------------------------------------------------------------------------------------------------

namespace {

// A straight line between the ends, where the middle lies on it; else on the half that has `at`. Multiples of `share`
// are a line of their own.
template <class Value>
double on_stretch(RowLadder::Span span, std::int64_t at, std::int64_t share, Value&& value) {
  constexpr double kStraight = 0.002;  // of a time
  auto [low, high] = span;
  const bool whole = at % share == 0;
  const auto alike = [&](std::int64_t rows) { return (rows % share == 0) == whole; };
  if (!alike(low)) low = whole ? round_up(low, share) : low + 1;
  if (!alike(high)) high = whole ? high / share * share : high - 1;
  double from = value(low), to = low == high ? from : value(high);
  for (bool straight = false; !straight;) {
    std::int64_t middle = low + (high - low) / 2;
    if (!alike(middle)) middle = whole ? round_up(middle, share) : middle + 1;
    if (middle <= low || middle >= high) break;
    const double told = between(from, to, low, high, static_cast<double>(middle)), priced = value(middle);
    straight = std::abs(told - priced) <= kStraight * priced;
    (at <= middle ? high : low) = middle;
    (at <= middle ? to : from) = priced;
  }
  return between(from, to, low, high, static_cast<double>(at));
}

}  // namespace

double StepTimes::time_of(const Kind& kind, std::int64_t rows, std::int64_t total) {
  if (total == groups_ * rows) return where_all_are_full(kind, rows);
  if (total == rows) return where_others_idle(kind, rows);
  const std::int64_t exact = kExactTotal / std::max<std::int64_t>(1, kind.per_sequence);
  if (total <= exact) return node(kind, rows, total);
  // What fewer rows of the others save is taken from a step of nearly as many rows in the fullest group.
  const auto [low, high] = ladder(kind).around(rows);
  const std::int64_t share = whole_shares(kind);
  const std::int64_t near = rows == low ? low : rows % share == 0 ? high / share * share : high - (high % share == 0);
  Kind usual = kind;
  if (kind.per_sequence > 0) usual.place = static_cast<std::int64_t>(contexts_.size() / 2);
  if (total >= near)
    return where_one_lacks_a_row(kind, rows) + between_totals(usual, near, total) -
           between_totals(usual, near, groups_ * rows - 1);
  return where_others_idle(kind, rows) + between_totals(usual, near, near + total - rows) -
         between_totals(usual, near, near);
}

// A rank's share of rows that does not divide them, or of groups that differ, is padded by kernels of its own.
std::int64_t StepTimes::whole_shares(const Kind& kind) const {
  const Layout& l = scenario_.deployment.layout;
  return kind.per_sequence == 0 ? l.tp * l.cp : l.tp / std::gcd(l.tp, kind.per_sequence);
}

double StepTimes::where_all_are_full(const Kind& kind, std::int64_t rows) {
  return on_stretch(ladder(kind).around(rows), rows, whole_shares(kind),
                    [&](std::int64_t r) { return node(kind, r, groups_ * r); });
}

double StepTimes::where_one_lacks_a_row(const Kind& kind, std::int64_t rows) {
  return on_stretch(ladder(kind).around(rows), rows, whole_shares(kind),
                    [&](std::int64_t r) { return node(kind, r, groups_ * r - 1); });
}

double StepTimes::where_others_idle(const Kind& kind, std::int64_t rows) {
  const RowLadder::Span own = ladder(kind).around(rows), all = totals(kind).around(rows);
  return on_stretch({std::max(own.low, all.low), std::min(own.high, all.high)}, rows, whole_shares(kind),
                    [&](std::int64_t r) { return node(kind, r, r); });
}

// Not all are full.
double StepTimes::between_totals(const Kind& kind, std::int64_t rows, std::int64_t total) {
  const std::int64_t least = rows + (kind.halves ? 2 * (groups_ - 1) : 0);
  const auto [low, high] = totals(kind).around(total);
  const RowLadder::Span span{std::max(low, least), std::max(least, std::min(high, groups_ * rows - 1))};
  return on_stretch(span, total, 1, [&](std::int64_t t) { return node(kind, rows, t); });
}

GroupLoad StepTimes::load_of(const Kind& kind, std::int64_t rows) const {
  if (rows == 0) return {};
  if (kind.per_sequence > 0) return decoding(rows, kind.per_sequence, contexts_[static_cast<std::size_t>(kind.place)]);
  const std::int64_t prompts = kind.halves ? 2 : 1, tokens = ceil_div(rows, prompts);
  const std::int64_t cached = kind.cached / prompts;
  return {.sequences = prompts,
          .new_tokens = tokens,
          .context = cached + tokens,
          .prompt = cached + tokens,
          .history = cached};
}

double StepTimes::node(const Kind& kind, std::int64_t rows, std::int64_t total) {
  const Rows key{kind, rows, total};
  const auto known = rows_.find(key);
  if (known != rows_.end()) return static_cast<double>(known->second);
  Step step{.phase = kind.per_sequence > 0 ? Phase::kDecode : Phase::kPrefill, .load = {}};
  std::int64_t left = total - (kind.gaps ? rows : 0);
  for (std::int64_t more = groups_ - kind.gaps; more > 0; --more) {
    const std::int64_t share = kind.gaps ? left / more : std::min(left, rows);
    step.load.push_back(load_of(kind, share));
    left -= share;
  }
  if (kind.gaps) step.load.push_back(load_of(kind, rows));
  // Where no halves run side by side, a group has too little for two.
  if (scenario_.deployment.micro_batches == 2 && kind.per_sequence > 0 && !kind.halves && groups_ > 1)
    if (std::ranges::all_of(step.load, [](const GroupLoad& g) { return g.sequences > 1; })) {
      step.load[1].sequences += step.load[0].sequences - 1;
      step.load[0].sequences = 1;
    }
  return static_cast<double>(rows_[key] = price(step));
}

GroupLoad StepTimes::decoding(std::int64_t sequences, std::int64_t per_sequence, std::int64_t context) const {
  if (sequences == 0) return {};
  const std::int64_t prompt = lengths_ ? lengths_->input_tokens : context - 1;
  return {.sequences = sequences,
          .new_tokens = per_sequence,
          .context = std::max(context, per_sequence),
          .prompt = std::clamp<std::int64_t>(prompt, 1, std::max(context, per_sequence))};
}

std::int64_t StepTimes::price(const Step& step) {
  ++priced_;
  return timer_.time(step).count();
}

// ---- Decode steps --------------------------------------------------------------------------------------------------

namespace {

// Whether one has rows behind another that is not full.
template <class RowsOf>
bool has_gaps(std::span<const GroupRows> groups, std::int64_t most, RowsOf&& rows_of) {
  bool full = true;
  for (const GroupRows& g : groups) {
    const std::int64_t rows = rows_of(g);
    if (rows > 0 && !full) return true;
    full = full && rows == most;
  }
  return false;
}

}  // namespace

StepTimes::DecodeLine& StepTimes::decode_line(std::span<const GroupRows> groups) {
  std::int64_t most = 0, all = 0, per_sequence = 1, least = std::numeric_limits<std::int64_t>::max();
  for (const GroupRows& g : groups) {
    most = std::max(most, g.sequences);
    least = std::min(least, g.sequences);
    all += g.sequences;
    if (g.sequences > 0) per_sequence = std::max(per_sequence, ceil_div(g.rows, g.sequences));
  }
  return line(per_sequence, most, all, least > 1,
              has_gaps(groups, most, [](const GroupRows& g) { return g.sequences; }));
}

StepTimes::DecodeLine& StepTimes::line(std::int64_t per_sequence, std::int64_t sequences, std::int64_t total,
                                       bool halves, bool gaps) {
  halves = halves && scenario_.deployment.micro_batches == 2;
  const auto [at, made] = lines_.try_emplace({per_sequence, sequences, total, halves, gaps});
  if (made)
    at->second = {.per_sequence = per_sequence,
                  .sequences = sequences,
                  .total = total,
                  .halves = halves,
                  .gaps = gaps,
                  .ticks = std::vector<std::int64_t>(contexts_.size(), -1)};
  return at->second;
}

std::int64_t StepTimes::ticks_at(DecodeLine& line, std::int64_t context) {
  const std::int64_t n = line.sequences;
  std::size_t place = contexts_.size() - 1;
  while (place > 0 && contexts_[place] * n > context) --place;
  const std::int64_t low = at_place(line, place), beyond = context - contexts_[place] * n;
  if (beyond == 0) return low;
  if (place + 1 == contexts_.size()) --place;  // the last stretch goes on
  const std::int64_t first = contexts_[place] * n, span = contexts_[place + 1] * n - first;
  const double part = static_cast<double>(context - first) / static_cast<double>(span);
  const std::int64_t from = at_place(line, place);
  return from + static_cast<std::int64_t>(part * static_cast<double>(at_place(line, place + 1) - from));
}

std::int64_t StepTimes::at_place(DecodeLine& line, std::size_t place) {
  std::int64_t& ticks = line.ticks[place];
  if (ticks < 0)
    ticks = std::llround(time_of({.per_sequence = line.per_sequence,
                                  .place = static_cast<std::int64_t>(place),
                                  .halves = line.halves,
                                  .gaps = line.gaps},
                                 line.sequences, line.total));
  return ticks;
}

// ---- Steps with prompts --------------------------------------------------------------------------------------------

std::int64_t StepTimes::attention_of_decodes(const GroupRows& g) {
  if (g.sequences == 0) return 0;
  DecodeLine& full = line(ceil_div(g.rows, g.sequences), g.sequences, groups_ * g.sequences, false, false);
  return std::max<std::int64_t>(0, ticks_at(full, g.context) - ticks_at(full, g.sequences));
}

Duration StepTimes::time(std::span<const GroupRows> groups) {
  if (std::ranges::any_of(groups, [](const GroupRows& g) { return g.prompt_rows > 0; }))
    return Duration(with_prompts(groups));
  std::int64_t context = 0;
  for (const GroupRows& g : groups) context = std::max(context, g.context);
  return at(decode_line(groups), context);
}

std::int64_t StepTimes::with_prompts(std::span<const GroupRows> groups) {
  std::int64_t rows = 0, unpadded = 0, all = 0, of_prompts = 0, decodes = 0,
               least = std::numeric_limits<std::int64_t>::max();
  const GroupRows* longest = nullptr;
  for (const GroupRows& g : groups) {
    const std::int64_t own = rows_of_prompts(g.prompts, g.prompt_rows) + g.rows;
    rows = std::max(rows, own);
    unpadded = std::max(unpadded, g.all_rows());
    all += own;
    of_prompts += g.prompts;
    decodes += g.sequences;
    least = std::min(least, g.prompts + g.sequences);
    if (longest == nullptr || g.prompt_rows > longest->prompt_rows) longest = &g;
  }
  if (of_prompts == 1 && decodes == 0) {
    if (const auto ticks = price_alone(longest->prompt_rows, longest->cached)) return *ticks;
  }
  const Kind kind{.halves = least > 1 && scenario_.deployment.micro_batches == 2,
                  .gaps = has_gaps(groups, rows, [&](const GroupRows& g) {
                    return rows_of_prompts(g.prompts, g.prompt_rows) + g.rows;
                  })};
  double slowest = 0;
  const GroupRows* before = nullptr;
  for (const GroupRows& g : groups) {
    if (g.all_rows() == 0) continue;
    if (before != nullptr && before->twice_pairs == g.twice_pairs && before->cached == g.cached &&
        before->sequences == g.sequences && before->context == g.context)
      continue;
    before = &g;
    slowest =
        std::max(slowest, time_of_prompts(kind, rows, all, unpadded, g) + static_cast<double>(attention_of_decodes(g)));
  }
  return std::llround(slowest);
}

// One request alone is priced as it is; of many such steps, the first ones.
std::optional<std::int64_t> StepTimes::price_alone(std::int64_t tokens, std::int64_t cached) {
  constexpr std::size_t kMost = 64;
  const auto known = alone_.find({tokens, cached});
  if (known != alone_.end()) return known->second;
  if (alone_.size() == kMost) return std::nullopt;
  Step step{.phase = Phase::kPrefill, .load = {}};
  step.load.resize(static_cast<std::size_t>(groups_));
  step.load[0] = {
      .sequences = 1, .new_tokens = tokens, .context = cached + tokens, .prompt = cached + tokens, .history = cached};
  return alone_[{tokens, cached}] = price(step);
}

// Of prompts with so many tokens together. Where a prompt is cut over ranks, the parts are padded.
std::int64_t StepTimes::rows_of_prompts(std::int64_t prompts, std::int64_t tokens) const {
  const Layout& l = scenario_.deployment.layout;
  if (l.cp == 1 || prompts == 0) return tokens;
  return prompts * prompt_split(l.cp_partition, ceil_div(tokens, prompts), l.cp).rows() * l.cp;
}

// The time of a step with one prompt a group (two, where halves of a step run side by side), and what the attention of
// this group's prompts takes longer than that of these; it may be less.
double StepTimes::time_of_prompts(Kind kind, std::int64_t rows, std::int64_t total, std::int64_t unpadded,
                                  const GroupRows& group) {
  // A decode row attends to itself here; the rest of its context comes on top.
  const std::int64_t twice_pairs = group.twice_pairs + group.rows, cached = group.cached;
  const double part = static_cast<double>(twice_pairs) / static_cast<double>(unpadded * (2 * cached + unpadded)),
               whole = kind.halves ? 0.5 : 1;
  const bool few = rows <= kExactPrompts;
  const double plain = cached == 0 || !few ? time_of(kind, rows, total) : 0;
  if (cached == 0 && part == whole) return plain;
  const auto at = [&](std::int64_t c) {
    if (!few || c == 0) return plain + attention_of_prompts(kind, unpadded, c, part, 0);
    // The host may be slower than the die, and what a cache adds is not a matter of attention alone.
    kind.cached = c;
    return time_of(kind, rows, total) + (part == whole ? 0 : attention_of_prompts(kind, unpadded, c, part, c));
  };
  const auto [less, more] = cached_around(cached);
  return on_stretch({less, more}, cached, 1, at);
}

// than_cached: tokens before the prompt that is compared with.
double StepTimes::attention_of_prompts(const Kind& kind, std::int64_t rows, std::int64_t cached, double part,
                                       std::int64_t than_cached) {
  const auto [low, high] = attention_rows_.around(rows);
  const auto at = [&](std::int64_t r) { return prompts_at(kind, r, cached, part, than_cached); };
  return between(at(low), at(high), low, high, static_cast<double>(rows));
}

// Attended pairs come from the number of equal prompts that share the rows: n of them attend to a part in n. Between two
// numbers time is linear in the pairs.
double StepTimes::prompts_at(const Kind& kind, std::int64_t rows, std::int64_t cached, double part,
                             std::int64_t than_cached) {
  constexpr std::int64_t kEach = 8, kMost = 64;  // every number of prompts up to here, powers of two from there
  const std::int64_t least = kind.halves ? 2 : 1;
  const auto at = [&](std::int64_t n) {
    const std::int64_t tokens = std::max<std::int64_t>(1, rows / n);
    return static_cast<double>(
        price_prompts({.prompts = n, .tokens = tokens, .cached = cached / n, .halves = kind.halves}) -
        price_prompts({.prompts = least,
                       .tokens = ceil_div(rows_of_prompts(n, tokens * n), least),
                       .cached = than_cached / least,
                       .halves = kind.halves}));
  };
  const double equal = 1 / part;
  std::int64_t fewer = least, more = least;
  while (static_cast<double>(more) < equal && more < kMost) {
    fewer = more;
    more += more < kEach ? 1 : more;
  }
  if (static_cast<double>(more) * part <= 1.001 || fewer == more) return at(more);
  const double low = 1 / static_cast<double>(more), high = 1 / static_cast<double>(fewer);
  return at(more) + (part - low) / (high - low) * (at(fewer) - at(more));
}

std::int64_t StepTimes::price_prompts(const Prompts& p) {
  const auto known = prompts_.find(p);
  if (known != prompts_.end()) return known->second;
  Step step{.phase = Phase::kPrefill, .load = {}};
  step.load.assign(static_cast<std::size_t>(groups_), {.sequences = p.prompts,
                                                       .new_tokens = p.tokens,
                                                       .context = p.cached + p.tokens,
                                                       .prompt = p.cached + p.tokens,
                                                       .history = p.cached});
  if (scenario_.deployment.micro_batches == 2 && !p.halves && p.prompts > 1) {
    GroupLoad& whole = step.load.back();
    for (std::int64_t* n : {&whole.new_tokens, &whole.context, &whole.prompt, &whole.history}) *n *= p.prompts;
    whole.sequences = 1;
  }
  const std::int64_t ticks = price(step);
  prompts_[p] = ticks;
  return ticks;
}

Duration StepTimes::exact(std::span<const GroupRows> groups) {
  Step step{.phase = Phase::kDecode, .load = {}};
  for (const GroupRows& g : groups) {
    if (g.prompts > 0) {
      step.phase = Phase::kPrefill;
      step.load.push_back({.sequences = g.prompts,
                           .new_tokens = g.prompt_rows / g.prompts,
                           .context = (g.cached + g.prompt_rows) / g.prompts,
                           .prompt = (g.cached + g.prompt_rows) / g.prompts,
                           .history = g.cached / g.prompts});
    } else if (g.sequences > 0) {
      step.load.push_back(decoding(g.sequences, g.rows / g.sequences, (g.context + g.sequences / 2) / g.sequences));
    } else {
      step.load.emplace_back();
    }
  }
  return timer_.time(step);
}

}  // namespace ascendsim
