#include "strategies/deployment/key_report.h"

namespace ascendsim {

std::string_view to_text(KeyUse use) {
  switch (use) {
    case KeyUse::kUsed:
      return "used";
    case KeyUse::kAssumed:
      return "assumed";
    case KeyUse::kNoEffect:
      return "ignored, no effect";
    case KeyUse::kEffectNotModelled:
      return "ignored, effect not modelled";
    case KeyUse::kUnknown:
      return "unknown";
  }
  return "?";
}

}  // namespace ascendsim
