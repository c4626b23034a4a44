// One answer, many formats: what is in a table is in the JSON document too, for every command; and no command knows which
// format it will be.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <set>
#include <sstream>

#include "reports/commands/commands.h"
#include "tests/reports/application_under_test.h"
#include "tests/source_path.h"

namespace ascendsim {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = source_path();
std::string example(const char* path) { return (kRoot / "examples" / path).string(); }

std::optional<double> number(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct CsvTable {
  std::string key;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
};

std::vector<std::string> fields(const std::string& line) {
  std::vector<std::string> out(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      out.emplace_back();
    else
      out.back() += c;
  }
  return out;
}

std::vector<CsvTable> csv_tables(const std::string& text) {
  std::vector<CsvTable> out;
  std::istringstream lines(text);
  bool header = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# ")) {
      out.push_back({line.substr(2), {}, {}});
      header = true;
    } else if (header) {
      out.back().columns = fields(line);
      header = false;
    } else if (!line.empty() && !out.empty()) {
      out.back().rows.push_back(fields(line));
    }
  }
  return out;
}

// The numbers of a document: under each member's name, whatever lies between, and all of them.
struct Numbers {
  std::map<std::string, std::vector<double>> under;
  std::vector<double> all;

  explicit Numbers(const Json& json) {
    std::vector<std::string> names;
    collect(json, names);
    std::ranges::sort(all);
    for (auto& [name, values] : under) std::ranges::sort(values);
  }
  [[nodiscard]] bool has(const std::string& name, double value) const {
    const auto named = under.find(name);
    return (named != under.end() && contains(named->second, value)) || contains(all, value);
  }

 private:
  static bool contains(const std::vector<double>& sorted, double value) {
    const double margin = 1e-9 * std::abs(value);
    const auto at = std::ranges::lower_bound(sorted, value - margin);
    return at != sorted.end() && *at <= value + margin;
  }
  void collect(const Json& json, std::vector<std::string>& names) {
    if (json.is_object()) {
      for (const auto& [name, value] : json.items()) {
        names.push_back(name);
        collect(value, names);
        names.pop_back();
      }
    } else if (json.is_array()) {
      for (const Json& value : json) collect(value, names);
    } else if (const auto value = json.is_number()   ? std::optional(json.get<double>())
                                  : json.is_string() ? number(json.get<std::string>())
                                                     : std::nullopt) {
      for (const std::string& name : std::set<std::string>(names.begin(), names.end())) under[name].push_back(*value);
      all.push_back(*value);
    }
  }
};

using Documents = ApplicationTest;

std::vector<std::string> call(const char* command, std::vector<std::string> args, std::vector<std::string> more = {}) {
  std::vector<std::string> out{command};
  out.insert(out.end(), args.begin(), args.end());
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

std::vector<std::vector<std::string>> calls() {
  const std::vector<std::string> fits{"--env", "NPU_MEMORY_FRACTION=0.92"},
      pair{"--prefill",  example("mindie-disaggregated/prefill.json"),
           "--decode",   example("mindie-disaggregated/decode.json"),
           "--hardware", "atlas-800i-a3"},
      file{example("mindie-context-parallel/config.json")};
  const std::vector<std::string> config{file[0], "--hardware", "atlas-800i-a3", "--input", "8K", "--output", "256"};
  return {
      call("run", config, fits),
      call("run", config),  // it does not fit
      call("run", config, {"--role", "prefill"}),
      call("run", pair, {"--input", "16K", "--output", "256", "--batch", "32"}),
      call("run", {example("own-file/context-parallel.yaml"), "--faults", example("fabric/faults.yaml")}),
      call("mem", config, fits),
      call("mem", config),
      call("mem", pair),
      call("check", file),
      call("run", config, {"--rate", "1", "--requests", "50", "--env", "NPU_MEMORY_FRACTION=0.92"}),
      call("compare", config, {"--vary", "cp=1,2", "--input", "4K,8K"}),
      call("compare", config, {"--vary", "maxBatchSize=8,16", "--rate", "1", "--requests", "30"}),
      call("plan", {"--model", "deepseek-r1", "--quantisation", "w8a8", "--hardware", "atlas-800i-a3", "--context",
                    "4K", "--concurrency", "1,64", "--tpot", "50ms", "--servers", "2"}),
      call("ring", {"--strategy", "mindie-cp", "--tokens", "64"}),
      call("ring", {"--layer", "--config", file[0], "--scale", "tiny"}),
      call("collective", {"--op", "all-gather", "--ranks", "16", "--bytes", "1MiB", "--hardware", "atlas-800i-a3"}),
      call("collective", {"--op", "all-reduce", "--ranks", "8", "--sweep", "8K:64K", "--hardware", "atlas-800i-a2"}),
      call("collective", {"--op", "all-reduce", "--ranks", "8", "--compare", example("collectives/hccl_test.txt"),
                          "--hardware", "atlas-800i-a2"}),
      call("export", config, {"--to", "vllm", "-o", "out"}),
      call("validate", {"--case", "cm384-decode-4k-8"}),
      call("explain", {"E0303"}),
      call("list", {}),
      call("list", {"hardware", "atlas-800i-a3"})};
}
// Their answers have no tables: deployment files, recordings.
const std::set<std::string> kWithoutTables{"convert", "schedule"};

// Quotients of two members of the document.
bool is_derived(const std::string& column) { return column.ends_with("_percent") || column == "step_over_light"; }

TEST_F(Documents, EveryNumberOfATableIsInTheDocument) {
  std::set<std::string> seen;
  for (std::vector<std::string> args : calls()) {
    std::string said;
    for (const std::string& a : args) said += a + " ";
    seen.insert(args[0]);
    args.insert(args.end(), {"--format", "csv"});
    const int code = run(args);
    ASSERT_LT(code, kWrongInput) << said << err;
    const std::vector<CsvTable> tables = csv_tables(out);
    EXPECT_FALSE(tables.empty()) << said;
    args.back() = "json";
    EXPECT_EQ(run(args), code);
    const Numbers numbers(Json::parse(out));
    for (const CsvTable& t : tables)
      for (const auto& row : t.rows) {
        ASSERT_EQ(row.size(), t.columns.size()) << said << t.key;
        for (std::size_t c = 0; c < row.size(); ++c)
          // The document has what export writes, not how long it is.
          if (const auto value = number(row[c]); value && t.key != "files" && !is_derived(t.columns[c])) {
            EXPECT_TRUE(numbers.has(t.columns[c], *value))
                << said << ": " << t.key << "." << t.columns[c] << " " << row[c];
          }
      }
  }
  for (const Command* const c : builtin_commands())
    EXPECT_NE(seen.contains(c->name), kWithoutTables.contains(c->name)) << c->name << " is not among the calls above";
}

// Only writers ask for a format, and the command line, which reads the word.
TEST(Formats, AreKnownToWritersAlone) {
  static const std::regex kFormat(R"(\bFormat::k\w+|\bFormat\b.*\bformat\b)");
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / "reports")) {
    const std::string path = fs::relative(entry.path(), kRoot / "reports").generic_string();
    if (path.starts_with("writers/") || path.starts_with("command_line/")) continue;
    if (entry.path().extension() != ".cpp" && entry.path().extension() != ".h") continue;
    std::ifstream in(entry.path());
    int number = 0;
    for (std::string line; std::getline(in, line);) {
      ++number;
      EXPECT_FALSE(std::regex_search(line, kFormat)) << path << ":" << number << ": " << line;
    }
  }
}

}  // namespace
}  // namespace ascendsim
