// Launch files out and in again: what an engine can say comes back as it was.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include "strategies/engines/exporter.h"
#include "strategies/engines/launch/json_text.h"
#include "strategies/engines/mindie/parts.h"
#include "strategies/engines/sglang/parts.h"
#include "strategies/engines/vllm/parts.h"
#include "tests/source_path.h"
#include "tests/strategies/engines/launch_under_test.h"

namespace ascendsim {
namespace {

// ---- text of a base
// -------------------------------------------------------------------------------------------------------

TEST(JsonText, ChangesOneValueAndNothingElse) {
  JsonText t("{\n  // mine\n  \"b\" : 1,\n  \"a\": {\"x\": [ {\"y\": \"s\\\"}\"} ], \"z\": true}\n}\n");
  EXPECT_EQ(t.value({"a", "x", "[0]", "y"}), R"("s\"}")");
  EXPECT_TRUE(t.set({"b"}, "17"));
  EXPECT_TRUE(t.set({"a", "x", "[0]", "y"}, "2"));
  EXPECT_EQ(t.text(), "{\n  // mine\n  \"b\" : 17,\n  \"a\": {\"x\": [ {\"y\": 2} ], \"z\": true}\n}\n");
}

TEST(JsonText, AddsWhereSiblingsStand) {
  JsonText t("{\n    \"a\": 1,\n    \"m\": {}\n}");
  EXPECT_TRUE(t.set({"m", "n", "o"}, "3"));
  EXPECT_TRUE(t.set({"c"}, "4"));
  EXPECT_EQ(t.text(), "{\n    \"a\": 1,\n    \"m\": { \"n\": { \"o\": 3 } },\n    \"c\": 4\n}");
  EXPECT_FALSE(t.set({"a", "b"}, "5")) << "a number holds no keys";
}

TEST(JsonText, AFragmentWithoutBracesIsText) {
  JsonText t("\"D\" :\n{\n  \"k\": 1\n}\n");
  EXPECT_TRUE(t.set({"D", "k"}, "2"));
  EXPECT_TRUE(t.set({"S", "x"}, "3"));
  EXPECT_EQ(t.text(), "\"D\" :\n{\n  \"k\": 2\n},\n\"S\": { \"x\": 3 }\n");
}

// Whatever stands beside it: the key that was set reads as it was set, the others as before.
RC_GTEST_PROP(JsonText, OthersStay, ()) {
  const auto n = *rc::gen::inRange(1, 6);
  std::string text = "{";
  for (int i = 0; i < n; ++i)
    text += (i > 0 ? std::string(",") : std::string()) + (*rc::gen::arbitrary<bool>() ? "\n  " : " ") + "\"k" +
            std::to_string(i) + "\": " + std::to_string(i);
  text += *rc::gen::arbitrary<bool>() ? "\n}" : " }";
  const int at = *rc::gen::inRange(0, n + 2);
  JsonText t(text);
  RC_ASSERT(t.set({"k" + std::to_string(at)}, "99"));
  for (int i = 0; i < n; ++i) RC_ASSERT(t.value({"k" + std::to_string(i)}) == (i == at ? "99" : std::to_string(i)));
  RC_ASSERT(t.value({"k" + std::to_string(at)}) == "99");
  Diagnostics said;
  RC_ASSERT(Document::parse(t.text(), "t", said) != nullptr);
}

// ---- round trips
// ----------------------------------------------------------------------------------------------------------

std::vector<std::pair<std::string, std::string>> scripts(const Export& written) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const ExportedFile& f : written.files)
    if (f.launches) out.emplace_back(f.name, f.text);
  return out;
}

// As the command line settles what a script leaves open.
Question settled(Question q, const char* server) {
  Diagnostics said;
  q.deployment.set_engine(q.stack, "0.15");
  derive_layout(q);
  resolve(q, shipped_models(), shipped_schemes(), said);
  complete_launch(q, shipped_server(server).fabric, said);
  return q;
}

std::string differences(const Question& a, const Question& b) {
  std::string out;
  for (const FieldChange& c : changes(a, b))
    out += std::string(c.field->path) + " " + c.before + " -> " + c.after + "\n";
  return out;
}

Export write(const Engine& to, const Question& q, std::int64_t servers) {
  Diagnostics diagnostics;
  const EngineVersions versions =
      load_versions(source_path("strategies/engines/versions"), std::string(to.name), diagnostics);
  const ExportRequest request{{{q, servers, 16}}, versions, "0.15", nullptr};
  return to.write(request, diagnostics);
}

template <class T>
T one_of(std::initializer_list<T> values) {
  return *rc::gen::elementOf(std::vector<T>(values));
}

// Whatever vLLM can be asked for in these fields.
RC_GTEST_PROP(Exporters, VllmScriptsComeBackAsTheyWere, ()) {
  Question q;
  q.stack = "vllm-ascend";
  q.imported = q.launched = true;
  q.model = one_of<std::string>({"DeepSeek-R1", "DeepSeek-V3.1"});
  q.quantisation = one_of<std::string>({"w8a8", "w4a8", "float"});
  Deployment& d = q.deployment;
  d.dtype = one_of({Dtype::kBf16, Dtype::kFp16});
  d.role = one_of({Role::kHybrid, Role::kPrefill, Role::kDecode});
  Layout& l = d.layout;
  l.tp = one_of<std::int64_t>({1, 2, 4, 8, 16});
  l.dp = one_of<std::int64_t>({1, 2, 4, 8});
  l.cp = one_of<std::int64_t>({1, 2});
  l.sp = one_of<std::int64_t>({1, l.tp});
  const bool ep = *rc::gen::arbitrary<bool>();
  l.moe_ep = ep ? l.world() : 1;
  l.moe_tp = l.world() / l.moe_ep;
  d.limits = {.max_seq_len = *rc::gen::inRange(1024, 140'000),
              .max_batch = *rc::gen::inRange(1, 512),
              .block_tokens = one_of<std::int64_t>({16, 64, 128}),
              .kv_interleave = 16,
              .max_batched_tokens = *rc::gen::inRange(512, 140'000)};
  if (l.kv_shards() == 1) d.limits.kv_interleave = 1;
  d.memory_fraction = one_of<double>({0.8, 0.92, 0.96});
  d.features = {.speculative_tokens = *rc::gen::inRange(0, 4),
                .async_scheduling = *rc::gen::arbitrary<bool>(),
                .prefix_cache = *rc::gen::arbitrary<bool>(),
                .splitfuse = *rc::gen::arbitrary<bool>(),
                .kv_nz = *rc::gen::arbitrary<bool>(),
                .flashcomm1 = *rc::gen::arbitrary<bool>()};
  // vLLM-Ascend has blocks of 128 where prompts are cut or cached.
  if (d.features.prefix_cache || d.features.splitfuse) d.limits.block_tokens = 128;
  d.graph.mode = one_of({GraphMode::kStack, GraphMode::kEager, GraphMode::kPiecewise, GraphMode::kFullDecode});
  if (*rc::gen::arbitrary<bool>()) d.graph.capture_sizes = {1, 2, 8};
  if (*rc::gen::arbitrary<bool>()) d.communication_buffer = Bytes(std::int64_t{*rc::gen::inRange(1, 4096)} << 20);
  d.expansion = one_of<std::optional<Expansion>>({std::nullopt, Expansion::kAiv, Expansion::kAiCpu, Expansion::kHost});
  if (l.tp == 1 && l.dp > 1) l.o_proj_local_tp = one_of<std::int64_t>({-1, l.dp});
  if (d.role != Role::kHybrid) {
    d.kv_transfer.connector = one_of<std::string>({"MooncakeConnectorV1", "MooncakeLayerwiseConnector"});
    d.kv_transfer.layer_wise = d.kv_transfer.connector == "MooncakeLayerwiseConnector";
    if (d.role == Role::kPrefill)
      d.layer_sharding = {.o_proj = *rc::gen::arbitrary<bool>(), .q_b = *rc::gen::arbitrary<bool>()};
  }
  const Question before = settled(q, "atlas-800i-a3");
  const std::int64_t servers = ceil_div(l.world(), 16);
  const auto files = scripts(write(kVllmEngine, before, servers));
  RC_ASSERT(static_cast<std::int64_t>(files.size()) == servers);
  const LaunchedUnderTest back = launch(files, {.version = "0.15"});
  RC_ASSERT(back.instances.size() == 1U);
  RC_ASSERT(back.said == "");
  RC_ASSERT(differences(before, settled(back.question(), "atlas-800i-a3")) == "");
}

RC_GTEST_PROP(Exporters, SglangScriptsComeBackAsTheyWere, ()) {
  Question q;
  q.stack = "sglang";
  q.imported = q.launched = true;
  q.model = "DeepSeek-V3.1";
  q.quantisation = one_of<std::string>({"w8a8", "w4a8", "float"});
  Deployment& d = q.deployment;
  d.dtype = Dtype::kBf16;
  d.role = one_of({Role::kHybrid, Role::kPrefill, Role::kDecode});
  Layout& l = d.layout;
  l.tp = one_of<std::int64_t>({1, 2, 4, 8, 16});
  l.dp = one_of<std::int64_t>({1, 2, 4, 8});
  const bool deepep = *rc::gen::arbitrary<bool>() && l.world() > 1;
  l.moe_ep = deepep ? l.world() : one_of<std::int64_t>({1, l.tp});
  l.moe_tp = l.world() / l.moe_ep;
  d.set_exchange(deepep ? ExpertExchange::kAllToAll : ExpertExchange::kAllGather);
  d.experts.communication = deepep ? one_of({ExpertCommunication::kAllToAll, ExpertCommunication::kFusedMc2})
                                   : ExpertCommunication::kAllGather;
  d.set_engine("sglang");
  d.limits = {.max_seq_len = *rc::gen::inRange(1024, 140'000),
              .max_batch = *rc::gen::inRange(1, 512),
              .block_tokens = one_of<std::int64_t>({64, 128}),
              .max_batched_tokens = *rc::gen::inRange(512, 140'000)};
  d.memory_fraction = one_of<double>({0.8, 0.92});
  d.pool_tokens = one_of<std::int64_t>({0, 65'536});
  d.features = {.speculative_tokens = *rc::gen::inRange(0, 4),
                .async_scheduling = *rc::gen::arbitrary<bool>(),
                .prefix_cache = *rc::gen::arbitrary<bool>(),
                .splitfuse = *rc::gen::arbitrary<bool>()};
  d.graph.mode = one_of({GraphMode::kStack, GraphMode::kEager});
  if (d.role != Role::kHybrid) d.kv_transfer.connector = one_of<std::string>({"ascend", "mooncake"});
  const Question before = settled(q, "atlas-800i-a3");
  const auto files = scripts(write(kSglangEngine, before, ceil_div(l.world(), 16)));
  const LaunchedUnderTest back = launch(files, {.version = "0.5"});
  RC_ASSERT(back.instances.size() == 1U);
  RC_ASSERT(back.said == "");
  RC_ASSERT(differences(before, settled(back.question(), "atlas-800i-a3")) == "");
}

RC_GTEST_PROP(Exporters, MindieFilesComeBackAsTheyWere, ()) {
  Question q;
  q.stack = "mindie";
  q.imported = true;
  q.model = "DeepSeek-R1";
  q.quantisation = one_of<std::string>({"w8a8", "w4a8", "float"});
  Deployment& d = q.deployment;
  d.set_engine("mindie");
  Layout& l = d.layout;
  l.tp = one_of<std::int64_t>({1, 2, 8});
  l.cp = one_of<std::int64_t>({1, 2});
  l.dp = one_of<std::int64_t>({1, 2, 4});
  l.sp = one_of<std::int64_t>({1, l.tp});
  l.moe_ep = one_of<std::int64_t>({1, l.world()});
  l.moe_tp = l.world() / l.moe_ep;
  d.set_exchange(one_of({ExpertExchange::kAllGather, ExpertExchange::kAllToAllPadded}));
  l.o_proj_local_tp = one_of<std::int64_t>({-1, 1, 2});
  l.lm_head_local_tp = one_of<std::int64_t>({-1, 1, 8});
  d.limits = {.max_seq_len = *rc::gen::inRange(4096, 140'000),
              .max_input_tokens = *rc::gen::inRange(1024, 4096),
              .max_prefill_tokens = *rc::gen::inRange(4096, 140'000),
              .max_prefill_batch = *rc::gen::inRange(1, 16),
              .max_batch = *rc::gen::inRange(16, 512),
              .block_tokens = one_of<std::int64_t>({16, 128})};
  d.features = {.speculative_tokens = *rc::gen::inRange(0, 4),
                .prefix_cache = *rc::gen::arbitrary<bool>(),
                .splitfuse = *rc::gen::arbitrary<bool>(),
                .kv_nz = *rc::gen::arbitrary<bool>()};
  d.init_routing_cutoff = *rc::gen::arbitrary<bool>();
  d.topk_scaling_factor = one_of<double>({1, 0.25});
  if (*rc::gen::arbitrary<bool>()) d.kv_memory = Bytes(std::int64_t{*rc::gen::inRange(1, 64)} << 30);
  d.memory_fraction = 0.8;
  Diagnostics said;
  resolve(q, shipped_models(), shipped_schemes(), said);
  const Export written = write(kMindieEngine, q, ceil_div(l.world(), 16));
  const auto document = Document::parse(written.files.front().text, "config.json", said);
  RC_ASSERT(document != nullptr);
  const Stack& stack = mindie_stack();
  Question after =
      import_mindie(*document, {{}, {}, "0.8", {}}, stack, shipped_models(), shipped_schemes(), said).question;
  RC_ASSERT(!said.has_errors());
  resolve(after, shipped_models(), shipped_schemes(), said);
  RC_ASSERT(differences(q, after) == "");
}

// A base keeps what is not about the deployment.
TEST(Exporters, ABaseScriptKeepsItsOwn) {
  const auto r = launch(
      "export HCCL_BUFFSIZE=300\nvllm serve /w/DeepSeek-R1_w8a8 --quantization ascend -tp 8 --max-num-seqs 8 "
      "--no-enable-chunked-prefill --max-model-len 8K --max-num-batched-tokens 8K\n");
  const Question q = settled(r.question(), "atlas-800i-a3");
  Diagnostics diagnostics;
  const EngineVersions versions = load_versions(source_path("strategies/engines/versions"), "vllm-ascend", diagnostics);
  const BaseFile base{"mine.sh",
                      "#!/bin/bash\nexport HCCL_BUFFSIZE=200 # MB\nnohup vllm serve /other/DeepSeek-R1_w8a8 -tp 4 \\\n "
                      " --api-key 'a b' --seed 5 > log 2>&1 &\necho done\n"};
  const Export written = kVllmEngine.write({{{q, 1, 16}}, versions, "0.15", &base}, diagnostics);
  EXPECT_FALSE(diagnostics.has_errors());
  const std::string& text = written.files.front().text;
  EXPECT_TRUE(
      text.starts_with("#!/bin/bash\nexport HCCL_BUFFSIZE=300 # MB\nnohup vllm serve /other/DeepSeek-R1_w8a8 \\\n  "
                       "--api-key 'a b' \\\n  --seed 5 \\\n  --tensor-parallel-size 8"))
      << text;
  EXPECT_TRUE(text.ends_with(" > log 2>&1 &\necho done\n")) << text;
  const auto back = launch(text);
  EXPECT_EQ(back.said, "");
  EXPECT_EQ(differences(q, settled(back.question(), "atlas-800i-a3")), "");
}

// The other side's file speaks of these; and what has its value already is not written again.
TEST(Exporters, ABaseOfAPairKeepsItsNames) {
  const std::string mine =
      "export HCCL_OP_EXPANSION_MODE=\"AIV\"\nvllm serve /w/DeepSeek-R1_w8a8 --quantization ascend -tp 16 "
      "--enable-expert-parallel "
      "--kv-transfer-config '{\"kv_connector\": \"MooncakeConnectorV1\", \"kv_role\": \"kv_consumer\", \"kv_port\": "
      "\"30200\", "
      "\"engine_id\": \"3\"}'\n";
  const Question q = settled(launch(mine).question(), "atlas-800i-a3");
  Diagnostics diagnostics;
  const EngineVersions versions = load_versions(source_path("strategies/engines/versions"), "vllm-ascend", diagnostics);
  const BaseFile base{"mine.sh", mine};
  const std::string text = kVllmEngine.write({{{q, 1, 16}}, versions, "0.15", &base}, diagnostics).files.front().text;
  for (const char* kept : {R"("engine_id": "3")", R"("kv_port": "30200")", R"(MODE="AIV")"})
    EXPECT_NE(text.find(kept), std::string::npos) << text;
}

TEST(Exporters, ABaseOfAnotherEngineIsRefused) {
  const auto r = launch("vllm serve /w/DeepSeek-R1_w8a8 --quantization ascend -tp 8\n");
  const Question q = settled(r.question(), "atlas-800i-a3");
  Diagnostics diagnostics;
  const EngineVersions versions = load_versions(source_path("strategies/engines/versions"), "vllm-ascend", diagnostics);
  const BaseFile base{"mine.sh", "python3 -m sglang.launch_server --model-path /w/DeepSeek-R1_w8a8 --tp 8\n"};
  kVllmEngine.write({{{q, 1, 16}}, versions, "0.15", &base}, diagnostics);
  ASSERT_EQ(diagnostics.all().size(), 1U);
  EXPECT_EQ(diagnostics.all()[0].code, "E0452");
}

}  // namespace
}  // namespace ascendsim
