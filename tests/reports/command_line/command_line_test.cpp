// What is said about a wrong command line: the whole text, and the exit code.
#include "tests/reports/application_under_test.h"

namespace ascendsim {
namespace {

constexpr const char* kRunUsage = "Usage: ascendsim run CONFIG... --hardware NAME --input N --output N [options]\n";

using CommandLine = ApplicationTest;

TEST_F(CommandLine, VersionAndHelpAreData) {
  EXPECT_EQ(run({"--version"}), kDone);
  EXPECT_TRUE(out.starts_with("ascendsim ")) << out;
  EXPECT_EQ(run({"-V"}), kDone);
  EXPECT_EQ(run({"--help"}), kDone);
  EXPECT_NE(out.find("Commands:\n  run "), std::string::npos);
  for (const char* command : {"run", "check", "mem", "convert", "explain", "list"}) {
    EXPECT_EQ(run({command, "-h"}), kDone) << command;
    EXPECT_NE(out.find(std::string("Usage: ascendsim ") + command), std::string::npos);
    EXPECT_EQ(err, "");
  }
}

TEST_F(CommandLine, NoCommandShowsUsage) {
  EXPECT_EQ(run({}), kWrongInput);
  EXPECT_EQ(out, "");
  EXPECT_TRUE(err.starts_with("Predicts how a deployment"));
  EXPECT_TRUE(
      err.ends_with("error[E0001]: a command is missing\n  = help: one of: run, check, mem, compare, plan, ring, "
                    "collective, convert, export, explain, validate, schedule, list\n"));
}

TEST_F(CommandLine, UnknownCommand) {
  EXPECT_EQ(run({"rnu", "cp.json", "--hardware", "x"}), kWrongInput);
  EXPECT_EQ(err, "error[E0001]: unknown command 'rnu'\n  = help: did you mean 'run'?\n");
}

TEST_F(CommandLine, UnknownOptionsAreNotSwallowedAsWords) {
  EXPECT_EQ(run({"run", "--hardwar=x", "--tpp", "8", "cp.json"}), kWrongInput);
  EXPECT_EQ(err, std::string("error[E0002]: unknown option '--hardwar'\n  = help: did you mean '--hardware'?\n"
                             "error[E0002]: unknown option '--tpp'\n  = help: did you mean '--top'?\n") +
                     kRunUsage);
}

// What an option is called elsewhere says more than its letters.
TEST_F(CommandLine, UnknownOptionsAreUnderstoodByMeaning) {
  const auto help_for = [&](const std::string& command, const std::string& option) {
    EXPECT_EQ(run({command, option + "=1"}), kWrongInput);
    const std::size_t at = err.find("= help: "), end = err.find('\n', at);
    return at == std::string::npos ? err : err.substr(at + 8, end - at - 8);
  };
  EXPECT_EQ(help_for("run", "--context"), "here it is '--input'");
  EXPECT_EQ(help_for("run", "--concurrency"), "here it is '--batch'");
  EXPECT_EQ(help_for("run", "--max_concurrency"), "did you mean '--max-concurrency'?");
  EXPECT_EQ(help_for("plan", "--isl"), "here it is '--context'");
  EXPECT_EQ(help_for("plan", "--input"), "here it is '--context'");
  EXPECT_EQ(help_for("plan", "--batch"), "here it is '--concurrency'");
  EXPECT_EQ(help_for("compare", "--context"), "here it is '--input'");
  EXPECT_EQ(help_for("run", "--expert-parallel-size"),
            "a key of the deployment: --set layout.moe_ep=N; in vLLM's command the switch --enable-expert-parallel");
  EXPECT_EQ(help_for("run", "--tensor-parallel-size"), "a key of the deployment: --set layout.tp=VALUE");
  EXPECT_EQ(help_for("run", "--hardwar"), "did you mean '--hardware'?");
}

TEST_F(CommandLine, HelpHasGroupsAndTheDefaultsThatCount) {
  EXPECT_EQ(run({"run", "--help"}), kDone);
  std::size_t before = 0;
  for (const char* heading :
       {"\nRequired arguments:\n  CONFIG...", "\nMachine:\n", "\nLoad:\n", "\nEngine:\n",
        "\nPrefill and decode on instances of their own:\n", "\nOutput:\n", "\nExamples:\n", "\nAnswer: "}) {
    const std::size_t at = out.find(heading);
    EXPECT_NE(at, std::string::npos) << heading;
    EXPECT_GT(at, before) << heading;
    before = at;
  }
  const auto line_of = [&](const std::string& option) {
    const std::size_t at = out.find("\n  " + option + " "), end = out.find('\n', at + 1);
    return at == std::string::npos ? "" : out.substr(at + 1, end - at - 1);
  };
  EXPECT_TRUE(line_of("--top").ends_with("operators shown per phase [default: 10]")) << line_of("--top");
  EXPECT_EQ(line_of("--hardware").find("default"), std::string::npos);
  EXPECT_EQ(run({"check", "--help"}), kDone);
  EXPECT_TRUE(line_of("--hardware").ends_with("[default: atlas-800i-a3]")) << line_of("--hardware");
  EXPECT_EQ(run({"plan", "--help"}), kDone);
  EXPECT_TRUE(line_of("--servers").ends_with("at most this many servers [default: 8]")) << line_of("--servers");
  EXPECT_TRUE(line_of("--output").ends_with("[default: 1024]")) << line_of("--output");
  EXPECT_EQ(line_of("--model").find("default"), std::string::npos);
  EXPECT_LT(out.find("\n  --model "), out.find("\nLoad:\n"));  // among those that are required
}

TEST_F(CommandLine, ValuesAreNotEmpty) {
  EXPECT_EQ(run({"run", "cp.json", "--hardware", "x", "--input", "", "--output", "1"}), kWrongInput);
  EXPECT_TRUE(err.starts_with("error[E0004]: --input has an empty value\n")) << err;
}

TEST_F(CommandLine, TokensMayBeWrittenAsPeopleWriteThem) {
  for (const char* input : {"3584", "3.5K", "3,584"}) {
    EXPECT_EQ(run_fragment({"--env", "NPU_MEMORY_FRACTION=0.92", "--input", input}), kDone) << err;
    EXPECT_NE(out.find("3,584 tokens in"), std::string::npos) << input;
  }
}

TEST_F(CommandLine, EverythingMissingIsSaidAtOnce) {
  EXPECT_EQ(run({"run"}), kWrongInput);
  EXPECT_EQ(
      err,
      std::string(
          "error[E0003]: --hardware NAME is missing\n"
          "  = help: server type, as `ascendsim list hardware` names it\n"
          "error[E0003]: --input N is missing\n"
          "  = help: prompt tokens of a request: 65536, 64K (1024), 64k (1000)\n"
          "error[E0003]: --output N is missing\n"
          "  = help: tokens that a request generates\n"
          "error[E0003]: CONFIG is missing\n"
          "  = help: config.json of MindIE Server, launch scripts of vLLM or SGLang, or our own YAML; - reads standard "
          "input\n") +
          kRunUsage);
  EXPECT_EQ(run({"run", "a", "b", "--hardware", "x", "--input", "1", "--output", "1"}), kWrongInput);
  EXPECT_EQ(err,
            "error[E0003]: one deployment is needed, got 2: a, b\n  = help: the files of one instance, or of a prefill "
            "and a decode instance\n1 error\n");
  write("cp.json", context_parallel_fragment());
  EXPECT_EQ(run({"run", "cp.json"}), kWrongInput);
  EXPECT_TRUE(
      err.starts_with("error[E0003]: --hardware NAME is missing\n"
                      "  = help: server type, as `ascendsim list hardware` names it\n"
                      "error[E0003]: --input N is missing\n"))
      << err;
  EXPECT_EQ(run({"run", "cp.json", "--input"}), kWrongInput);
  EXPECT_EQ(err, std::string("error[E0003]: --input needs a value\n") + kRunUsage);
}

TEST_F(CommandLine, WrongValues) {
  EXPECT_EQ(run({"run", "cp.json", "--hardware", "x", "--input", "abc", "--output", "0", "--batch", "-5", "--servers",
                 "9223372036854775808", "--role", "prefil", "--format", "jsn", "--env", "FOO"}),
            kWrongInput);
  EXPECT_EQ(err,
            std::string("error[E0004]: --servers must be a whole number from 1 to 4,096, got '9223372036854775808'\n"
                        "  = help: for example 2\n"
                        "error[E0004]: --input must be a whole number from 1 to 16,777,216, got 'abc'\n"
                        "  = help: for example 65536, 64K, 64k\n"
                        "error[E0004]: --output must be a whole number from 1 to 16,777,216, got '0'\n"
                        "  = help: for example 1024, 1K, 1k\n"
                        "error[E0004]: --batch must be a whole number from 1 to 1,048,576, got '-5'\n"
                        "  = help: for example 16\n"
                        "error[E0004]: unknown --role 'prefil'\n  = help: did you mean 'prefill'?\n"
                        "error[E0004]: --env needs KEY=VALUE, got 'FOO'\n"
                        "  = help: --env NPU_MEMORY_FRACTION=0.92\n"
                        "error[E0004]: unknown --format 'jsn'\n  = help: did you mean 'json'?\n") +
                kRunUsage);
}

TEST_F(CommandLine, WrongValuesOfLoadAndFile) {
  EXPECT_EQ(run({"run", "cp.json", "--prefix-hit", "-1", "--acceptance", "0.9,x", "--from", "mindi", "--env",
                 "MINDIE_ASYNC_SCHEDULING_ENABLE=yes"}),
            kWrongInput);
  EXPECT_EQ(err, std::string("error[E0004]: --prefix-hit must be a whole number from 0 to 16,777,216, got '-1'\n"
                             "  = help: for example 32768, 32K, 32k\n"
                             "error[E0004]: --acceptance must be numbers from 0 to 1 with commas between, got '0.9,x'\n"
                             "  = help: --acceptance 0.9,0.7\n"
                             "error[E0004]: MINDIE_ASYNC_SCHEDULING_ENABLE must be 0, 1, true or false, got 'yes'\n"
                             "  = help: --env MINDIE_ASYNC_SCHEDULING_ENABLE=1\n"
                             "error[E0004]: unknown --from 'mindi'\n  = help: did you mean 'mindie'?\n") +
                     kRunUsage);
}

TEST_F(CommandLine, APairNeedsBothSidesAndNothingElse) {
  EXPECT_EQ(run({"run", "--prefill", "p.json", "x.json", "--role", "decode", "--servers", "2"}), kWrongInput);
  EXPECT_EQ(err,
            std::string("error[E0003]: --decode FILE is missing\n"
                        "  = help: decode side of a disaggregated pair\n"
                        "error[E0003]: --prefill and --decode name the files of a pair: x.json is one too many\n"
                        "error[E0004]: --role does not say which side of the pair it means\n"
                        "  = help: --prefill-servers and --decode-servers; roles follow from --prefill and --decode\n"
                        "error[E0004]: --servers does not say which side of the pair it means\n"
                        "  = help: --prefill-servers and --decode-servers; roles follow from --prefill and "
                        "--decode\n") +
                kRunUsage);
}

TEST_F(CommandLine, ErrorsInJsonModeAreJsonOnStdoutToo) {
  EXPECT_EQ(run({"run", "--json", "--bad"}), kWrongInput);
  EXPECT_EQ(out,
            "{\n  \"schema_version\": 1,\n  \"diagnostics\": [\n    {\n      \"code\": \"E0002\",\n      \"severity\": "
            "\"error\",\n"
            "      \"message\": \"unknown option '--bad'\",\n      \"file\": \"\",\n      \"line\": 0,\n      "
            "\"column\": 0,\n"
            "      \"key\": \"\",\n      \"rule\": \"\",\n      \"help\": \"ascendsim COMMAND --help lists the "
            "options\"\n    }\n  ]\n}\n");
  EXPECT_EQ(run({"run", "no.json", "--hardware", "atlas-800i-a3", "--input", "1", "--output", "1", "--format", "json"}),
            kWrongInput);
  EXPECT_NE(out.find("\"code\": \"E0101\""), std::string::npos);
}

TEST_F(CommandLine, UnknownHardwareIsNamedTogetherWithTheFilesOwnMistakes) {
  write("cp.json", context_parallel_fragment("8", "            \"moe-tp\": 1,\n"));
  EXPECT_EQ(run({"run", "cp.json", "--hardware", "atlas-800i-a4", "--input", "64K", "--output", "1K"}), kWrongInput);
  EXPECT_TRUE(err.starts_with("error[E0201]: unknown server 'atlas-800i-a4'\n  = help: did you mean 'atlas-800i-a2'?"))
      << err;
  EXPECT_NE(err.find("warning[W0330]: unknown key \"moe-tp\""), std::string::npos);
  EXPECT_TRUE(err.ends_with("1 error, 1 warning\n"));
}

TEST_F(CommandLine, FilesThatCannotBeRead) {
  EXPECT_EQ(run({"check", "nowhere.json"}), kWrongInput);
  EXPECT_TRUE(out.starts_with("error[E0101]: no such file\n --> nowhere.json\n")) << out;
  write("empty.json", "");
  EXPECT_EQ(run({"mem", "empty.json", "--hardware", "atlas-800i-a3"}), kWrongInput);
  write("other.json", "{\"a\": 1}");
  EXPECT_EQ(run({"mem", "other.json", "--hardware", "atlas-800i-a3"}), kWrongInput);
  EXPECT_NE(err.find("E0251"), std::string::npos) << err;
  EXPECT_EQ(run({"mem", ".", "--hardware", "atlas-800i-a3"}), kWrongInput);
}

TEST_F(CommandLine, OutputFile) {
  EXPECT_EQ(run({"list", "models", "-o", "models.txt"}), kDone);
  EXPECT_EQ(out, "");
  EXPECT_TRUE(read("models.txt").starts_with("Models (--model NAME)\n"));
  EXPECT_EQ(run({"list", "models", "-o", "no/such/folder.txt"}), kWrongInput);
  EXPECT_EQ(err,
            "error[E0005]: cannot write 'no/such/folder.txt': the folder 'no/such' does not exist\n  = help: make the "
            "folder first, or choose another -o FILE\n");
}

}  // namespace
}  // namespace ascendsim
