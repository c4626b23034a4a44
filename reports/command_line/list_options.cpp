// Of `compare` and `plan`: options that hold several values.
#include "reports/command_line/written.h"

namespace ascendsim {

ListOptions read_list_options(const Written& written, bool models, ValueReader& values) {
  ListOptions l;
  l.inputs = values.numbers("--input", written.input, kMostTokens, "16384,65536 or 4K..128K");
  l.batches = values.numbers("--batch", written.batch, kMostRequests, "1,8,32");
  l.hardware = values.names("--hardware", written.hardware);
  if (models) l.models = values.names("--model", written.model);
  l.vary = values.vary(written.vary);
  l.svg_folder = written.svg;
  l.contexts = values.numbers("--context", written.context, kMostTokens, "8K,64K or 8K..128K");
  l.concurrencies = values.numbers("--concurrency", written.concurrency, kMostRequests, "1,8,32");
  l.engine = written.engine;
  l.ttft = values.at_most("--ttft", written.ttft);
  l.tpot = values.at_most("--tpot", written.tpot);
  return l;
}

}  // namespace ascendsim
