#include "strategies/serving/step_times.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "sim/check.h"
#include "strategies/programs/expert_carriers.h"
#include "strategies/programs/launching.h"
#include "strategies/programs/rank_step.h"

namespace ascendsim {

namespace {

// Prompt rows that are priced: a ratio of 9 : 8 at most, multiples of 16 from there on, so that powers of two of equal
// prompts divide them.
std::vector<std::int64_t> prompt_ladder(std::int64_t most) {
  std::vector<std::int64_t> out = {1, 2, 3, 4, 6, 8, 12, 16, 32, 48, 64, 80, 96, 112};
  for (std::int64_t octave = 128; octave < 2 * most; octave *= 2)
    for (std::int64_t eighth = 8; eighth < 16; ++eighth) out.push_back(octave / 8 * eighth);
  return out;
}

// Decode rows that are priced: each a sixth more than the one before at most.
std::vector<std::int64_t> decode_ladder(std::int64_t most) {
  std::vector<std::int64_t> out = {1, 2, 3, 4, 6, 8};
  while (out.back() < most) out.push_back(out.back() + std::max<std::int64_t>(4, out.back() / 6 / 4 * 4));
  return out;
}

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

// Tokens cached before a chunk: none, then a ratio of 3 : 2 and 4 : 3 in turn.
std::pair<std::int64_t, std::int64_t> cached_around(std::int64_t cached) {
  if (cached == 0) return {0, 0};
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

std::size_t StepTimes::Hash::operator()(const PromptShape& s) const {
  const std::array<std::int64_t, 4> values = {s.prompts, s.tokens, s.cached, s.others};
  return mixed_up(values);
}

std::size_t StepTimes::Hash::operator()(const std::array<std::int64_t, 3>& key) const { return mixed_up(key); }

StepTimes::StepTimes(const Scenario& scenario, std::optional<EqualLengths> lengths)
    : scenario_(scenario), groups_(scenario.deployment.layout.dp), lengths_(lengths) {
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
    for (std::int64_t c = 256; c < 2 * longest; c *= 2) contexts_.push_back(c);
  }
  contexts_ = ascending(std::move(contexts_));

  const std::int64_t most = std::max<std::int64_t>(1, d.limits.max_batch) * (1 + d.features.speculative_tokens);
  const std::int64_t tile = std::max<std::int64_t>(1, scenario.facts.cube_rows);
  decode_rows_ = decode_ladder(most);
  if (d.graph.mode == GraphMode::kFullDecode || d.graph.mode == GraphMode::kPiecewise)
    decode_edges_ = captured_sizes(d);
  if (d.traits().carrier_choice == CarrierChoice::kByRows) decode_edges_.push_back(mc2_capacity(d));
  if (scenario.facts.prolog_max_tokens > 0) decode_edges_.push_back(scenario.facts.prolog_max_tokens);
  for (std::int64_t rows = tile; rows < most + tile; rows += tile) decode_edges_.push_back(rows);
  decode_edges_ = ascending(std::move(decode_edges_));

  if (d.graph.mode == GraphMode::kPiecewise) prompt_edges_ = captured_sizes(d);
  if (d.traits().carrier_choice == CarrierChoice::kByRows) prompt_edges_.push_back(mc2_capacity(d));
  prompt_edges_.push_back(kShortExchange);
  padded_to_ = std::lcm(tile, d.layout.tp) * d.layout.cp;
  prompt_edges_ = ascending(std::move(prompt_edges_));
  prompt_rows_ = prompt_ladder(std::max({longest, d.limits.max_prefill_tokens, d.limits.max_batched_tokens}));
}

// ---- Decode steps --------------------------------------------------------------------------------------------------

StepTimes::DecodeLine& StepTimes::decode_line(std::span<const GroupRows> groups) {
  std::int64_t most = 0, all = 0, per_sequence = 1;
  for (const GroupRows& g : groups) {
    most = std::max(most, g.sequences);
    all += g.sequences;
    if (g.sequences > 0) per_sequence = std::max(per_sequence, ceil_div(g.rows, g.sequences));
  }
  const std::int64_t others = groups_ > 1 ? (all - most + (groups_ - 1) / 2) / (groups_ - 1) : 0;
  return line(per_sequence, most, others);
}

StepTimes::DecodeLine& StepTimes::line(std::int64_t per_sequence, std::int64_t sequences, std::int64_t others) {
  const auto [at, made] = lines_.try_emplace({per_sequence, sequences, others});
  if (made)
    at->second = {.per_sequence = per_sequence,
                  .sequences = sequences,
                  .others = others,
                  .ticks = std::vector<std::int64_t>(contexts_.size(), -1)};
  return at->second;
}

std::int64_t StepTimes::ticks_at(DecodeLine& line, std::int64_t context) {
  const std::int64_t n = line.sequences;
  std::size_t place = contexts_.size() - 1;
  while (place > 0 && contexts_[place] * n > context) --place;
  const std::int64_t low = node(line, place), beyond = context - contexts_[place] * n;
  if (beyond == 0) return low;
  if (place + 1 == contexts_.size()) --place;  // the last stretch goes on
  const std::int64_t first = contexts_[place] * n, span = contexts_[place + 1] * n - first;
  const double part = static_cast<double>(context - first) / static_cast<double>(span);
  const std::int64_t from = node(line, place);
  return from + static_cast<std::int64_t>(part * static_cast<double>(node(line, place + 1) - from));
}

std::int64_t StepTimes::node(DecodeLine& line, std::size_t place) {
  std::int64_t& ticks = line.ticks[place];
  if (ticks >= 0) return ticks;
  const Span sequences = sequences_around(line.per_sequence, line.sequences);
  const Span others = others_around(line.sequences, line.others);
  if (sequences.low != sequences.high)
    ticks = node_between_sequences(line, place, sequences);
  else if (others.low != others.high)
    ticks = node_between_others(line, place, others);
  else
    ticks = price_decode(line, contexts_[place]);
  return ticks;
}

// The other groups have the same share of what the fullest one has.
std::int64_t StepTimes::node_between_sequences(const DecodeLine& l, std::size_t place, Span span) {
  const auto at = [&](std::int64_t sequences) {
    const double share = static_cast<double>(l.others) / static_cast<double>(l.sequences);
    const double others = share * static_cast<double>(sequences);
    const auto low = static_cast<std::int64_t>(others);
    const auto high = std::min(low + 1, sequences);
    const auto value = [&](std::int64_t o) {
      return static_cast<double>(node(line(l.per_sequence, sequences, o), place));
    };
    return groups_ == 1 ? value(0) : between(value(low), low == high ? value(low) : value(high), low, high, others);
  };
  return std::llround(between(at(span.low), at(span.high), span.low, span.high, static_cast<double>(l.sequences)));
}

std::int64_t StepTimes::node_between_others(const DecodeLine& l, std::size_t place, Span span) {
  const auto low = static_cast<double>(node(line(l.per_sequence, l.sequences, span.low), place));
  const auto high = static_cast<double>(node(line(l.per_sequence, l.sequences, span.high), place));
  return std::llround(between(low, high, span.low, span.high, static_cast<double>(l.others)));
}

// Between the rungs of the ladder, or the edges where they are nearer.
StepTimes::Span StepTimes::sequences_around(std::int64_t per_sequence, std::int64_t sequences) const {
  const std::int64_t rows = sequences * per_sequence;
  std::int64_t low = 1, high = std::numeric_limits<std::int64_t>::max();
  const auto rung = std::ranges::lower_bound(decode_rows_, rows), edge = std::ranges::lower_bound(decode_edges_, rows);
  if (rung == decode_rows_.end()) return {sequences, sequences};
  high = *rung;
  if (rung != decode_rows_.begin()) low = *(rung - 1);
  if (edge != decode_edges_.end()) high = std::min(high, *edge);
  if (edge != decode_edges_.begin()) low = std::max(low, *(edge - 1) + 1);
  low = ceil_div(low, per_sequence);
  high = high / per_sequence;
  return low >= sequences || high <= sequences ? Span{sequences, sequences} : Span{low, high};
}

StepTimes::Span StepTimes::others_around(std::int64_t sequences, std::int64_t others) const {
  // Two micro-batches need two sequences in every group.
  if (others <= 1) return {others, others};
  std::int64_t low = 2, high = sequences;
  for (const std::int64_t quarter : {1, 2, 3}) {
    const std::int64_t node = std::max<std::int64_t>(2, sequences * quarter / 4);
    if (node <= others) low = std::max(low, node);
    if (node >= others) high = std::min(high, node);
  }
  return others == low || others == high ? Span{others, others} : Span{low, high};
}

GroupLoad StepTimes::decoding(std::int64_t sequences, std::int64_t per_sequence, std::int64_t context) const {
  if (sequences == 0) return {};
  const std::int64_t prompt = lengths_ ? lengths_->input_tokens : context - 1;
  return {.sequences = sequences,
          .new_tokens = per_sequence,
          .context = std::max(context, per_sequence),
          .prompt = std::clamp<std::int64_t>(prompt, 1, std::max(context, per_sequence))};
}

std::int64_t StepTimes::price_decode(const DecodeLine& line, std::int64_t context) {
  Step step{.phase = Phase::kDecode, .load = {}};
  step.load.assign(static_cast<std::size_t>(groups_), decoding(line.others, line.per_sequence, context));
  step.load[0] = decoding(line.sequences, line.per_sequence, context);
  return price(step);
}

std::int64_t StepTimes::price(const Step& step) {
  ++priced_;
  return scenario_.pricer.price(step).total.count();
}

// ---- Steps with prompts --------------------------------------------------------------------------------------------

std::int64_t StepTimes::attention_of_decodes(const GroupRows& g) {
  if (g.sequences == 0) return 0;
  DecodeLine& alone = line(ceil_div(g.rows, g.sequences), g.sequences, 0);
  return std::max<std::int64_t>(0, ticks_at(alone, g.context) - ticks_at(alone, g.sequences));
}

Duration StepTimes::time(std::span<const GroupRows> groups) {
  if (std::ranges::any_of(groups, [](const GroupRows& g) { return g.prompt_rows > 0; })) return Duration(mixed(groups));
  std::int64_t context = 0;
  for (const GroupRows& g : groups) context = std::max(context, g.context);
  return at(decode_line(groups), context);
}

std::int64_t StepTimes::mixed(std::span<const GroupRows> groups) {
  constexpr std::int64_t kMostSingle = 64;
  std::int64_t rows = 0, all = 0, of_prompts = 0, decodes = 0;
  const GroupRows* longest = nullptr;
  for (const GroupRows& g : groups) {
    rows = std::max(rows, g.all_rows());
    all += g.all_rows();
    of_prompts += g.prompts;
    decodes += g.sequences;
    if (longest == nullptr || g.prompt_rows > longest->prompt_rows) longest = &g;
  }
  if (of_prompts == 1 && decodes == 0) {
    // One request alone is priced as it is.
    const PromptShape shape{.tokens = longest->prompt_rows, .cached = longest->cached};
    if (prompts_.contains(shape)) return price_prompts(shape);
    if (single_prompts_++ < kMostSingle) return price_prompts(shape);
  }
  const std::int64_t others = groups_ > 1 ? (all - rows + (groups_ - 1) / 2) / (groups_ - 1) : 0;
  // Products, and shares of a TP group, pad their rows.
  if (rows > padded_to_) rows = round_up(rows, padded_to_);
  std::int64_t slowest = 0;
  const GroupRows* before = nullptr;
  for (const GroupRows& g : groups) {
    if (g.all_rows() == 0) continue;
    if (before != nullptr && before->twice_pairs == g.twice_pairs && before->cached == g.cached &&
        before->sequences == g.sequences && before->context == g.context)
      continue;
    before = &g;
    // A decode row attends to itself here; the rest of its context comes on top.
    slowest = std::max(slowest, prompts(rows, g.twice_pairs + g.rows, g.cached, others) + attention_of_decodes(g));
  }
  return slowest;
}

StepTimes::Span StepTimes::rows_around(std::int64_t rows) const {
  constexpr std::int64_t kDivisible = 16;
  const auto edge = std::ranges::lower_bound(prompt_edges_, rows);
  const bool captured = scenario_.deployment.graph.mode == GraphMode::kPiecewise && edge != prompt_edges_.end();
  if (captured) return {*edge, *edge};  // rows are padded to it
  Span span;
  const auto high = std::ranges::lower_bound(prompt_rows_, rows);
  check(high != prompt_rows_.end(), "a step of more prompt tokens than the engine allows");
  span.high = *high;
  span.low = rows == *high ? rows : *(high - 1);
  if (edge != prompt_edges_.end()) span.high = std::min(span.high, std::max(rows, *edge));
  if (edge != prompt_edges_.begin()) {
    const std::int64_t first = round_up(*(edge - 1) + 1, kDivisible);
    if (span.low < first) span = {first, std::max(span.high, first)};
  }
  return span;
}

std::int64_t StepTimes::prompts(std::int64_t rows, std::int64_t twice_pairs, std::int64_t cached, std::int64_t others) {
  const Span span = rows_around(rows);
  const auto [less, more] = cached_around(cached);
  const double share = static_cast<double>(others) / static_cast<double>(rows);
  const auto at = [&](std::int64_t r) {
    const double low = prompts_between_others(r, less, share, twice_pairs);
    if (less == more) return low;
    return between(low, prompts_between_others(r, more, share, twice_pairs), less, more,
                   static_cast<double>(std::max(cached, less)));
  };
  const double low = at(span.low);
  return std::llround(
      span.low == span.high ? low : between(low, at(span.high), span.low, span.high, static_cast<double>(rows)));
}

double StepTimes::prompts_between_others(std::int64_t rows, std::int64_t cached, double share,
                                         std::int64_t twice_pairs) {
  if (groups_ == 1) return prompts_at(rows, cached, 0, twice_pairs);
  const double others = share * static_cast<double>(rows);
  std::int64_t low = 0, high = rows;
  for (const std::int64_t node : {std::int64_t{1}, rows / 16, rows / 4, rows / 2}) {
    if (static_cast<double>(node) <= others) low = std::max(low, node);
    if (static_cast<double>(node) >= others) high = std::min(high, node);
  }
  if (others >= static_cast<double>(rows)) low = rows;
  const double from = prompts_at(rows, cached, low, twice_pairs);
  return low >= high ? from : between(from, prompts_at(rows, cached, high, twice_pairs), low, high, others);
}

// Attended pairs come from the number of equal prompts that share the rows: n of them attend to a part in n. Between two
// numbers, and beyond one prompt, time is linear in the pairs.
double StepTimes::prompts_at(std::int64_t rows, std::int64_t cached, std::int64_t others, std::int64_t twice_pairs) {
  constexpr std::int64_t kMostPrompts = 16;
  const std::int64_t whole = rows * (2 * cached + rows);
  const auto divides = [&](std::int64_t n) { return n <= kMostPrompts && rows % n == 0 && cached % n == 0; };
  std::int64_t n = 1;
  while (twice_pairs * 2 * n < whole && divides(4 * n)) n *= 2;
  const auto at = [&](std::int64_t prompts) {
    return static_cast<double>(
        price_prompts({.prompts = prompts, .tokens = rows / prompts, .cached = cached / prompts, .others = others}));
  };
  if (!divides(2 * n)) return at(n);
  const double part = static_cast<double>(twice_pairs) * 2 * static_cast<double>(n) / static_cast<double>(whole) - 1;
  const double fewer = at(2 * n);
  return fewer + std::max(part, 0.0) * (at(n) - fewer);
}

std::int64_t StepTimes::price_prompts(const PromptShape& shape) {
  const auto [known, made] = prompts_.try_emplace(shape);
  if (!made) return known->second;
  const GroupLoad busy{.sequences = shape.prompts,
                       .new_tokens = shape.tokens,
                       .context = shape.cached + shape.tokens,
                       .prompt = shape.cached + shape.tokens,
                       .history = shape.cached};
  GroupLoad other;
  if (shape.others == shape.prompts * shape.tokens) {
    other = busy;
  } else if (shape.others > 0) {
    other.sequences = std::min(shape.prompts, shape.others);
    other.new_tokens = other.context = other.prompt = shape.others / other.sequences;
  }
  Step step{.phase = Phase::kPrefill, .load = {}};
  step.load.assign(static_cast<std::size_t>(groups_), other);
  step.load[0] = busy;
  return known->second = price(step);
}

Duration StepTimes::exact(std::span<const GroupRows> groups) const {
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
  return scenario_.pricer.price(step).total;
}

}  // namespace ascendsim
