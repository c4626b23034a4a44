// Any bytes as a trace, plainly and with the options that their number chooses: requests in order, or an error; never a crash.
#include "sim/check.h"
#include "workloads/requests/traces.h"

namespace ascendsim {
namespace {

void read(std::string text, unsigned choice) {
  TraceOptions options;
  options.sort = (choice & 1) != 0;
  options.time_scale = (choice & 2) != 0 ? 0.5 : 1;
  options.keep_start = (choice & 4) != 0;
  if ((choice & 8) != 0) options.layout = static_cast<TraceLayout>(choice >> 4 & 3);
  Diagnostics diagnostics;
  std::int64_t requests = 0;
  if (const auto source = read_trace(std::move(text), "trace", options, diagnostics)) {
    Duration before{0};
    for (Request r; source->next(r); ++requests) {
      check(r.arrival >= before && r.input_tokens >= 1 && r.output_tokens >= 1, "a request has tokens and its place");
      before = r.arrival;
      std::int64_t shared = 0;
      for (const PromptSegment& s : r.shared) shared += s.tokens;
      check(shared == 0 || shared == r.input_tokens, "blocks cover a prompt or are not said");
    }
  }
  check(requests > 0 || diagnostics.has_errors(), "no request without an error");
  check(diagnostics.all().size() < 200, "diagnostics are bounded");
  for (const Diagnostic& d : diagnostics.all()) render(d);
}

}  // namespace
}  // namespace ascendsim

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  ascendsim::read({reinterpret_cast<const char*>(data), size}, 0);
  ascendsim::read({reinterpret_cast<const char*>(data), size}, static_cast<unsigned>(size));
  return 0;
}
