#include "strategies/programs/rank_step.h"

#include <algorithm>

#include "strategies/deployment/partitions.h"
#include "strategies/programs/expert_loads.h"
#include "strategies/programs/launching.h"
#include "workloads/operators/elementwise.h"

namespace ascendsim {

namespace {

std::int64_t sampled_rows_of(Phase phase, const GroupLoad& g) {
  return phase == Phase::kDecode ? g.sequences * g.new_tokens : g.sequences;
}

// Tokens of a sequence that follow each other at one stride become one move.
class MoveList {
 public:
  void add(std::int64_t from, std::int64_t to, std::int64_t rows) {
    if (rows == 0) return;
    const auto f = static_cast<std::int32_t>(from), t = static_cast<std::int32_t>(to),
               n = static_cast<std::int32_t>(rows);
    if (!moves_.empty()) {
      RowMove& last = moves_.back();
      if (last.repeats == 1 && f == last.from + last.rows && t == last.to + last.rows) {
        last.rows += n;
        return;
      }
      if (last.rows == n && last.repeats == 1) {
        last.from_stride = f - last.from;
        last.to_stride = t - last.to;
        last.repeats = 2;
        return;
      }
      if (last.rows == n && f == last.from + last.repeats * last.from_stride &&
          t == last.to + last.repeats * last.to_stride) {
        ++last.repeats;
        return;
      }
    }
    moves_.push_back({f, t, n, 1, 0, 0});
  }
  Moves into(ProgramBuilder& p) const { return p.add_moves(moves_); }

 private:
  std::vector<RowMove> moves_;
};

// Runs of equally many tokens at one distance become one entry.
class NameList {
 public:
  void add(std::int64_t first, std::int64_t rows) {
    const auto n = static_cast<std::int32_t>(rows);
    if (!names_.empty()) {
      NamedRows& last = names_.back();
      if (last.rows == n && last.repeats == 1) last.stride = first - last.first;
      if (last.rows == n && first == last.first + last.repeats * last.stride) {
        ++last.repeats;
        return;
      }
    }
    names_.push_back({.first = first, .rows = n});
  }
  ProgramBuilder::Names into(ProgramBuilder& p) const { return p.name_rows(names_); }

 private:
  std::vector<NamedRows> names_;
};

}  // namespace

std::int64_t StreamRows::real_in_share(std::int64_t tp) const {
  return std::clamp<std::int64_t>(rows - tp * scattered, 0, scattered);
}

StreamRows stream_rows(const Deployment& d, Phase phase, std::span<const GroupLoad> loads, std::int64_t dp) {
  const Layout& l = d.layout;
  StreamRows r{.rows = attention_rows(l, phase, loads[static_cast<std::size_t>(dp)])};
  for (const GroupLoad& g : loads) r.padded = std::max(r.padded, attention_rows(l, phase, g));
  // A replayed graph takes the rows it was captured with. Kernels before o_proj are charged the real ones: over so few
  // rows they take the time of their weights.
  const std::int64_t captured = launching(d, phase, r.padded).rows;
  // Shares of the TP group are alike, whatever numbers of rows are captured.
  const bool shared = place_collectives(l, true, false).attention_reduce_scatter || scatters_rows(d, phase);
  const std::int64_t multiple = shared ? l.tp : 1;
  r.routed = round_up(r.padded, multiple);
  r.padded = round_up(std::max(r.padded, captured), multiple);
  r.scattered = ceil_div(r.padded, l.tp);
  return r;
}

std::vector<GroupLoad> draft_loads(const Deployment& d, std::span<const GroupLoad> loads, Phase phase,
                                   std::int64_t pass) {
  std::vector<GroupLoad> out(loads.begin(), loads.end());
  if (phase == Phase::kPrefill || pass == 0) return out;
  for (GroupLoad& g : out) {
    if (g.sequences == 0) continue;
    if (!d.traits().drafts_all_rows) g.new_tokens = std::min<std::int64_t>(g.new_tokens, 1);
    g.context += pass;
  }
  return out;
}

std::vector<PlacedTokens> cached_tokens(const Deployment& d, Phase phase, const GroupLoad& load, std::int64_t shard) {
  if (load.sequences == 0) return {};
  const std::int64_t generated = phase == Phase::kDecode ? std::max<std::int64_t>(0, load.context - load.prompt) : 0;
  return context_scheme(d).cache.placed(load.prompt, generated, shard);
}

std::int64_t first_position(Phase phase, const GroupLoad& load) {
  return phase == Phase::kPrefill ? load.history : load.context - load.new_tokens;
}

RankStep::RankStep(ProgramBuilder& builder, const Deployment& deployment, const Step& step,
                   const KernelFacts& kernel_facts, std::int64_t own_rank, int own_lane)
    : p(builder),
      d(deployment),
      m(deployment.model),
      l(deployment.layout),
      facts(kernel_facts),
      context(context_scheme(deployment)),
      phase(step.phase),
      writes_cache(step.writes_cache),
      rank(own_rank),
      lane(own_lane),
      at(coordinates(deployment.layout, own_rank)),
      expert_load(routed_load(deployment, own_rank)),
      heads(deployment.model.sparse() && scattered() ? deployment.model.heads
                                                     : deployment.model.heads / deployment.layout.tp) {
  if (!facts.communication_stream) p.serialise_communication();
  first_sequence = lane * kLaneSequences;
  for (std::int64_t g = 0; g < at.dp; ++g) first_sequence += step.load[static_cast<std::size_t>(g)].sequences;
  set_loads(step.load);
}

void RankStep::set_loads(std::vector<GroupLoad> now) {
  check(static_cast<std::int64_t>(now.size()) == l.dp, "a step needs a load for every DP group");
  loads = std::move(now);
  load = loads[static_cast<std::size_t>(at.dp)];
  const StreamRows own = ascendsim::stream_rows(d, phase, loads, at.dp);
  rows = own.rows;
  padded_rows = own.padded;
  scattered_rows = own.scattered;
  padded_world_rows = padded_rows * l.dp * l.cp;
  routed_world_rows = own.routed * l.dp * l.cp;
  world_rows = world_sampled_rows = padded_sampled_rows = 0;
  for (const GroupLoad& g : loads) {
    world_rows += attention_rows(l, phase, g) * l.cp;
    world_sampled_rows += sampled_rows_of(phase, g);
    padded_sampled_rows = std::max(padded_sampled_rows, sampled_rows_of(phase, g));
  }
  sampled_rows = sampled_rows_of(phase, load);
  const std::vector<NamedRows> own_positions = stream_names(at.dp, at.cp, 0, true);
  // Where tokens are split the rows of the rank are part of the stream, but attention has the whole of it: names follow
  // it.
  positions = p.input(Dtype::kInt32, padded_rows, 1, {.key = "positions"}, p.name_rows(own_positions));
  lay_out_cache();
  lay_out_streams();
}

// Parts of a context-parallel prompt lie one after another, in each part sequence after sequence.
std::vector<NamedRows> RankStep::stream_names(std::int64_t dp, std::int64_t cp, std::int64_t later,
                                              bool positions_only) const {
  const GroupLoad& g = loads[static_cast<std::size_t>(dp)];
  std::vector<NamedRows> out;
  if (g.sequences == 0) return out;
  std::int64_t sequence = first_sequence;
  for (std::int64_t i = dp; i < at.dp; ++i) sequence -= loads[static_cast<std::size_t>(i)].sequences;
  for (std::int64_t i = at.dp; i < dp; ++i) sequence += loads[static_cast<std::size_t>(i)].sequences;
  const auto add = [&](std::int64_t first, std::int64_t tokens, std::int64_t stride) {
    if (stride == 1) {
      out.push_back({.first = positions_only ? first : token_name(sequence, first),
                     .rows = static_cast<std::int32_t>(tokens),
                     .repeats = static_cast<std::int32_t>(g.sequences),
                     .stride = positions_only ? 0 : kPositions});
      return;
    }
    for (std::int64_t s = 0; s < g.sequences; ++s)
      out.push_back({.first = positions_only ? first : token_name(sequence + s, first),
                     .rows = 1,
                     .repeats = static_cast<std::int32_t>(tokens),
                     .stride = stride});
  };
  const std::int64_t first = first_position(phase, g) + later;
  if (phase == Phase::kDecode) {
    add(first, g.new_tokens, 1);
    return out;
  }
  const PromptSplit cut = prompt_split(l.cp_partition, g.new_tokens, l.cp);
  for (std::int64_t part = 0; part < cut.parts; ++part) add(first + cut.first(cp, part), cut.chunk, cut.stride);
  return out;
}

void RankStep::lay_out_cache() {
  placed = ascendsim::cached_tokens(d, phase, load, at.kv_shard(l));
  cached_tokens = tokens_of(placed);
  // Every pass but the last leaves room for the tokens that are drafted after it.
  const std::int64_t drafts = phase == Phase::kDecode ? d.features.speculative_tokens : 0;
  cache_stride = cached_tokens;
  if (pass > 0 && drafts > 1 && load.sequences > 0) {
    GroupLoad last = load;
    last.context += drafts - pass;
    cache_stride = tokens_of(ascendsim::cached_tokens(d, phase, last, at.kv_shard(l)));
  }
  const std::int64_t first = load.sequences > 0 ? first_position(phase, load) : 0, end = first + load.new_tokens;
  visible.clear();
  if (phase == Phase::kDecode && load.sequences > 0)
    for (std::int64_t i = 0; i < load.new_tokens; ++i) visible.push_back(tokens_of(within(placed, 0, first + i + 1)));

  NameList names;
  MoveList own;
  const std::vector<PlacedTokens> fresh = writes_cache ? within(placed, first, end) : std::vector<PlacedTokens>{};
  const std::vector<PlacedTokens> stored = cache_stride == cached_tokens ? placed
                                                                         : ascendsim::cached_tokens(
                                                                               d, phase,
                                                                               [&] {
                                                                                 GroupLoad last = load;
                                                                                 last.context += drafts - pass;
                                                                                 return last;
                                                                               }(),
                                                                               at.kv_shard(l));
  const bool cut = phase == Phase::kPrefill && l.cp > 1 && load.sequences > 0;
  split = phase == Phase::kPrefill && load.sequences > 0 ? prompt_split(l.cp_partition, load.new_tokens, l.cp)
                                                         : PromptSplit{.chunk = load.new_tokens};
  for (std::int64_t s = 0; s < load.sequences; ++s) {
    for (const PlacedTokens& piece : stored) names.add(token_name(first_sequence + s, piece.first), piece.tokens);
    if (!cut)
      for (const PlacedTokens& piece : fresh)
        own.add(s * load.new_tokens + piece.first - first, s * cache_stride + piece.row, piece.tokens);
  }
  cache_names = names.into(p);
  own_cache_writes = gathered_cache_writes = own.into(p);
  if (cut) lay_out_gathered(fresh, first);
  history.clear();
  if (load.sequences == 0) return;
  if (m.sparse())
    lay_out_gathered_cache();
  else
    lay_out_history();
}

std::int64_t RankStep::gathered_row(std::int64_t sequence, std::int64_t token) const {
  const std::int64_t run = context.chunk_major ? split.chunk : split.padded();
  return (token / run * load.sequences + sequence) * run + token % run;
}

// `fresh`: the prompt's new tokens, from position `first` on, that this rank caches.
void RankStep::lay_out_gathered(std::span<const PlacedTokens> fresh, std::int64_t first) {
  MoveList order, writes;
  std::vector<MoveList> passing(context.exchange == LatentExchange::kRing ? static_cast<std::size_t>(l.cp) : 0);
  for (std::int64_t c = 0; c < l.cp; ++c)
    for (std::int64_t part = 0; part < split.parts; ++part)
      for (std::int64_t s = 0; s < load.sequences; ++s) {
        const std::int64_t from = (c * split.parts + part) * load.sequences * split.chunk + s * split.chunk,
                           token = split.first(c, part);
        if (split.stride == 1)
          order.add(from, gathered_row(s, token), split.chunk);
        else
          for (std::int64_t i = 0; i < split.chunk; ++i)
            order.add(from + i, gathered_row(s, token + i * split.stride), 1);
      }
  // Tokens that follow each other for `run` tokens, from multiples of it on.
  const auto in_runs = [&](std::int64_t run, auto add) {
    for (std::int64_t s = 0; s < load.sequences; ++s)
      for (const PlacedTokens& piece : fresh)
        for (std::int64_t done = 0; done < piece.tokens;) {
          const std::int64_t token = piece.first + done - first,
                             tokens = std::min(piece.tokens - done, run - token % run);
          add(s, token, s * cache_stride + piece.row + done, tokens);
          done += tokens;
        }
  };
  in_runs(context.chunk_major ? split.chunk : split.padded(),
          [&](std::int64_t s, std::int64_t token, std::int64_t to, std::int64_t tokens) {
            writes.add(gathered_row(s, token), to, tokens);
          });
  if (!passing.empty())
    in_runs(split.stride > 1 ? 1 : split.chunk,
            [&](std::int64_t s, std::int64_t token, std::int64_t to, std::int64_t tokens) {
              const PromptSplit::Place from = split.place_of(token);
              passing[static_cast<std::size_t>(from.rank)].add(own_row(s, from.part, from.row), to, tokens);
            });
  gathered_order = order.into(p);
  gathered_cache_writes = writes.into(p);
  passing_cache_writes.clear();
  for (const MoveList& moves : passing) passing_cache_writes.push_back(moves.into(p));
}

void RankStep::lay_out_history() {
  if (phase != Phase::kPrefill || load.history == 0) return;
  std::vector<std::vector<PlacedTokens>> shards;
  for (std::int64_t shard = 0; shard < l.kv_shards(); ++shard)
    shards.push_back(ascendsim::cached_tokens(d, phase, load, shard));
  // Whole rounds of turns, as far as the workspace reaches.
  std::int64_t step = load.history;
  if (context.history_workspace > 0) {
    const std::int64_t round = std::max(d.limits.block_tokens, context.cache.turn) * l.kv_shards();
    step = std::max(round, context.history_workspace / load.sequences / round * round);
  }
  for (std::int64_t first = 0; first < load.history; first += step) {
    HistoryPiece piece;
    piece.first = first;
    piece.tokens = std::min(step, load.history - first);
    const auto of_shard = [&](std::int64_t shard) {
      return within(shards[static_cast<std::size_t>(shard)], first, first + piece.tokens);
    };
    for (std::int64_t shard = 0; shard < l.kv_shards(); ++shard)
      piece.local_rows = std::max(piece.local_rows, tokens_of(of_shard(shard)));
    MoveList loaded, ordered;
    for (std::int64_t s = 0; s < load.sequences; ++s) {
      std::int64_t to = s * piece.local_rows;
      for (const PlacedTokens& run : of_shard(at.kv_shard(l))) {
        loaded.add(s * cache_stride + run.row, to, run.tokens);
        to += run.tokens;
      }
    }
    for (std::int64_t shard = 0; shard < l.kv_shards(); ++shard)
      for (std::int64_t s = 0; s < load.sequences; ++s) {
        std::int64_t from = (shard * load.sequences + s) * piece.local_rows;
        for (const PlacedTokens& run : of_shard(shard)) {
          ordered.add(from, s * piece.tokens + run.first - first, run.tokens);
          from += run.tokens;
        }
      }
    piece.load = loaded.into(p);
    piece.order = ordered.into(p);
    history.push_back(piece);
  }
}

void RankStep::lay_out_gathered_cache() {
  if (l.kv_shards() == 1 || (phase == Phase::kPrefill && load.history == 0)) return;
  gathered_rows = 0;
  std::vector<std::vector<PlacedTokens>> shards;
  for (std::int64_t shard = 0; shard < l.kv_shards(); ++shard) {
    shards.push_back(ascendsim::cached_tokens(d, phase, load, shard));
    gathered_rows = std::max(gathered_rows, tokens_of(shards.back()));
  }
  MoveList loaded, ordered;
  for (std::int64_t s = 0; s < load.sequences; ++s) loaded.add(s * cache_stride, s * gathered_rows, cached_tokens);
  for (std::int64_t s = 0; s < load.sequences; ++s)
    for (std::int64_t shard = 0; shard < l.kv_shards(); ++shard)
      for (const PlacedTokens& piece : shards[static_cast<std::size_t>(shard)])
        ordered.add((shard * load.sequences + s) * gathered_rows + piece.row, s * load.context + piece.first,
                    piece.tokens);
  shard_load = loaded.into(p);
  shard_order = ordered.into(p);
}

// All streams one after another, as a gather over the world leaves them.
void RankStep::lay_out_streams() {
  MoveList real, back, sampled, own, group;
  std::int64_t done = 0, at_row = 0, taken = 0;
  real_rows_first = true;
  own_sampled_rows = 0;
  for (std::int64_t g = 0; g < l.dp; ++g) {
    const GroupLoad& load_of = loads[static_cast<std::size_t>(g)];
    const std::int64_t real_of = attention_rows(l, phase, load_of);
    for (std::int64_t c = 0; c < l.cp; ++c, at_row += padded_rows) {
      real_rows_first = real_rows_first && (real_of == 0 || at_row == done);
      real.add(at_row, done, real_of);
      back.add(done, at_row, real_of);
      done += real_of;
    }
    if (load_of.sequences == 0) continue;
    // The rows of one sequence's logits, and the stream that has them.
    std::int64_t cp = 0, row = 0, step = load_of.new_tokens, count = load_of.new_tokens;
    if (phase == Phase::kPrefill) {
      count = 1;
      const PromptSplit cut = prompt_split(l.cp_partition, load_of.new_tokens, l.cp);
      const PromptSplit::Place last = cut.place_of(load_of.new_tokens - 1);
      cp = last.rank;
      step = cut.chunk;
      row = last.row + last.part * load_of.sequences * cut.chunk;
    }
    const std::int64_t at_once = step == count ? load_of.sequences : 1;  // rows of all sequences follow each other
    for (std::int64_t s = 0; s < load_of.sequences; s += at_once, taken += count * at_once)
      sampled.add((g * l.cp + cp) * padded_rows + row + s * step, taken, count * at_once);
    if (g != at.dp) continue;
    for (std::int64_t s = 0; s < load_of.sequences; ++s) group.add(cp * padded_rows + row + s * step, s * count, count);
    if (phase == Phase::kPrefill && cp != at.cp) continue;
    for (std::int64_t s = 0; s < load_of.sequences; ++s, own_sampled_rows += count)
      own.add(row + s * step, own_sampled_rows, count);
  }
  real_rows = real.into(p);
  padded_places = back.into(p);
  world_sampled = sampled.into(p);
  own_sampled = own.into(p);
  group_sampled = group.into(p);
}

void RankStep::set_pass(int now) {
  pass = now;
  lay_out_cache();
}

Value RankStep::ids() {
  return p.input(Dtype::kInt32, padded_rows, 1, {.key = "token_ids"},
                 p.name_rows(stream_names(at.dp, at.cp, pass > 0 ? 1 : 0, false)));
}

Value RankStep::handed_on() {
  std::vector<NamedRows> own;
  // Rows of this rank's share; what lies beyond the real ones is padding.
  const std::int64_t first = scattered() ? at.tp * scattered_rows : 0, end = first + stream_rows();
  std::int64_t row = 0;
  for (const NamedRows& n : stream_names(at.dp, at.cp, 0, false))
    for (std::int32_t repeat = 0; repeat < n.repeats; ++repeat, row += n.rows) {
      const std::int64_t from = std::max(first, row), to = std::min<std::int64_t>(end, row + n.rows);
      if (from < to)
        own.push_back(
            {.first = n.first + repeat * n.stride + from - row, .rows = static_cast<std::int32_t>(to - from)});
    }
  if (own.empty()) own.push_back({.first = Program::kPaddingRow, .repeats = static_cast<std::int32_t>(stream_rows())});
  return p.input(d.dtype, stream_rows(), m.hidden, {.key = "handed_on"}, p.name_rows(own));
}

std::vector<std::int64_t> RankStep::names_of_stream(std::int64_t dp, std::int64_t cp) const {
  std::vector<std::int64_t> out;
  for (const NamedRows& n : stream_names(dp, cp, 0, false))
    for (std::int32_t repeat = 0; repeat < n.repeats; ++repeat)
      for (std::int32_t r = 0; r < n.rows; ++r) out.push_back(n.first + repeat * n.stride + r);
  out.resize(static_cast<std::size_t>(padded_rows), Program::kPaddingRow);
  return out;
}

std::vector<std::int64_t> RankStep::names_of_group() const {
  std::vector<std::int64_t> out;
  for (std::int64_t c = 0; c < l.cp; ++c) {
    const std::vector<std::int64_t> stream = names_of_stream(at.dp, c);
    out.insert(out.end(), stream.begin(), stream.end());
  }
  return out;
}

std::vector<std::int64_t> RankStep::names_of_world() const {
  std::vector<std::int64_t> out;
  for (std::int64_t g = 0; g < l.dp; ++g)
    for (std::int64_t c = 0; c < l.cp; ++c) {
      const std::vector<std::int64_t> stream = names_of_stream(g, c);
      out.insert(out.end(), stream.begin(), stream.end());
    }
  return out;
}

void RankStep::output(StepOutput::What what, Value value, std::vector<std::int64_t> names) const {
  check(static_cast<std::int64_t>(names.size()) == value.rows, "every row of an output has a name");
  noted->push_back({what, pass,
                    static_cast<std::int32_t>(
                        what == StepOutput::What::kExperts || what == StepOutput::What::kKeys ? output_layer : -1),
                    value, std::move(names)});
}

ProgramBuilder::Group RankStep::group(Group g) const {
  const auto size = [&]() -> std::int64_t {
    switch (g) {
      case Group::kAttnTp:
        return l.tp;
      case Group::kAttnSp:
        return l.sp;
      case Group::kAttnDp:
        return l.dp;
      case Group::kAttnCp:
        return l.cp;
      case Group::kMoeTp:
        return l.moe_tp;
      case Group::kMoeEp:
        return l.moe_ep;
      case Group::kWorld:
        return l.world();
      case Group::kKvShards:
        return l.kv_shards();
      case Group::kOProjTp:
        return l.o_proj_parts();
      case Group::kLmHeadTp:
        return l.lm_head_parts();
      case Group::kEmbeddingTp:
        return l.embedding_parts();
      case Group::kMlpTp:
        return l.mlp_parts();
    }
    return 1;
  };
  return {kind(g), static_cast<int>(size())};
}

TensorSlice RankStep::Cut::of(const char* key, std::int64_t inputs, std::int64_t outputs) const {
  const std::int64_t in = ceil_div(inputs, row_parts), out = ceil_div(outputs, column_parts);
  const std::int64_t column = (gate_and_up ? out / 2 : out) * column_part;
  return {.key = key,
          .row = static_cast<std::int32_t>(in * row_part),
          .column = static_cast<std::int32_t>(column),
          .second_column = static_cast<std::int32_t>(gate_and_up ? outputs / 2 + column : 0),
          .fan_in = static_cast<std::int32_t>(inputs)};
}

Value RankStep::weight(Module module, const char* key, std::int64_t inputs, std::int64_t outputs, Cut cut) {
  const Precision& precision = d.quantisation.of(module);
  const std::int64_t in = ceil_div(inputs, cut.row_parts), out = ceil_div(outputs, cut.column_parts);
  TensorSlice slice = cut.of(key, inputs, outputs);
  slice.extra = precision.scale_per_channel * out;
  return p.weight(precision.weight, in, out, slice);
}

Value RankStep::expert_weight(const char* key, std::int64_t inputs, std::int64_t outputs, Cut cut) {
  const Precision& precision = routed_precision();
  const std::int64_t experts = d.experts_per_rank();
  const std::int64_t in = ceil_div(inputs, cut.row_parts), out = ceil_div(outputs, cut.column_parts);
  TensorSlice slice = cut.of(key, inputs, outputs);
  slice.first_expert = static_cast<std::int32_t>(experts * (at.moe_ep - d.experts.shared_ranks));
  slice.experts = static_cast<std::int32_t>(experts);
  slice.extra = precision.scale_per_channel * (out * experts);
  return p.weight(precision.weight, in, out, slice);
}

const Precision& RankStep::routed_precision() const {
  // The MTP layer's experts stay int8 where the main model's are int4 (msmodelslim mtp_quant_module.py).
  const bool stays_int8 = drafting && d.quantisation.of(Module::kRoutedExpert).weight == Dtype::kInt4;
  return d.quantisation.of(stays_int8 ? Module::kSharedExpert : Module::kRoutedExpert);
}

Value RankStep::prepared(Module module, const char* label, Value x) {
  const ActivationQuant scheme = d.quantisation.of(module).activation;
  if (scheme == ActivationQuant::kNone || x.dtype == Dtype::kInt8) return x;
  return quantise(p, label, x,
                  scheme == ActivationQuant::kStatic ? QuantisationScale::kStatic : QuantisationScale::kPerToken);
}

Dtype RankStep::norm_output(Module module) const {
  return d.quantisation.of(module).activation == ActivationQuant::kStatic ? Dtype::kInt8 : d.dtype;
}

}  // namespace ascendsim
