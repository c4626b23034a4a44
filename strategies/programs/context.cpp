#include "strategies/programs/context.h"

namespace ascendsim {

void chunk_by_chunk(const Deployment& d, ContextScheme& s) {
  s.chunk_major = !d.model.sparse();  // sparse attention picks among the keys of a sequence, so they lie in order
  s.calls = ContextScheme::Calls::kChunkByChunk;
}

ContextScheme context_scheme(const Deployment& d) {
  ContextScheme s{
      .partition = d.layout.cp_partition,
      .exchange = d.layout.cp_exchange,
      .cache = {.shards = d.layout.kv_shards(), .block_tokens = d.limits.block_tokens, .turn = d.limits.kv_interleave}};
  d.traits().context(d, s);
  return s;
}

}  // namespace ascendsim
