#include "sim/diagnostics.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>

namespace ascendsim {
namespace {

Diagnostic context_parallel() {
  return {.code = "E0312",
          .message = "context parallelism needs sp = tp",
          .where = {.file = "conf/config.json",
                    .line = 94,
                    .column = 17,
                    .key_path = "BackendConfig.ModelDeployConfig.ModelConfig[0].sp",
                    .excerpt = "                \"sp\": 4,"},
          .rule = "MindIE, Context Parallelism: the value of SP must be equal to that of TP",
          .help = "set \"sp\": 8"};
}

TEST(Render, HasTheFormOfACompilerMessage) {
  EXPECT_EQ(render(context_parallel()),
            "error[E0312]: context parallelism needs sp = tp\n"
            "  --> conf/config.json:94:17  BackendConfig.ModelDeployConfig.ModelConfig[0].sp\n"
            "   |\n"
            "94 |                 \"sp\": 4,\n"
            "   |                 ^\n"
            "   = rule: MindIE, Context Parallelism: the value of SP must be equal to that of TP\n"
            "   = help: set \"sp\": 8\n");
}

TEST(Render, TheGutterIsAsWideAsTheLineNumber) {
  Diagnostic d{.code = "E1", .message = "m", .where = {.file = "f", .line = 7, .column = 2, .excerpt = "ab"}};
  EXPECT_EQ(render(d), "error[E1]: m\n --> f:7:2\n  |\n7 | ab\n  |  ^\n");
  d.where.line = 1234;
  EXPECT_EQ(render(d), "error[E1]: m\n    --> f:1234:2\n     |\n1234 | ab\n     |  ^\n");
}

TEST(Render, LeavesOutWhatIsNotKnown) {
  Diagnostic d{.code = "E1", .message = "m"};
  EXPECT_EQ(render(d), "error[E1]: m\n");
  d.help = "h";
  EXPECT_EQ(render(d), "error[E1]: m\n  = help: h\n");
  d.where.file = "f";
  EXPECT_EQ(render(d), "error[E1]: m\n --> f\n  = help: h\n");
  d.where = {.key_path = "a.b"};
  EXPECT_EQ(render(d), "error[E1]: m\n --> a.b\n  = help: h\n");
  d.where = {.file = "f", .line = 3, .column = 1};
  EXPECT_EQ(render(d), "error[E1]: m\n --> f:3:1\n  = help: h\n");
}

TEST(Render, TheCaretStandsUnderTabsAndWideCharacters) {
  Diagnostic d{.code = "E1", .message = "m", .where = {.file = "f", .line = 1, .column = 3, .excerpt = "\t\tx"}};
  EXPECT_EQ(render(d), "error[E1]: m\n --> f:1:3\n  |\n1 | \t\tx\n  | \t\t^\n");
  d.where.excerpt = "\u00e9\u534ex";
  EXPECT_EQ(render(d), "error[E1]: m\n --> f:1:3\n  |\n1 | \u00e9\u534ex\n  |    ^\n");
}

TEST(Render, NamesTheSeverity) {
  EXPECT_EQ(render({.severity = Severity::kWarning, .code = "W1", .message = "m"}), "warning[W1]: m\n");
  EXPECT_EQ(render({.severity = Severity::kNote, .message = "m"}), "note: m\n");
}

TEST(RenderShort, IsOneLine) {
  Diagnostic d = context_parallel();
  EXPECT_EQ(render_short(d), "conf/config.json:94:17: error[E0312]: context parallelism needs sp = tp");
  d.where = {.file = "conf/config.json"};
  EXPECT_EQ(render_short(d), "conf/config.json: error[E0312]: context parallelism needs sp = tp");
  d.where = {};
  EXPECT_EQ(render_short(d), "error[E0312]: context parallelism needs sp = tp");
}

TEST(Diagnostics, OnlyErrorsAreErrors) {
  Diagnostics all;
  all.warning("W1", {}, "careful");
  all.note("N1", {}, "by the way");
  EXPECT_FALSE(all.has_errors());
  EXPECT_NO_THROW(all.throw_if_errors());
  all.error("E1", {}, "wrong", "rule", "help");
  EXPECT_TRUE(all.has_errors());
  EXPECT_EQ(all.all()[2].rule, "rule");
  EXPECT_EQ(all.all()[2].help, "help");
}

TEST(Diagnostics, TheExceptionCarriesWarningsToo) {
  Diagnostics all;
  all.warning("W1", {}, "careful");
  all.error("E1", {}, "wrong");
  try {
    all.throw_if_errors();
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.diagnostics.all().size(), 2u);
    EXPECT_STREQ(error.what(), "the input has errors");
  }
}

TEST(Diagnostics, CanBeAppendedEvenToThemselves) {
  Diagnostics a, b;
  a.error("E1", {}, "one");
  b.error("E2", {}, "two");
  a.append(b);
  a.append(a);
  ASSERT_EQ(a.all().size(), 4u);
  EXPECT_EQ(a.all()[3].code, "E2");
}

constexpr std::array<std::string_view, 4> kKeys{"bandwidth", "latency", "tensor_parallel_size", "tp"};

TEST(Nearest, FindsCommonMistakes) {
  EXPECT_EQ(nearest("bandwith", kKeys), "bandwidth");   // left out
  EXPECT_EQ(nearest("bandwidht", kKeys), "bandwidth");  // swapped
  EXPECT_EQ(nearest("lattency", kKeys), "latency");     // doubled
  EXPECT_EQ(nearest("Tensor-Parallel-Size", kKeys), "tensor_parallel_size");
  EXPECT_EQ(nearest("pt", kKeys), "tp");
}

TEST(Nearest, IsSilentWhenNothingIsNear) {
  EXPECT_EQ(nearest("power", kKeys), "");
  EXPECT_EQ(nearest("", kKeys), "");
  EXPECT_EQ(nearest("x", {}), "");
}

// A third of the length: three of nine may differ, four may not.
TEST(Nearest, TheLimitIsAThirdOfTheLength) {
  constexpr std::array<std::string_view, 1> kOne{"abcdefghi"};
  EXPECT_EQ(nearest("abcdefxyz", kOne), "abcdefghi");
  EXPECT_EQ(nearest("abcdewxyz", kOne), "");
}

TEST(Nearest, TiesGoToTheEarlierCandidate) {
  constexpr std::array<std::string_view, 3> kTies{"dp", "sp", "tp"};
  EXPECT_EQ(nearest("xp", kTies), "dp");
}

// A swap of neighbours counts one, but optimal string alignment edits no part twice: "ca" -> "abc" takes three.
TEST(Nearest, CountsASwapAsOneEdit) {
  constexpr std::array<std::string_view, 2> kWords{"abc", "ba"};
  EXPECT_EQ(nearest("ab", kWords), "abc");
  EXPECT_EQ(nearest("ca", std::array<std::string_view, 1>{"abc"}), "");
}

RC_GTEST_PROP(Nearest, AWordOfTheListIsItsOwnNearest, ()) {
  const auto letters = rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::inRange('a', 'f')));
  const auto words = *rc::gen::nonEmpty(rc::gen::unique<std::vector<std::string>>(letters));
  const std::vector<std::string_view> candidates(words.begin(), words.end());
  const auto word = *rc::gen::elementOf(words);
  RC_ASSERT(nearest(word, candidates) == word);
}

// Who only asks whether a rule is broken pays for no message.
TEST(Diagnostics, OnlyWhetherKeepsTheFirstCode) {
  Diagnostics d = Diagnostics::only_whether();
  EXPECT_FALSE(d.says());
  d.warning("W0001", {}, "a warning");
  EXPECT_FALSE(d.has_errors());
  d.error("E0002", {}, "the first");
  d.error("E0003", {}, "the second");
  EXPECT_TRUE(d.has_errors());
  EXPECT_EQ(d.first_error(), "E0002");
  EXPECT_TRUE(d.all().empty());
  Diagnostics speaking;
  speaking.note("A0001", {}, "a note");
  speaking.error("E0004", {}, "an error");
  EXPECT_EQ(speaking.first_error(), "E0004");
}

}  // namespace
}  // namespace ascendsim
