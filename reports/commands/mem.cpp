#include "reports/cli.h"
#include "reports/commands/commands.h"
#include "reports/findings.h"
#include "reports/headings.h"
#include "reports/json.h"
#include "reports/memory_tables.h"

namespace ascendsim {

Reply answer_mem(const Options& options, Diagnostics& diagnostics) {
  const Libraries libraries;
  const Subject subject = load_single(Load::kLimits, libraries, options, diagnostics);
  if (options.print_config) return {effective_configuration(subject), warnings_text(diagnostics), kDone};
  const Deployment& d = subject.deployment();
  const MemoryPerRank memory = subject.scenario->memory(subject.workload);
  const std::vector<Concurrency> concurrency = concurrency_of(memory, d);
  Shortage shortage = shortage_of(subject, memory, libraries);
  Reply reply;
  reply.exit_code = memory.fits() ? kDone : kAnswerIsNo;
  if (options.format == Format::kJson) {
    reply.out = mem_json(subject, memory, concurrency, shortage.remedies, diagnostics);
    return reply;
  }
  Table verdict = facts("", "verdict");
  verdict.rows.push_back({"memory per rank", fit_in_words(memory, d)});
  const Table tables[] = {heading(subject),
                          std::move(verdict),
                          std::move(shortage.need),
                          std::move(shortage.remedy_table),
                          memory_table(memory),
                          weight_table(memory),
                          activation_table(memory),
                          communication_table(memory),
                          kv_table(memory, d),
                          concurrency_table(concurrency, d),
                          list_of("Notes on the input", "notes", notes(diagnostics))};
  reply.out = render(tables, options.format);
  reply.err = warnings_text(diagnostics);
  return reply;
}

}  // namespace ascendsim
