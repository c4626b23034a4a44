// The shell reader: what a script's commands would be, and what it refuses. Expected words are those that
// `bash -c 'printf "[%s]" ...'` prints for the same text.
#include "strategies/engines/launch/shell.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include "tests/workloads/library_under_test.h"

namespace ascendsim {
namespace {

struct Read {
  std::vector<ShellCommand> commands;
  std::string said;
};
Read read(const std::string& text, const Defines& defines = {}) {
  Diagnostics diagnostics;
  Read r{read_shell(text, "s.sh", defines, diagnostics), {}};
  for (const Diagnostic& d : diagnostics.all()) r.said += render_short(d) + "\n";
  return r;
}
// "[a][b c]" a command a line.
std::string words(const std::string& text, const Defines& defines = {}) {
  const Read r = read(text, defines);
  EXPECT_EQ(r.said, "") << text;
  std::string out;
  for (const ShellCommand& c : r.commands) {
    for (const ShellWord& w : c.words) out += fmt::format("[{}]", w.text);
    out += "\n";
  }
  return out;
}
std::string first_error(const std::string& text) {
  const std::string said = read(text).said;
  return said.substr(0, said.find('\n'));
}

TEST(Shell, QuotesCommentsAndContinuations) {
  EXPECT_EQ(words("a 'b c' \"d \\\"e\\\" $\" f\\ g # h\n"), "[a][b c][d \"e\" $][f g]\n");
  EXPECT_EQ(words("a \\\n  b\\\nc \\\r\n d\r\n"), "[a][bc][d]\n");
  EXPECT_EQ(words("a '' \"\" b#c\n"), "[a][][][b#c]\n");
  EXPECT_EQ(words("x '{\"a\": 1,\n\"b\": [1,2]}'\n"), "[x][{\"a\": 1,\n\"b\": [1,2]}]\n");
  EXPECT_EQ(words("#!/bin/sh\n\n  # only this\n"), "");
}

TEST(Shell, SeparatorsRedirectionsAndPipes) {
  EXPECT_EQ(words("a; b & c && d\ne 2>&1 | tee x.log &\n"), "[a]\n[b]\n[c]\n[d]\n[e]\n[tee][x.log]\n");
  EXPECT_EQ(words("a || b\nc >out 2>/dev/null <in &>>all\n"), "[a]\n[c]\n");
  EXPECT_EQ(words("cat > c.yaml <<EOF\nif x: 'y\nEOF\nb\n"), "[cat]\n[b]\n");
}

TEST(Shell, VariablesAreExpandedAndSplit) {
  EXPECT_EQ(words("A=1\nB=\"2 3\"\nc $A ${A}x \"$B\" $B '$B'\n"), "[c][1][1x][2 3][2][3][$B]\n");
  EXPECT_EQ(words("A=1\nA+=2\nc $A\n"), "[c][12]\n");
  EXPECT_EQ(words("c ${A:-8} ${A-9} ${A:+no}x\n"), "[c][8][9][x]\n");
  EXPECT_EQ(words("E=\nc $E \"$E\" ${E:-d} ${E-d}\n"), "[c][][d]\n");
  EXPECT_EQ(words("A=5\nc $A\n", {{"A", "7"}}), "[c][7]\n") << "--define is over assignments";
}

TEST(Shell, ArraysAndTheirLength) {
  EXPECT_EQ(words("IPs=('10.0.0.1' 'b c') # two\nn=${#IPs[@]}\nx $n \"${IPs[@]}\" ${IPs[1]} $IPs\n"),
            "[x][2][10.0.0.1][b c][b][c][10.0.0.1]\n");
  EXPECT_EQ(words("ARGS=(\n --a 1 # one\n --b\n)\nARGS+=(--c \"2 3\")\nx \"${ARGS[@]}\"\n"),
            "[x][--a][1][--b][--c][2 3]\n");
  EXPECT_EQ(words("E=()\nx \"${E[@]}\" y${#E[@]}\n"), "[x][y0]\n");
}

TEST(Shell, Arithmetic) {
  EXPECT_EQ(words("n=2\nx `expr 16 \\* ${n}` $((16*n + 1)) $(( (3+$n)*-2 )) $(expr $n + 1) $((7/2)) $((-7%3))\n"),
            "[x][32][33][-10][3][3][-1]\n");
  EXPECT_EQ(first_error("x $((1/0))\n"), "s.sh:1:3: error[E0406]: '1/0' divides by zero");
  EXPECT_EQ(first_error("x $((9223372036854775807+1))\n"),
            "s.sh:1:3: error[E0406]: '9223372036854775807+1' is too large");
  EXPECT_EQ(first_error("x $((1<2))\n"), "s.sh:1:3: error[E0406]: '1<2' is not arithmetic that is understood");
}

TEST(Shell, EnvironmentIsWhatWasExported) {
  const Read r = read("A=1\nB=2\nexport B C=3 D=\"4 5\"\nE=6 run\nnext\n");
  ASSERT_EQ(r.commands.size(), 2u);
  const auto exported = [&](std::size_t i, const char* name) {
    const auto at = r.commands[i].variables.find(name);
    return at != r.commands[i].variables.end() && at->second.exported ? at->second.value.text : "";
  };
  EXPECT_EQ(exported(0, "A"), "");
  EXPECT_EQ(exported(0, "B"), "2");
  EXPECT_EQ(exported(0, "C"), "3");
  EXPECT_EQ(exported(0, "D"), "4 5");
  EXPECT_EQ(exported(0, "E"), "6");
  EXPECT_EQ(exported(1, "E"), "");
}

TEST(Shell, WhatNobodyAssignsKeepsItsName) {
  const Read r = read("ip=$(hostname -I)\nexport d0=x\nrun --rank $RANK http://${d0}:1 ${q%x} $ip $1\n");
  ASSERT_EQ(r.commands.size(), 1u);
  const auto& w = r.commands[0].words;
  EXPECT_EQ(w[2].text, "${RANK}");
  EXPECT_EQ(w[2].unresolved, std::vector<std::string>{"RANK"});
  EXPECT_EQ(w[3].text, "http://x:1");
  EXPECT_TRUE(w[3].unresolved.empty());
  EXPECT_EQ(w[4].unresolved, std::vector<std::string>{"q"});
  EXPECT_EQ(w[5].unresolved, std::vector<std::string>{"ip"});
  EXPECT_EQ(w[6].unresolved, std::vector<std::string>{"1"});
  EXPECT_EQ(r.said, "s.sh:1:4: note[A0130]: the output of $(hostname -I) is not known: scripts are read, not run\n");
  const Read sum = read("run $((N*16))\n");
  EXPECT_EQ(sum.commands[0].words[1].unresolved, std::vector<std::string>{"N"});
  EXPECT_EQ(words("run $((N*16))\n", {{"N", "2"}}), "[run][32]\n");
}

TEST(Shell, WordsKnowTheirPlace) {
  const Read r = read("a \\\n  --b  'ü' --c\n");
  ASSERT_EQ(r.commands.size(), 1u);
  EXPECT_EQ(r.commands[0].words[1].where.line, 2);
  EXPECT_EQ(r.commands[0].words[1].where.column, 3);
  EXPECT_EQ(r.commands[0].words[3].where.column, 12) << "in characters";
  const Read list = read("A=(x\n y)\nrun \"${A[@]}\"\n");
  EXPECT_EQ(list.commands[0].words[2].where.line, 2) << "an element stands where the array has it";
}

TEST(Shell, RefusesWhatItDoesNotFollow) {
  EXPECT_EQ(first_error("a\nif [ -z $x ]; then\n b\nfi\n"),
            "s.sh:2:1: error[E0404]: 'if': control flow is not followed");
  EXPECT_EQ(first_error("for i in 1 2; do a; done\n"), "s.sh:1:1: error[E0404]: 'for': control flow is not followed");
  EXPECT_EQ(first_error("f() { a; }\n"), "s.sh:1:1: error[E0404]: functions are not followed");
  EXPECT_EQ(first_error("(a; b)\n"), "s.sh:1:1: error[E0404]: '(': subshells and functions are not followed");
  EXPECT_EQ(first_error("[ -z \"$x\" ] && y=1\n"),
            "s.sh:1:1: error[E0404]: a condition decides what runs: control flow is not followed");
  EXPECT_EQ(first_error("a --b 1 \\ \n --c 2\n"),
            "s.sh:1:9: error[E0401]: a blank follows the backslash: the command ends on this line");
  EXPECT_EQ(first_error("a --b 1 \\\n# note\n --c 2\n"),
            "s.sh:3:2: error[E0407]: a command cannot begin with the option '--c'");
}

TEST(Shell, RefusesWhatIsNotClosed) {
  for (const char* text :
       {"a 'b\n", "a \"b\n", "a=(b\n", "a ${b\n", "a $(b\n", "a `b\n", "a $((1\n", "a <<E\nb\n", "a \\", "a ${b[1\n"})
    EXPECT_NE(first_error(text).find("error[E0405]"), std::string::npos) << text << first_error(text);
  EXPECT_NE(first_error("a \"$(x \"\n").find("is not closed"), std::string::npos);
  EXPECT_NE(first_error(std::string("a\0b\n", 4)).find("E0106"), std::string::npos);
  EXPECT_NE(first_error(std::string(2 << 20, 'a')).find("E0105"), std::string::npos);
}

TEST(Shell, GrowsWithinBounds) {
  std::string doubling = "A=0123456789\n", snapshots, nested;
  for (int i = 0; i < 60; ++i) doubling += "A=$A$A\n";
  EXPECT_NE(first_error(doubling).find("E0403"), std::string::npos);
  for (int i = 0; i < 300; ++i) snapshots += fmt::format("export V{}={}\nrun\n", i, std::string(2000, 'x'));
  EXPECT_NE(first_error(snapshots).find("E0403"), std::string::npos);
  for (int i = 0; i < 200; ++i) nested += "${a:-";
  EXPECT_NE(first_error("x " + nested).find("E0403"), std::string::npos);
  EXPECT_NE(first_error("x $((" + std::string(500, '(') + "1" + std::string(500, ')') + "))").find("E0403"),
            std::string::npos);
}

// Whatever the text, the reader comes back, and words without expansions come out as they were quoted.
RC_GTEST_PROP(ShellProperty, SurvivesAnyText, ()) {
  const auto pieces = *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
      "a", " ", "\n", "'", "\"", "\\", "$", "{", "}", "(", ")", "`", "A=", "$A", "${A", "[@]", ":-", "$((", "1", "*",
      "&", "|", ";", "<<", ">", "#", "export ", "expr ", "if ", "\xc3\xbc", "-"));
  std::string text;
  for (const std::string& p : pieces) text += p;
  read(text);
}
RC_GTEST_PROP(ShellProperty, SingleQuotedWordsComeBack, ()) {
  const auto written = *rc::gen::container<std::vector<std::string>>(
      rc::gen::container<std::string>(rc::gen::elementOf(std::string("ab $\"\\`(){};&|<>#*\n="))));
  std::string text = "run";
  for (const std::string& w : written) text += " '" + w + "'";
  const Read r = read(text + "\n");
  RC_ASSERT(r.said.empty());
  RC_ASSERT(r.commands.size() == 1u);
  RC_ASSERT(r.commands[0].words.size() == written.size() + 1);
  for (std::size_t i = 0; i < written.size(); ++i) RC_ASSERT(r.commands[0].words[i + 1].text == written[i]);
}

}  // namespace
}  // namespace ascendsim
