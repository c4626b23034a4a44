// Answers in a format.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "reports/answers/answer.h"

namespace ascendsim {

enum class Format : std::uint8_t { kTable, kMarkdown, kCsv, kJson, kShort, kGithub, kVllmBench };

struct Output {
  std::string out, err;  // what belongs on stdout and on stderr
};
// verbose: notes at full length where findings come first.
Output write(Answer answer, Format format, bool verbose = false);
// What is left to say when there is no answer: a text for stderr, and a document where JSON is asked for.
Output write_refusal(const Diagnostics& diagnostics, Format format, bool verbose = false);

// Tables without rows, and those for machines, are left out.
std::string text_of(std::span<const Table> tables);
std::string markdown_of(std::span<const Table> tables);
// Tables without rows, and those for people, are left out.
std::string csv_of(std::span<const Table> tables);
// A document of the tables for machines; numbers that are not finite are null.
Json tables_json(std::span<const Table> tables);
// Ends with a newline. File names may be anything; what is not UTF-8 is replaced, so the document always is.
std::string json_text(const Json& json);

// Columns of a terminal: East Asian wide characters take two, combining ones none.
std::size_t display_width(std::string_view utf8);
// Input files reach the terminal through cells: no escape sequences, no line breaks.
std::string printable(std::string_view text);

}  // namespace ascendsim
