#include <algorithm>

#include "reports/cli.h"
#include "reports/commands/commands.h"
#include "reports/comparison_tables.h"
#include "reports/findings.h"

namespace ascendsim {

Reply answer_compare(const Options& options, Diagnostics& diagnostics) {
  const Libraries libraries;
  const Comparison c = compare(libraries, options, diagnostics);
  Reply reply;
  reply.exit_code = std::ranges::any_of(c.points, &Point::runs) ? kDone : kAnswerIsNo;
  if (options.format == Format::kJson) {
    reply.out = comparison_json(c, diagnostics);
    return reply;
  }
  reply.out = render(comparison_tables(c, diagnostics, options.format), options.format);
  reply.err = warnings_text(diagnostics);
  return reply;
}

}  // namespace ascendsim
