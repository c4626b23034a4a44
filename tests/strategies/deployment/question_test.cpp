// Our own file, --set, and what follows from both: every value comes back as it was written, every mistake is named,
// and nothing that passes the rules fails in the builders.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include "sim/verifier.h"
#include "strategies/deployment/completion.h"
#include "strategies/deployment/field_text.h"
#include "tests/strategies/engines/mindie/mindie_under_test.h"

namespace ascendsim {
namespace {

struct Read {
  Question question;
  std::string said;
};

Read read(const std::string& text, const std::vector<std::string>& assignments = {}) {
  Read r;
  Diagnostics diagnostics;
  const auto document = Document::parse(text, "own.yaml", diagnostics);
  if (document) read_question(document->root(), r.question, diagnostics);
  for (const std::string& a : assignments) set_field(a, r.question, diagnostics);
  r.said = rendered(diagnostics);
  return r;
}

std::vector<std::string> texts(const Question& q) {
  std::vector<std::string> out;
  for (const Field& f : question_fields()) out.push_back(fmt::format("{}: {}", f.path, field_text(f, q)));
  return out;
}

// ---- reading and writing --------------------------------------------------------------------------------------------

constexpr const char* kEverything = R"(ascendsim: 1
stack: cann-recipes
model: DeepSeek-V3
quantisation: w4a8
dtype: bfloat16
role: prefill
world_size: 32
layout: {dp: 2, cp: 3, cp_partition: round-robin, cp_exchange: ring, cp_cache: whole, sp: 4, tp: 5, moe_ep: 6, moe_tp: 7, pp: 2, o_proj_tp: 8, lm_head_tp: 9, embedding_tp: 10, mlp_tp: 11}
experts: {exchange: all-to-all, communication: mc2, redundant: 10, shared_ranks: 4, imbalance: 1.5, seed: 7, loads: [1, 2.5], init_routing_cutoff: true, topk_scaling_factor: 0.25, buffer_scale: [[1024, 2.5], [0, 3]]}
prefill: {attention: token-split}
compute_skew: 0.1
micro_batches: 2
kv_cache: {dtype: int8, block_tokens: 64, interleave: 32, pool_tokens: 100000, memory: 20 GiB}
limits: {max_seq_len: 65K, max_input_tokens: 64k, max_prefill_tokens: 9000, max_prefill_batch: 11, max_batch: 12, max_batched_tokens: 10000}
memory_fraction: 0.85
features: {speculative_tokens: 2, prefix_cache: true, splitfuse: true, kv_nz: true, async_scheduling: true, flashcomm1: true}
graph: {mode: full-decode, capture_sizes: [1, 2, 4]}
weights: {kv_b_copies: 2, layer_sharding: q_b_proj}
communication: {buffer: 768 MiB, expansion: aicpu}
kv_transfer: {connector: MooncakeConnectorV1, mode: layer-wise}
hardware: {server: "atlas-800i-a3", die: a3-280t, servers: 3}
workload: {input_tokens: 4K, output_tokens: 100, batch: 13, prefix_hit: 1K, acceptance: [0.9, 0.7]}
)";

TEST(OwnFile, EveryFieldCanBeWrittenAndComesBack) {
  const Read first = read(kEverything);
  EXPECT_EQ(first.said, "");
  const std::vector<std::string> untouched = texts(Question{}), written = texts(first.question);
  for (std::size_t i = 0; i < written.size(); ++i) EXPECT_NE(written[i], untouched[i]) << "not changed by the file";
  const Read second = read(to_yaml(first.question, YamlComments::kMeaning));
  EXPECT_EQ(second.said, "");
  EXPECT_EQ(texts(second.question), written);
  EXPECT_EQ(first.question.deployment.limits.max_seq_len, 66'560);
  EXPECT_EQ(first.question.deployment.limits.max_input_tokens, 64'000);
}

TEST(OwnFile, DefaultsComeBackToo) {
  Question q;
  q.deployment.limits = {
      .max_seq_len = 2, .max_input_tokens = 1, .max_prefill_tokens = 1, .max_prefill_batch = 1, .max_batch = 1};
  q.deployment.memory_fraction = 0.8;
  const Read back = read(to_yaml(q, YamlComments::kOrigin));
  EXPECT_EQ(back.said, "");
  EXPECT_EQ(texts(back.question), texts(q));
}

TEST(OwnFile, IsToldFromAnEnginesByItsContent) {
  const auto own = [](const std::string& text) {
    Diagnostics diagnostics;
    return is_question(Document::parse(text, "x", diagnostics)->root());
  };
  EXPECT_TRUE(own("ascendsim: 1\n"));
  EXPECT_TRUE(own("layout: {tp: 8}\n"));
  EXPECT_TRUE(own("stack: mindie\n"));
  EXPECT_FALSE(own("model: DeepSeek-R1\n"));
  EXPECT_FALSE(own("{\"ModelDeployConfig\": {}, \"layout\": {}}"));
  EXPECT_FALSE(own("[1, 2]"));
}

TEST(OwnFile, OriginsNameLineOrOption) {
  const Read r = read("ascendsim: 1\nlayout:\n  tp: 8\n", {"layout.dp=2", "maxSeqLen=4K"});
  EXPECT_EQ(r.said, "");
  const std::string yaml = to_yaml(r.question, YamlComments::kOrigin);
  for (const char* line : {"  tp: 8                                  # own.yaml:3\n",
                           "  dp: 2                                  # --set layout.dp=2\n",
                           "  max_seq_len: 4096                      # --set maxSeqLen=4K\n",
                           "  cp: 1                                  # assumed default\n"})
    EXPECT_NE(yaml.find(line), std::string::npos) << line << yaml;
}

TEST(OwnFile, TextThatYamlWouldReadDifferentlyIsQuoted) {
  Question q = read(kEverything).question;
  for (const char* name : {"a: b", "#1", "", "-x", "say \"no\"", "back\\slash", "models/r1/config.json"}) {
    q.model = name;
    const Read back = read(to_yaml(q, YamlComments::kMeaning));
    EXPECT_EQ(back.said, "");
    EXPECT_EQ(back.question.model, name);
  }
}

// ---- --set ----------------------------------------------------------------------------------------------------------

TEST(Set, KnowsOurPathsAndTheEnginesKeys) {
  const Read r =
      read("ascendsim: 1\n", {"layout.tp=4", "dp=2", "BackendConfig.ModelDeployConfig.ModelConfig[0].moe_ep=8",
                              "models.deepseekv2.parallel_options.o_proj_local_tp=-1", "ep_level=2", "npuMemSize=20",
                              "MINDIE_ASYNC_SCHEDULING_ENABLE=true", "workload.acceptance=[0.5]"});
  EXPECT_EQ(r.said, "");
  const Question& q = r.question;
  EXPECT_EQ(q.deployment.layout.tp, 4);
  EXPECT_EQ(q.deployment.layout.dp, 2);
  EXPECT_EQ(q.deployment.layout.moe_ep, 8);
  EXPECT_EQ(q.deployment.exchange(), ExpertExchange::kAllToAllPadded);
  EXPECT_EQ(q.deployment.kv_memory, Bytes(20LL << 30));
  EXPECT_TRUE(q.deployment.features.async_scheduling);
  EXPECT_EQ(q.workload.acceptance, std::vector<double>{0.5});
  EXPECT_EQ(read("ascendsim: 1\n", {"ep_level=1"}).question.deployment.exchange(), ExpertExchange::kAllGather);
}

TEST(Set, MistakesAreNamed) {
  const auto said = [](const std::string& assignment) { return read("ascendsim: 1\n", {assignment}).said; };
  EXPECT_EQ(said("layout.tp"),
            "error[E0365]: --set needs key.path=value\n --> --set layout.tp\n  = help: --set layout.tp=4\n");
  EXPECT_EQ(said("layout.tpp=4"),
            "error[E0363]: unknown key 'layout.tpp'\n --> --set layout.tpp=4\n  = help: did you mean 'layout.tp'?\n");
  EXPECT_EQ(said("zzzzzzzzzz=4"),
            "error[E0363]: unknown key 'zzzzzzzzzz'\n --> --set zzzzzzzzzz=4\n"
            "  = help: `ascendsim explain file` lists all keys\n");
  EXPECT_EQ(said("tp=0"), "error[E0361]: layout.tp must be in [1, 1048576], got 0\n --> --set tp=0\n");
  EXPECT_EQ(said("role=decoed"),
            "error[E0362]: unknown role 'decoed'\n --> --set role=decoed\n"
            "  = rule: one of: hybrid, prefill, decode\n  = help: did you mean 'decode'?\n");
  EXPECT_EQ(said("workload.acceptance=0.9"),
            "error[E0360]: workload.acceptance must be a list of numbers\n"
            " --> --set workload.acceptance=0.9\n  = help: for example [0.9, 0.7]\n");
  EXPECT_EQ(said("experts.buffer_scale=[[1, 2], [3, 4]]"),
            "error[E0367]: experts.buffer_scale must be [[tokens, factor], ...] in descending order of tokens\n"
            " --> --set experts.buffer_scale=[[1, 2], [3, 4]]\n");
}

TEST(OwnFile, MistakesAreNamed) {
  EXPECT_EQ(read("ascendsim: 1\nlayuot: {tp: 8}\n").said,
            "error[E0363]: unknown key 'layuot'\n --> own.yaml:2:1  layuot\n  |\n2 | layuot: {tp: 8}\n  | ^\n"
            "  = help: `ascendsim explain file` lists all keys\n");
  EXPECT_EQ(read("layout: 3\n").said,
            "error[E0363]: layout must be a map\n --> own.yaml:1:1  layout\n  |\n1 | layout: 3\n  | ^\n"
            "  = help: `ascendsim explain file` lists all keys\n");
  EXPECT_EQ(read("[1, 2]").said,
            "error[E0364]: a deployment file is a map of keys\n --> own.yaml:1:1\n  |\n1 | [1, 2]\n  | ^\n"
            "  = help: `ascendsim convert FILE` prints one\n");
  EXPECT_EQ(read("ascendsim: 2\n").said,
            "error[E0368]: version 2 of the deployment file is not known\n --> own.yaml:1:12  ascendsim\n  |\n"
            "1 | ascendsim: 2\n  |            ^\n  = help: this program reads version 1\n");
}

// ---- what follows from the rest -------------------------------------------------------------------------------------

TEST(Derivation, NamedDegreesDecideTheOthers) {
  const auto layout = [](const std::string& text, const std::vector<std::string>& set = {}) {
    Question q = read(text, set).question;
    derive_layout(q);
    return fmt::format("{} {} {} {} {} of {}", q.deployment.layout.dp, q.deployment.layout.cp, q.deployment.layout.tp,
                       q.deployment.layout.moe_ep, q.deployment.layout.moe_tp, q.deployment.layout.world());
  };
  EXPECT_EQ(layout("stack: cann-recipes\nlayout: {dp: 4, tp: 8}\n"), "4 1 8 32 1 of 32");
  EXPECT_EQ(layout("stack: cann-recipes\nworld_size: 32\nlayout: {tp: 8}\n"), "4 1 8 32 1 of 32");
  EXPECT_EQ(layout("stack: cann-recipes\nworld_size: 32\nlayout: {dp: 2}\n"), "2 1 16 32 1 of 32");
  EXPECT_EQ(layout("stack: cann-recipes\nlayout: {dp: 8, moe_tp: 2}\n"), "8 1 1 4 2 of 8");
  EXPECT_EQ(layout("stack: mindie\nworld_size: 8\nlayout: {tp: 2}\n"), "4 1 2 1 8 of 8");
  EXPECT_EQ(layout("stack: mindie\nworld_size: 8\nlayout: {tp: 2}\n", {"tp=4"}), "2 1 4 1 8 of 8");
}

// The page's file leaves dp and the expert degrees open; --set changes what follows, and the notes follow too.
TEST(Derivation, NotesOfAnImportFollowTheOverride) {
  const Imported r = import_text(
      R"({"ModelDeployConfig": {"ModelConfig": [{"modelName": "DeepSeek-R1_w8a8", "worldSize": 8, "tp": 2}]}})");
  const Question before = r.import.question;
  Question after = before;
  Diagnostics ignored;
  set_field("tp=4", after, ignored);
  set_field("memory_fraction=0.9", after, ignored);
  set_field("quantisation=w4a8", after, ignored);
  derive_layout(after);
  const std::string notes = rendered(with_current_assumptions(r.diagnostics, before, after));
  EXPECT_NE(notes.find("note[A0100]: dp is not set: 2 assumed (follows from the other degrees)\n"), std::string::npos)
      << notes;
  EXPECT_NE(notes.find("note[A0100]: moe_tp is not set: 8 assumed (worldSize / moe_ep)\n"), std::string::npos) << notes;
  for (const char* gone : {"A0103", "A0104", "dp is not set: 4"})
    EXPECT_EQ(notes.find(gone), std::string::npos) << gone;
}

TEST(Completion, LimitsFollowTheWorkload) {
  Question q =
      read("stack: mindie\nlayout: {dp: 4}\nworkload: {input_tokens: 16K, output_tokens: 1K, batch: 10}\n").question;
  Diagnostics diagnostics;
  complete(q, mindie_stack(), diagnostics);
  const Limits& m = q.deployment.limits;
  EXPECT_EQ(m.max_seq_len, 17'408);
  EXPECT_EQ(m.max_input_tokens, 16'384);
  EXPECT_EQ(m.max_prefill_tokens, 16'384);
  EXPECT_EQ(m.max_batch, 3);
  EXPECT_EQ(m.max_prefill_batch, 3);
  EXPECT_DOUBLE_EQ(q.deployment.memory_fraction, 0.8);
  EXPECT_EQ(render(diagnostics.all()[0]),
            "note[A0110]: limits.max_seq_len is not set: 17408 assumed (the workload's prompt and output)\n");
  EXPECT_TRUE(
      diagnostics.all().back().message.starts_with("not set, at their defaults: model \"\", quantisation w8a8, "));
}

std::string completed(Workload w, const std::string& features, Role role, Workload* out = nullptr) {
  Question q = read("features: {" + features + "}\n").question;
  q.deployment.role = role;
  Diagnostics diagnostics;
  complete_workload(q.deployment, mindie_stack(), w, diagnostics);
  if (out != nullptr) *out = w;
  return rendered(diagnostics);
}

TEST(Completion, PrefixHitsAreWholeBlocks) {
  const Workload w{.input_tokens = 1000, .output_tokens = 1, .prefix_hit = 300};
  Workload out;
  EXPECT_EQ(completed(w, "prefix_cache: true", Role::kHybrid, &out),
            "note[A0113]: a prefix hit of 300 tokens counts as 256: whole blocks of 128 tokens\n");
  EXPECT_EQ(out.prefix_hit, 256);
  EXPECT_EQ(completed({.input_tokens = 1000, .output_tokens = 1, .prefix_hit = 256}, "", Role::kHybrid, &out),
            "warning[W0333]: prefix hits are asked for, but the prefix cache is not switched on: none are counted\n"
            "  = help: --set features.prefix_cache=true, or in the file\n");
  EXPECT_EQ(out.prefix_hit, 0);
  EXPECT_EQ(
      completed({.input_tokens = 256, .output_tokens = 1, .prefix_hit = 256}, "prefix_cache: true", Role::kHybrid),
      "error[E0376]: a prefix hit of 256 tokens leaves nothing of a prompt of 256 tokens to compute\n"
      "  = rule: the engine computes at least one token of a prompt\n  = help: at most 255\n");
}

TEST(Completion, EveryDraftNeedsAnAcceptance) {
  Workload out;
  EXPECT_EQ(completed({}, "speculative_tokens: 2", Role::kHybrid, &out),
            "note[A0112]: --acceptance is not set: 0.7 assumed for each of 2 draft tokens (the stack's figure)\n");
  EXPECT_EQ(out.acceptance, (std::vector<double>{0.7, 0.7}));
  EXPECT_DOUBLE_EQ(out.tokens_per_step(), 2.19);
  EXPECT_EQ(completed({.acceptance = {0.9}}, "speculative_tokens: 2", Role::kHybrid),
            "error[E0377]: an acceptance is needed for each of 2 draft tokens, got 1\n"
            "  = help: one number for each draft position, for example --acceptance 0.9,0.7\n");
  EXPECT_EQ(completed({.acceptance = {0.9}}, "", Role::kHybrid, &out),
            "warning[W0334]: an acceptance is given, but MTP is not switched on\n"
            "  = help: --set features.speculative_tokens=1, or in the file\n");
  EXPECT_TRUE(out.acceptance.empty());
  EXPECT_EQ(completed({.acceptance = {0.9}}, "speculative_tokens: 1", Role::kPrefill, &out), "");
  EXPECT_TRUE(out.acceptance.empty()) << "a prefill side verifies no drafts";
}

TEST(Resolution, NamesAreLookedUp) {
  const auto said = [](const std::string& text) {
    Question q = read(text).question;
    Diagnostics diagnostics;
    resolve(q, shipped_models(), shipped_schemes(), diagnostics);
    return rendered(diagnostics);
  };
  EXPECT_EQ(said("model: DeepSeek-R1\n"), "");
  EXPECT_EQ(said("stack: mindie\n"), "error[E0366]: no model is named\n  = help: model: DeepSeek-R1\n");
  EXPECT_NE(said("model: DeepSeek-R1\nquantisation: w8\n").find("error[E0244]: unknown quantisation 'w8'\n"),
            std::string::npos);
}

// ---- imports --------------------------------------------------------------------------------------------------------

TEST(FromImport, SaysWhatTheImportSays) {
  for (const Example& e : {kContextExample, kSequenceExample, Example{.dp = 8, .tp = 2, .ep_level = 2}}) {
    const Imported r = import_text(config_json(e));
    Question q = r.import.question;
    derive_layout(q);
    const Read back = read(to_yaml(q, YamlComments::kMeaning));
    EXPECT_EQ(back.said, "");
    EXPECT_EQ(texts(back.question), texts(q));
    Question resolved = back.question;
    Diagnostics diagnostics;
    resolve(resolved, shipped_models(), shipped_schemes(), diagnostics);
    EXPECT_EQ(rendered(diagnostics), "");
    EXPECT_EQ(resolved.deployment.layout.ep_level, e.ep_level);
    EXPECT_EQ(resolved.deployment.quantisation.name, r.import.question.deployment.quantisation.name);
  }
}

// ---- rules ----------------------------------------------------------------------------------------------------------

std::string broken_rules(const std::string& stack, const std::string& text, int servers = 1) {
  Question q = read("stack: " + stack + "\nmodel: DeepSeek-R1\n" + text).question;
  q.workload.input_tokens = q.workload.output_tokens = 1024;
  Diagnostics diagnostics;
  derive_layout(q);
  resolve(q, shipped_models(), shipped_schemes(), diagnostics);
  complete(q, mindie_stack(), diagnostics);
  q.deployment.set_engine(stack);
  Diagnostics found;
  const Server server = shipped_server("atlas-800i-a3");
  check_deployment({q.deployment, q.declared_world, server, servers, true}, found);
  std::string out;
  for (const Diagnostic& d : found.all()) out += fmt::format("{}: {} | {} | {}\n", d.code, d.message, d.rule, d.help);
  return out;
}

TEST(GenericRules, NameTheKeysOfOurFile) {
  const auto broken = [](const std::string& text) { return broken_rules("cann-recipes", text); };
  EXPECT_EQ(broken("layout: {dp: 2, tp: 8}\n"), "");
  EXPECT_EQ(broken("layout: {sp: 4, tp: 8}\n"), "");
  EXPECT_EQ(broken("layout: {cp: 2, tp: 8}\n"), "");
  EXPECT_EQ(
      broken("layout: {sp: 6, tp: 8}\n"),
      "E0410: layout.sp must divide layout.tp: 6 and 8 | cache shards lie on neighbouring ranks of the TP group | "
      "set layout.sp: 2\n");
  EXPECT_EQ(broken("world_size: 16\nlayout: {dp: 4, tp: 2}\n"),
            "E0305: dp x cp x tp must be world_size: 4 x 1 x 2 = 8, world_size is 16 | docs/deployment-file.md: tp * "
            "cp * dp == "
            "world_size | set layout.dp: 8\n");
  EXPECT_EQ(broken("layout: {tp: 8, moe_ep: 4}\n"), "") << "moe_tp follows";
  EXPECT_EQ(
      broken("layout: {tp: 8, moe_ep: 4, moe_tp: 4}\n"),
      "E0306: moe_ep x moe_tp must be dp x cp x tp: 4 x 4 = 16, dp x cp x tp is 8 | docs/deployment-file.md: moe_ep "
      "* moe_tp == "
      "world_size | set layout.moe_ep: 2\n");
  EXPECT_EQ(broken("layout: {tp: 8, moe_tp: 2}\nexperts: {exchange: all-to-all}\n"),
            "E0307: experts.exchange all-to-all needs layout.moe_tp = 1, got layout.moe_tp 2 | rows travel to ranks "
            "that hold whole "
            "experts | set layout.moe_tp: 1 and layout.moe_ep: 8, or experts.exchange: all-gather\n");
  EXPECT_EQ(broken("layout: {dp: 8}\nexperts: {redundant: 4}\n"),
            "E0325: 260 routed experts with their replicas cannot be cut into 8 equal parts | weights are sharded "
            "evenly over the "
            "ranks | choose a divisor of 260\n");
  EXPECT_EQ(broken("layout: {dp: 32}\n"),
            "E0326: 32 ranks need 2 servers of Atlas 800I A3 (16 dies each), there are 1 | one rank is one die | "
            "--servers 2\n");
}

TEST(GenericRules, LocalDegrees) {
  const auto broken = [](const std::string& text) { return broken_rules("cann-recipes", text); };
  EXPECT_EQ(broken("layout: {dp: 16, o_proj_tp: 8, lm_head_tp: 16}\n"), "");
  EXPECT_EQ(broken("layout: {dp: 8, tp: 2, o_proj_tp: 8}\n"),
            "E0317: layout.o_proj_tp cannot be used with layout.tp > 1, it is 2 | o_proj is cut by heads already | set "
            "layout.o_proj_tp: -1, or layout.tp: 1\n");
  EXPECT_EQ(broken("layout: {dp: 16, o_proj_tp: 32}\n"),
            "E0329: layout.o_proj_tp must divide the 16 ranks of a server, got 32 | local groups are blocks of "
            "neighbouring ranks | "
            "choose a divisor of 16\n");
  EXPECT_EQ(broken("layout: {dp: 16, lm_head_tp: 3}\n"),
            "E0329: layout.lm_head_tp must divide the 16 ranks of the instance, got 3 | local groups are blocks of "
            "neighbouring "
            "ranks | choose a divisor of 16\n");
  EXPECT_EQ(
      broken("layout: {dp: 16, lm_head_tp: 0}\n"),
      "E0316: layout.lm_head_tp must be -1 or at least 1, got 0 |  | set layout.lm_head_tp: -1 to switch it off\n");
}

// The embedding and the dense MLP are shared by DP groups.
TEST(GenericRules, PartsSharedByDpGroups) {
  const auto broken = [](const std::string& text) { return broken_rules("cann-recipes", text); };
  EXPECT_EQ(broken("layout: {dp: 16, embedding_tp: 16, mlp_tp: 4}\n"), "");
  EXPECT_EQ(
      broken("layout: {dp: 4, tp: 4, embedding_tp: 8, mlp_tp: 2}\n"),
      "E0329: layout.embedding_tp must divide the 4 DP groups, got 8 | local groups are blocks of neighbouring ranks | "
      "choose a divisor of 4\n"
      "E0317: layout.mlp_tp cannot be used with layout.tp > 1, it is 4 | the dense MLP is cut by columns already | set "
      "layout.mlp_tp: -1, or layout.tp: 1\n");
}

TEST(GenericRules, LocalDegreesCutEvenly) {
  EXPECT_EQ(
      broken_rules("cann-recipes", "layout: {dp: 12, moe_ep: 4, moe_tp: 3, lm_head_tp: 3}\n"),
      "E0325: 2048 columns of an expert cannot be cut into 3 equal parts | weights are sharded evenly over the "
      "ranks | choose a divisor of 2048\n"
      "E0325: 2048 columns of the shared expert cannot be cut into 12 equal parts | weights are sharded evenly over "
      "the ranks | choose a divisor of 2048\n"
      "E0325: 129280 columns of the LM head cannot be cut into 3 equal parts | weights are sharded evenly over the "
      "ranks | choose a divisor of 129280\n");
}

TEST(GenericRules, TokenSplitPrefillStandsAlone) {
  EXPECT_EQ(
      broken_rules(
          "cann-recipes",
          "role: prefill\nlayout: {tp: 16}\nexperts: {exchange: all-to-all}\nprefill: {attention: token-split}\n"),
      "");
  EXPECT_EQ(
      broken_rules("cann-recipes", "layout: {tp: 16, sp: 16}\nprefill: {attention: token-split}\n"),
      "E0371: token-split prefill needs role: prefill, got hybrid | cann-recipes, prefill SP-TP-SP | set role: "
      "prefill, or "
      "prefill.attention: tensor-parallel\n"
      "E0371: token-split prefill needs layout.sp: 1, got 16 | cann-recipes, prefill SP-TP-SP | set layout.sp: 1, or "
      "prefill.attention: tensor-parallel\n"
      "E0371: token-split prefill needs experts.exchange: all-to-all, got all-gather | cann-recipes, prefill SP-TP-SP "
      "| set "
      "experts.exchange: all-to-all, or prefill.attention: tensor-parallel\n");
}

TEST(GenericRules, LayerShardingGoesWithOneBatch) {
  EXPECT_EQ(broken_rules("cann-recipes",
                         "role: prefill\nlayout: {tp: 8}\nmicro_batches: 2\nweights: {layer_sharding: all}\n"),
            "E0446: layer sharding needs micro_batches: 1, got 2 | the windows that weights are broadcast into hold "
            "those of one layer and the next | set micro_batches: 1, or "
            "weights.layer_sharding: none\n");
}

TEST(GenericRules, ChunkedPrefillNeedsASize) {
  EXPECT_EQ(broken_rules("cann-recipes", "layout: {tp: 8}\nfeatures: {splitfuse: true}\n"),
            "W0331: prompts are prefilled whole: nobody says how large a chunk is | docs/deployment-file.md | "
            "limits.max_batched_tokens: 8192\n");
  EXPECT_EQ(broken_rules("cann-recipes",
                         "layout: {tp: 8}\nfeatures: {splitfuse: true}\nlimits: {max_batched_tokens: 8192}\n"),
            "");
}

TEST(GenericRules, StagesHaveLayers) {
  EXPECT_EQ(broken_rules("cann-recipes", "layout: {pp: 2, tp: 8}\n"), "");
  EXPECT_EQ(broken_rules("cann-recipes", "layout: {pp: 2, tp: 8, moe_ep: 16}\n"),
            "E0306: moe_ep x moe_tp must be dp x cp x tp / pp: 16 x 1 = 16, dp x cp x tp / pp is 8 | "
            "docs/deployment-file.md: moe_ep * moe_tp == world_size | set layout.moe_ep: 8\n");
}

TEST(MindieRules, OwnFilesCannotAskForMoreThanTheEngineHas) {
  EXPECT_EQ(broken_rules("mindie", "layout: {dp: 16, moe_ep: 16}\nmicro_batches: 2\n"),
            "E0370: MindIE does not offer this micro_batches | none of its configuration keys says so | remove it, or "
            "name another "
            "stack\n");
  EXPECT_EQ(broken_rules("mindie", "layout: {dp: 16, moe_ep: 16, lm_head_tp: 3}\n"),
            "E0329: layout.lm_head_tp must divide the 16 ranks of the instance, got 3 | local groups are blocks of "
            "neighbouring ranks "
            "| choose a divisor of 16\n");
  EXPECT_EQ(broken_rules("mindie", "layout: {dp: 16, moe_ep: 16, mlp_tp: 4}\n"),
            "E0370: MindIE does not offer this layout.mlp_tp | none of its configuration keys says so | remove it, or "
            "name another stack\n");
}

TEST(WorkloadRules, BuffersHaveFewerThan2To31Rows) {
  Question q = read(
                   "stack: cann-recipes\nmodel: DeepSeek-R1\nlayout: {dp: 16}\nlimits: {max_seq_len: 16M, "
                   "max_input_tokens: 8K, max_prefill_tokens: 16M, max_batch: 1048576}\n")
                   .question;
  Diagnostics diagnostics, found;
  derive_layout(q);
  resolve(q, shipped_models(), shipped_schemes(), diagnostics);
  check_workload(q.deployment, {.input_tokens = 8192, .output_tokens = 8, .batch = 1 << 22}, true, found);
  EXPECT_EQ(render(found.all()[0]),
            "error[E0344]: 262144 requests of 8200 tokens on a DP group are more than 2^31 cached tokens on a rank\n"
            "  = help: a smaller --batch\n");
  EXPECT_TRUE(
      render(found.all()[1])
          .starts_with(
              "error[E0345]: a prefill step of 16777216 tokens on each of 16 DP groups routes more than 2^31 rows\n"
              " --> own.yaml:4:"));
  EXPECT_EQ(found.all()[1].help, "lower limits.max_prefill_tokens");
}

// ---- nothing that passes the rules fails in the builders ------------------------------------------------------------

Question any_question() {
  static const Question kBase = [] {
    Question q =
        read("stack: cann-recipes\nmodel: DeepSeek-R1\nworkload: {input_tokens: 600, output_tokens: 8}\n").question;
    Diagnostics diagnostics;
    resolve(q, shipped_models(), shipped_schemes(), diagnostics);
    q.deployment.model.layers = 3;
    q.deployment.model.dense_layers = 1;
    q.deployment.set_engine("cann-recipes");
    return q;
  }();
  Question q = kBase;
  Deployment& d = q.deployment;
  const auto degree = [] { return *rc::gen::element<std::int64_t>(1, 1, 2, 4, 8, 8); };
  const auto local = [] { return *rc::gen::element<std::int64_t>(-1, -1, -1, 1, 2, 4, 8, 16); };
  const auto coin = [] { return *rc::gen::arbitrary<bool>(); };
  const auto seldom = [](std::int64_t rare) { return *rc::gen::weightedElement<std::int64_t>({{7, 0}, {1, rare}}); };
  Layout& l = d.layout;
  l.dp = degree(), l.tp = degree(), l.cp = *rc::gen::element<std::int64_t>(1, 1, 2, 4);
  l.sp = coin() ? l.tp : *rc::gen::element<std::int64_t>(1, 2, 4);
  l.cp_partition = coin() ? PromptPartition::kZigzag : PromptPartition::kRoundRobin;
  l.cp_exchange = coin() ? LatentExchange::kAllGather : LatentExchange::kRing, l.cp_whole_cache = coin();
  l.ep_level = coin() ? 1 : 2;
  l.moe_tp = l.ep_level == 2 ? 1 + seldom(1) : *rc::gen::element<std::int64_t>(1, 1, 2, 4);
  l.moe_ep = std::max<std::int64_t>(1, l.world() / l.moe_tp) + seldom(3);
  l.o_proj_local_tp = local(), l.lm_head_local_tp = local();
  l.embedding_local_tp = seldom(1) > 0 ? l.dp : -1, l.mlp_local_tp = l.tp == 1 && seldom(1) > 0 ? l.dp : -1;
  d.experts = {.redundant = *rc::gen::element<std::int64_t>(0, 0, 128, 7), .exact_all_to_all = coin()};
  d.role = *rc::gen::element(Role::kHybrid, Role::kPrefill, Role::kDecode);
  d.token_split_prefill = d.role == Role::kPrefill && l.sp == 1 && coin(), d.kv_int8 = coin();
  d.micro_batches = coin() ? 1 : 2;
  d.layer_sharding = {.o_proj = seldom(1) == 1, .q_b = seldom(1) == 1};
  d.features.speculative_tokens = *rc::gen::element<std::int64_t>(0, 1, 3);
  d.limits.block_tokens = *rc::gen::element<std::int64_t>(16, 128);
  q.workload.prefix_hit = d.limits.block_tokens * *rc::gen::inRange<std::int64_t>(0, 4);
  q.workload.batch = *rc::gen::inRange<std::int64_t>(1, 40);
  Diagnostics diagnostics;
  complete(q, mindie_stack(), diagnostics);
  return q;
}

RC_GTEST_PROP(GenericRules, WhatPassesCanBeBuilt, ()) {
  Question q = any_question();
  Deployment& d = q.deployment;
  const Layout& l = d.layout;
  static const Server server = shipped_server("cloudmatrix384");
  const auto servers = static_cast<int>(ceil_div(l.world(), server.dies()));
  Diagnostics found;
  check_deployment({d, 0, server, servers, true}, found);
  RC_CLASSIFY(found.has_errors(), "illegal");
  if (found.has_errors() || l.world() > 64) return;
  d.set_engine(*rc::gen::element<std::string>("cann-recipes", "vllm-ascend", "sglang"));  // whose context parallelism
  RC_LOG() << d.engine_name << "\n" << to_yaml(q, YamlComments::kMeaning) << std::endl;
  const Cluster cluster(server, servers, static_cast<int>(l.world() / servers));
  static const KernelFacts facts = kernel_facts(mindie_stack(), shipped_kernels());
  std::vector<Step> steps;
  if (d.role != Role::kDecode) steps.push_back(prefill_step(l, q.workload.batch, 600, q.workload.prefix_hit));
  if (d.role != Role::kPrefill)
    steps.push_back(decode_step(l, q.workload.batch, 600, 604, 1 + d.features.speculative_tokens));
  for (const Step& step : steps) {
    std::vector<Program> programs;
    for (std::int64_t rank = 0; rank < l.world(); ++rank) programs.push_back(build_program(d, step, facts, rank));
    std::vector<const Program*> pointers;
    for (const Program& p : programs) pointers.push_back(&p);
    verify(pointers, unfolded(programs.size(), rank_groups(l, cluster)));
  }
}

// ---- published sizes ------------------------------------------------------------------------------------------------

MemoryPerRank memory_of(const std::string& text, const Workload& w = {.input_tokens = 2048, .output_tokens = 512}) {
  Question q = read("stack: mindie\nmodel: DeepSeek-R1\n" + text).question;
  q.workload = w;
  Diagnostics diagnostics;
  derive_layout(q);
  resolve(q, shipped_models(), shipped_schemes(), diagnostics);
  complete(q, mindie_stack(), diagnostics);
  return scenario(q.deployment)->memory(w);
}
std::int64_t weights(const std::string& text) { return memory_of(text).weights_without_scales.count(); }

TEST(Weights, OfTheTensorParallelExample) {
  EXPECT_EQ(weights("world_size: 8\nlayout: {tp: 2}\n"), 90'918'723'584);
  EXPECT_EQ(weights("world_size: 8\nlayout: {tp: 2}\nquantisation: w4a8\n"), 50'049'425'408);
}

TEST(Weights, WithTheDraftLayer) {
  const std::string layout = "layout: {dp: 2, sp: 8, tp: 8, moe_ep: 16}\nfeatures: {speculative_tokens: 1}\n";
  EXPECT_EQ(weights(layout), 45'274'582'016);
  EXPECT_EQ(weights(layout + "experts: {exchange: all-to-all-padded}\n"), 47'710'555'136);
}

TEST(Weights, LocalTensorParallelismSavesWhatIsPublished) {
  const auto with = [](int o_proj, int head) {
    return static_cast<double>(
        memory_of(fmt::format("role: decode\nlayout: {{dp: 16, moe_ep: 16, o_proj_tp: {}, lm_head_tp: {}}}\n"
                              "experts: {{exchange: all-to-all-padded}}\n",
                              o_proj, head))
            .weights.count());
  };
  constexpr double kGiB = 1 << 30;  // what tools on the machine call GB
  EXPECT_NEAR(with(-1, -1) - with(8, -1), 5.8 * kGiB, 0.08 * 5.8 * kGiB);
  EXPECT_NEAR(with(-1, 1) - with(-1, 8), 1.48 * kGiB, 0.08 * 1.48 * kGiB);
}

}  // namespace
}  // namespace ascendsim
