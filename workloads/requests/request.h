// Requests of a service as a trace or a load generator gives them: when each is sent, how long it is, and which tokens
// of its prompt it has in common with others.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/units.h"

namespace ascendsim {

// A stretch of a prompt. Its k-th token is the same token as the k-th of every other stretch with the same content, so
// two prompts share a prefix as long as content and offset agree from the first token on. What follows the last
// segment, outputs included, is unique to the request.
struct PromptSegment {
  std::int64_t tokens = 0;
  std::uint64_t content = 0;
  bool operator==(const PromptSegment&) const = default;
};

struct Request {
  Duration arrival;                // after the start of the load
  std::int64_t input_tokens = 0;   // of the prompt, >= 1
  std::int64_t output_tokens = 0;  // asked for, >= 0; the request ends after them, end tokens are not drawn
  std::int64_t priority = 0;       // smaller goes first, where the engine's policy asks for it
  std::vector<PromptSegment> shared{};
};

}  // namespace ascendsim
