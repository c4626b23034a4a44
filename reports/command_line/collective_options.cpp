#include "reports/command_line/written.h"
#include "sim/units.h"

namespace ascendsim {

namespace {

constexpr std::int64_t kMostRanks = 1 << 16, kMostConcurrent = 64, kMostCopies = 64;

}  // namespace

CollectiveOptions read_collective_options(const Written& written, ValueReader& values) {
  CollectiveOptions c;
  static constexpr std::pair<std::string_view, bool> kPer[] = {{"total", false}, {"rank", true}};
  c.op = written.op;
  c.algorithm = written.algorithm;
  c.expansion = written.expansion;
  c.bytes = written.bytes;
  c.sweep = written.sweep;
  c.compare = written.compare;
  c.ranks = values.count("--ranks", written.ranks, kMostRanks, "16");
  c.concurrent = values.count("--concurrent", written.concurrent, kMostConcurrent, "4");
  c.top_k = values.count("--top-k", written.top_k, kMostCopies, "8");
  if (!written.per.empty()) c.per_rank = values.choice("--per", written.per, kPer).value_or(false);
  if (written.padding.empty()) return c;
  const auto factor = parse_quantity<Ratio>(written.padding);
  if (factor && factor->count() >= 1 && factor->count() <= 64)
    c.padding = factor->count();
  else
    values.wrong(fmt::format("--padding must be a number from 1 to 64, got '{}'", written.padding), "--padding 1.5");
  return c;
}

}  // namespace ascendsim
