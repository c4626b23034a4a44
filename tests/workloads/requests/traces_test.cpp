// Traces that are right: layouts, times, lengths, shared blocks.
#include "workloads/requests/traces.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

#include "tests/source_path.h"
#include "tests/workloads/requests/traces_under_test.h"

namespace ascendsim {
namespace {

using Doubles = std::vector<double>;
using Lengths = std::vector<std::int64_t>;
using Texts = std::vector<std::string>;

TEST(Traces, MooncakeHasMillisecondsAndBlocksOf512) {
  const ReadTrace t =
      read(R"({"timestamp": 27482, "input_length": 1100, "output_length": 52, "hash_ids": [46, 47, 2353]})"
           "\n"
           R"({"timestamp": 30535, "input_length": 512, "output_length": 26, "hash_ids": [46]})"
           "\n");
  EXPECT_EQ(t.said(), Texts{});
  EXPECT_EQ(t.arrivals(), (Doubles{0, 3.053}));
  EXPECT_EQ(t.inputs(), (Lengths{1100, 512}));
  EXPECT_EQ(t.requests[0].output_tokens, 52);
  EXPECT_EQ(t.requests[0].shared, (std::vector<PromptSegment>{{512, 46}, {512, 47}, {76, 2353}}));
  EXPECT_EQ(t.requests[1].shared, (std::vector<PromptSegment>{{512, 46}}));
}

// Lengths and instants of the published conversation trace as vLLM's timed_trace replays them with a block of 512 and
// milliseconds (recorded); the hash ids here are our own.
TEST(Traces, MooncakeIsReplayedAsRecorded) {
  const Json row = recorded("traces.json").at("readers").at("vllm_timed_trace").at("with_512_and_0_001");
  std::string text;
  for (std::size_t i = 0; i < row.at("prompt_len").size(); ++i) {
    const std::int64_t length = row.at("trace_input_length")[i];
    Json ids = Json::array();
    for (std::int64_t b = 0; b * 512 < length; ++b) ids.push_back(b);
    text += Json{{"timestamp", row.at("trace_timestamp")[i]},
                 {"input_length", length},
                 {"output_length", row.at("output")[i]},
                 {"hash_ids", ids}}
                .dump() +
            "\n";
  }
  const ReadTrace t = read(text);
  EXPECT_EQ(t.said(), Texts{});
  EXPECT_EQ(t.inputs(), row.at("prompt_len").get<Lengths>());
  Doubles expected = row.at("timestamp_s").get<Doubles>();
  expected.resize(t.requests.size());
  EXPECT_EQ(t.arrivals(), expected);
}

// The published files have these columns (recorded), and this is their form: CRLF and no end after the last row (2023),
// seconds without a fraction between others and an offset (2024), a column more in front (2025), two more (BurstGPT 3).
TEST(Traces, ColumnsOfThePublishedFilesAreKnown) {
  const Json facts = recorded("traces.json");
  const auto header = [](const Json& columns) {
    std::string line;
    for (const Json& c : columns) line += (line.empty() ? "" : ",") + c.get<std::string>();
    return line;
  };
  const ReadTrace y2023 = read(header(facts.at("azure_2023_code").at("columns")) +
                               "\r\n2023-11-16 18:17:03.9799600,4808,10\r\n2023-11-16 18:17:04.0319600,3180,8");
  EXPECT_EQ(y2023.said(), Texts{});
  EXPECT_EQ(y2023.arrivals(), (Doubles{0, 0.052}));
  EXPECT_EQ(y2023.inputs(), (Lengths{4808, 3180}));
  EXPECT_EQ(y2023.requests[1].output_tokens, 8);

  const ReadTrace y2024 = read(header(facts.at("azure_2024").at("columns")) +
                               "\n2024-05-10 00:00:00.009930+00:00,2162,5\n2024-05-10 00:00:01+00:00,2399,6\n");
  EXPECT_EQ(y2024.said(), Texts{});
  EXPECT_EQ(y2024.arrivals(), (Doubles{0, 0.990070}));

  const ReadTrace y2025 =
      read(header(facts.at("azure_2025_multimodal").at("columns")) + "\n2025-05-10 00:00:00,3,700,50\n");
  EXPECT_EQ(y2025.said(), Texts{"W0603 1:1 the column NumImages is not read: images are not simulated"});
  EXPECT_EQ(y2025.inputs(), Lengths{700});
  EXPECT_EQ(y2025.requests[0].output_tokens, 50);

  const ReadTrace burst = read(header(facts.at("burstgpt").at("columns_1_and_2")) +
                               "\n5,ChatGPT,472,18,490,Conversation log\n45,GPT-4,1087,230,1317,API log\n");
  EXPECT_EQ(burst.said(), Texts{});
  EXPECT_EQ(burst.arrivals(), (Doubles{0, 40}));
  EXPECT_EQ(burst.inputs(), (Lengths{472, 1087}));

  const ReadTrace third =
      read(header(facts.at("burstgpt").at("columns_3")) +
           "\n19440110.0,,1.5,GPT-4,417,276,693,API log\n19440111.5,s1,9.25,ChatGPT,50,9,59,Conversation log\n");
  EXPECT_EQ(third.said(), Texts{});
  EXPECT_EQ(third.arrivals(), (Doubles{0, 1.5}));
  EXPECT_EQ(third.inputs(), (Lengths{417, 50}));
  EXPECT_EQ(third.requests[0].output_tokens, 276);
}

TEST(Traces, OwnFilesSayTheirUnit) {
  EXPECT_EQ(read("arrival_s,input,output\n1,5,6\n1.5,7,8\n").arrivals(), (Doubles{0, 0.5}));
  EXPECT_EQ(read("arrival,input,output\n1,5,6\n1.5,7,8\n").arrivals(), (Doubles{0, 0.5}));
  EXPECT_EQ(read("arrival_ms,input,output\n1,5,6\n1.5,7,8\n").arrivals(), (Doubles{0, 0.0005}));
  const ReadTrace t = read("priority, Output ,input,ARRIVAL_S\n-3,6,5,0\n");
  EXPECT_EQ(t.said(), Texts{});
  EXPECT_EQ(t.requests.at(0).priority, -3);
  EXPECT_EQ(t.requests.at(0).input_tokens, 5);
  const ReadTrace j = read(R"({"arrival_s": 2, "input": 600, "output": 1, "hash_ids": [9, 11], "priority": 4})");
  EXPECT_EQ(j.said(), Texts{});
  EXPECT_EQ(j.requests.at(0).shared, (std::vector<PromptSegment>{{512, 9}, {88, 11}}));
  EXPECT_EQ(j.requests.at(0).priority, 4);
}

TEST(Traces, LengthsHaveNoTimes) {
  const ReadTrace csv = read("prompt_len,output_len\n54,93\n7,8\n");
  EXPECT_EQ(csv.said(), Texts{});
  EXPECT_EQ(csv.arrivals(), (Doubles{0, 0}));
  EXPECT_EQ(csv.inputs(), (Lengths{54, 7}));
  EXPECT_EQ(read("{\"prompt_len\": 54, \"output_len\": 93}\n").inputs(), Lengths{54});
}

TEST(Traces, OtherNamesCanBeSaid) {
  TraceOptions o;
  o.columns = TraceColumns{.time = "sent at", .input = "in", .output = "out", .clock = TraceClock::kMilliseconds};
  const ReadTrace t = read("id,in,out,sent at\na,1,2,500\nb,3,4,750\n", o);
  EXPECT_EQ(t.said(), Texts{});
  EXPECT_EQ(t.arrivals(), (Doubles{0, 0.25}));
  o.columns->time.clear();
  EXPECT_EQ(read("id,in,out,sent at\na,1,2,500\nb,3,4,750\n", o).arrivals(), (Doubles{0, 0}));
}

// SGLang with --use-trace-timestamps and a slowdown of 2: sorted, the first at 0, times the factor (recorded).
TEST(Traces, SortedAndScaledAsSglangDoes) {
  TraceOptions o;
  o.sort = true;
  o.time_scale = 2;
  const ReadTrace t = read("arrival_ms,input,output\n5000,1,1\n3000,2,1\n3000,3,1\n9000,4,1\n", o);
  EXPECT_EQ(t.said(), Texts{"W0602 0:0 the rows were sorted by time: 2 came before one that stood earlier"});
  const Json expected =
      recorded("sglang-bench-serving-generator.json").at("trace_timestamps_5000_3000_3000_9000_ms_slowdown_2");
  ASSERT_EQ(t.requests.size(), expected.size());
  for (std::size_t i = 0; i < t.requests.size(); ++i) {
    EXPECT_EQ(t.requests[i].input_tokens - 1, expected[i][0]);
    EXPECT_EQ(t.arrivals()[i], expected[i][1]);
  }
}

TEST(Traces, TimesAreExact) {
  const auto ticks = [](const std::string& rows, const TraceOptions& o = {}) {
    const ReadTrace t = read("arrival_s,input,output\n" + rows, o);
    EXPECT_EQ(t.said(), Texts{}) << rows;
    return t.requests.empty() ? -1 : t.requests.back().arrival.count();
  };
  EXPECT_EQ(ticks("0,1,1\n0.000000000001,1,1\n"), 1);
  EXPECT_EQ(ticks("0,1,1\n0.0000000000005,1,1\n"), 1);  // halves go up
  EXPECT_EQ(ticks("0,1,1\n0.00000000000049999,1,1\n"), 0);
  EXPECT_EQ(ticks("0,1,1\n1e-3,1,1\n"), 1'000'000'000);
  EXPECT_EQ(ticks("0,1,1\n12.5E1,1,1\n"), 125'000'000'000'000);
  EXPECT_EQ(ticks("1e-400,1,1\n1,1,1\n"), 1'000'000'000'000);
  // Seconds of an epoch do not fit 63 bits of picoseconds; what lies between them does.
  EXPECT_EQ(ticks("1700158623.979960001,1,1\n1700158624,1,1\n"), 20'039'999'000);
  EXPECT_EQ(ticks("-2.5,1,1\n-1,1,1\n"), 1'500'000'000'000);
  TraceOptions half;
  half.time_scale = 0.5;
  EXPECT_EQ(ticks("10,1,1\n11,1,1\n", half), 500'000'000'000);
  TraceOptions start;
  start.keep_start = true;
  EXPECT_EQ(ticks("10,1,1\n11,1,1\n", start), 11'000'000'000'000);
}

TEST(Traces, DatesCrossDaysAndZones) {
  const auto last = [](const std::string& from, const std::string& to) {
    const ReadTrace t = read("TIMESTAMP,ContextTokens,GeneratedTokens\n" + from + ",1,1\n" + to + ",1,1\n");
    EXPECT_EQ(t.said(), Texts{});
    return t.requests.empty() ? -1.0 : t.arrivals().back();
  };
  EXPECT_EQ(last("2024-02-28 23:59:59.5", "2024-03-01 00:00:00"), 86'400.5);  // a leap year
  EXPECT_EQ(last("2023-02-28 23:59:59", "2023-03-01 00:00:00"), 1);
  EXPECT_EQ(last("2024-05-10 00:00:00+00:00", "2024-05-10 03:00:00+02:00"), 3600);
  EXPECT_EQ(last("2024-05-10T00:00:00Z", "2024-05-10T00:00:00.25Z"), 0.25);
  EXPECT_EQ(last("2024-05-10 00:00", "2024-05-10 00:01:00 UTC"), 60);
}

TEST(Traces, EmptyRequestsAreLeftOutAndCounted) {
  const ReadTrace t = read(
      "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
      "0,m,5,0,5,l\n1,m,5,6,11,l\n2,m,0,6,6,l\n3,m,0,0,0,l\n");
  EXPECT_EQ(t.inputs(), Lengths{5});
  EXPECT_EQ(t.arrivals(), Doubles{0});  // of the first that is sent
  EXPECT_EQ(t.said(),
            Texts{"W0601 2:1 3 rows without tokens are left out: 2 with an empty prompt, 1 with an empty output"});
}

TEST(Traces, EqualTimesStayInTheOrderOfTheFile) {
  const std::string text = "arrival_s,input,output\n0,1,1\n3,2,1\n3,3,1\n3,4,1\n";
  EXPECT_EQ(read(text).inputs(), (Lengths{1, 2, 3, 4}));
  TraceOptions sorted;
  sorted.sort = true;
  EXPECT_EQ(read(text, sorted).inputs(), (Lengths{1, 2, 3, 4}));
  EXPECT_EQ(read(text, sorted).said(), Texts{});
}

TEST(Traces, TheFirstSoMany) {
  TraceOptions o;
  o.max_requests = 2;
  const ReadTrace t = read("arrival_s,input,output\n0,1,1\n1,2,1\n2,x,1\n", o);
  EXPECT_EQ(t.inputs(), (Lengths{1, 2}));
  EXPECT_EQ(t.said(), Texts{});  // what comes behind is not read
}

TEST(Traces, LineEndsMarksAndBlankLinesDoNotMatter) {
  const Lengths expected{1, 2, 3};
  for (const std::string text :
       {"arrival_s,input,output\n0,1,1\n1,2,1\n2,3,1\n", "arrival_s,input,output\r\n0,1,1\r\n1,2,1\r\n2,3,1",
        "arrival_s,input,output\r0,1,1\r1,2,1\r2,3,1\r", "arrival_s,input,output\n0,1,1\r\n1,2,1\r2,3,1\r\r\n",
        "\xEF\xBB\xBF"
        "arrival_s,input,output\n\n0,1,1\n \t\n1,2,1\n\n2,3,1\n\n"}) {
    const ReadTrace t = read(text);
    EXPECT_EQ(t.inputs(), expected) << text;
    EXPECT_EQ(t.said(), Texts{}) << text;
  }
  const ReadTrace json =
      read("\xEF\xBB\xBF{\"arrival_s\":0,\"input\":1,\"output\":1}\r{\"arrival_s\":1,\"input\":2,\"output\":1}\r\n");
  EXPECT_EQ(json.inputs(), (Lengths{1, 2}));
}

TEST(Traces, FieldsMayBeQuoted) {
  const ReadTrace t =
      read("\"arrival_s\",note,\"input\",output\n0,\"a, \"\"b\"\"\",\"1\",2\n1 , x, \"3\" ,4\n2,\"\",5,6\n");
  EXPECT_EQ(t.said(), Texts{});
  EXPECT_EQ(t.inputs(), (Lengths{1, 3, 5}));
}

TEST(Traces, WholeNumbersMayHaveAPoint) {
  EXPECT_EQ(read("arrival_s,input,output\n0,374.0,1e2\n").inputs(), Lengths{374});
  EXPECT_EQ(read("arrival_s,input,output\n0,374.0,1e2\n").requests.at(0).output_tokens, 100);
}

TEST(Traces, ALineOfAMillionCharactersIsRead) {
  std::string ids = "0";
  for (int i = 1; i < 200'000; ++i) ids += "," + std::to_string(i);
  ASSERT_GT(ids.size(), 1'000'000u);
  const std::string row = R"({"timestamp":0,"input_length":102400000,"output_length":1,"hash_ids":[)" + ids + "]}\n";
  const ReadTrace t = read(row + row);
  EXPECT_EQ(t.said(), Texts{});
  ASSERT_EQ(t.requests.size(), 2u);
  EXPECT_EQ(t.requests[1].shared.size(), 200'000u);
  EXPECT_EQ(t.requests[1].shared.back(), (PromptSegment{512, 199'999}));
}

TEST(Traces, OtherKeysAreNotRead) {
  const ReadTrace t = read(
      R"({"id": "a\"b", "nested": {"input": [1, {"x": "}"}]}, "arrival_s": 0, "input": 3, "output": 4, "text": "{,\""})");
  EXPECT_EQ(t.said(), Texts{});
  EXPECT_EQ(t.inputs(), Lengths{3});
}

// Rows as any layout writes them are read as they were, through a buffer that is shorter than the file.
RC_GTEST_PROP(Traces, EveryLayoutIsReadBack, ()) {
  const auto count = *rc::gen::inRange<std::size_t>(1, 60);
  const std::string end = *rc::gen::element<std::string>("\n", "\r\n", "\r");
  const auto padding = *rc::gen::element<std::size_t>(0, 3, 20'000);  // a column that is not read
  std::string mooncake, azure = "TIMESTAMP,ContextTokens,GeneratedTokens,pad" + end,
                        burst = "Timestamp,pad,Request tokens,Response tokens" + end,
                        own = "arrival_ms,input,output,pad" + end;
  std::vector<Request> expected;
  std::int64_t ms = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) ms += *rc::gen::inRange<std::int64_t>(0, 5000);
    const auto input = *rc::gen::inRange<std::int64_t>(1, 3000), output = *rc::gen::inRange<std::int64_t>(1, 3000);
    const std::string pad(padding, 'x');
    Request r{.arrival = Duration(ms * 1'000'000'000), .input_tokens = input, .output_tokens = output, .shared = {}};
    std::string ids;
    for (std::int64_t b = 0; b * 512 < input; ++b) {
      const auto id = *rc::gen::inRange<std::uint64_t>(0, 100);
      ids += (b ? ", " : "") + std::to_string(id);
      r.shared.push_back({std::min<std::int64_t>(512, input - b * 512), id});
    }
    expected.push_back(r);
    mooncake +=
        fmt::format(R"({{"pad": "{}", "hash_ids": [{}], "output_length": {}, "timestamp": {}, "input_length":{}}}{})",
                    pad, ids, output, 77 + ms, input, end);
    azure += fmt::format("2023-11-16 {:02}:{:02}:{:02}.{:03},{},{},{}{}", ms / 3'600'000, ms / 60'000 % 60,
                         ms / 1000 % 60, ms % 1000, input, output, pad, end);
    burst += fmt::format("{}.{:03},\"{}\",{},{}{}", 9 + ms / 1000, ms % 1000, pad, input, output, end);
    own += fmt::format("{},{},{},{}{}", ms, input, output, pad, end);
  }
  expect_equal(read(mooncake).requests, expected);
  for (Request& r : expected) r.shared.clear();
  for (const std::string* text : {&azure, &burst, &own}) {
    const ReadTrace t = read(*text);
    RC_ASSERT(t.said() == Texts{});
    expect_equal(t.requests, expected);
  }
  RC_ASSERT(!testing::Test::HasFailure());
}

// The samples that ship. Blocks are chains, as in the published Mooncake traces (recorded: ids_with_another_predecessor
// is 0 there): an id always follows the same one, and block 0 starts every prompt.
TEST(Traces, SamplesAreRead) {
  const std::string folder = source_path("examples/traces/");
  const ReadTrace talk = read_file_trace(folder + "conversations.mooncake.jsonl");
  EXPECT_EQ(talk.said(), Texts{});
  EXPECT_EQ(talk.requests.size(), 40u);
  std::map<std::uint64_t, std::uint64_t> predecessor;
  std::size_t repeated = 0;
  for (const Request& r : talk.requests)
    for (std::size_t i = 0; i < r.shared.size(); ++i) {
      const auto [it, fresh] =
          predecessor.emplace(r.shared[i].content, i == 0 ? ~std::uint64_t{0} : r.shared[i - 1].content);
      EXPECT_EQ(it->second, i == 0 ? ~std::uint64_t{0} : r.shared[i - 1].content);
      repeated += !fresh;
    }
  EXPECT_GT(repeated, 100u);
  EXPECT_EQ(read_file_trace(folder + "service.azure.csv").requests.size(), 30u);
  EXPECT_EQ(read_file_trace(folder + "service.azure.csv").said(), Texts{});
  const ReadTrace burst = read_file_trace(folder + "chat.burstgpt.csv");
  EXPECT_EQ(burst.requests.size(), 28u);
  EXPECT_EQ(burst.said(),
            Texts{"W0601 9:1 2 rows without tokens are left out: 0 with an empty prompt, 2 with an empty output"});
  for (const char* name : {"own.csv", "own.jsonl", "lengths.csv"}) {
    const ReadTrace t = read_file_trace(folder + name);
    EXPECT_EQ(t.requests.size(), 20u) << name;
    EXPECT_EQ(t.said(), Texts{}) << name;
  }
}

}  // namespace
}  // namespace ascendsim
