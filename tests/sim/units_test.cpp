#include "sim/units.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <clocale>
#include <cmath>
#include <limits>

namespace ascendsim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

TEST(ParseQuantity, ReadsDataRates) {
  EXPECT_EQ(parse_quantity<BytesPerSecond>("1.6 TB/s"), BytesPerSecond(1.6e12));
  EXPECT_EQ(parse_quantity<BytesPerSecond>("1.6TB/s"), BytesPerSecond(1.6e12));
  EXPECT_EQ(parse_quantity<BytesPerSecond>("392 GB/s"), BytesPerSecond(392e9));
  EXPECT_EQ(parse_quantity<BytesPerSecond>("2 GiB/s"), BytesPerSecond(2147483648.0));
  EXPECT_EQ(parse_quantity<BytesPerSecond>("5 kB/s"), BytesPerSecond(5e3));
}

TEST(ParseQuantity, BitsAreAnEighthOfABytePerSecond) {
  EXPECT_EQ(parse_quantity<BytesPerSecond>("200 Gbit/s"), BytesPerSecond(25e9));
  EXPECT_EQ(parse_quantity<BytesPerSecond>("4 bit/s"), BytesPerSecond(0.5));
}

TEST(ParseQuantity, DecimalAndBinaryPrefixesDiffer) {
  EXPECT_EQ(parse_quantity<Bytes>("64 GiB"), 64_GiB);
  EXPECT_EQ(parse_quantity<Bytes>("64 GB"), Bytes(64'000'000'000));
  EXPECT_EQ(parse_quantity<Bytes>("192 MiB"), 192_MiB);
  EXPECT_EQ(parse_quantity<Bytes>("18 B"), 18_B);
  EXPECT_EQ(parse_quantity<Bytes>("1.5 KiB"), 1536_B);
}

TEST(ParseQuantity, OperationsAndFlopsAreOneType) {
  EXPECT_EQ(parse_quantity<FlopsPerSecond>("353.9 TFLOP/s"), FlopsPerSecond(353.9e12));
  EXPECT_EQ(parse_quantity<FlopsPerSecond>("707.8 TOP/s"), FlopsPerSecond(707.8e12));
  EXPECT_EQ(parse_quantity<Flops>("2.5 GFLOP"), Flops(2'500'000'000));
}

TEST(ParseQuantity, ReadsDurationsToTheNearestTick) {
  EXPECT_EQ(parse_quantity<Duration>("35 us"), microseconds(35));
  EXPECT_EQ(parse_quantity<Duration>("0.7 ms"), microseconds(700));
  EXPECT_EQ(parse_quantity<Duration>("2 s"), milliseconds(2000));
  EXPECT_EQ(parse_quantity<Duration>("350 ns"), nanoseconds(350));
  EXPECT_EQ(parse_quantity<Duration>("1.6 ps"), Duration(2));
}

TEST(ParseQuantity, ReadsClocksPowerRatiosAndCounts) {
  EXPECT_EQ(parse_quantity<Hertz>("1800 MHz"), Hertz(1.8e9));
  EXPECT_EQ(parse_quantity<Watts>("350 W"), Watts(350));
  EXPECT_EQ(parse_quantity<Ratio>("0.85"), Ratio(0.85));
  EXPECT_EQ(parse_quantity<Count>("24"), Count(24));
}

// In doubles 4.1 * 1e12 is not the double nearest to 4.1e12: the product would be rounded a second time.
TEST(ParseQuantity, RoundsOnlyOnce) {
  EXPECT_EQ(parse_quantity<FlopsPerSecond>("4.1 TFLOP/s")->count(), 4.1e12);
  EXPECT_EQ(parse_quantity<BytesPerSecond>("4.1 GB/s")->count(), 4.1e9);
}

TEST(ParseQuantity, WholeNumbersAreExactBeyondDoubles) {
  EXPECT_EQ(parse_quantity<Bytes>("9007199254740993 B"), Bytes(9007199254740993));
  EXPECT_EQ(parse_quantity<Bytes>("9223372036854775807 B"), Bytes(kMax));
}

TEST(ParseQuantity, RefusesWhatDoesNotFit) {
  EXPECT_EQ(parse_quantity<Bytes>("9223372036854775808 B"), std::nullopt);
  EXPECT_EQ(parse_quantity<Bytes>("8388608 TiB"), std::nullopt);
  EXPECT_EQ(parse_quantity<Bytes>("8388608.5 TiB"), std::nullopt);
  EXPECT_EQ(parse_quantity<Duration>("9223373 s"), std::nullopt);
  EXPECT_EQ(parse_quantity<Watts>(std::string(400, '9') + " W"), std::nullopt);
}

TEST(ParseQuantity, RefusesOtherUnitsAndSpellings) {
  for (const char* text :
       {"1.6",      "1.6 GB",    "1.6 tb/s",  "1.6 TB/S",    "1.6  TB/s",   " 1.6 TB/s", "1.6 TB/s ", "TB/s",
        "",         "-1.6 TB/s", "+1.6 TB/s", "1e3 GB/s",    "1. TB/s",     ".5 TB/s",   "1,6 TB/s",  "inf TB/s",
        "nan TB/s", "0x10 TB/s", "1.6 KB/s",  "1.6 GiBit/s", "1.6 Gibit/s", "1.6 iB/s"})
    EXPECT_EQ(parse_quantity<BytesPerSecond>(text), std::nullopt) << text;
  EXPECT_EQ(parse_quantity<Duration>("-1 us"), std::nullopt);
  EXPECT_EQ(parse_quantity<Duration>("1 ks"), std::nullopt);
  EXPECT_EQ(parse_quantity<Count>("2.5"), std::nullopt);
  EXPECT_EQ(parse_quantity<Count>("24 cores"), std::nullopt);
  EXPECT_EQ(parse_quantity<Ratio>("85 %"), std::nullopt);
}

TEST(ParseQuantity, DoesNotDependOnTheLocale) {
  const std::string before = std::setlocale(LC_ALL, nullptr);
  std::setlocale(LC_ALL, "de_DE.UTF-8");  // has no effect where that locale is not installed
  EXPECT_EQ(parse_quantity<Ratio>("0.5"), Ratio(0.5));
  EXPECT_EQ(to_text(microseconds(1250)), "1.25 ms");
  std::setlocale(LC_ALL, before.c_str());
}

TEST(ExpectedUnit, GivesAnExampleThatParses) {
  EXPECT_EQ(expected_unit<Duration>(), "a duration such as 35 us");
  EXPECT_EQ(expected_unit<Bytes>(), "a size such as 64 GiB");
  EXPECT_EQ(expected_unit<BytesPerSecond>(), "a data rate such as 1.6 TB/s");
  EXPECT_EQ(expected_unit<Flops>(), "an amount of work such as 2.5 GFLOP");
  EXPECT_EQ(expected_unit<FlopsPerSecond>(), "a compute rate such as 353.9 TFLOP/s");
  EXPECT_EQ(expected_unit<Hertz>(), "a frequency such as 1800 MHz");
  EXPECT_EQ(expected_unit<Watts>(), "a power such as 350 W");
  EXPECT_EQ(expected_unit<Ratio>(), "a ratio such as 0.85");
  EXPECT_EQ(expected_unit<Count>(), "a count such as 24");
}

RC_GTEST_PROP(ParseQuantity, BytesComeBackExactly, ()) {
  const auto n = *rc::gen::inRange<std::int64_t>(0, kMax);
  RC_ASSERT(parse_quantity<Bytes>(std::to_string(n) + " B") == Bytes(n));
}

RC_GTEST_PROP(ParseQuantity, NeverCrashesAndNeverIsNegative, (const std::string& text)) {
  RC_ASSERT(parse_quantity<Duration>(text + " ms").value_or(Duration(0)) >= Duration(0));
  RC_ASSERT(parse_quantity<BytesPerSecond>(text).value_or(BytesPerSecond(0)) >= BytesPerSecond(0));
}

TEST(ParseTokenCount, KnowsBothKindsOfThousands) {
  EXPECT_EQ(parse_token_count("65536"), 65536);
  EXPECT_EQ(parse_token_count("64K"), 65536);
  EXPECT_EQ(parse_token_count("64k"), 64000);
  EXPECT_EQ(parse_token_count("1M"), 1048576);
  EXPECT_EQ(parse_token_count("1m"), 1000000);
  EXPECT_EQ(parse_token_count("0"), 0);
}

TEST(ParseTokenCount, KnowsFractionsThatAreWholeTokensAndGroupsOfThreeDigits) {
  EXPECT_EQ(parse_token_count("3.5K"), 3584);
  EXPECT_EQ(parse_token_count("25.6k"), 25'600);
  EXPECT_EQ(parse_token_count("1.50m"), 1'500'000);
  EXPECT_EQ(parse_token_count("64,000"), 64'000);
  EXPECT_EQ(parse_token_count("1,048,576"), 1'048'576);
}

TEST(ParseTokenCount, RefusesEverythingElse) {
  for (const char* text : {"",
                           "K",
                           "-1",
                           "+1",
                           "1.5",
                           "1.23K",
                           ".5K",
                           "1.K",
                           "1.-5K",
                           "8388608.5G1",
                           "9007199254740991.9999999999K",
                           "1,00",
                           "1,0000",
                           ",000",
                           "1,,000",
                           "1,000,",
                           "1000,000",
                           "1,000K",
                           "64 K",
                           "64KB",
                           "0x10",
                           "1e3",
                           "9223372036854775808",
                           "9007199254740992K"})
    EXPECT_EQ(parse_token_count(text), std::nullopt) << text;
}

TEST(DurationFromSeconds, RoundsToTheNearestTick) {
  EXPECT_EQ(duration_from_seconds(0), Duration(0));
  EXPECT_EQ(duration_from_seconds(1.4e-12), Duration(1));
  EXPECT_EQ(duration_from_seconds(1.6e-12), Duration(2));
  EXPECT_EQ(duration_from_seconds(1.5), milliseconds(1500));
}

TEST(DurationFromSeconds, PositiveWorkTakesAtLeastOneTick) {
  EXPECT_EQ(duration_from_seconds(1e-15), Duration(1));
  EXPECT_EQ(duration_from_seconds(std::numeric_limits<double>::denorm_min()), Duration(1));
}

TEST(DurationFromSeconds, StopsOnNonsense) {
  EXPECT_THROW(duration_from_seconds(-1e-12), InternalError);
  EXPECT_THROW(duration_from_seconds(std::nan("")), InternalError);
  EXPECT_THROW(duration_from_seconds(std::numeric_limits<double>::infinity()), InternalError);
  EXPECT_THROW(duration_from_seconds(9.3e6), InternalError);
  EXPECT_THROW(1_GiB / BytesPerSecond(0), InternalError);
}

TEST(DurationFromSeconds, BytesOverRateIsTime) {
  EXPECT_EQ(Bytes(1'600'000) / BytesPerSecond(1.6e12), microseconds(1));
  EXPECT_EQ(Flops(353'900'000) / FlopsPerSecond(353.9e12), microseconds(1));
}

TEST(ToText, DurationsHaveThreeDigitsAndAFittingUnit) {
  EXPECT_EQ(to_text(milliseconds(5023)), "5.02 s");
  EXPECT_EQ(to_text(microseconds(41312)), "41.3 ms");
  EXPECT_EQ(to_text(nanoseconds(12123)), "12.1 us");
  EXPECT_EQ(to_text(nanoseconds(350)), "350 ns");
  EXPECT_EQ(to_text(Duration(7)), "7 ps");
  EXPECT_EQ(to_text(Duration(0)), "0 s");
  EXPECT_EQ(to_text(std::chrono::seconds(4321)), "4321 s");
  EXPECT_EQ(to_text(nanoseconds(-12123)), "-12.1 us");
}

TEST(ToText, RoundingUpChangesTheUnit) {
  EXPECT_EQ(to_text(nanoseconds(999'960)), "1.00 ms");
  EXPECT_EQ(to_text(nanoseconds(9'996)), "10.0 us");
  EXPECT_EQ(to_text(nanoseconds(99'960)), "100 us");
  EXPECT_EQ(to_text(Bytes(1023 * 1024 + 900)), "1.00 MiB");
}

TEST(ToText, BytesAreBinaryAndRatesDecimal) {
  EXPECT_EQ(to_text(Bytes(44345637273)), "41.3 GiB");
  EXPECT_EQ(to_text(64_GiB), "64 GiB");
  EXPECT_EQ(to_text(512_B), "512 B");
  EXPECT_EQ(to_text(0_B), "0 B");
  EXPECT_EQ(to_text(BytesPerSecond(205e9)), "205 GB/s");
  EXPECT_EQ(to_text(BytesPerSecond(1.6e12)), "1.60 TB/s");
}

TEST(WithCommas, GroupsByThree) {
  EXPECT_EQ(with_commas(0), "0");
  EXPECT_EQ(with_commas(999), "999");
  EXPECT_EQ(with_commas(131072), "131,072");
  EXPECT_EQ(with_commas(-131072), "-131,072");
  EXPECT_EQ(with_commas(-999), "-999");
  EXPECT_EQ(with_commas(std::numeric_limits<std::int64_t>::min()), "-9,223,372,036,854,775,808");
}

RC_GTEST_PROP(WithCommas, WithoutTheCommasItIsTheNumber, (std::int64_t n)) {
  std::string text = with_commas(n);
  std::erase(text, ',');
  RC_ASSERT(text == std::to_string(n));
}

}  // namespace
}  // namespace ascendsim
