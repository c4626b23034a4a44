#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "reports/answers/comparison_tables.h"
#include "reports/answers/findings.h"
#include "reports/command_line/cli.h"
#include "reports/commands/commands.h"
#include "reports/writers/pictures.h"

namespace ascendsim {

namespace {

void write_pictures(const Comparison& c, const std::string& folder, Diagnostics& diagnostics) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  for (const Picture& p : pictures_of(c)) {
    const std::string path = fmt::format("{}/{}", folder, p.file);
    std::ofstream file(path, std::ios::binary);
    file << p.svg << std::flush;
    if (!file) diagnostics.error("E0005", {}, fmt::format("cannot write '{}'", path), {}, "choose another --svg DIR");
    if (!file) throw ConfigError(diagnostics);
  }
}

}  // namespace

Reply answer_compare(const Options& options, Diagnostics& diagnostics) {
  const Libraries libraries;
  const ListOptions& lists = options.lists;
  const Comparison c =
      compare({options.words, lists.vary, lists.models, lists.hardware, lists.inputs.values, lists.batches.values},
              libraries, options, diagnostics);
  Reply reply;
  reply.exit_code = std::ranges::any_of(c.points, &Point::runs) ? kDone : kAnswerIsNo;
  if (!options.lists.svg_folder.empty()) write_pictures(c, options.lists.svg_folder, diagnostics);
  if (options.format == Format::kJson) {
    reply.out = comparison_json(c, diagnostics);
    return reply;
  }
  reply.out = render(comparison_tables(c, diagnostics, options.format), options.format);
  reply.err = warnings_text(diagnostics);
  return reply;
}

}  // namespace ascendsim
