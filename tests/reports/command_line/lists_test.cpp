#include "reports/command_line/lists.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

namespace ascendsim {
namespace {

using Numbers = std::vector<std::int64_t>;

Numbers values(std::string_view text) {
  std::string why;
  const auto list = parse_number_list(text, 1 << 24, why);
  EXPECT_TRUE(list) << why;
  return list ? list->values : Numbers{};
}
std::string complaint(std::string_view text) {
  std::string why;
  EXPECT_FALSE(parse_number_list(text, 1 << 24, why)) << text;
  return why;
}

TEST(NumberLists, HoldNumbersAsUsersWriteThem) {
  EXPECT_EQ(values("1,8,32"), (Numbers{1, 8, 32}));
  EXPECT_EQ(values("64K,64k"), (Numbers{65'536, 64'000}));  // K is 1024, k is 1000
  EXPECT_EQ(values("4K..32K"), (Numbers{4096, 8192, 16'384, 32'768}));
  EXPECT_EQ(values("3,1,3"), (Numbers{3, 1}));  // as written, once
  EXPECT_EQ(values("1,4..8"), (Numbers{1, 4, 8}));
}

TEST(NumberLists, RangesEndWhereTheySay) {
  EXPECT_EQ(values("4K..20K"), (Numbers{4096, 8192, 16'384, 20'480}));
  EXPECT_EQ(values("5..5"), Numbers{5});
}

TEST(NumberLists, SayWhatIsWrong) {
  EXPECT_EQ(complaint("8K..4K"), "a range goes upwards, got '8K..4K'");
  for (const char* bad : {"0", "a", "1,,2", "4K..", "..4K", "1.5", "-3", "16M.."})
    EXPECT_EQ(complaint(bad).substr(0, 44), "whole numbers from 1 to 16,777,216 with comm") << bad;
}

TEST(Lists, KeepBracketsTogether) {
  EXPECT_EQ(split_list("[0.9, 0.7],[0.5]"), (std::vector<std::string>{"[0.9, 0.7]", "[0.5]"}));
  EXPECT_EQ(split_list("a,b"), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(split_list("").empty());
}

// Every step doubles but the last, which may be shorter.
RC_GTEST_PROP(NumberLists, RangesDouble, ()) {
  const auto first = *rc::gen::inRange<std::int64_t>(1, 1000),
             last = first + *rc::gen::inRange<std::int64_t>(0, 100'000);
  std::string why;
  const auto list = parse_number_list(std::to_string(first) + ".." + std::to_string(last), 1 << 24, why);
  RC_ASSERT(list.has_value());
  RC_ASSERT(list->values.front() == first && list->values.back() == last);
  for (std::size_t i = 0; i + 1 < list->values.size(); ++i)
    RC_ASSERT(list->values[i + 1] == std::min(last, 2 * list->values[i]));
}

}  // namespace
}  // namespace ascendsim
