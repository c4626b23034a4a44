#include <algorithm>

#include "reports/command_line/written.h"

namespace ascendsim {

namespace {

constexpr std::int64_t kMostRingRanks = 1024, kMostRingTokens = (1 << 20) - 1, kMostRingHeads = 1024,
                       kMostRingOrders = 1000;
constexpr std::size_t kMostRingSequences = 1024;

}  // namespace

RingOptions read_ring_options(const Written& written, ValueReader& values) {
  RingOptions r;
  r.all = written.all;
  r.layer = written.layer;
  r.config = written.config;
  r.scale = written.scale;
  r.seed = values.count("--seed", written.seed, kMostRingTokens, "1", 0).value_or(0);
  r.strategy = written.strategy;
  r.partition = written.partition;
  r.dtype = written.dtype;
  r.lse_dtype = written.lse_dtype;
  r.what_if = written.what_if;
  r.ranks = values.count("--ranks", written.ranks, kMostRingRanks, "4");
  r.cp = values.count("--cp", written.cp, kMostRingRanks, "2");
  r.pcp = values.count("--pcp", written.pcp, kMostRingRanks, "2");
  r.tp = values.count("--tp", written.tp, kMostRingRanks, "4");
  r.sp = values.count("--sp", written.sp, kMostRingRanks, "4");
  r.dcp = values.count("--dcp", written.dcp, kMostRingRanks, "4");
  r.tokens = values.counts("--tokens", written.tokens, 1, kMostRingTokens, "512 or 512,77");
  r.history = values.counts("--history", written.history, 0, kMostRingTokens, "256 or 256,0");
  if (r.history.size() > std::max<std::size_t>(r.tokens.size(), 1))
    values.wrong(fmt::format("--history names {} sequences, --tokens {}", r.history.size(),
                             std::max<std::size_t>(r.tokens.size(), 1)),
                 "one number for each sequence");
  if (r.tokens.size() > kMostRingSequences)
    values.wrong(
        fmt::format("--tokens names {} sequences, at most {} are possible", r.tokens.size(), kMostRingSequences),
        "fewer sequences");
  r.orders = values.count("--orders", written.orders, kMostRingOrders, "2", 0);
  r.threads = values.count("--threads", written.threads, kMostRingRanks, "2");
  r.heads = values.count("--heads", written.heads, kMostRingHeads, "8");
  r.interleave = values.count("--interleave", written.interleave, kMostRingTokens, "128");
  return r;
}

}  // namespace ascendsim
