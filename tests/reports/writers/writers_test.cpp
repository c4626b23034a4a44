#include "reports/writers/writers.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace ascendsim {
namespace {

std::vector<Table> sample() {
  Table named = facts("", "head");
  named.rows = {{"model", "DeepSeek-R1"}, {"bytes per token", count_cell(70272)}};
  Table grid{"Parts",
             "parts",
             Table::Shape::kGrid,
             {{"part", "part"}, {"time ms", "time_ms", true}, {"remark", "remark"}},
             {}};
  grid.rows = {{"attention", milliseconds_cell(Duration(1'234'567'890)), "a|b, \"c\""},
               {"上下文", milliseconds_cell(Duration(2'000'000'000)), ""}};
  return {named, facts("nothing", "nothing"), grid, list_of("Assumptions", "assumptions", {"one", "two\x1b[31m"})};
}

TEST(Table, TerminalAlignsByDisplayWidthAndDropsControlCharacters) {
  EXPECT_EQ(text_of(sample()),
            "model            DeepSeek-R1\n"
            "bytes per token  70,272\n"
            "\n"
            "Parts\n"
            "  part       time ms  remark\n"
            "  attention    1.235  a|b, \"c\"\n"
            "  上下文       2.000\n"
            "\n"
            "Assumptions\n"
            "  * one\n"
            "  * two [31m\n");
}

TEST(Table, Markdown) {
  EXPECT_EQ(markdown_of(sample()),
            "| fact | value |\n"
            "| --- | --- |\n"
            "| model | DeepSeek-R1 |\n"
            "| bytes per token | 70,272 |\n"
            "\n"
            "### Parts\n"
            "\n"
            "| part | time ms | remark |\n"
            "| --- | ---: | --- |\n"
            "| attention | 1.235 | a\\|b, \"c\" |\n"
            "| 上下文 | 2.000 |  |\n"
            "\n"
            "### Assumptions\n"
            "\n"
            "* one\n"
            "* two [31m\n");
}

TEST(Table, CsvHasPlainNumbersAndQuotesAsInRfc4180) {
  EXPECT_EQ(csv_of(sample()),
            "# head\n"
            "fact,value\n"
            "model,DeepSeek-R1\n"
            "bytes per token,70272\n"
            "\n"
            "# parts\n"
            "part,time_ms,remark\n"
            "attention,1.23456789,\"a|b, \"\"c\"\"\"\n"
            "上下文,2,\n"
            "\n"
            "# assumptions\n"
            "text\n"
            "one\n"
            "two\x1b[31m\n");
}

TEST(Table, DisplayWidth) {
  EXPECT_EQ(display_width(""), 0u);
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("é"), 1u);
  EXPECT_EQ(display_width("e\xCC\x81"), 1u);  // combining accent
  EXPECT_EQ(display_width("推理"), 4u);
}

TEST(Table, CellsKeepFullPrecision) {
  EXPECT_EQ(bytes_cell(Bytes(3 << 20)).text, "3 MiB");
  EXPECT_EQ(bytes_cell(Bytes(3 << 20)).value(), "3145728");
  EXPECT_EQ(flops_cell(Flops(1'500'000'000'000)).text, "1.5 TFLOP");
  EXPECT_EQ(flops_cell(Flops(0)).text, "");
  EXPECT_EQ(share_cell(Duration(1), Duration(8)).text, "12.5 %");
  EXPECT_EQ(share_cell(Duration(1), Duration(0)).value(), "0");
}

TEST(Table, PeopleAndMachinesMayHaveTheirOwnTablesAndColumns) {
  Table t{"Times", "times", Table::Shape::kGrid, {{"phase", "phase"}, {"count", "count", true}}, {}};
  t.columns[1].readers = Readers::kMachines;
  t.rows = {{"prefill", count_cell(3)}};
  Table all = t, few = t;
  all.readers = Readers::kMachines, all.key = "all";
  few.readers = Readers::kPeople, few.key = "few";
  const std::vector<Table> tables{all, few};
  EXPECT_EQ(text_of(tables), "Times\n  phase\n  prefill\n");
  EXPECT_EQ(markdown_of(tables), "### Times\n\n| phase |\n| --- |\n| prefill |\n");
  EXPECT_EQ(csv_of(tables), "# all\nphase,count\nprefill,3\n");
  EXPECT_EQ(tables_json(tables).dump(), R"({"all":[{"phase":"prefill","count":3}]})");
}

Answer answer_with_findings() {
  Answer a;
  a.add(list_of("Verdict", "verdict", {"yes"}));
  a.series = {{"Time", "time", Table::Shape::kGrid, {{"tokens", "input_tokens", true}, {"ms", "time_ms", true}}, {}}};
  a.series[0].rows = {{count_cell(1024), number_cell(0.5, 1)}};
  a.findings.warning("W0001", {}, "odd");
  a.findings.note("A0001", {.file = "f.json", .line = 3}, "assumed");
  return a;
}

TEST(Answers, WarningsGoToStderrAndNotesComeLast) {
  const Output text = write(answer_with_findings(), Format::kTable);
  EXPECT_EQ(text.out, "Verdict\n  * yes\n\nNotes on the input\n  * assumed (f.json:3)\n");
  EXPECT_EQ(text.err, "warning[W0001]: odd\n");
  EXPECT_EQ(write(answer_with_findings(), Format::kCsv).out,
            "# verdict\ntext\nyes\n\n# notes\ntext\nassumed (f.json:3)\n\n# time\ninput_tokens,time_ms\n1024,0.5\n");
}

TEST(Answers, OfACommandThatLooksForFindingsStartWithThem) {
  Answer a = answer_with_findings();
  a.findings_first = true;
  EXPECT_EQ(write(a, Format::kTable).out,
            "warning[W0001]: odd\nf.json:3:0: note[A0001]: assumed\n\nVerdict\n  * yes\n");
  EXPECT_EQ(write(a, Format::kCsv).out, "# verdict\ntext\nyes\n\n# time\ninput_tokens,time_ms\n1024,0.5\n");
  EXPECT_EQ(write(a, Format::kGithub).out,
            "::warning title=W0001::odd\n::notice file=f.json,line=3,col=0,title=A0001::assumed\n");
}

TEST(Answers, EveryJsonDocumentSaysItsVersionAndEveryFinding) {
  Answer a = answer_with_findings();
  const Output of_tables = write(a, Format::kJson);
  EXPECT_EQ(of_tables.err, "");
  Json json = Json::parse(of_tables.out);
  EXPECT_EQ(json.items().begin().key(), "schema_version");
  EXPECT_EQ(json.at("verdict").at(0).at("text"), "yes");
  EXPECT_EQ(json.at("time").at(0).at("time_ms"), 0.5);
  EXPECT_EQ(json.at("diagnostics").size(), 2u);
  a.json = std::make_shared<Json>(Json{{"times_ms", {1, 2}}});
  json = Json::parse(write(a, Format::kJson).out);
  EXPECT_EQ(json.dump().substr(0, 40), R"({"schema_version":1,"times_ms":[1,2],"di)");
}

TEST(Answers, ADocumentOfItsOwnIsWrittenAsItIs) {
  Answer a;
  a.text = "layout: {tp: 8}\n";
  for (const Format format : {Format::kTable, Format::kCsv, Format::kJson})
    EXPECT_EQ(write(a, format).out, "layout: {tp: 8}\n");
}

}  // namespace
}  // namespace ascendsim
