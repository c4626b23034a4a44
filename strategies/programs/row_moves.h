// Which rows of a pass go where: lists that its layers share, made when the first of them asks. Internal to programs/.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "strategies/programs/pass_rows.h"
#include "strategies/programs/rank_place.h"
#include "workloads/operators/elementwise.h"

namespace ascendsim {

class RowMoves {
 public:
  RowMoves(ProgramBuilder& builder, const RankPlace& place, const PassRows& rows)
      : p_(builder), place_(place), rows_(rows) {}
  RowMoves(const RowMoves&) = delete;
  RowMoves& operator=(const RowMoves&) = delete;
  void begin_pass() { lists_ = {}; }  // `rows` have changed

  [[nodiscard]] ProgramBuilder::Names cache_names();  // of the cache's rows
  // Rows of the cache from the rank's attention rows; from rows of all ranks that were gathered, in order; of a ring,
  // from those that cp rank `rank` computed.
  [[nodiscard]] Moves own_cache_writes();
  [[nodiscard]] Moves gathered_cache_writes();
  [[nodiscard]] Moves passing_cache_writes(std::int64_t rank);
  [[nodiscard]] Moves gathered_order();  // rows of a prompt as ranks send them -> in order

  // Cached prefixes, a workspace of [first, first + tokens) of every sequence at a time. None where nothing is cached.
  struct HistoryPiece {
    std::int64_t first = 0, tokens = 0, local_rows = 0;  // local: of one sequence on the fullest shard
    Moves load, order;  // cache -> rows that are sent; rows as shards send them -> in order
  };
  [[nodiscard]] std::span<const HistoryPiece> history();
  // A cut cache that every rank gathers whole: `rows` of each sequence from each shard.
  struct WholeCache {
    std::int64_t rows = 0;
    Moves load, order;  // as above
  };
  [[nodiscard]] const WholeCache& whole_cache();

  // All streams one after another, as a gather over the world leaves them -> without padding, and back.
  [[nodiscard]] Moves real_rows();
  [[nodiscard]] Moves padded_places();
  // Rows whose logits are needed: of all streams, of this rank's, of its DP group's.
  [[nodiscard]] Moves sampled_of_world();
  [[nodiscard]] Moves sampled_of_own();
  [[nodiscard]] Moves sampled_of_group();

 private:
  struct Streams {
    Moves real, back;
  };
  struct Sampled {
    Moves world, own, group;
  };
  struct Lists {
    std::optional<ProgramBuilder::Names> cache_names;
    std::optional<Moves> own_writes, gathered_writes, order;
    std::optional<std::vector<Moves>> passing_writes;
    std::optional<std::vector<HistoryPiece>> history;
    std::optional<WholeCache> whole_cache;
    std::optional<Streams> streams;
    std::optional<Sampled> sampled;
  };
  [[nodiscard]] std::int64_t first_new() const;                // position of a sequence's first new token
  [[nodiscard]] std::vector<PlacedTokens> new_tokens() const;  // those that this rank caches
  void for_runs_of_new(std::int64_t run, auto add) const;
  [[nodiscard]] std::vector<std::vector<PlacedTokens>> shards() const;
  [[nodiscard]] std::vector<HistoryPiece> lay_out_history();
  [[nodiscard]] HistoryPiece lay_out_piece(std::span<const std::vector<PlacedTokens>> shards, std::int64_t first,
                                           std::int64_t tokens);
  [[nodiscard]] const Streams& streams();
  [[nodiscard]] const Sampled& sampled();

  ProgramBuilder& p_;
  const RankPlace& place_;
  const PassRows& rows_;
  Lists lists_;
};

}  // namespace ascendsim
