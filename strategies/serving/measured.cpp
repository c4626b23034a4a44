#include "strategies/serving/measured.h"

#include <utility>

namespace ascendsim {

namespace {

class Measuring : public ServiceListener {
 public:
  Measuring(ServiceMetrics& metrics, const ServiceHooks& hooks) : metrics_(metrics), hooks_(hooks) {}

  void sent(Duration at) override { metrics_.sent(at); }
  void chunks(std::span<const TokenChunks> chunks) override {
    for (const TokenChunks& c : chunks) metrics_.chunks(c.at, c.gap, c.tokens, c.count);
  }
  void finished(const RequestOutcome& outcome) override {
    metrics_.finished(outcome);
    if (hooks_.finished) hooks_.finished(outcome);
  }
  bool go_on(Duration now, std::int64_t finished) override { return !hooks_.go_on || hooks_.go_on(now, finished); }

 private:
  ServiceMetrics& metrics_;
  const ServiceHooks& hooks_;
};

}  // namespace

std::optional<MeasuredService> measure(const ServiceSite& site, const LoadOverTime& load,
                                       const std::vector<double>& acceptance, const ServiceHooks& hooks,
                                       Diagnostics& diagnostics) {
  if (!can_be_served(site, diagnostics)) return std::nullopt;
  Diagnostics found;
  const auto requests = load.open(found);
  std::optional<MeasuredService> out;
  if (requests && !found.has_errors()) {
    ServiceMetrics metrics(load.tool, load.slo);
    Measuring measuring(metrics, hooks);
    ServiceLoad served{.requests = requests.get(),
                       .max_in_flight = load.max_concurrency.value_or(0),
                       .acceptance = acceptance};
    if (load.equal) served.lengths = EqualLengths{load.input_tokens, load.output_tokens};
    ServiceEnd end = serve(site, served, measuring, found);
    // A trace may have ended at a row that is wrong.
    if (!found.has_errors())
      out = MeasuredService{metrics.report(end.duration, end.pools), std::move(end.notes),
                            end.how == ServiceEnd::How::kStopped};
  }
  diagnostics.append(found);
  return out;
}

}  // namespace ascendsim
