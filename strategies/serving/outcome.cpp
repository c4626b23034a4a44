#include "strategies/serving/outcome.h"

namespace ascendsim {

std::string_view to_text(Rejection rejection) {
  constexpr std::string_view kTexts[kRejections] = {"none", "longer than the model's length",
                                                    "longer than the KV cache", "no tokens", "queue full"};
  return kTexts[static_cast<std::size_t>(rejection)];
}

}  // namespace ascendsim
