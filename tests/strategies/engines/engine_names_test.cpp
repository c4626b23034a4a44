// Nobody but an engine's own folder knows it: no code compares engines by name or by address, spells an engine's name in
// a literal or in an identifier, or includes a file of its folder. Comments, and sentences that cite a source, may.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "strategies/deployment/engine.h"
#include "tests/source_path.h"

namespace ascendsim {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = source_path();
const fs::path kEngines = kRoot / "strategies/engines";

// What a file says: its code without comments and without the inside of literals, and the literals, each with its line.
struct Literal {
  std::string text;
  int line = 0;
};
struct Source {
  std::string code;
  std::vector<Literal> literals;
};
Source read(const std::string& text) {
  Source out;
  int line = 1;
  for (std::size_t i = 0; i < text.size();) {
    const auto skip_to = [&](std::size_t end) {
      for (; i < std::min(end, text.size()); ++i)
        if (text[i] == '\n') ++line, out.code += '\n';
    };
    if (text.compare(i, 2, "//") == 0) {
      skip_to(text.find('\n', i));
    } else if (text.compare(i, 2, "/*") == 0) {
      skip_to(text.find("*/", i) + 2);
    } else if (text.compare(i, 3, "R\"(") == 0) {
      const std::size_t end = text.find(")\"", i);
      out.literals.push_back({text.substr(i + 3, end - i - 3), line});
      out.code += "\"\"";
      skip_to(end + 2);
    } else if (text[i] == '"') {
      std::size_t end = i + 1;
      while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
      out.literals.push_back({text.substr(i + 1, end - i - 1), line});
      out.code += "\"\"";
      skip_to(end + 1);
    } else if (text[i] == '\'' &&
               (out.code.empty() || std::isalnum(static_cast<unsigned char>(out.code.back())) == 0)) {
      skip_to(i + (text[i + 1] == '\\' ? 4 : 3));  // a character; between digits it is a separator
      out.code += "''";
    } else {
      if (text[i] == '\n') ++line;
      out.code += text[i++];
    }
  }
  return out;
}

std::string lower(std::string s) {
  std::ranges::transform(s, s.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return s;
}

// As stacks, commands and people call them.
std::set<std::string> names() {
  std::set<std::string> out;
  const auto add = [&](std::string_view name) {
    if (!name.empty()) out.insert(lower(std::string(name)));
  };
  for (const Engine* const e : engines()) add(e->name), add(e->product), add(e->called);
  static const std::regex kVersion(R"(-\d.*$)");
  for (const auto& stack : fs::directory_iterator(kEngines / "stacks"))
    add(std::regex_replace(stack.path().stem().string(), kVersion, ""));
  return out;
}

// Folders of engines: each has an engine.cpp.
std::set<std::string> folders() {
  std::set<std::string> out;
  for (const auto& entry : fs::directory_iterator(kEngines))
    if (fs::exists(entry.path() / "engine.cpp")) out.insert(entry.path().filename().string());
  return out;
}

struct Finding {
  std::string file, what;
  bool operator==(const Finding&) const = default;
};
void PrintTo(const Finding& f, std::ostream* out) { *out << f.file << ": " << f.what; }

// `may_name`: a file of an engine's folder, or the list.
void search(const std::string& file, const std::string& text, bool may_name, std::vector<Finding>& found) {
  static const std::regex kComparison(R"(\bengine\b\s*(\(\s*\)\s*)?[!=]=|[!=]=\s*&?k\w+Engine\b)");
  static const std::set<std::string> kNames = names(), kFolders = folders();
  const Source source = read(text);
  const auto add = [&](const std::string& what) { found.push_back({file, what}); };
  for (auto m = std::sregex_iterator(source.code.begin(), source.code.end(), kComparison); m != std::sregex_iterator();
       ++m)
    add("compares engines: " + m->str());
  if (may_name) return;
  for (const Literal& l : source.literals)
    for (const std::string& folder : kFolders)
      if (l.text.starts_with("strategies/engines/" + folder + "/")) add("includes " + l.text);
  // Rooms where what others published stands side by side, each under its own name; nothing there asks a deployment for
  // its engine.
  for (const char* room : {"strategies/reference/attention/", "strategies/serving/schedulers/", "workloads/requests/"})
    if (file.starts_with(room)) return;
  for (const Literal& l : source.literals)
    if (kNames.contains(lower(l.text))) add("line " + std::to_string(l.line) + ": \"" + l.text + "\"");
  static const std::regex kWord(R"([A-Za-z_]\w*)");
  for (auto m = std::sregex_iterator(source.code.begin(), source.code.end(), kWord); m != std::sregex_iterator(); ++m)
    for (const Engine* const e : engines())
      // A benchmark tool bears the name of an engine and drives any.
      if (!e->called.empty() && lower(m->str()).find("bench") == std::string::npos &&
          lower(m->str()).find(e->called) != std::string::npos)
        add("identifier " + m->str());
}

std::vector<Finding> search_all() {
  std::vector<Finding> found;
  const std::set<std::string> own = folders();
  for (const char* layer : {"sim", "hardware", "workloads", "strategies", "reports"})
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / layer)) {
      const fs::path& path = entry.path();
      if (path.extension() != ".cpp" && path.extension() != ".h") continue;
      std::ifstream in(path);
      const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
      const bool may_name = path == kEngines / "builtin.cpp" || own.contains(path.parent_path().filename().string());
      search(fs::relative(path, kRoot).generic_string(), text, may_name, found);
    }
  return found;
}

TEST(EngineNames, StandInTheirOwnFoldersAlone) { EXPECT_EQ(search_all(), std::vector<Finding>{}); }

// The search itself: it finds what it is for, and lets sources be cited.
TEST(EngineNames, AreFoundWhereTheyStand) {
  const auto count = [](const std::string& text, bool may_name = false) {
    std::vector<Finding> found;
    search("strategies/programs/x.cpp", text, may_name, found);
    return found.size();
  };
  EXPECT_EQ(count("if (d.engine == \"vllm-ascend\") f();"), 2U);
  EXPECT_EQ(count("if (p.engine != d.engine) f();"), 1U);
  EXPECT_EQ(count("if (p.engine != d.engine) f();", true), 1U);
  EXPECT_EQ(count("if (e == &kVllmEngine) f();"), 2U);
  EXPECT_EQ(count("if (stack.starts_with(\"mindie\")) f();"), 1U);
  EXPECT_EQ(count("const char* usual = \"omniinfer\";"), 1U);
  EXPECT_EQ(count("const char* usual = \"MindIE\";"), 1U);
  EXPECT_EQ(count("#include \"strategies/engines/sglang/import.h\"\n"), 1U);
  EXPECT_EQ(count("bool sglang = false;"), 1U);
  EXPECT_EQ(count("bool sglang = false;", true), 0U);
  EXPECT_EQ(count("f(\"vllm/config/parallel.py: pp x dp\");  // as vLLM and sglang: engine == \"mindie\"\n"), 0U);
  EXPECT_EQ(count("const char c = '\"'; int n = 1'000; /* mindie */ const char* e = R\"(\"mindie\": 1)\";"), 0U);
}

}  // namespace
}  // namespace ascendsim
