// What became of the requests of a service, and what its instances did: said by the serving loop, read by metrics.h and
// by whoever writes one row a request.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "sim/units.h"

namespace ascendsim {

// Where the time between sending a request and its first token goes. The terms follow one another, so they add up to
// the TTFT to the tick.
struct TtftTerms {
  Duration client{};          // until the engine has the request: client, network, router
  Duration admission{};       // until it stands in the scheduler's queue: tokeniser, hand-over at the end of a step
  Duration queue{};           // until it is scheduled for the first time
  Duration prefill{};         // steps that compute its prompt
  Duration decode_between{};  // steps of others between them; after a preemption the second queue too
  Duration transfer{};        // KV cache from the prefill to the decode side, what of it is not hidden
  Duration first_decode{};    // decode side: its queue and the step that makes the first token
  Duration host{};            // from the end of the last step to the client: results, detokeniser, network

  static constexpr std::array<std::string_view, 8> kNames{"client",         "admission", "queue",        "prefill",
                                                          "decode_between", "transfer",  "first_decode", "host"};
  [[nodiscard]] std::array<Duration, kNames.size()> in_order() const {
    return {client, admission, queue, prefill, decode_between, transfer, first_decode, host};
  }
  [[nodiscard]] Duration sum() const {
    return client + admission + queue + prefill + decode_between + transfer + first_decode + host;
  }
};

enum class Rejection : std::uint8_t {
  kNone,
  kLongerThanModel,  // prompt, or prompt and output, beyond the engine's longest sequence
  kLongerThanCache,  // would not fit into an empty KV cache
  kNoTokens,         // nothing to compute, or nothing asked for
  kQueueFull,        // the engine's limit on waiting requests
};
inline constexpr std::size_t kRejections = 5;  // kNone among them
std::string_view to_text(Rejection rejection);

// All times are after the start of the load.
struct RequestOutcome {
  std::int64_t id = 0;  // position in the load, from 0
  Duration arrival{};   // when the load wants it sent
  Duration sent{};      // when the client sent it: later where a limit on requests in flight held it back
  Duration first_scheduled{};
  Duration first_token{}, last_token{};  // at the client
  // A stream ends this much after its last token, with a chunk that has none (usage record, [DONE]). Nothing here
  // takes that time, but tools count such chunks.
  Duration closing{};
  bool closing_chunk = true;
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;  // made; 0 of a rejected request
  std::int64_t cached_tokens = 0;  // of the prompt, found in the prefix cache
  TtftTerms terms{};               // REQUIRES: terms.sum() == first_token - sent
  Duration longest_stall{};        // longest gap between two of its chunks
  std::int32_t preemptions = 0;
  Rejection rejection = Rejection::kNone;  // all times but arrival and sent are meaningless then

  [[nodiscard]] bool completed() const { return rejection == Rejection::kNone; }
  [[nodiscard]] Duration ttft() const { return first_token - sent; }
};

// What the instances of one role did, summed over them. KV in tokens of all DP groups.
struct PoolUse {
  std::string name;  // "hybrid", "prefill", "decode"
  std::int64_t instances = 1;
  Duration busy{};  // in steps
  std::int64_t steps = 0;
  std::int64_t kv_capacity = 0, kv_peak = 0;  // of one instance; the fullest one's
  __int128 kv_time = 0;                       // tokens held x picoseconds
  __int128 running_time = 0;                  // requests scheduled x picoseconds
  __int128 waiting_time = 0;                  // requests in queues x picoseconds
};

}  // namespace ascendsim
