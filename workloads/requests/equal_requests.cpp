#include "workloads/requests/equal_requests.h"

#include "sim/check.h"

namespace ascendsim {

namespace {

class EqualRequests : public RequestSource {
 public:
  explicit EqualRequests(const EqualRequestsOptions& o)
      : options_(o), instants_(o.pacing, o.requests, NumpyRandomState(o.seed)) {}

  bool next(Request& request) override {
    if (given_ == options_.requests) return false;
    ++given_;
    request.arrival = instants_.next();
    request.input_tokens = options_.input_tokens;
    request.output_tokens = options_.output_tokens;
    request.priority = 0;
    request.shared.clear();
    if (options_.common_tokens > 0)
      request.shared.push_back({options_.common_tokens, prompt_content(PromptContent::kPrefix, 0)});
    return true;
  }

 private:
  EqualRequestsOptions options_;
  SendInstants instants_;
  std::int64_t given_ = 0;
};

class SentBefore : public RequestSource {
 public:
  SentBefore(std::unique_ptr<RequestSource> source, Duration end) : source_(std::move(source)), end_(end) {}
  bool next(Request& request) override { return source_->next(request) && request.arrival < end_; }

 private:
  std::unique_ptr<RequestSource> source_;
  Duration end_;
};

}  // namespace

std::unique_ptr<RequestSource> make_equal_requests(const EqualRequestsOptions& o) {
  check(o.requests >= 1 && o.input_tokens >= 1 && o.output_tokens >= 1, "a load has requests with tokens");
  check(o.common_tokens >= 0 && o.common_tokens <= o.input_tokens, "what prompts have in common is a part of them");
  return std::make_unique<EqualRequests>(o);
}

std::unique_ptr<RequestSource> sent_before(std::unique_ptr<RequestSource> source, Duration end) {
  return std::make_unique<SentBefore>(std::move(source), end);
}

}  // namespace ascendsim
