// Context parallelism as each engine runs it, said in one place: which tokens of a prompt a rank takes, where cached
// ones lie, how the latent reaches the ranks that lack it, how attention over it is called, and in what partial results
// of a cut cache are merged. Programs (context/, mla.cpp), memory and KV transfer read it; nobody asks for
// the engine, whose function fills it in (EngineTraits::context).
#pragma once

#include "strategies/deployment/deployment.h"

namespace ascendsim {

struct ContextScheme {
  PromptPartition partition = PromptPartition::kZigzag;
  LatentExchange exchange = LatentExchange::kAllGather;
  CachePlacement cache;

  // How keys lie once gathered: chunk after chunk, in each sequence after sequence; or sequence after sequence, in
  // order.
  bool chunk_major = false;
  // Prefill over zigzag chunks. kChunkByChunk: a call for each chunk of keys (MindIE's ring order). kMaskedFirst: head
  // and tail chunk each with one call over their own keys, masked, and calls over all earlier ones without mask.
  enum class Calls : std::uint8_t { kChunkByChunk, kMaskedFirst } calls = Calls::kMaskedFirst;
  std::int64_t unmasked_segment = 0;    // keys of a sequence in a call without mask; 0 = all of them
  std::int64_t history_workspace = 0;   // cached tokens that are gathered and expanded at a time; 0 = all of them
  bool history_in_two_gathers = false;  // over the cache shards in the TP group, then over cp; else at once

  bool merges_in_32_bit = false;  // partial outputs and lse travel and merge in fp32, else in the model's type
  // Hidden rows reach the LM head over the TP group, then over cp; else over the world at once.
  bool head_gathers_by_group = false;
};
// As the deployment's engine amends it (EngineTraits::context).
ContextScheme context_scheme(const Deployment& deployment);
// MindIE operation/ring_attention.cpp, fa_update.cpp; and where nothing else is known.
void chunk_by_chunk(const Deployment& deployment, ContextScheme& scheme);

}  // namespace ascendsim
