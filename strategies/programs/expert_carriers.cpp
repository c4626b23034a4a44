#include "strategies/programs/expert_carriers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "sim/elementary.h"
#include "strategies/programs/launching.h"

namespace ascendsim {

std::string_view to_text(ExpertCarrier carrier) {
  switch (carrier) {
    case ExpertCarrier::kAllGather:
      return "all-gather";
    case ExpertCarrier::kPadded:
      return "padded all-to-all";
    case ExpertCarrier::kAllToAllV:
      return "all-to-all-v";
    case ExpertCarrier::kMc2:
      return "MC2";
    case ExpertCarrier::kFusedMc2:
      return "fused MC2";
  }
  return "?";
}

namespace {

// Asked for, and one kernel for steps of any size.
bool fuses_any_rows(const Deployment& d) {
  return d.traits().fused_mc2 == FusedMc2::kAnyRows && d.experts.communication == ExpertCommunication::kFusedMc2;
}

}  // namespace

bool asks_for_fused_mc2(const Deployment& d) {
  const ExpertCommunication asked = d.experts.communication;
  return d.traits().fused_mc2 != FusedMc2::kNone && d.layout.ep_level == 2 && d.layout.moe_ep > 1 &&
         (asked == ExpertCommunication::kFusedMc2 || asked == ExpertCommunication::kFusedMc2Decode);
}

std::string fused_mc2_refusal(const Deployment& d) {
  constexpr std::int64_t kMostRanks = 32;  // of dispatch_ffn_combine, v0.15
  if (!asks_for_fused_mc2(d)) return {};
  const Precision& experts = d.quantisation.of(Module::kRoutedExpert);
  if (experts.weight != Dtype::kInt8 || experts.activation != ActivationQuant::kDynamic)
    return fmt::format("it multiplies int8 experts with dynamic activations, those of {} are others",
                       d.quantisation.name);
  if (fuses_any_rows(d) && d.layout.moe_ep > kMostRanks)
    return fmt::format("dispatch_ffn_combine serves at most {} ranks of expert parallelism, here are {}", kMostRanks,
                       d.layout.moe_ep);
  return {};
}

ExpertCarrier expert_carrier(const Deployment& d, Phase phase, std::int64_t rows, bool drafting) {
  if (d.layout.ep_level == 1 || d.layout.moe_ep == 1) return ExpertCarrier::kAllGather;
  const bool by_rows = d.traits().carrier_choice == CarrierChoice::kByRows;
  const bool few = by_rows ? rows <= mc2_capacity(d) : phase == Phase::kDecode, of_any_size = fuses_any_rows(d);
  if (asks_for_fused_mc2(d) && (few || of_any_size) && !(drafting && of_any_size) && fused_mc2_refusal(d).empty())
    return ExpertCarrier::kFusedMc2;
  if (few) return ExpertCarrier::kMc2;
  return d.experts.exact_all_to_all ? ExpertCarrier::kAllToAllV : ExpertCarrier::kPadded;
}

std::int64_t padded_all_to_all_rows(const Deployment& d, std::int64_t rows, bool prefill) {
  const auto ep = static_cast<double>(d.layout.moe_ep);
  const auto factor = [&]() -> double {
    for (const auto& [at_least, f] : d.all_to_all_scale)
      if (rows >= at_least) return f;
    if (!d.all_to_all_scale.empty()) return ep;  // below the table's last line
    if (prefill && rows <= kShortExchange) return 2 * ep;
    if (prefill && rows >= 65536 / d.layout.moe_ep) return 3;
    // A logistic in log2: mn + (mx - mn) / (1 + exp(log2 t - log2 ep)), with exp(log2 r) = r^(1 / ln 2).
    const double most = std::sqrt(ep), least = std::max(1.0, most / 2);
    return least + (most - least) / (1 + portable_pow(static_cast<double>(rows) / ep, std::numbers::log2e));
  };
  if (rows == 0) return 0;
  return round_up(static_cast<std::int64_t>(static_cast<double>(d.model.top_k * rows) * factor()), d.layout.moe_ep);
}

}  // namespace ascendsim
