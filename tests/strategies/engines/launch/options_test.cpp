// Options by version. What exists when: the argument parsers of vLLM, vLLM-Ascend and SGLang at those tags.
#include "strategies/engines/launch/options.h"

#include <gtest/gtest.h>

#include <map>

#include "strategies/engines/launch/option_file.h"
#include "strategies/engines/sglang/import.h"
#include "strategies/engines/vllm/import.h"
#include "tests/source_path.h"
#include "tests/strategies/engines/launch_under_test.h"

namespace ascendsim {
namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
LaunchedUnderTest vllm(const std::string& options, const std::string& version) {
  return launch("vllm serve /w/DeepSeek-R1_w8a8 --quantization ascend " + options + "\n",
                {.defines = {}, .model = {}, .version = version});
}
LaunchedUnderTest sglang(const std::string& options, const std::string& version) {
  return launch(
      "python3 -m sglang.launch_server --model-path /w/DeepSeek-R1_w8a8 --quantization modelslim " + options + "\n",
      {.defines = {}, .model = {}, .version = version});
}
EngineVersions versions_of(const std::string& engine) {
  Diagnostics said;
  EngineVersions out = load_versions(source_path("strategies/engines/versions"), engine, said);
  EXPECT_EQ(rendered(said, Severity::kError), "");
  return out;
}

TEST(Versions, AreOrderedAsReleased) {
  EXPECT_EQ(parse_version("v0.15.0rc1"), (Version{0, 15, 0}));
  EXPECT_EQ(parse_version("0.5.18"), (Version{0, 5, 18}));
  EXPECT_GT(parse_version("main"), parse_version("0.99.9"));
  EXPECT_EQ(parse_version("latest"), std::nullopt);
  for (const char* engine : {"vllm-ascend", "sglang"})
    EXPECT_TRUE(std::ranges::is_sorted(versions_of(engine).releases, {}, parse_version)) << engine;
}

TEST(Versions, ABoundWithoutAPatchCoversItsPatches) {
  const VersionRange range{"0.15", "0.20"};
  EXPECT_FALSE(range.has(*parse_version("0.14.0rc1")));
  EXPECT_TRUE(range.has(*parse_version("0.15.0rc1")));
  EXPECT_TRUE(range.has(*parse_version("0.20.2rc1")));
  EXPECT_FALSE(range.has(*parse_version("0.21.0rc1")));
  EXPECT_FALSE((VersionRange{"0.5.3", "0.5.9"}.has(*parse_version("0.5.10"))));
  EXPECT_TRUE(VersionRange{}.has(*parse_version("main")));
}

TEST(Versions, AReleaseIsFoundByItsBeginning) {
  const EngineVersions ascend = versions_of("vllm-ascend");
  EXPECT_EQ(ascend.release("0.20"), "0.20.2rc1");
  EXPECT_EQ(ascend.release("0.1"), "0.1") << "not 0.11";
  EXPECT_EQ(versions_of("sglang").release("0.5"), "0.5.18");
  EXPECT_EQ(ascend.by_preference().front(), "0.23.0") << "0.24.0rc1, 0.25.1rc1 and main are no releases";
}

// Any version that is released knows a name by one row at most, and whatever a row names exists.
TEST(OptionTables, AreSound) {
  for (const OptionTable* table : {&vllm_options(), &sglang_options()}) {
    const EngineVersions versions = versions_of(table == &vllm_options() ? "vllm-ascend" : "sglang");
    ASSERT_GT(table->options.size(), 300u);
    for (const std::string& release : versions.releases) {
      const Version version = *parse_version(release);
      std::map<std::string, int> rows;
      for (const EngineOption& o : table->options)
        if (o.versions.has(version)) ++rows[std::string(o.name)];
      for (const JsonKeySpec& k : table->json_keys)
        if (k.versions.has(version)) ++rows[fmt::format("{}.{}", k.option, k.key)];
      for (const EnvironmentSpec& e : table->environment) ++rows[std::string(e.name)];
      for (const auto& [name, count] : rows) EXPECT_EQ(count, 1) << name << " in " << release;
    }
    for (const EngineOption& o : table->options) {
      for (const std::string_view bound : {o.versions.from, o.versions.until})
        EXPECT_TRUE(bound.empty() || parse_version(bound)) << o.name;
      if (o.field.empty()) continue;
      ASSERT_NE(find_field(o.field), nullptr) << o.name;
      EXPECT_EQ(find_field(o.field)->path, o.field);
      EXPECT_EQ(o.use, KeyUse::kUsed) << o.name;
    }
  }
}

TEST(OptionFile, ReadsItsRows) {
  const OptionFile file(
      "# a comment\n[options]\nsize --length -l | integer 1..8 | used layout.tp | ..0.12 | 4 | why | a.py\n"
      "mode | choice fast slow | effect\n[keys more lenient]\na.b | | none | 0.5.3..0.5.9 | 1\n"
      "[environment]\nNAME | choice 0 1 | assumed | 0.11.. | | what | b.py\n");
  ASSERT_EQ(file.options().size(), 2u);
  const EngineOption& size = file.options()[0];
  EXPECT_EQ(size.aliases, "--length -l");
  EXPECT_EQ(size.type, OptionType::kInteger);
  EXPECT_EQ(size.most, 8);
  EXPECT_EQ(size.field, "layout.tp");
  EXPECT_EQ(size.versions.until, "0.12");
  EXPECT_EQ(size.usually, "4");
  EXPECT_EQ(size.source, "a.py");
  EXPECT_EQ(file.options()[1].choices.size(), 2u);
  EXPECT_EQ(file.options()[1].use, KeyUse::kEffectNotModelled);
  ASSERT_EQ(file.json_keys().size(), 1u);
  EXPECT_EQ(file.json_keys()[0].option, "more");
  EXPECT_EQ(file.json_keys()[0].versions.from, "0.5.3");
  EXPECT_EQ(file.lenient().front(), "more");
  ASSERT_EQ(file.environment().size(), 1u);
  EXPECT_EQ(file.environment()[0].use, KeyUse::kAssumed);
  EXPECT_EQ(file.environment()[0].source, "b.py");
  EXPECT_THROW(OptionFile("[options]\nx | sort of | none\n"), InternalError);
}

TEST(OptionVersions, AnOptionOfAnotherVersionIsSaidToBeOfIt) {
  EXPECT_EQ(vllm("--performance-mode balanced", "0.17.0rc1").said, "");
  EXPECT_TRUE(has(vllm("--performance-mode balanced", "0.16.0rc1").said,
                  "error[E0425]: vLLM-Ascend 0.16.0rc1 has no --performance-mode: it exists from 0.17 on"));
  EXPECT_EQ(vllm("--num-redundant-experts 16", "0.11.0").said, "");
  EXPECT_TRUE(has(vllm("--num-redundant-experts 16", "0.13.0").said, "it exists up to 0.11"));
  EXPECT_TRUE(has(vllm("--rhubarb", "0.13.0").said, "error[E0420]: unknown option --rhubarb"));
  EXPECT_EQ(sglang("--tp 16 --fuseep-mode 2", "0.5.16").said, "");
  EXPECT_TRUE(has(sglang("--tp 16 --fuseep-mode 2", "0.5.15").said,
                  "error[E0425]: SGLang 0.5.15 has no --fuseep-mode: it exists from 0.5.16 on"));
  // An alias may be newer than the option.
  EXPECT_EQ(vllm("-ep", "0.15.0rc1").said, "");
  EXPECT_TRUE(has(vllm("-ep", "0.14.0rc1").said, "vLLM-Ascend 0.14.0rc1 has no -ep: it exists from 0.15 on"));
}

TEST(OptionVersions, KeysAndVariablesToo) {
  const std::string sparse = R"(--additional-config '{"enable_sparse_c8": true}')";
  EXPECT_EQ(vllm(sparse, "0.23.0").said, "");
  EXPECT_TRUE(has(vllm(sparse, "0.15.0rc1").said,
                  "warning[W0425]: vLLM-Ascend 0.15.0rc1 has no \"enable_sparse_c8\" in --additional-config: it exists "
                  "from 0.18 to 0.25"))
      << "the engine ignores keys of this option that it does not know";
  EXPECT_TRUE(has(
      vllm(R"(--speculative-config '{"method": "mtp", "num_speculative_tokens": 1, "speculative_token_tree": "x"}')",
           "0.23.0")
          .said,
      "error[E0425]: vLLM-Ascend 0.23.0 has no \"speculative_token_tree\" in --speculative-config"));
  const auto variable = [](const std::string& version) {
    return launch(
               "export VLLM_ASCEND_ENABLE_CONTEXT_PARALLEL=1\nvllm serve /w/DeepSeek-R1_w8a8 --quantization ascend\n",
               {.defines = {}, .model = {}, .version = version})
        .said;
  };
  EXPECT_EQ(variable("0.20.2rc1"), "");
  EXPECT_TRUE(has(variable("0.23.0"),
                  "warning[W0425]: VLLM_ASCEND_ENABLE_CONTEXT_PARALLEL has no effect in vLLM-Ascend 0.23.0: it exists "
                  "from 0.12 to 0.20"));
}

TEST(OptionVersions, TypesAndWordsFollowTheVersion) {
  EXPECT_EQ(vllm("--max-model-len auto", "0.14.0rc1").said, "");
  EXPECT_TRUE(has(vllm("--max-model-len auto", "0.13.0").said, "error[E0422]"));
  EXPECT_TRUE(has(vllm("--max-num-seqs 1k", "0.23.0").said, "error[E0422]: --max-num-seqs must be an integer"));
  EXPECT_TRUE(has(vllm("--kv-cache-dtype int8", "0.23.0").said, "error[E0426]: --kv-cache-dtype has no 'int8'"));
  EXPECT_EQ(vllm("--hf-token --allowed-origins '[\"*\"]' -O3", "0.15.0rc1").said, "");
  EXPECT_EQ(vllm("-O3", "0.11.0").said, "") << "a level inside --compilation-config";
  EXPECT_TRUE(has(vllm("--no-headless", "0.23.0").said, "error[E0420]"));
  EXPECT_EQ(sglang("--context-length 64K", "0.5.10").question().deployment.limits.max_seq_len, 65'536);
  EXPECT_TRUE(has(sglang("--context-length 64K", "0.5.9").said, "error[E0422]"));
}

// README of the surveyed parsers: 61.3 GiB of a die; 0.5.9.
TEST(OptionVersions, DefaultsAreWorkedOut) {
  const auto share = [](const std::string& options, const std::string& version) {
    return sglang(options, version).question().deployment.memory_fraction;
  };
  EXPECT_DOUBLE_EQ(share("--tp 16 --chunked-prefill-size 8192", "0.5.9"), 0.755);
  EXPECT_DOUBLE_EQ(share("--tp 16 --dp-size 16 --enable-dp-attention", "0.5.9"), 0.559);
  EXPECT_EQ(share("--tp 16 --mem-fraction-static 0.8", "0.5.9"), 0.8);
  const auto batch = [](const std::string& options) { return sglang(options, "0.5.18").question().deployment.limits; };
  EXPECT_EQ(batch("--tp 16 --dp-size 16 --enable-dp-attention").max_batch, 2048) << "of each DP worker";
  EXPECT_EQ(batch("--tp 16 --dp-size 16 --enable-dp-attention --max-running-requests 256").max_batch, 16);
  EXPECT_EQ(sglang("--tp 16", "0.5.5").question().deployment.limits.max_batched_tokens, 32'768);
  EXPECT_EQ(sglang("--tp 16", "0.5.7").question().deployment.limits.max_batched_tokens, 8192);
  EXPECT_EQ(sglang("--tp 16 --cuda-graph-bs 4 8 16", "0.5.9").question().deployment.graph.capture_sizes,
            (std::vector<std::int64_t>{4, 8, 16}));
  EXPECT_EQ(vllm("--cudagraph-capture-sizes 16 8", "0.15.0rc1").question().deployment.graph.capture_sizes,
            (std::vector<std::int64_t>{8, 16}));
}

TEST(OptionVersions, BlocksAreReplacedWherePromptsAreCutOrCached) {
  const auto cut = vllm("--block-size 64", "0.23.0");
  EXPECT_EQ(cut.question().deployment.limits.block_tokens, 128);
  EXPECT_TRUE(has(cut.said, "warning[W0426]: --block-size 64 is replaced by 128, because chunked prefill is on"));
  const auto whole = vllm("--block-size 64 --no-enable-chunked-prefill --no-enable-prefix-caching", "0.23.0");
  EXPECT_EQ(whole.question().deployment.limits.block_tokens, 64);
  EXPECT_EQ(whole.said, "");
}

TEST(OptionVersions, AbsentQuantisationIsFoundInTheWeights) {
  const auto scheme = [](const std::string& version) {
    return launch("vllm serve /w/DeepSeek-R1_w8a8\n", {.defines = {}, .model = {}, .version = version})
        .question()
        .quantisation;
  };
  EXPECT_EQ(scheme("0.14.0rc1"), "float");
  EXPECT_EQ(scheme("0.15.0rc1"), "w8a8");
}

// ---- the version that nobody names -----------------------------------------------------------------------------------

EngineVersion assumed(const std::string& script) {
  Diagnostics said;
  const std::vector<LaunchedCommand> commands = read_launch(script, "s.sh", {}, said);
  return assumed_version(commands, {}, versions_of(std::string(commands.at(0).engine->name)));
}

TEST(AssumedVersion, IsTheNewestReleaseThatHasWhatIsUsed) {
  const std::string serve = "vllm serve /w/DeepSeek-R1_w8a8 ";
  EXPECT_EQ(assumed(serve + "-tp 16\n").id, "0.23.0");
  EXPECT_EQ(assumed(serve + "-tp 16\n").why, "the newest release");
  const EngineVersion older = assumed("export VLLM_ASCEND_ENABLE_CONTEXT_PARALLEL=1\n" + serve + "\n");
  EXPECT_EQ(older.id, "0.18.0") << "0.20.2rc1 has it too, but is a candidate";
  EXPECT_EQ(older.why, "the newest that has VLLM_ASCEND_ENABLE_CONTEXT_PARALLEL");
  EXPECT_EQ(assumed(serve + "--num-redundant-experts 16\n").id, "0.11.0");
  EXPECT_EQ(assumed(serve + "--max-num-scheduled-tokens 4096\n").id, "main") << "no release has it yet";
  EXPECT_EQ(assumed(serve + "--rhubarb\n").id, "0.23.0") << "what nobody knows decides nothing";
  EXPECT_EQ(assumed("python3 -m sglang.launch_server --model-path /w/m --enable-ep-moe\n").id, "0.5.4");
}

}  // namespace
}  // namespace ascendsim
