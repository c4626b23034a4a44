// Traces that are wrong: what is said, where, and that nothing is lost in silence.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "tests/source_path.h"
#include "tests/workloads/requests/traces_under_test.h"
#include "workloads/requests/traces.h"

namespace ascendsim {
namespace {

using Texts = std::vector<std::string>;

const std::string kHeader = "arrival_s,input,output\n";

struct Case {
  std::string text, said;  // the first diagnostic
};
void expect_said(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    const ReadTrace t = read(c.text);
    EXPECT_TRUE(t.diagnostics.has_errors()) << c.text;
    ASSERT_FALSE(t.said().empty()) << c.text;
    EXPECT_EQ(t.said()[0], c.said) << c.text;
  }
}

TEST(BadTraces, NumbersAndTimesAreShownInTheirColumn) {
  expect_said({
      {kHeader + "0,x,5\n", "E0613 2:3 input is \"x\", which is no number"},
      {kHeader + "0,5,\n", "E0613 2:5 output is empty"},
      {kHeader + "0,-5,5\n", "E0613 2:3 input is \"-5\", which is no such number"},
      {kHeader + "0,5,1.5\n", "E0613 2:5 output is \"1.5\", which is no such number"},
      {kHeader + "0,1e30,5\n", "E0613 2:3 input is \"1e30\", which is no such number"},
      {kHeader + "0,1e300,5\n", "E0613 2:3 input is \"1e300\", which is no number"},
      {kHeader + "0,0x10,5\n", "E0613 2:3 input is \"0x10\", which is no number"},
      {kHeader + "0,\"7\"\"\",5\n", "E0613 2:4 input is \"7\"\"\", which is no number"},
      {kHeader + "soon,5,5\n", "E0614 2:1 arrival_s is \"soon\", which is no time"},
      {kHeader + "1:30,5,5\n", "E0614 2:1 arrival_s is \"1:30\", which is no time"},
      {kHeader + "nan,5,5\n", "E0614 2:1 arrival_s is \"nan\", which is no time"},
      {kHeader + "0,5,5\n1e9,5,5\n", "E0623 3:1 the row is more than 53 days behind the start of the trace"},
      {"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-02-30 00:00:00,5,5\n",
       "E0614 2:1 TIMESTAMP is \"2023-02-30 00:00:00\", which is no time"},
      {"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-02-03 25:00:00,5,5\n",
       "E0614 2:1 TIMESTAMP is \"2023-02-03 25:00:00\", which is no time"},
      {"TIMESTAMP,ContextTokens,GeneratedTokens\n17000,5,5\n", "E0614 2:1 TIMESTAMP is \"17000\", which is no time"},
      {R"({"arrival_s": 0, "input": "5", "output": 5})", "E0613 1:27 input is \"\"5\"\", which is no number"},
      {R"({"arrival_s": 0, "input": [5], "output": 5})", "E0613 1:27 input is \"[\", which is no number"},
      {R"({"arrival_s": null, "input": 5, "output": 5})", "E0614 1:15 arrival_s is \"null\", which is no time"},
      {R"({"arrival_s": 0, "input": 5, "output": true})", "E0613 1:40 output is \"true\", which is no number"},
      // Columns are counted in characters: the key in front has two of three bytes each.
      {R"({"名字": 1, "arrival_s": 0, "input": -1, "output": 5})",
       "E0613 1:36 input is \"-1\", which is no such number"},
  });
}

TEST(BadTraces, RowsOutOfOrder) {
  const ReadTrace t = read(kHeader + "0,1,1\n5,2,1\n4.5,3,1\n6,4,1\n5.5,5,1\n");
  EXPECT_EQ(t.inputs(), (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(t.said(),
            (Texts{"E0615 4:1 this row is 0.5 s before line 3", "E0615 6:1 this row is 0.5 s before line 5"}));
}

TEST(BadTraces, HashIdsOfAnotherLength) {
  // The list is at column 71: 17 characters of timestamp, 21 of input_length, 20 of output_length, 12 of the key.
  const auto row = [](int tokens, const std::string& ids) {
    return fmt::format(R"({{"timestamp": 0, "input_length": {}, "output_length": 1, "hash_ids": {}}})", tokens, ids);
  };
  expect_said({
      {row(513, "[1]"), "E0616 1:71 1 hash ids for 513 tokens, 2 are expected"},
      {row(512, "[1, 2]"), "E0616 1:71 2 hash ids for 512 tokens, 1 are expected"},
      {row(512, "[]"), "E0616 1:71 0 hash ids for 512 tokens, 1 are expected"},
      {row(512, "[-1]"), "E0613 1:71 hash_ids must be a list of integers that are not negative"},
      {row(512, "[1.5]"), "E0613 1:71 hash_ids must be a list of integers that are not negative"},
      {row(512, "[\"a\"]"), "E0613 1:71 hash_ids must be a list of integers that are not negative"},
      {row(512, "7"), "E0613 1:71 hash_ids must be a list of integers that are not negative"},
  });
  TraceOptions blocks_of_16;
  blocks_of_16.block_tokens = 16;
  EXPECT_EQ(read(row(33, "[1, 2, 3]"), blocks_of_16).requests.at(0).shared.back(), (PromptSegment{1, 3}));
}

TEST(BadTraces, ColumnsThatAreMissingOrRenamed) {
  expect_said({
      {"TIMESTAMP,ContextTokens,Generated Tokens\n", "E0611 1:1 there is no column GeneratedTokens"},
      {"Timestamp,Request tokens\n", "E0611 1:1 there is no column Response tokens"},
      {"a,b,c\n1,2,3\n", "E0610 1:1 no known layout has these columns"},
      {"0,5,5\n1,5,5\n", "E0610 1:1 the first line has numbers and no names of columns"},
      {"arrival_s,input,output,input\n0,1,1,1\n", "E0622 1:24 the column input stands twice"},
      {R"({"timestamp": 0, "input_length": 5, "output_length": 5})", "E0611 1:1 there is no key hash_ids"},
      {R"({"arrival_s": 0, "input": 5, "output": 5})"
       "\n"
       R"({"arrival_s": 0, "output": 5})",
       "E0611 2:1 the row has no input"},
      {R"({"arrival_s": 0, "input": 5, "output": 5, "input": 6})", "E0622 1:52 the key input stands twice"},
      {R"([{"conversations": []}])", "E0610 1:1 a list is no trace: one JSON object a line is expected"},
      {R"({"id": "x", "conversations": [{"from": "human", "value": "hi"}]})",
       "E0621 1:1 the rows hold texts, and how long they are only a tokenizer knows"},
  });
  const ReadTrace t = read("TIMESTAMP,ContextTokens,Generated Tokens\n");
  EXPECT_EQ(t.diagnostics.all()[0].help, "is it Generated Tokens? then rename it");
  TraceOptions azure;
  azure.layout = TraceLayout::kAzure;
  EXPECT_EQ(read(kHeader + "0,1,1\n", azure).said().size(), 3u);  // none of its columns is there
}

TEST(BadTraces, LinesThatAreNoRow) {
  expect_said({
      {kHeader + "0,5\n", "E0620 2:4 2 fields, the header has 3"},
      {kHeader + "0,5,5,5\n", "E0620 2:8 4 fields, the header has 3"},
      {kHeader + "0,\"5,5\n1,2,3\n", "E0620 2:3 the quote is not closed on its line"},
      {kHeader + "0,\"5\"x,5\n", "E0620 2:6 text behind a closing quote"},
      {"{\"arrival_s\": 0, \"input\": 5, \"output\": 5}\n[1, 2]\n", "E0612 2:1 a JSON object is expected: {...}"},
      {"{\"arrival_s\": 0, \"input\": 5, \"output\": 5}\nhello\n", "E0612 2:1 a JSON object is expected: {...}"},
      {"{\"arrival_s\": 0, \"input\": 5, \"output\": 5} {}\n", "E0612 1:43 text behind the object"},
      {"{\"arrival_s\": 0, \"input\": 5, \"output\": 5}\n{\"arrival_s\": 0, \"inp",
       "E0612 2:22 the line is not complete: the file seems to be cut here"},
  });
  EXPECT_EQ(read("{\"arrival_s\": 0, \"input\" 5, \"output\": 5}\n").said()[0].substr(0, 5), "E0612");
  EXPECT_EQ(read("{\"arrival_s\": 0, \"input\": 5, \"output\": 5, \"x\": \"\xFF\"}\n").said()[0],
            "E0612 1:1 the line is not valid UTF-8");
}

TEST(BadTraces, FilesWithoutRequests) {
  expect_said({
      {"", "E0617 0:0 the file has no row"},
      {"\n\r\n \n", "E0617 0:0 the file has no row"},
      {kHeader, "E0617 0:0 the file has no request"},
      {kHeader + "0,0,5\n",
       "W0601 2:1 1 rows without tokens are left out: 1 with an empty prompt, 0 with an empty output"},
      {std::string("\xFF\xFE{\0", 4), "E0107 0:0 text is UTF-16"},
      {std::string("a\0b,c", 5), "E0106 0:0 the file holds zero bytes: this is not a text file"},
  });
  Diagnostics diagnostics;
  EXPECT_EQ(open_trace("/no/such/trace.csv", {}, diagnostics), nullptr);
  EXPECT_EQ(diagnostics.all()[0].code, "E0101");
  EXPECT_EQ(open_trace(source_path(), {}, diagnostics), nullptr);
  EXPECT_EQ(diagnostics.all()[1].code, "E0102");
}

TEST(BadTraces, TimeScalesAreAboveZero) {
  for (const double scale : {0.0, -1.0, double(INFINITY), double(NAN)}) {
    TraceOptions o;
    o.time_scale = scale;
    EXPECT_EQ(read(kHeader + "0,1,1\n", o).said().at(0).substr(0, 5), "E0602");
  }
}

TEST(BadTraces, ALineThatNeverEndsIsGivenUp) {
  const ReadTrace t = read(kHeader + "0,1,1\n" + std::string(std::size_t{40} << 20, '7'));
  EXPECT_EQ(t.said(), Texts{"E0618 3:1 the line has more than 16 MiB"});
}

// All of a file is looked at, and what is said stays short.
TEST(BadTraces, ManyFaultsAreCounted) {
  std::string text = kHeader;
  for (int i = 0; i < 1000; ++i) text += "0,1,1\n0,x,1\n0,-1,1\nnever,1,1\n";
  const ReadTrace t = read(text);
  EXPECT_EQ(t.inputs(), std::vector<std::int64_t>{1});
  EXPECT_EQ(t.diagnostics.all().size(), 12u);
  const Texts said = t.said();
  EXPECT_EQ(std::count(said.begin(), said.end(), "E0613 0:0 and 1995 more of these"), 1);
  EXPECT_EQ(std::count(said.begin(), said.end(), "E0614 0:0 and 995 more of these"), 1);
}

TEST(BadTraces, LongLinesAreNotShown) {
  const ReadTrace t = read(kHeader + "0,x,1\n0," + std::string(5000, 'y') + ",1\n");
  EXPECT_EQ(t.diagnostics.all()[0].where.excerpt, "0,x,1");
  EXPECT_EQ(t.diagnostics.all()[1].where.excerpt, "");
  EXPECT_LT(t.diagnostics.all()[1].message.size(), 100u);
}

class Compressed : public testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 20'000; ++i) text_ += fmt::format("{},{},{}\n", i, 1 + i * 7919 % 4001, 1 + i % 50);
  }
  void TearDown() override { std::filesystem::remove(path_); }
  void write(const std::string& bytes) const { std::ofstream(path_, std::ios::binary) << bytes; }
  [[nodiscard]] std::string written() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void compress(const std::string& bytes, const char* mode = "wb") const {
    gzFile file = gzopen(path_.c_str(), mode);
    gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
    gzclose(file);
  }

  std::string text_ = kHeader;
  std::string path_ = testing::TempDir() + fmt::format("ascendsim-trace-{}.gz", getpid());
};

TEST_F(Compressed, IsReadAsTheTextItHolds) {
  compress(text_);
  EXPECT_LT(written().size(), text_.size() / 2);
  const ReadTrace t = read_file_trace(path_);
  EXPECT_EQ(t.said(), Texts{});
  expect_equal(t.requests, read(text_).requests);
  // Two compressed files one behind the other are one.
  compress(text_.substr(0, 100'000));
  compress(text_.substr(100'000), "ab");
  expect_equal(read_file_trace(path_).requests, read(text_).requests);
  // What is not compressed is read as it is, whatever its name.
  write(text_);
  expect_equal(read_file_trace(path_).requests, read(text_).requests);
}

TEST_F(Compressed, CutOrDamagedIsSaid) {
  compress(text_);
  const std::string bytes = written();
  for (const std::size_t size : {bytes.size() - 1, bytes.size() / 2, std::size_t{30}}) {
    write(bytes.substr(0, size));
    const ReadTrace t = read_file_trace(path_);
    ASSERT_EQ(t.said().size(), 1u) << size;
    EXPECT_EQ(t.said()[0].substr(0, 6), "E0619 ");
    EXPECT_NE(t.said()[0].find("it is cut"), std::string::npos) << t.said()[0];
  }
  std::string damaged = bytes;
  for (std::size_t i = 0; i < 8; ++i) damaged[bytes.size() / 2 + i] = '\x5a';
  write(damaged);
  const ReadTrace t = read_file_trace(path_);
  EXPECT_TRUE(t.diagnostics.has_errors());
}

TEST_F(Compressed, StandardInputIsReadOnce) {
  compress(text_);
  std::FILE* const file = std::fopen(path_.c_str(), "rb");
  const int saved = dup(STDIN_FILENO);
  dup2(fileno(file), STDIN_FILENO);
  const ReadTrace t = read_file_trace("-");
  dup2(saved, STDIN_FILENO);
  close(saved);
  std::fclose(file);
  EXPECT_EQ(t.said(), Texts{});
  expect_equal(t.requests, read(text_).requests);
}

// Whatever the bytes: no crash, and either requests or an error.
RC_GTEST_PROP(BadTraces, AnyBytesEndInRequestsOrAnError, (std::string text)) {
  for (const std::string& head :
       {std::string(), kHeader, std::string("{\"arrival_s\":0,\"input\":1,\"output\":1}\n")}) {
    const ReadTrace t = read(head + text);
    RC_ASSERT(!t.requests.empty() || t.diagnostics.has_errors());
    Duration before{0};
    for (const Request& r : t.requests) {
      RC_ASSERT(r.arrival >= before && r.input_tokens >= 1 && r.output_tokens >= 1);
      before = r.arrival;
    }
  }
}

// One byte of a right file changed: what is read is right or something is said.
RC_GTEST_PROP(BadTraces, AChangedByteIsNoticedOrHarmless, ()) {
  std::string text =
      "{\"timestamp\": 10, \"input_length\": 700, \"output_length\": 5, \"hash_ids\": [1, 2]}\n"
      "{\"timestamp\": 20, \"input_length\": 300, \"output_length\": 6, \"hash_ids\": [1]}\n";
  const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
  text[at] = *rc::gen::arbitrary<char>();
  const ReadTrace t = read(text);
  RC_ASSERT(t.requests.size() == 2u || t.diagnostics.has_errors() || !t.diagnostics.all().empty());
}

}  // namespace
}  // namespace ascendsim
