// The answer to a load over time.
#pragma once

#include <string>
#include <vector>

#include "reports/answers/answer.h"
#include "strategies/intake/load_over_time.h"
#include "strategies/serving/metrics.h"

namespace ascendsim {

struct ServiceAnswer {
  const LoadOverTime& load;
  const ServiceReport& report;
  std::int64_t cards = 1;  // of all instances
  std::string model;       // as the result of a benchmark names it
  bool stopped = false;    // before the load was done
};

// Verdict, latencies, throughput, queue and cache: what people read first.
Table service_facts(const ServiceAnswer& answer);
// Where the TTFT goes; every metric by statistic; each kind of instance. The last is empty where there is one kind.
std::vector<Table> service_tables(const ServiceAnswer& answer);
// Puts the members of a load over time into the document of one request.
void put_service(const ServiceAnswer& answer, Json& out);
// The result file of `vllm bench serve --percentile-metrics ttft,tpot,itl,e2el --metric-percentiles 50,90,95,99`
// (0.15.0, without --save-detailed): its keys in its order. There is no date, so that equal runs are equal.
Json vllm_bench_json(const ServiceAnswer& answer);

}  // namespace ascendsim
