// DeepSeek sparse attention (DSA; DeepSeek-V3.2-Exp, inference/model.py). An indexer scores every key that a query may
// see,
//   score(key) = sum over heads h of w_h ReLU(q_h . k),
// with one index key of 128 columns a token for all heads, and keeps the best 2048; absorbed MLA then attends to those
// rows of the latent cache alone. Left out because the choice does not depend on them: the positive factors of the
// scores (heads^-0.5, width^-0.5) and the Hadamard rotation that queries and keys share.
#pragma once

#include <span>

#include "workloads/operators/attention.h"
#include "workloads/operators/elementwise.h"

namespace ascendsim {

// Index keys: x [T, width] -> LayerNorm with weight and bias (norm [2, width]), rotary embedding on the first
// `rope_width` columns. Its pairs are columns i and i + rope_width / 2, not neighbours as in MLA. In the second form
// rows of the result go to the cache as well. An int8 cache is quantised as the latent is (write_cache).
Value index_key(ProgramBuilder& p, const char* label, Value x, Value norm, Value positions, int rope_width);
Value index_key_cache(ProgramBuilder& p, const char* label, Value x, Value norm, Value positions, int rope_width,
                      Value cache, Moves writes);
// The same rotation of the first columns of each head of index queries, in place.
void index_query_rope(ProgramBuilder& p, const char* label, Value q, Value positions, int heads, int rope_width);

// Which queries may see which keys: blocks of one sequence, which stand for `repeats` sequences of equal length whose
// query and key rows lie so far apart. A block's keys start with the first one of its sequence and are in the order of
// their positions.
struct QuerySequences {
  std::int32_t blocks = 0, repeats = 1, q_stride = 0;
  std::int32_t top_k = 0;
  std::int64_t k_stride = 0;
  std::int64_t key_rows = 0;  // streamed from memory by the indexer: all sequences together
};
std::int64_t visible_pairs(const QuerySequences& s, std::span<const AttentionBlock> blocks);
// Of them those that are attended to: at most top_k a query.
std::int64_t selected_pairs(const QuerySequences& s, std::span<const AttentionBlock> blocks);

struct IndexerCore {
  QuerySequences sequences;
  std::int32_t heads = 0, width = 0;
  std::int64_t key_tile = 1;   // keys are scored in whole tiles, those that a query must not see included
  std::int64_t cube_rows = 1;  // as below
  double top_k_ops_per_key = 0,
         top_k_ops_per_choice = 0;  // lane operations of sorting, for a key and for each of the top k
  static constexpr bool kPaddingFree = true;
};
static_assert(sizeof(IndexerCore) ==
              sizeof(QuerySequences) + 2 * sizeof(std::int32_t) + 2 * sizeof(std::int64_t) + 2 * sizeof(double));
// q [T, heads * width], keys [rows, width] (an int8 cache may be wider: scales), weights [T, heads] -> int32 [T,
// top_k]: positions of the chosen keys in their sequence, best first, of equal scores the earlier key; -1 where there
// are fewer keys.
Value lightning_indexer(ProgramBuilder& p, const char* label, IndexerCore core, std::span<const AttentionBlock> blocks,
                        Value q, Value keys, Value weights);

struct SparseCore {
  QuerySequences sequences;
  std::int64_t heads = 0;
  std::int32_t key_width = 0, latent_width = 0;  // 576: latent and rope key; 512: the values
  std::int64_t cube_rows = 1;                    // a product pads its rows, here the heads of one query, to this many
  double scale = 0;                              // of the scores: that of the expanded form
  static constexpr bool kPaddingFree = true;
};
static_assert(sizeof(SparseCore) == sizeof(QuerySequences) + 3 * sizeof(std::int64_t) + sizeof(double));
// q [T, heads * key_width] against the chosen rows of keys [rows, key_width] (an int8 cache is wider) -> [T, heads *
// latent_width]. Every query gathers its own rows: no two queries share one.
Value sparse_attention(ProgramBuilder& p, const char* label, SparseCore core, std::span<const AttentionBlock> blocks,
                       Value q, Value keys, Value chosen);

}  // namespace ascendsim
