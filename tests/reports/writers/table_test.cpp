#include "reports/writers/table.h"

#include <gtest/gtest.h>

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
  EXPECT_EQ(render(sample(), Format::kTable),
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
  EXPECT_EQ(render(sample(), Format::kMarkdown),
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
  EXPECT_EQ(render(sample(), Format::kCsv),
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

}  // namespace
}  // namespace ascendsim
