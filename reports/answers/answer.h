// What a command answers, before it has a format. reports/writers/ turn it into text, Markdown, CSV and JSON; no command
// asks which of them it will be.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "reports/answers/table.h"
#include "sim/diagnostics.h"

namespace ascendsim {

using Json = nlohmann::ordered_json;
using JsonDocument = std::shared_ptr<Json>;

// The exit code of an answer: yes; no (it does not fit, a bar is missed); refused, because a rule is broken; what there
// was when it was interrupted.
enum class Exit : std::uint8_t { kYes = 0, kNo = 1, kRefused = 2, kInterrupted = 130 };

struct Answer {
  Exit exit = Exit::kYes;
  // Headline facts first, in the order in which people read them. CSV has the same tables.
  std::vector<Table> tables{};
  // Numbers over an axis, which is the first column: for CSV and pictures, text leaves them out.
  std::vector<Table> series{};
  // The JSON document: its members are the contract with programs, apart from schema_version and diagnostics, which
  // every document has. Empty: the tables, {"<key of the table>": [{"<key of the column>": value, ...}, ...], ...}.
  JsonDocument json{};
  // Of requests over time: the result file of `vllm bench serve`, for programs that read those.
  JsonDocument benchmark{};
  // Everything that was said about the input. Whoever runs a command puts it in, after the command is done.
  Diagnostics findings{};
  // Of a command that looks for them (`check`): all findings come first and on stdout, not only warnings on stderr.
  bool findings_first = false;
  std::string notes_title = "Notes on the input";  // of the findings that are notes; they come last
  std::string remark{};                            // for people, on stderr: how long a calculation took
  // A document of its own (a deployment file, a picture): written as it is, in every format.
  std::string text{};

  void add(Table t) { tables.push_back(std::move(t)); }
};

}  // namespace ascendsim
