// Where requests come from, one after the other: a load generator or a trace. A load of any size passes through one
// Request, so memory does not grow with it unless a source says so.
#pragma once

#include <cstdint>
#include <memory>

#include "workloads/requests/request.h"

namespace ascendsim {

class RequestSource {
 public:
  virtual ~RequestSource() = default;
  // The next request in the order of sending; arrivals never go back. False at the end, and at the first row of a file
  // that is wrong: the Diagnostics which the source was made with say which (they must be looked at).
  virtual bool next(Request& request) = 0;
};

// What the contents of a generator's PromptSegments stand for; numbers of different kinds never meet. A trace has the
// hash ids of its blocks instead.
enum class PromptContent : std::uint8_t {
  kSpecial = 1,  // tokens that a tokenizer puts in front of every prompt
  kPrefix,       // a text that prompts have in common, numbered
  kRun,          // consecutive token ids from the numbered one
  kRepeated,     // one token again and again
};
constexpr std::uint64_t prompt_content(PromptContent kind, std::uint64_t number) {
  return static_cast<std::uint64_t>(kind) << 56 | number;  // REQUIRES: number < 2^56
}

}  // namespace ascendsim
