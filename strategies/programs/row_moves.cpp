#include "strategies/programs/row_moves.h"

#include <algorithm>

namespace ascendsim {

namespace {

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

template <class T>
const T& once(std::optional<T>& known, auto make) {
  if (!known) known = make();
  return *known;
}

}  // namespace

std::int64_t RowMoves::first_new() const {
  return rows_.load.sequences > 0 ? first_position(place_.phase, rows_.load) : 0;
}

std::vector<PlacedTokens> RowMoves::new_tokens() const {
  if (!rows_.writes_cache) return {};
  return within(rows_.placed, first_new(), first_new() + rows_.load.new_tokens);
}

ProgramBuilder::Names RowMoves::cache_names() {
  return once(lists_.cache_names, [&] {
    NameList names;
    for (std::int64_t s = 0; s < rows_.load.sequences; ++s)
      for (const PlacedTokens& piece : rows_.stored)
        names.add(token_name(rows_.first_sequence + s, piece.first), piece.tokens);
    return names.into(p_);
  });
}

Moves RowMoves::own_cache_writes() {
  return once(lists_.own_writes, [&] {
    MoveList moves;
    const std::vector<PlacedTokens> fresh = new_tokens();
    for (std::int64_t s = 0; s < rows_.load.sequences; ++s)
      for (const PlacedTokens& piece : fresh)
        moves.add(s * rows_.load.new_tokens + piece.first - first_new(), s * rows_.cache_stride + piece.row,
                  piece.tokens);
    return moves.into(p_);
  });
}

// add(sequence, token, row of the cache, tokens): tokens that follow each other for `run`, from multiples of it on.
void RowMoves::for_runs_of_new(std::int64_t run, auto add) const {
  const std::vector<PlacedTokens> fresh = new_tokens();
  for (std::int64_t s = 0; s < rows_.load.sequences; ++s)
    for (const PlacedTokens& piece : fresh)
      for (std::int64_t done = 0; done < piece.tokens;) {
        const std::int64_t token = piece.first + done - first_new(),
                           tokens = std::min(piece.tokens - done, run - token % run);
        add(s, token, s * rows_.cache_stride + piece.row + done, tokens);
        done += tokens;
      }
}

Moves RowMoves::gathered_cache_writes() {
  if (!rows_.cut) return own_cache_writes();
  return once(lists_.gathered_writes, [&] {
    MoveList moves;
    for_runs_of_new(rows_.gathered_run, [&](std::int64_t s, std::int64_t token, std::int64_t to, std::int64_t tokens) {
      moves.add(rows_.gathered_row(s, token), to, tokens);
    });
    return moves.into(p_);
  });
}

Moves RowMoves::passing_cache_writes(std::int64_t rank) {
  const std::vector<Moves>& all = once(lists_.passing_writes, [&] {
    std::vector<MoveList> moves(static_cast<std::size_t>(rows_.split.cp));
    for_runs_of_new(rows_.split.stride > 1 ? 1 : rows_.split.chunk,
                    [&](std::int64_t s, std::int64_t token, std::int64_t to, std::int64_t tokens) {
                      const PromptSplit::Place from = rows_.split.place_of(token);
                      moves[static_cast<std::size_t>(from.rank)].add(rows_.own_row(s, from.part, from.row), to, tokens);
                    });
    std::vector<Moves> out;
    for (const MoveList& list : moves) out.push_back(list.into(p_));
    return out;
  });
  return all[static_cast<std::size_t>(rank)];
}

Moves RowMoves::gathered_order() {
  return once(lists_.order, [&] {
    const PromptSplit& split = rows_.split;
    MoveList moves;
    for (std::int64_t c = 0; c < split.cp; ++c)
      for (std::int64_t part = 0; part < split.parts; ++part)
        for (std::int64_t s = 0; s < rows_.load.sequences; ++s) {
          const std::int64_t from = c * rows_.load.sequences * split.rows() + rows_.own_row(s, part, 0),
                             token = split.first(c, part);
          if (split.stride == 1)
            moves.add(from, rows_.gathered_row(s, token), split.chunk);
          else
            for (std::int64_t i = 0; i < split.chunk; ++i)
              moves.add(from + i, rows_.gathered_row(s, token + i * split.stride), 1);
        }
    return moves.into(p_);
  });
}

std::vector<std::vector<PlacedTokens>> RowMoves::shards() const {
  std::vector<std::vector<PlacedTokens>> out;
  for (std::int64_t shard = 0; shard < place_.l.kv_shards(); ++shard)
    out.push_back(cached_tokens(place_.d, place_.phase, rows_.load, shard));
  return out;
}

std::span<const RowMoves::HistoryPiece> RowMoves::history() {
  return once(lists_.history, [&] { return lay_out_history(); });
}

std::vector<RowMoves::HistoryPiece> RowMoves::lay_out_history() {
  const GroupLoad& load = rows_.load;
  if (place_.phase != Phase::kPrefill || load.sequences == 0 || load.history == 0) return {};
  // Whole rounds of turns, as far as the workspace reaches.
  std::int64_t step = load.history;
  if (const std::int64_t workspace = place_.context.history_workspace; workspace > 0) {
    const std::int64_t round = std::max(place_.d.limits.block_tokens, place_.context.cache.turn) * place_.l.kv_shards();
    step = std::max(round, workspace / load.sequences / round * round);
  }
  const std::vector<std::vector<PlacedTokens>> all = shards();
  std::vector<HistoryPiece> out;
  for (std::int64_t first = 0; first < load.history; first += step)
    out.push_back(lay_out_piece(all, first, std::min(step, load.history - first)));
  return out;
}

RowMoves::HistoryPiece RowMoves::lay_out_piece(std::span<const std::vector<PlacedTokens>> shards, std::int64_t first,
                                               std::int64_t tokens) {
  HistoryPiece piece{.first = first, .tokens = tokens, .load = {}, .order = {}};
  const std::int64_t sequences = rows_.load.sequences;
  std::vector<std::vector<PlacedTokens>> runs;
  for (const std::vector<PlacedTokens>& shard : shards) {
    runs.push_back(within(shard, first, first + tokens));
    piece.local_rows = std::max(piece.local_rows, tokens_of(runs.back()));
  }
  MoveList loaded, ordered;
  for (std::int64_t s = 0; s < sequences; ++s) {
    std::int64_t to = s * piece.local_rows;
    for (const PlacedTokens& run : runs[static_cast<std::size_t>(place_.at.kv_shard(place_.l))]) {
      loaded.add(s * rows_.cache_stride + run.row, to, run.tokens);
      to += run.tokens;
    }
  }
  for (std::size_t shard = 0; shard < runs.size(); ++shard)
    for (std::int64_t s = 0; s < sequences; ++s) {
      std::int64_t from = (static_cast<std::int64_t>(shard) * sequences + s) * piece.local_rows;
      for (const PlacedTokens& run : runs[shard]) {
        ordered.add(from, s * tokens + run.first - first, run.tokens);
        from += run.tokens;
      }
    }
  piece.load = loaded.into(p_);
  piece.order = ordered.into(p_);
  return piece;
}

const RowMoves::WholeCache& RowMoves::whole_cache() {
  return once(lists_.whole_cache, [&] {
    WholeCache out;
    const std::int64_t sequences = rows_.load.sequences;
    const std::vector<std::vector<PlacedTokens>> all = shards();
    for (const std::vector<PlacedTokens>& shard : all) out.rows = std::max(out.rows, tokens_of(shard));
    MoveList loaded, ordered;
    for (std::int64_t s = 0; s < sequences; ++s) loaded.add(s * rows_.cache_stride, s * out.rows, rows_.cached);
    for (std::int64_t s = 0; s < sequences; ++s)
      for (std::size_t shard = 0; shard < all.size(); ++shard)
        for (const PlacedTokens& piece : all[shard])
          ordered.add((static_cast<std::int64_t>(shard) * sequences + s) * out.rows + piece.row,
                      s * rows_.load.context + piece.first, piece.tokens);
    out.load = loaded.into(p_);
    out.order = ordered.into(p_);
    return out;
  });
}

const RowMoves::Streams& RowMoves::streams() {
  return once(lists_.streams, [&] {
    MoveList real, back;
    std::int64_t done = 0, at_row = 0;
    for (const GroupLoad& load : rows_.loads) {
      const std::int64_t rows = attention_rows(place_.l, place_.phase, load);
      for (std::int64_t c = 0; c < place_.l.cp; ++c, at_row += rows_.padded, done += rows) {
        real.add(at_row, done, rows);
        back.add(done, at_row, rows);
      }
    }
    return Streams{real.into(p_), back.into(p_)};
  });
}
Moves RowMoves::real_rows() { return streams().real; }
Moves RowMoves::padded_places() { return streams().back; }

const RowMoves::Sampled& RowMoves::sampled() {
  return once(lists_.sampled, [&] {
    MoveList world, own, group;
    const Layout& l = place_.l;
    const bool prefill = place_.phase == Phase::kPrefill;
    std::int64_t taken = 0, own_taken = 0;
    for (std::int64_t g = 0; g < l.dp; ++g) {
      const GroupLoad& load = rows_.loads[static_cast<std::size_t>(g)];
      if (load.sequences == 0) continue;
      // The rows of one sequence's logits, and the stream that has them.
      std::int64_t cp = 0, row = 0, step = load.new_tokens, count = load.new_tokens;
      if (prefill) {
        count = 1;
        const PromptSplit cut = prompt_split(l.cp_partition, load.new_tokens, l.cp);
        const PromptSplit::Place last = cut.place_of(load.new_tokens - 1);
        cp = last.rank;
        step = cut.chunk;
        row = last.row + last.part * load.sequences * cut.chunk;
      }
      const std::int64_t at_once = step == count ? load.sequences : 1;  // rows of all sequences follow each other
      for (std::int64_t s = 0; s < load.sequences; s += at_once, taken += count * at_once)
        world.add((g * l.cp + cp) * rows_.padded + row + s * step, taken, count * at_once);
      if (g != place_.at.dp) continue;
      for (std::int64_t s = 0; s < load.sequences; ++s) group.add(cp * rows_.padded + row + s * step, s * count, count);
      if (prefill && cp != place_.at.cp) continue;
      for (std::int64_t s = 0; s < load.sequences; ++s, own_taken += count) own.add(row + s * step, own_taken, count);
    }
    return Sampled{world.into(p_), own.into(p_), group.into(p_)};
  });
}
Moves RowMoves::sampled_of_world() { return sampled().world; }
Moves RowMoves::sampled_of_own() { return sampled().own; }
Moves RowMoves::sampled_of_group() { return sampled().group; }

}  // namespace ascendsim
