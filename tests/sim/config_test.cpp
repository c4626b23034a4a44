#include "sim/config.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>

namespace ascendsim {
namespace {

std::string text_of(const Diagnostics& diagnostics) {
  std::string text;
  for (const Diagnostic& d : diagnostics.all()) text += render(d);
  return text;
}

std::shared_ptr<const Document> parse(std::string text) {
  Diagnostics diagnostics;
  auto document = Document::parse(std::move(text), "f.yaml", diagnostics);
  EXPECT_EQ(text_of(diagnostics), "");
  return document;
}

std::string refusal(std::string text) {
  Diagnostics diagnostics;
  EXPECT_EQ(Document::parse(std::move(text), "f.yaml", diagnostics), nullptr);
  return text_of(diagnostics);
}

// Hands the value under `key` to `use` and returns what was said about it.
template <class Use>
std::string said_about(const std::string& value, Use use) {
  const auto document = parse("a: " + value + "\n");
  Diagnostics diagnostics;
  use(document->root().find("a"), diagnostics);
  std::string text;
  for (const Diagnostic& d : diagnostics.all()) text += render_short(d) + "\n";
  return text;
}

std::string said_about_integer(const std::string& value) {
  return said_about(value, [](const ConfigNode& node, Diagnostics& d) { EXPECT_EQ(node.as_integer(d), std::nullopt); });
}

std::string said_about_number(const std::string& value) {
  return said_about(value, [](const ConfigNode& node, Diagnostics& d) { EXPECT_EQ(node.as_number(d), std::nullopt); });
}

template <class Q>
std::string said_about_quantity(const std::string& value) {
  return said_about(value,
                    [](const ConfigNode& node, Diagnostics& d) { EXPECT_EQ(node.as_quantity<Q>(d), std::nullopt); });
}

// A file that exists for one test.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& content)
      : path_(testing::TempDir() + std::to_string(::getpid()) + "_config_test.yaml") {
    std::ofstream(path_, std::ios::binary) << content;
  }
  ~TemporaryFile() { std::remove(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string refusal_of_file(const std::string& path, std::size_t max_bytes = Document::kMaxBytes) {
  Diagnostics diagnostics;
  EXPECT_EQ(Document::load(path, diagnostics, max_bytes), nullptr);
  return text_of(diagnostics);
}

// ---- files ----------------------------------------------------------------------------------------------------------

TEST(Load, ReadsAFile) {
  const TemporaryFile file("a: 1\n");
  Diagnostics diagnostics;
  const auto document = Document::load(file.path(), diagnostics);
  ASSERT_NE(document, nullptr);
  EXPECT_EQ(document->name(), file.path());
  EXPECT_EQ(document->root().find("a").text(), "1");
  EXPECT_EQ(document->root().find("a").where().file, file.path());
}

TEST(Load, RefusesWhatIsNoReadableFile) {
  EXPECT_EQ(refusal_of_file("no/such.yaml"), "error[E0101]: no such file\n --> no/such.yaml\n");
  EXPECT_EQ(refusal_of_file(""), "error[E0101]: no such file\n");
  EXPECT_EQ(refusal_of_file("/tmp"), "error[E0102]: is a directory, expected a file\n --> /tmp\n");
}

// A file that opens and then cannot be read, also for a privileged user.
TEST(Load, SaysWhyAFileCannotBeRead) {
  if (!std::filesystem::exists("/proc/self/mem")) GTEST_SKIP();
  EXPECT_EQ(refusal_of_file("/proc/self/mem"),
            "error[E0103]: cannot read the file: Input/output error\n --> /proc/self/mem\n");
}

TEST(Load, RefusesMoreThanTheLimitAndNotTheLimitItself) {
  const TemporaryFile file("a: 12345\n");
  EXPECT_EQ(refusal_of_file(file.path(), 8), "error[E0105]: file is larger than 8 bytes\n --> " + file.path() + "\n");
  Diagnostics diagnostics;
  EXPECT_NE(Document::load(file.path(), diagnostics, 9), nullptr);
  EXPECT_EQ(refusal_of_file("/dev/zero"), "error[E0105]: file is larger than 10,485,760 bytes\n --> /dev/zero\n");
}

// ---- text -----------------------------------------------------------------------------------------------------------

TEST(Parse, RefusesTextsWithoutContent) {
  EXPECT_EQ(refusal(""), "error[E0104]: file is empty\n --> f.yaml\n");
  EXPECT_EQ(refusal(" \n\t\r\n"), "error[E0104]: file is blank\n --> f.yaml\n");
  EXPECT_EQ(refusal("# nothing\n"), "error[E0104]: file has no content, only comments\n --> f.yaml\n");
  EXPECT_EQ(refusal("// nothing\n"), "error[E0104]: file has no content, only comments\n --> f.yaml\n");
}

TEST(Parse, RefusesBinaryData) {
  EXPECT_EQ(refusal(std::string("a: 1\nb: \0\n", 10)),
            "error[E0106]: control character 0x00: this is not a text file\n --> f.yaml:2:4\n");
  EXPECT_EQ(refusal("\x7f"
                    "ELF\x02"),
            "error[E0106]: control character 0x7F: this is not a text file\n --> f.yaml:1:1\n");
  EXPECT_EQ(refusal("a: 1\rb: 2"), "error[E0106]: control character 0x0D: this is not a text file\n --> f.yaml:1:5\n");
}

TEST(Parse, RefusesInvalidUtf8) {
  const std::string help = "  = help: save the file as UTF-8\n";
  EXPECT_EQ(refusal("a: caf\xE9\n"), "error[E0107]: byte 0xE9 is not valid UTF-8\n --> f.yaml:1:7\n" + help);
  EXPECT_EQ(refusal(std::string("\xFF\xFE"
                                "a\0",
                                4)),
            "error[E0107]: text is UTF-16\n --> f.yaml\n" + help);
  for (const char* bytes : {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE0\x80\x80", "\xF0\x80\x80\x80", "\x80",
                            "\xC3", "\xE4\xB8", "\xF0\x9F\x98", "\xFE"})
    EXPECT_TRUE(refusal(bytes).starts_with("error[E0107]")) << bytes;
}

TEST(Parse, AcceptsUtf8AndCountsCharacters) {
  const auto document = parse("\u5355\u4f4d\u00e9: {\U0001F600: 1, b: x}\n");
  const SourceLocation where = document->root().at(0).find("b").where();
  EXPECT_EQ(where.line, 1);
  EXPECT_EQ(where.column, 16);
  EXPECT_EQ(where.key_path, "\u5355\u4f4d\u00e9.b");
}

TEST(Parse, IgnoresAByteOrderMarkAndWindowsLineEnds) {
  const auto document = parse(
      "\xEF\xBB\xBF"
      "a: 1\r\nb: x\r\n");
  const ConfigNode b = document->root().find("b");
  EXPECT_EQ(b.text(), "x");
  EXPECT_EQ(b.where().line, 2);
  EXPECT_EQ(b.where().column, 4);
  EXPECT_EQ(b.where().excerpt, "b: x");
  EXPECT_EQ(document->root().find("a").where().column, 4);
}

// ---- structure ------------------------------------------------------------------------------------------------------

TEST(Parse, RefusesNestingDeeperThanSixtyFour) {
  EXPECT_NE(parse(std::string(64, '[') + std::string(64, ']')), nullptr);
  EXPECT_EQ(refusal(std::string(65, '[') + std::string(65, ']')),
            "error[E0109]: nested deeper than 64 levels\n --> f.yaml:1:65\n  |\n1 | " + std::string(65, '[') +
                std::string(65, ']') + "\n  | " + std::string(64, ' ') + "^\n");
}

TEST(Parse, RefusesBlockNestingDeeperThanSixtyFour) {
  std::string text;
  for (std::size_t i = 0; i < 70; ++i) text += std::string(i, ' ') + "a:\n";
  EXPECT_EQ(refusal(text), "error[E0109]: nested deeper than 64 levels\n  --> f.yaml:65:65\n   |\n65 | " +
                               std::string(64, ' ') + "a:\n   | " + std::string(64, ' ') + "^\n");
}

TEST(Parse, HostileTextsAreRefusedQuickly) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(refusal(std::string(100'000, '[')).starts_with("error[E0109]"));
  EXPECT_TRUE(refusal(std::string(10'000'000, '[')).starts_with("error[E0109]"));
  EXPECT_TRUE(refusal("\"x\" " + std::string(10'000'000, '[')).starts_with("error[E0109]"));
  EXPECT_TRUE(refusal(std::string(10u << 20, '\0')).starts_with("error[E0106]"));
  EXPECT_TRUE(refusal(std::string(1'000'000, ',')).starts_with("error[E0112]"));  // no end for the parser alone
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST(Parse, TruncatedJsonNamesTheOpenBracket) {
  EXPECT_EQ(refusal("{\"a\": 1,\n \"b\": [1,2"),
            "error[E0108]: this [ is never closed\n"
            " --> f.yaml:2:7\n"
            "  |\n"
            "2 |  \"b\": [1,2\n"
            "  |       ^\n"
            "  = help: is the file cut off?\n");
  EXPECT_EQ(refusal("{\"a\": {\"b\": [1, 2]"),
            "error[E0108]: this { is never closed\n"
            " --> f.yaml:1:7\n"
            "  |\n"
            "1 | {\"a\": {\"b\": [1, 2]\n"
            "  |       ^\n"
            "  = help: is the file cut off?\n");
  EXPECT_EQ(refusal("{\"a\": \"b}\n"),
            "error[E0108]: this \" is never closed\n"
            " --> f.yaml:1:7\n"
            "  |\n"
            "1 | {\"a\": \"b}\n"
            "  |       ^\n"
            "  = help: is the file cut off?\n");
}

TEST(Parse, SyntaxErrorsNameThePlace) {
  EXPECT_EQ(refusal("{\"a\":1}}"),
            "error[E0108]: this bracket closes nothing\n --> f.yaml:1:8\n  |\n1 | {\"a\":1}}\n  |        ^\n");
  EXPECT_EQ(refusal("{\"a\" 1}"),
            "error[E0108]: expected ',' or '}' here\n --> f.yaml:1:6\n  |\n1 | {\"a\" 1}\n  |      ^\n");
  EXPECT_EQ(refusal("[\"a\" 1]"),
            "error[E0108]: expected ',' or ']' here\n --> f.yaml:1:6\n  |\n1 | [\"a\" 1]\n  |      ^\n");
  EXPECT_EQ(refusal("a: 1\n b: 2\n"),
            "error[E0108]: a ':' cannot stand here\n --> f.yaml:2:3\n  |\n2 |  b: 2\n  |   ^\n"
            "  = help: check the indentation, or put the text into quotes\n");
  EXPECT_EQ(refusal("a: \"x\" y\n"),
            "error[E0108]: not valid YAML: this does not belong to the mapping above\n"
            " --> f.yaml:1:8\n  |\n1 | a: \"x\" y\n  |        ^\n"
            "  = help: check the indentation and the commas\n");
  EXPECT_EQ(refusal("- \"a\" b\n"),
            "error[E0108]: not valid YAML: this does not belong to the list above\n"
            " --> f.yaml:1:7\n  |\n1 | - \"a\" b\n  |       ^\n"
            "  = help: check the indentation\n");
  EXPECT_EQ(
      refusal("a: \"\\q\"\n"),
      "error[E0108]: not valid YAML: unknown escape character: q\n --> f.yaml:1:7\n  |\n1 | a: \"\\q\"\n  |       ^\n");
}

TEST(Parse, TabsCannotIndentYaml) {
  EXPECT_EQ(refusal("a:\n\tb: 1\n"),
            "error[E0108]: YAML cannot be indented with tabs\n --> f.yaml:2:3\n  |\n2 | \tb: 1\n  | \t ^\n"
            "  = help: use spaces\n");
}

TEST(Parse, RefusesAnchorsAliasesAndTags) {
  EXPECT_EQ(refusal("a: &x 1\n"),
            "error[E0111]: YAML anchors (&name) are not accepted\n --> f.yaml:1:4\n  |\n1 | a: &x 1\n  |    ^\n"
            "  = help: remove it\n");
  EXPECT_EQ(refusal("a: *x\n"),
            "error[E0111]: YAML aliases (*name) are not accepted\n --> f.yaml:1:4\n  |\n1 | a: *x\n  |    ^\n"
            "  = help: write the value out\n");
  EXPECT_EQ(refusal("a: !!int 3\n"),
            "error[E0111]: YAML tags (!name) are not accepted\n --> f.yaml:1:4\n  |\n1 | a: !!int 3\n  |    ^\n"
            "  = help: remove it\n");
  for (const char* text : {"!x {a: 1}", "a: ! x", "a: !", "&x [1]", "a: !!str", "- &x", "!2", "<<: *x"})
    EXPECT_TRUE(refusal(text).starts_with("error[E0111]")) << text;
}

TEST(Parse, RefusesMoreThanOneDocument) {
  EXPECT_NE(parse("---\na: 1\n...\n"), nullptr);
  EXPECT_EQ(refusal("a: 1\n---\nb: 2\n"),
            "error[E0112]: a second document starts here, expected only one\n --> f.yaml:2:1\n  |\n2 | ---\n  | ^\n"
            "  = help: split the file\n");
  EXPECT_EQ(refusal("{\"a\": 1} 3\n"),
            "error[E0112]: text after the end of the value\n --> f.yaml:1:10\n  |\n1 | {\"a\": 1} 3\n  |          ^\n");
}

TEST(Parse, RefusesKeysThatAreNotText) {
  EXPECT_EQ(refusal("? [a]\n: b\n"),
            "error[E0114]: a key must be plain text, got a sequence\n --> f.yaml:1:3\n  |\n1 | ? [a]\n  |   ^\n");
  EXPECT_EQ(refusal("{{a: 1}: b}\n"),
            "error[E0114]: a key must be plain text, got a mapping\n --> f.yaml:1:2\n  |\n1 | {{a: 1}: b}\n  |  ^\n");
  EXPECT_EQ(refusal("{null: b}\n"),
            "error[E0114]: a key must be plain text, got nothing\n --> f.yaml:1:2\n  |\n1 | {null: b}\n  |  ^\n");
}

TEST(Parse, DuplicateKeysNameBothLinesAndTheFirstCounts) {
  Diagnostics diagnostics;
  const auto document = Document::parse("x:\n  - a: 1\n    b: 2\n    a: 3\n", "f.yaml", diagnostics);
  EXPECT_EQ(text_of(diagnostics),
            "error[E0113]: duplicate key 'a' in lines 2 and 4\n --> f.yaml:4:5  x[0].a\n  |\n4 |     a: 3\n  |     ^\n"
            "  = help: remove one of them\n");
  ASSERT_NE(document, nullptr);
  EXPECT_EQ(document->root().find("x").at(0).find("a").text(), "1");
}

TEST(Parse, ManyDuplicatesAreNotAllReported) {
  std::string text = "{";
  for (int i = 0; i < 100'000; ++i) text += "a: 1,";
  Diagnostics diagnostics;
  EXPECT_EQ(Document::parse(text + "}", "f.yaml", diagnostics), nullptr);
  EXPECT_EQ(diagnostics.all().size(), 20u);
}

// ---- habits of vendor files -----------------------------------------------------------------------------------------

TEST(VendorHabits, ABracelessFragmentIsAMapping) {
  for (const std::string end : {"\n", ",\n", "  ,\n\n", "", ",", "\n// end"}) {
    const auto document =
        parse("\"ModelDeployConfig\" :\n{\n    \"maxSeqLen\" : 2560,\n    \"truncation\" : false\n}" + end);
    const ConfigNode deploy = document->root().find("ModelDeployConfig");
    ASSERT_TRUE(deploy.is_map()) << end;
    EXPECT_EQ(document->root().size(), 1u);
    EXPECT_EQ(deploy.where().line, 2);
    EXPECT_EQ(deploy.where().column, 1);
    EXPECT_EQ(deploy.find("truncation").where().line, 4);
    EXPECT_EQ(deploy.find("truncation").where().column, 20);
  }
}

TEST(VendorHabits, AFragmentMayBeIndentedAlsoWithTabs) {
  const auto document = parse("\t\"M\" :\n\t{\n\t\t\"x\" :\t1\n\t},\n");
  const ConfigNode x = document->root().find("M").find("x");
  EXPECT_EQ(x.text(), "1");
  EXPECT_EQ(x.where().line, 3);
  EXPECT_EQ(x.where().column, 9);
  EXPECT_EQ(x.where().excerpt, "\t\t\"x\" :\t1");
}

TEST(VendorHabits, AFragmentMayHaveSeveralValues) {
  const auto document = parse("\"a\": 1,   // one\n\"b\": [2,\n3],\n\"c\": {}\n");
  EXPECT_EQ(document->root().size(), 3u);
  EXPECT_EQ(document->root().find("a").text(), "1");
  EXPECT_EQ(document->root().find("b").at(1).where().line, 3);
  EXPECT_EQ(document->root().find("b").at(1).where().column, 1);
  EXPECT_EQ(document->root().find("c").where().line, 4);
  EXPECT_EQ(parse("\"a\": {}\n\"b\": {}\n")->root().size(), 2u);
}

TEST(VendorHabits, ErrorsInsideAFragmentStandAtTheRightPlace) {
  EXPECT_EQ(refusal("\"a\": {},\n\"b\": {\"c\" 1},\n"),
            "error[E0108]: expected ',' or '}' here\n --> f.yaml:2:11\n  |\n2 | \"b\": {\"c\" 1},\n  |           ^\n");
}

TEST(VendorHabits, TabsMayIndentJson) {
  const auto document = parse("\t{\n\t\"a\":\t1,\n\t\"b\": \"x\ty\"\n\t}\n\t");
  EXPECT_EQ(document->root().find("a").text(), "1");
  EXPECT_EQ(document->root().find("b").text(), "x\ty");
}

TEST(VendorHabits, ACommaAfterTheLastValueIsAccepted) {
  EXPECT_EQ(parse("{\"a\": 1},\n")->root().size(), 1u);
  EXPECT_EQ(parse("[1, 2,],  // end\n")->root().size(), 2u);
  EXPECT_EQ(parse("a: b,\n")->root().find("a").text(), "b,");  // in YAML a comma is text
}

TEST(VendorHabits, SlashSlashStartsAComment) {
  const auto document = parse(
      "// head [ \" {\n"
      "{\"a\": \"https://x//y\", // it's \"\n"
      "\"b\": [1,// one\n2],//{\n \"c\": \"z\"// end\n}\n// tail\n");
  EXPECT_EQ(document->root().size(), 3u);
  EXPECT_EQ(document->root().find("a").text(), "https://x//y");
  EXPECT_EQ(document->root().find("b").at(1).where().line, 4);
  EXPECT_EQ(document->root().find("c").text(), "z");
  EXPECT_EQ(document->root().find("c").where().excerpt, " \"c\": \"z\"// end");
}

TEST(VendorHabits, SlashSlashInPlainTextIsNoComment) {
  const auto document = parse("source: https://x/y//z\nb: Huawei's [1, \"two // three\nc: 'it''s // d' // e\n");
  EXPECT_EQ(document->root().find("source").text(), "https://x/y//z");
  EXPECT_EQ(document->root().find("b").text(), "Huawei's [1, \"two");
  EXPECT_EQ(document->root().find("c").text(), "it's // d");
}

// ---- nodes ----------------------------------------------------------------------------------------------------------

TEST(ConfigNode, WalksTheTree) {
  const auto document = parse("top:\n  list: [1, {x: two}]\n  empty: {}\n  none:\n");
  const ConfigNode top = document->root().find("top");
  EXPECT_EQ(top.key(), "top");
  EXPECT_EQ(top.size(), 3u);
  EXPECT_EQ(top.at(1).key(), "empty");
  EXPECT_TRUE(top.at(1).is_map());
  EXPECT_EQ(top.find("none").kind(), ConfigNode::Kind::kNull);
  const ConfigNode x = top.find("list").at(1).find("x");
  EXPECT_EQ(x.text(), "two");
  EXPECT_EQ(x.where().key_path, "top.list[1].x");
  EXPECT_EQ(x.where().column, 17);
  EXPECT_EQ(x.key_where().column, 14);
  EXPECT_EQ(top.find("list").at(0).key_where().column, 10);
  EXPECT_EQ(x, top.find("list").at(1).at(0));
  EXPECT_THROW((void)top.at(3), InternalError);
}

TEST(ConfigNode, AbsentAnswersEverything) {
  const ConfigNode absent;
  EXPECT_FALSE(absent);
  EXPECT_EQ(absent.kind(), ConfigNode::Kind::kAbsent);
  EXPECT_EQ(absent.text(), "");
  EXPECT_EQ(absent.key(), "");
  EXPECT_EQ(absent.size(), 0u);
  EXPECT_FALSE(absent.is_quoted());
  EXPECT_FALSE(absent.find("a"));
  EXPECT_EQ(absent.where().line, 0);
  EXPECT_EQ(absent.key_where().line, 0);
  Diagnostics diagnostics;
  EXPECT_EQ(absent.as_integer(diagnostics), std::nullopt);
  EXPECT_EQ(text_of(diagnostics), "error[E0116]: expected an integer, got nothing\n");
}

TEST(ConfigNode, KnowsWhatWasQuoted) {
  const auto document = parse("a: \"8\"\nb: 8\nc: '8'\nd: |\n  8\n");
  EXPECT_TRUE(document->root().find("a").is_quoted());
  EXPECT_FALSE(document->root().find("b").is_quoted());
  EXPECT_TRUE(document->root().find("c").is_quoted());
  EXPECT_EQ(document->root().find("d").text(), "8\n");
}

TEST(ConfigNode, NothingStandsWhereItsKeyStands) {
  const auto document = parse("a:\nb: null\n");
  EXPECT_EQ(document->root().find("a").where().line, 1);
  EXPECT_EQ(document->root().find("b").where().column, 4);
  EXPECT_EQ(document->root().find("b").text(), "null");
}

TEST(ConfigNode, LongLinesHaveNoExcerpt) {
  const auto document = parse("a: " + std::string(1000, 'x') + "\n");
  EXPECT_EQ(document->root().find("a").where().excerpt, "");
  EXPECT_EQ(document->root().find("a").where().column, 4);
}

// ---- typed readings -------------------------------------------------------------------------------------------------

TEST(AsInteger, ReadsSixtyFourBits) {
  const auto document = parse("[0, -1, 9223372036854775807, -9223372036854775808]");
  Diagnostics diagnostics;
  EXPECT_EQ(document->root().at(0).as_integer(diagnostics), 0);
  EXPECT_EQ(document->root().at(1).as_integer(diagnostics), -1);
  EXPECT_EQ(document->root().at(2).as_integer(diagnostics), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(document->root().at(3).as_integer(diagnostics), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(text_of(diagnostics), "");
}

TEST(AsInteger, SaysWhatStandsThere) {
  const std::string wrong_type = "f.yaml:1:4: error[E0116]: expected an integer, got ";
  EXPECT_EQ(said_about_integer("\"2048\""), wrong_type + "\"2048\" (a string)\n");
  EXPECT_EQ(said_about_integer("true"), wrong_type + "true (a boolean)\n");
  EXPECT_EQ(said_about_integer("eight"), wrong_type + "eight (text)\n");
  EXPECT_EQ(said_about_integer("+5"), wrong_type + "+5 (text)\n");
  EXPECT_EQ(said_about_integer("[1]"), wrong_type + "a sequence\n");
  EXPECT_EQ(said_about_integer("{b: 1}"), wrong_type + "a mapping\n");
  EXPECT_EQ(said_about_integer("null"), wrong_type + "null\n");
  EXPECT_EQ(said_about_integer(""), "f.yaml:1:1: error[E0116]: expected an integer, got nothing\n");
}

TEST(AsInteger, RefusesOtherForms) {
  const std::string wrong_form = "f.yaml:1:4: error[E0117]: expected an integer, got ";
  EXPECT_EQ(said_about_integer("9223372036854775808"),
            wrong_form + "9223372036854775808, which does not fit into 64 bits\n");
  EXPECT_EQ(said_about_integer("-9223372036854775809"),
            wrong_form + "-9223372036854775809, which does not fit into 64 bits\n");
  EXPECT_EQ(said_about_integer("1.5"), wrong_form + "1.5 (a fraction)\n");
  EXPECT_EQ(said_about_integer("1e3"), wrong_form + "1e3 (an exponent)\n");
  EXPECT_EQ(said_about_integer("0x10"), wrong_form + "0x10 (hexadecimal)\n");
  EXPECT_EQ(said_about_integer("010"), wrong_form + "010 (a leading zero)\n");
  EXPECT_EQ(said_about_integer("0o10"), wrong_form + "0o10 (octal)\n");
  EXPECT_EQ(said_about_integer(".nan"), wrong_form + ".nan (not a finite number)\n");
  EXPECT_EQ(said_about_integer("NaN"), wrong_form + "NaN (not a finite number)\n");
  EXPECT_EQ(said_about_integer("-.inf"), wrong_form + "-.inf (not a finite number)\n");
  EXPECT_EQ(said_about_integer("Infinity"), wrong_form + "Infinity (not a finite number)\n");
}

TEST(AsInteger, LongTextsAreCut) {
  EXPECT_EQ(said_about_integer(std::string(59, 'x') + "\u5355" + std::string(100, 'y')),
            "f.yaml:1:4: error[E0116]: expected an integer, got " + std::string(59, 'x') + "... (text)\n");
}

TEST(AsInteger, TheWholeDiagnostic) {
  const auto document = parse("{\"ModelConfig\": [{\n  \"tp\": \"8\"}]}");
  Diagnostics diagnostics;
  (void)document->root().find("ModelConfig").at(0).find("tp").as_integer(diagnostics);
  EXPECT_EQ(text_of(diagnostics),
            "error[E0116]: expected an integer, got \"8\" (a string)\n"
            " --> f.yaml:2:9  ModelConfig[0].tp\n"
            "  |\n"
            "2 |   \"tp\": \"8\"}]}\n"
            "  |         ^\n");
}

TEST(AsNumber, ReadsFiniteNumbers) {
  const auto document = parse("[1, -2.5, 1e3, 2.5E-3]");
  Diagnostics diagnostics;
  EXPECT_EQ(document->root().at(0).as_number(diagnostics), 1.0);
  EXPECT_EQ(document->root().at(1).as_number(diagnostics), -2.5);
  EXPECT_EQ(document->root().at(2).as_number(diagnostics), 1000.0);
  EXPECT_EQ(document->root().at(3).as_number(diagnostics), 0.0025);
  EXPECT_EQ(text_of(diagnostics), "");
}

TEST(AsNumber, SaysWhatStandsThere) {
  EXPECT_EQ(said_about_number(".inf"), "f.yaml:1:4: error[E0117]: expected a number, got .inf (not a finite number)\n");
  EXPECT_EQ(said_about_number("1e400"),
            "f.yaml:1:4: error[E0117]: expected a number, got 1e400, which does not fit into a double\n");
  EXPECT_EQ(said_about_number("0x1p3"), "f.yaml:1:4: error[E0117]: expected a number, got 0x1p3 (hexadecimal)\n");
  EXPECT_EQ(said_about_number("1."), "f.yaml:1:4: error[E0116]: expected a number, got 1. (text)\n");
  EXPECT_EQ(said_about_number("\"1.5\""), "f.yaml:1:4: error[E0116]: expected a number, got \"1.5\" (a string)\n");
}

TEST(AsBool, KnowsTrueAndFalseOnly) {
  const auto document = parse("[true, false]");
  Diagnostics diagnostics;
  EXPECT_EQ(document->root().at(0).as_bool(diagnostics), true);
  EXPECT_EQ(document->root().at(1).as_bool(diagnostics), false);
  EXPECT_EQ(text_of(diagnostics), "");
  const auto as_bool = [](const ConfigNode& node, Diagnostics& d) { EXPECT_EQ(node.as_bool(d), std::nullopt); };
  const std::string expected = "f.yaml:1:4: error[E0116]: expected true or false, got ";
  EXPECT_EQ(said_about("yes", as_bool), expected + "yes (text)\n");
  EXPECT_EQ(said_about("1", as_bool), expected + "1 (an integer)\n");
  EXPECT_EQ(said_about("\"true\"", as_bool), expected + "\"true\" (a string)\n");
  EXPECT_EQ(said_about("True", as_bool), expected + "True (a boolean)\n");
}

TEST(AsString, TakesEveryScalar) {
  const auto document = parse("[x, \"8\", 8, \"\"]");
  Diagnostics diagnostics;
  EXPECT_EQ(document->root().at(0).as_string(diagnostics), "x");
  EXPECT_EQ(document->root().at(1).as_string(diagnostics), "8");
  EXPECT_EQ(document->root().at(2).as_string(diagnostics), "8");
  EXPECT_EQ(document->root().at(3).as_string(diagnostics), "");
  EXPECT_EQ(said_about("[x]", [](const ConfigNode& node, Diagnostics& d) { (void)node.as_string(d); }),
            "f.yaml:1:4: error[E0116]: expected a string, got a sequence\n");
}

TEST(AsQuantity, SaysWhatWasExpected) {
  EXPECT_EQ(said_about_quantity<BytesPerSecond>("1.6"),
            "f.yaml:1:4: error[E0118]: expected a data rate such as 1.6 TB/s, got 1.6 (no unit)\n");
  EXPECT_EQ(said_about_quantity<BytesPerSecond>("1.6 TB"),
            "f.yaml:1:4: error[E0118]: expected a data rate such as 1.6 TB/s, got 1.6 TB\n");
  EXPECT_EQ(said_about_quantity<Duration>("-35 us"),
            "f.yaml:1:4: error[E0118]: expected a duration such as 35 us, got -35 us (negative)\n");
  EXPECT_EQ(said_about_quantity<Count>("2.5"), "f.yaml:1:4: error[E0118]: expected a count such as 24, got 2.5\n");
  EXPECT_EQ(said_about_quantity<Bytes>("[64 GiB]"),
            "f.yaml:1:4: error[E0116]: expected a size such as 64 GiB, got a sequence\n");
}

// ---- sections -------------------------------------------------------------------------------------------------------

TEST(Section, ReadsEveryType) {
  const auto document = parse(
      "long: 5000000000\nint: -3\ndouble: 2.5\nbool: true\nstring: x\nduration: 35 us\nbytes: 64 GiB\n"
      "rate: 1.6 TB/s\nflops: 2 GFLOP\nspeed: 1 TFLOP/s\nclock: 1800 MHz\npower: 350 W\nratio: 0.5\ncount: 24\n");
  Diagnostics diagnostics;
  Section section(document->root(), diagnostics);
  EXPECT_EQ(section.required<std::int64_t>("long"), 5000000000);
  EXPECT_EQ(section.required<int>("int"), -3);
  EXPECT_EQ(section.required<double>("double"), 2.5);
  EXPECT_EQ(section.required<bool>("bool"), true);
  EXPECT_EQ(section.required<std::string>("string"), "x");
  EXPECT_EQ(section.required<Duration>("duration"), std::chrono::microseconds(35));
  EXPECT_EQ(section.required<Bytes>("bytes"), 64_GiB);
  EXPECT_EQ(section.required<BytesPerSecond>("rate"), BytesPerSecond(1.6e12));
  EXPECT_EQ(section.required<Flops>("flops"), Flops(2'000'000'000));
  EXPECT_EQ(section.required<FlopsPerSecond>("speed"), FlopsPerSecond(1e12));
  EXPECT_EQ(section.optional<Hertz>("clock"), Hertz(1.8e9));
  EXPECT_EQ(section.optional<Watts>("power"), Watts(350));
  EXPECT_EQ(section.optional<Ratio>("ratio"), Ratio(0.5));
  EXPECT_EQ(section.optional<Count>("count"), Count(24));
  EXPECT_EQ(section.optional<int>("absent"), std::nullopt);
  EXPECT_EQ(section.optional<int>("absent", 7), 7);
  section.finish();
  EXPECT_EQ(text_of(diagnostics), "");
}

TEST(Section, UnknownKeysAreReportedWithASuggestion) {
  const auto document = parse("link:\n  bandwith: 1 GB/s\n  colour: red\n");
  Diagnostics diagnostics;
  Section link = Section(document->root(), diagnostics).section("link");
  (void)link.optional<BytesPerSecond>("bandwidth");
  (void)link.optional<Duration>("latency");
  link.finish();
  EXPECT_EQ(text_of(diagnostics),
            "error[E0110]: unknown key 'bandwith'\n"
            " --> f.yaml:2:3  link.bandwith\n"
            "  |\n"
            "2 |   bandwith: 1 GB/s\n"
            "  |   ^\n"
            "  = help: did you mean 'bandwidth'?\n"
            "error[E0110]: unknown key 'colour'\n"
            " --> f.yaml:3:3  link.colour\n"
            "  |\n"
            "3 |   colour: red\n"
            "  |   ^\n");
}

TEST(Section, MissingKeysAreReportedAtTheMappingTheyBelongTo) {
  const auto document = parse("link: {}\n");
  Diagnostics diagnostics;
  Section root(document->root(), diagnostics);
  EXPECT_EQ(root.required<int>("cards"), 0);
  EXPECT_EQ(root.section("link").required<std::string>("name"), "");
  EXPECT_EQ(text_of(diagnostics),
            "error[E0115]: missing key 'cards'\n"
            " --> f.yaml\n"
            "error[E0115]: missing key 'name'\n"
            " --> f.yaml:1:1  link\n"
            "  |\n"
            "1 | link: {}\n"
            "  | ^\n");
}

TEST(Section, AMissingOrWrongSectionIsReportedOnce) {
  const auto document = parse("link: fast\n");
  Diagnostics diagnostics;
  Section root(document->root(), diagnostics);
  for (const char* key : {"link", "nic"}) {
    Section child = root.section(key);
    EXPECT_EQ(child.required<int>("a"), 0);
    EXPECT_EQ(child.figure<Bytes>("b").value, 0_B);
    EXPECT_EQ(child.section("c").optional<int>("d"), std::nullopt);
    child.finish();
  }
  EXPECT_EQ(text_of(diagnostics),
            "error[E0116]: expected a mapping, got fast (text)\n"
            " --> f.yaml:1:7  link\n"
            "  |\n"
            "1 | link: fast\n"
            "  |       ^\n"
            "error[E0115]: missing key 'nic'\n"
            " --> f.yaml\n");
}

TEST(Section, NullIsAbsentForOptionalKeysOnly) {
  const auto document = parse("a: null\nb: ~\nc:\nd: null\n");
  Diagnostics diagnostics;
  Section section(document->root(), diagnostics);
  EXPECT_EQ(section.optional<int>("a", 3), 3);
  EXPECT_EQ(section.optional_figure<Bytes>("b"), std::nullopt);
  EXPECT_EQ(section.optional<int>("c", 3), 3);
  EXPECT_EQ(section.required<int>("d"), 0);
  ASSERT_EQ(diagnostics.all().size(), 2u);
  EXPECT_EQ(render_short(diagnostics.all()[0]), "f.yaml:3:1: error[E0116]: expected an integer, got nothing");
  EXPECT_EQ(render_short(diagnostics.all()[1]), "f.yaml:4:4: error[E0116]: expected an integer, got null");
}

TEST(Section, IntsAreThirtyTwoBits) {
  const auto document = parse("a: 3000000000\n");
  Diagnostics diagnostics;
  EXPECT_EQ(Section(document->root(), diagnostics).required<int>("a"), 0);
  EXPECT_EQ(text_of(diagnostics),
            "error[E0117]: expected an integer, got 3000000000, which does not fit into 32 bits\n"
            " --> f.yaml:1:4  a\n  |\n1 | a: 3000000000\n  |    ^\n");
}

// ---- figures --------------------------------------------------------------------------------------------------------

std::string said_about_figure(const std::string& text) {
  const auto document = parse("a: " + text + "\n");
  Diagnostics diagnostics;
  Section root(document->root(), diagnostics);
  (void)root.figure<BytesPerSecond>("a");
  root.finish();
  std::string said;
  for (const Diagnostic& d : diagnostics.all())
    said += render_short(d) + (d.help.empty() ? "" : " | help: " + d.help) + "\n";
  return said;
}

TEST(Figure, HasValueKindSourceAndRange) {
  const auto document =
      parse("hbm: {value: 1.6 TB/s, kind: measured, source: \"p. 3\", range: [1.6 TB/s, 1.76 TB/s]}\n");
  Diagnostics diagnostics;
  const auto hbm = Section(document->root(), diagnostics).figure<BytesPerSecond>("hbm");
  EXPECT_EQ(text_of(diagnostics), "");
  EXPECT_EQ(hbm.name, "hbm");
  EXPECT_EQ(hbm.value, BytesPerSecond(1.6e12));
  EXPECT_EQ(hbm.kind, FigureKind::kMeasured);
  EXPECT_EQ(hbm.source, "p. 3");
  EXPECT_EQ(hbm.range, std::pair(BytesPerSecond(1.6e12), BytesPerSecond(1.76e12)));
}

TEST(Figure, TheRangeMayBeLeftOut) {
  const auto document = parse("n: {value: 24, kind: spec, source: x}\n");
  Diagnostics diagnostics;
  const auto n = Section(document->root(), diagnostics).optional_figure<Count>("n");
  ASSERT_TRUE(n);
  EXPECT_EQ(n->value, Count(24));
  EXPECT_EQ(n->range, std::nullopt);
  EXPECT_EQ(Section(document->root(), diagnostics).optional_figure<Count>("m"), std::nullopt);
  EXPECT_EQ(text_of(diagnostics), "");
}

TEST(Figure, KindsHaveTheirWords) {
  EXPECT_EQ(to_text(FigureKind::kSpec), "spec");
  EXPECT_EQ(to_text(FigureKind::kMeasured), "measured");
  EXPECT_EQ(to_text(FigureKind::kFitted), "fitted");
  EXPECT_EQ(to_text(FigureKind::kAssumed), "assumed");
}

TEST(Figure, ABareNumberIsNotEnough) {
  EXPECT_EQ(said_about_figure("1.6 TB/s"),
            "f.yaml:1:4: error[E0116]: expected a figure with value, kind and source, got 1.6 TB/s (text)"
            " | help: write {value: ..., kind: spec, source: \"...\"}\n");
}

TEST(Figure, EveryPartIsChecked) {
  EXPECT_EQ(said_about_figure("{}"),
            "f.yaml:1:1: error[E0115]: missing key 'value'\n"
            "f.yaml:1:1: error[E0115]: missing key 'kind'\n"
            "f.yaml:1:1: error[E0115]: missing key 'source'\n");
  EXPECT_EQ(said_about_figure("{value: 1 GB, kind: spec, source: x, range: [2 GB/s, 3 GB/s]}"),
            "f.yaml:1:12: error[E0118]: expected a data rate such as 1.6 TB/s, got 1 GB\n");
  EXPECT_EQ(said_about_figure("{value: 1 GB/s, kind: guess, source: x}"),
            "f.yaml:1:26: error[E0119]: unknown kind 'guess' | help: one of spec, measured, fitted, assumed\n");
  EXPECT_EQ(said_about_figure("{value: 1 GB/s, kind: spec, source: \" \"}"),
            "f.yaml:1:40: error[E0120]: the source of a figure is empty | help: say where the number can be checked\n");
  EXPECT_EQ(said_about_figure("{value: 1 GB/s, kind: spec, source: x, rang: []}"),
            "f.yaml:1:43: error[E0110]: unknown key 'rang' | help: did you mean 'range'?\n");
}

TEST(Figure, TheRangeContainsTheValue) {
  const std::string start = "{value: 1 GB/s, kind: spec, source: x, range: ";
  EXPECT_EQ(said_about_figure(start + "[1 GB/s, 1 GB/s]}"), "");
  EXPECT_EQ(said_about_figure(start + "[2 GB/s, 3 GB/s]}"),
            "f.yaml:1:50: error[E0121]: range [2 GB/s, 3 GB/s] does not contain the value 1 GB/s\n");
  EXPECT_EQ(said_about_figure(start + "[3 GB/s, 1 GB/s]}"),
            "f.yaml:1:50: error[E0121]: range [3 GB/s, 1 GB/s] is upside down\n");
  EXPECT_EQ(said_about_figure(start + "[1 GB/s]}"), "f.yaml:1:50: error[E0121]: expected a range [low, high]\n");
  EXPECT_EQ(said_about_figure(start + "1 GB/s}"), "f.yaml:1:50: error[E0121]: expected a range [low, high]\n");
  EXPECT_EQ(said_about_figure(start + "[0, 2 GB/s]}"),
            "f.yaml:1:51: error[E0118]: expected a data rate such as 1.6 TB/s, got 0 (no unit)\n");
}

// ---- properties -----------------------------------------------------------------------------------------------------

void touch_everything(const ConfigNode& node, Diagnostics& diagnostics) {
  (void)node.where();
  (void)node.key_where();
  (void)node.as_integer(diagnostics);
  (void)node.as_number(diagnostics);
  (void)node.as_quantity<Bytes>(diagnostics);
  (void)Section(node, diagnostics).figure<Duration>("a");
  for (std::size_t i = 0; i < node.size(); ++i) touch_everything(node.at(i), diagnostics);
}

// Either there is a document, or something was said; reading it and printing what was said never crashes.
void expect_survival(const std::string& text) {
  Diagnostics diagnostics;
  const auto document = Document::parse(text, "f.yaml", diagnostics);
  RC_ASSERT(document != nullptr || diagnostics.has_errors());
  if (document) touch_everything(document->root(), diagnostics);
  (void)text_of(diagnostics);
}

RC_GTEST_PROP(Parse, SurvivesRandomBytes, ()) {
  expect_survival(*rc::gen::container<std::string>(rc::gen::arbitrary<char>()));
}

RC_GTEST_PROP(Parse, SurvivesRandomPiecesOfYaml, ()) {
  const auto piece = rc::gen::elementOf(std::vector<std::string>{
      "{",    "}",   "[",   "]",         "\"", "'", ",",    ":",      ": ",        "- ",  "? ",  "\n",
      "\n  ", "\t",  " ",   "a",         "b",  "1", "// c", "# c",    "&x ",       "*x ", "!t ", "|",
      ">\n",  "---", "...", "%YAML 1.2", "\\", "~", "null", "\u5355", "\"k\" : {", "\r\n"});
  std::string text;
  for (const std::string& p : *rc::gen::container<std::vector<std::string>>(piece)) text += p;
  expect_survival(text);
}

RC_GTEST_PROP(Parse, EveryIntegerComesBack, (std::int64_t n)) {
  Diagnostics diagnostics;
  const auto document = Document::parse("{\"a\": " + std::to_string(n) + "}", "f.yaml", diagnostics);
  RC_ASSERT(document != nullptr);
  RC_ASSERT(document->root().find("a").as_integer(diagnostics) == n);
}

// ---- anchors, where they are asked for
// ----------------------------------------------------------------------------------

std::string with_aliases(const std::string& text, std::shared_ptr<const Document>& document) {
  Diagnostics diagnostics;
  document = Document::parse(text, "a.yaml", diagnostics, YamlAliases::kRead);
  std::string said;
  for (const Diagnostic& d : diagnostics.all()) said += render_short(d) + "\n";
  return said;
}

TEST(YamlAliases, AreCopiesWithTheirOwnPath) {
  std::shared_ptr<const Document> d;
  EXPECT_EQ(with_aliases("base: &b {x: 1, l: [2, 3]}\nother: *b\ns: &s word\nt: [*s, *s]\n", d), "");
  ASSERT_NE(d, nullptr);
  EXPECT_EQ(d->root().find("other").find("l").at(1).text(), "3");
  EXPECT_EQ(d->root().find("other").find("l").at(1).where().key_path, "other.l[1]");
  EXPECT_EQ(d->root().find("other").find("x").where().line, 1) << "the place of the original";
  EXPECT_EQ(d->root().find("t").at(1).text(), "word");
}

// YAML 1.1 merge: own keys win, of several maps the first one.
TEST(YamlAliases, MergeFillsWhatLacks) {
  std::shared_ptr<const Document> d;
  EXPECT_EQ(with_aliases("a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nm:\n  <<: [*a, *b]\n  x: 9\n  w: 5\n", d), "");
  ASSERT_NE(d, nullptr);
  const ConfigNode m = d->root().find("m");
  EXPECT_EQ(m.size(), 4U);
  EXPECT_EQ(m.find("x").text(), "9");
  EXPECT_EQ(m.find("y").text(), "2");
  EXPECT_EQ(m.find("z").text(), "4");
  EXPECT_FALSE(m.find("<<"));
  EXPECT_EQ(m.find("z").where().key_path, "m.z");
}

TEST(YamlAliases, EndlessOnesAreRefused) {
  std::shared_ptr<const Document> d;
  EXPECT_NE(with_aliases("a: &a [1, *a]\n", d), "");
  std::string bomb = "a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n";
  for (int i = 1; i < 12; ++i) {
    bomb += fmt::format("a{}: &a{} [", i, i);
    for (int k = 0; k < 10; ++k) bomb += fmt::format("{}*a{}", k > 0 ? ", " : "", i - 1);
    bomb += "]\n";
  }
  EXPECT_NE(with_aliases(bomb, d).find("E0111"), std::string::npos);
}

}  // namespace
}  // namespace ascendsim
