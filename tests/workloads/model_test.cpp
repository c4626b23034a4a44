#include "workloads/model.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include "tests/workloads/library_under_test.h"

namespace ascendsim {
namespace {

// ---- parameters -----------------------------------------------------------------------------------------------------
// Shapes of DeepSeek-V3: H 7168, q rank 1536, kv rank 512, nope 128, rope 64, value 128, 128 heads, dense width 18432,
// expert width 2048, 256 experts, vocabulary 129280; 61 layers, 3 of them dense.

// q_a 7168*1536 = 11,010,048; its norm 1,536; q_b 1536*128*192 = 37,748,736; kv_a 7168*576 = 4,128,768; its norm 512;
// kv_b 512*128*256 = 16,777,216; o 128*128*7168 = 117,440,512
TEST(Parameters, OfAnAttentionLayer) {
  EXPECT_EQ(count_parameters(shipped_model("deepseek-v3")).attention_layer,
            11'010'048 + 1'536 + 37'748'736 + 4'128'768 + 512 + 16'777'216 + 117'440'512);
  EXPECT_EQ(count_parameters(shipped_model("deepseek-v3")).attention_layer, 187'107'328);
}

TEST(Parameters, OfTheOtherModules) {
  const ParameterCounts c = count_parameters(shipped_model("deepseek-v3"));
  EXPECT_EQ(c.dense_mlp, 396'361'728);     // 3 * 7168 * 18432
  EXPECT_EQ(c.gate, 1'835'264);            // 256 * 7168 + 256 of bias
  EXPECT_EQ(c.expert, 44'040'192);         // 3 * 7168 * 2048
  EXPECT_EQ(c.shared_expert, 44'040'192);  // one of them
  EXPECT_EQ(c.moe_layer, 11'320'164'608);  // gate + 257 * 44,040,192
  EXPECT_EQ(c.embedding, 926'679'040);     // 129280 * 7168
  EXPECT_EQ(c.lm_head, 926'679'040);       // not tied
}

// 61 * (187,107,328 + 2 * 7168) + 3 * 396,361,728 + 58 * 11,320,164,608 + 2 * 926,679,040 + 7168
TEST(Parameters, OfTheMainModel) { EXPECT_EQ(count_parameters(shipped_model("deepseek-v3")).main, 671'026'419'200); }

// Of 256 experts a token uses 8: main - 58 * 248 * 44,040,192.
TEST(Parameters, TouchedByOneToken) {
  EXPECT_EQ(count_parameters(shipped_model("deepseek-v3")).active, 37'552'297'472);
}

// The MTP layer: attention + MoE + 2 * 7168 of norms + eh_proj 2 * 7168^2 + 3 * 7168 of norms; stored with copies of
// embedding and head: 671,026,419,200 + 11,610,068,224 + 2 * 926,679,040.
TEST(Parameters, OfTheCheckpoint) {
  EXPECT_EQ(count_parameters(shipped_model("deepseek-v3")).mtp_unique, 11'610'068'224);
  EXPECT_EQ(count_parameters(shipped_model("deepseek-v3")).checkpoint, 684'489'845'504);
}

TEST(Parameters, AreThoseOfV3ForR1AndV31) {
  for (const char* name : {"deepseek-r1", "deepseek-v3.1"})
    EXPECT_EQ(count_parameters(shipped_model(name)).checkpoint, 684'489'845'504) << name;
}

// The indexer of a V3.2 layer: wq_b 1536 * 8192 = 12,582,912; wk 7168 * 128 = 917,504; LayerNorm 2 * 128; weights_proj
// 7168 * 64 = 458,752. 61 of them beside the 671,026,419,200 of V3; the MTP layer has one as well.
TEST(Parameters, OfV32) {
  for (const char* name : {"deepseek-v3.2", "deepseek-v3.2-exp"}) {
    const ParameterCounts c = count_parameters(shipped_model(name));
    EXPECT_EQ(c.indexer_layer, 12'582'912 + 917'504 + 256 + 458'752) << name;
    EXPECT_EQ(c.attention_layer, 187'107'328) << name;
    EXPECT_EQ(c.main, 671'877'944'064) << name;
    EXPECT_EQ(c.mtp_unique, 11'610'068'224 + 13'959'424) << name;
  }
  EXPECT_EQ(count_parameters(shipped_model("deepseek-v3")).indexer_layer, 0);
}

// Kimi-K2 has half the heads, one dense layer and 384 experts. Attention: 11,010,048 + 1,536 + q_b 1536*64*192 +
// 4,128,768 + 512
// + kv_b 512*64*256 + o 64*128*7168 = 101,124,096; MoE layer: 384*7168 + 384 + 385 * 44,040,192 = 16,958,226,816;
// 61 * (101,124,096 + 2 * 7168) + 396,361,728 + 60 * 16,958,226,816 + 2 * 163,840 * 7168 + 7168.
TEST(Parameters, OfKimiK2) {
  const ParameterCounts c = count_parameters(shipped_model("kimi-k2"));
  EXPECT_EQ(c.attention_layer, 101'124'096);
  EXPECT_EQ(c.moe_layer, 16'958'226'816);
  EXPECT_EQ(c.main, 1'026'408'232'448);
  EXPECT_EQ(shipped_model("kimi-k2").mtp_layers, 0);
}

// GLM-5 has 78 layers of hidden 6144, 64 heads of nope 192, rope 64 and value 256, q rank 2048 and an indexer of 32
// heads of 128. Attention: q_a 6144*2048 + 2,048 + q_b 2048*64*256 + kv_a 6144*576 + 512 + kv_b 512*64*448 + o
// 64*256*6144 = 165,022,208; indexer: 2048*4096 + 6144*128 + 2*128 + 6144*32 = 9,371,904; MoE layer: 256*6144 + 256 +
// 257 * 3*6144*2048 = 9,702,998,272; 78 * (165,022,208 + 9,371,904 + 2 * 6144) + 3 * 3*6144*12288 + 75 * 9,702,998,272
// + 2 * 154,880 * 6144 + 6144: the 744 G of its name.
TEST(Parameters, OfGlm5) {
  const ParameterCounts c = count_parameters(shipped_model("glm-5"));
  EXPECT_EQ(c.attention_layer, 165'022'208);
  EXPECT_EQ(c.indexer_layer, 9'371'904);
  EXPECT_EQ(c.moe_layer, 9'702'998'272);
  EXPECT_EQ(c.main, 743'911'218'432);
}

// ---- FLOPs of a prefill ---------------------------------------------------------------------------------------------

// S = 131072, S(S+1)/2 = 8,590,000,128 causal pairs; 2 FLOP per multiply-accumulate.
TEST(PrefillFlops, OfOneLongPrompt) {
  const PrefillFlops f = prefill_flops(shipped_model("deepseek-v3"), 131'072);
  EXPECT_EQ(f.attention_core.count(), 42'925'261'439'631'360);   // 61 * 2 * 128 * (192 + 128) * pairs
  EXPECT_EQ(f.attention_linear.count(), 2'723'679'280'562'176);  // 2 S * 61 * (q_a + kv_a + q_b + o = 170,328,064)
  EXPECT_EQ(f.kv_b.count(), 268'280'837'177'344);                // 2 S * 61 * 16,777,216
  EXPECT_EQ(f.dense.count(), 311'711'546'474'496);               // 2 S * 3 * 396,361,728
  EXPECT_EQ(f.routed.count(), 5'356'820'650'524'672);            // 2 S * 58 * 8 * 44,040,192
  EXPECT_EQ(f.shared.count(), 669'602'581'315'584);              // 2 S * 58 * 44,040,192
  EXPECT_EQ(f.gate.count(), 27'900'107'554'816);                 // 2 S * 58 * 256 * 7168
  EXPECT_EQ(f.head.count(), 1'853'358'080);                      // 2 * 926,679,040: one row
  EXPECT_EQ(f.total().count(), 52'283'258'296'598'528);
}

// S = 131072: every one of 8,590,000,128 causal pairs is scored, by 64 heads of 128; each query attends to at most 2048
// keys, which are 2048 * 2049 / 2 + (S - 2048) * 2048 = 266,339,328 pairs of 576 + 512 columns and 128 heads.
TEST(PrefillFlops, OfOneLongPromptWithSparseAttention) {
  const PrefillFlops f = prefill_flops(shipped_model("deepseek-v3.2"), 131'072);
  EXPECT_EQ(f.index_scores.count(), 8'585'052'287'926'272);      // 61 * 2 * 64 * 128 * pairs
  EXPECT_EQ(f.index_linear.count(), 223'218'040'307'712);        // 2 S * 61 * (12,582,912 + 917,504 + 458,752)
  EXPECT_EQ(f.attention_core.count(), 4'525'160'581'300'224);    // 61 * 2 * 128 * 1088 * 266,339,328
  EXPECT_EQ(f.kv_b.count(), 268'280'837'177'344);                // W_UK and W_UV on queries and outputs
  EXPECT_EQ(f.attention_linear.count(), 2'723'679'280'562'176);  // as V3, and so are the others
  EXPECT_EQ(f.total().count(), 22'691'427'766'501'376);
}

// A prompt of no more than 2048 tokens attends to all pairs, but still scores them.
TEST(PrefillFlops, OfAShortPromptWithSparseAttention) {
  const PrefillFlops f = prefill_flops(shipped_model("deepseek-v3.2"), 2048);
  const std::int64_t pairs = 2048 * 2049 / 2;
  EXPECT_EQ(f.attention_core.count(), 61 * 2 * 128 * 1088 * pairs);
  EXPECT_EQ(f.index_scores.count(), 61 * 2 * 64 * 128 * pairs);
}

// Everything but the core and the head grows with the tokens; the core with the pairs.
RC_GTEST_PROP(PrefillFlops, SplitIntoTokensAndPairs, ()) {
  const auto tokens = *rc::gen::inRange<std::int64_t>(1, 163'840);
  const PrefillFlops one = prefill_flops(shipped_model("deepseek-v3"), 1);
  const PrefillFlops all = prefill_flops(shipped_model("deepseek-v3"), tokens);
  RC_ASSERT(all.attention_core == one.attention_core * (tokens * (tokens + 1) / 2));
  RC_ASSERT(all.total() - all.attention_core - all.head == (one.total() - one.attention_core - one.head) * tokens);
  RC_ASSERT(all.head == one.head);
}

// ---- the library ----------------------------------------------------------------------------------------------------

TEST(ModelLibrary, ListsItsModels) {
  EXPECT_EQ(shipped_models().names(),
            (std::vector<std::string>{"deepseek-r1", "deepseek-v3", "deepseek-v3.1", "deepseek-v3.2",
                                      "deepseek-v3.2-exp", "glm-5", "kimi-k2"}));
}

TEST(ModelLibrary, TakesAnySpellingOfCaseAndSeparators) {
  EXPECT_EQ(shipped_model("DeepSeek-V3.1").name, "DeepSeek-V3.1");
  EXPECT_EQ(shipped_model("deepseek_v31").name, "DeepSeek-V3.1");
  EXPECT_EQ(shipped_model("DEEPSEEK R1").name, "DeepSeek-R1");
}

std::string said_about_model(const std::string& name) {
  Diagnostics diagnostics;
  (void)shipped_models().load(name, {}, diagnostics);
  return rendered(diagnostics);
}

// DeepSeek releases carry month and day; nothing else may follow a name ("DeepSeek-V3.3" would be another model).
TEST(ModelLibrary, TakesAReleaseDate) {
  for (const char* name : {"DeepSeek-R1-0528", "deepseek_r1_0528"}) {
    Diagnostics diagnostics;
    EXPECT_EQ(shipped_models().load(name, {}, diagnostics).name, "DeepSeek-R1") << name;
    EXPECT_EQ(rendered(diagnostics), "");
  }
  for (const char* name : {"DeepSeek-R1-05281", "DeepSeek-R1-abcd", "DeepSeek-V3.3"}) {
    Diagnostics diagnostics;
    (void)shipped_models().load(name, {}, diagnostics);
    EXPECT_TRUE(diagnostics.has_errors()) << name;
  }
}

TEST(ModelLibrary, SuggestsANameOrAnotherWay) {
  EXPECT_EQ(said_about_model("DeepSeek-R2"),
            "error[E0220]: unknown model 'DeepSeek-R2'\n"
            "  = rule: known models: deepseek-r1, deepseek-v3, deepseek-v3.1, deepseek-v3.2, deepseek-v3.2-exp, glm-5, "
            "kimi-k2\n"
            "  = help: did you mean 'deepseek-r1'?\n");
  EXPECT_EQ(said_about_model("llama"),
            "error[E0220]: unknown model 'llama'\n"
            "  = rule: known models: deepseek-r1, deepseek-v3, deepseek-v3.1, deepseek-v3.2, deepseek-v3.2-exp, glm-5, "
            "kimi-k2\n"
            "  = help: name one of them, or the path of a HuggingFace config.json, with --model\n");
}

// ---- a HuggingFace config.json --------------------------------------------------------------------------------------

// As published with DeepSeek-V3, without the keys that say nothing about shapes.
constexpr const char* kPublished = R"({
  "architectures": ["DeepseekV3ForCausalLM"],
  "first_k_dense_replace": 3,
  "hidden_act": "silu",
  "hidden_size": 7168,
  "intermediate_size": 18432,
  "kv_lora_rank": 512,
  "max_position_embeddings": 163840,
  "model_type": "deepseek_v3",
  "moe_intermediate_size": 2048,
  "n_routed_experts": 256,
  "n_shared_experts": 1,
  "num_attention_heads": 128,
  "num_experts_per_tok": 8,
  "num_hidden_layers": 61,
  "num_nextn_predict_layers": 1,
  "q_lora_rank": 1536,
  "qk_nope_head_dim": 128,
  "qk_rope_head_dim": 64,
  "torch_dtype": "bfloat16",
  "v_head_dim": 128,
  "vocab_size": 129280
})";

struct Read {
  Model model;
  std::string said;
};
// The messages call the file "config.json".
Read read(const std::string& content) {
  const TemporaryFile file("config.json", content);
  Diagnostics diagnostics;
  Read r{read_model(file.path(), diagnostics), {}};
  r.said = named(named(rendered(diagnostics), file.path()), file.folder(), "folder");
  return r;
}

TEST(ReadModel, TakesAHuggingFaceConfig) {
  const Read r = read(kPublished);
  EXPECT_EQ(r.said, "");
  EXPECT_EQ(count_parameters(r.model).checkpoint, 684'489'845'504);
  EXPECT_EQ(r.model.dtype, Dtype::kBf16);
  EXPECT_EQ(r.model.max_positions, 163'840);
}

TEST(ReadModel, DoesWithoutMtpLayersAndDtype) {
  const Read r = read(
      replaced(replaced(kPublished, "\"num_nextn_predict_layers\": 1,\n", ""), "\"torch_dtype\": \"bfloat16\",\n", ""));
  EXPECT_EQ(r.said, "");
  EXPECT_EQ(r.model.mtp_layers, 0);
  EXPECT_EQ(count_parameters(r.model).checkpoint, count_parameters(r.model).main);
  EXPECT_EQ(r.model.dtype, std::nullopt);
}

TEST(ReadModel, ReadsTheNewerNameOfTheDtype) {
  EXPECT_EQ(read(replaced(kPublished, "\"torch_dtype\": \"bfloat16\"", "\"dtype\": \"float16\"")).model.dtype,
            Dtype::kFp16);
}

TEST(ReadModel, NamesAMissingKey) {
  EXPECT_EQ(read(replaced(kPublished, "  \"kv_lora_rank\": 512,\n", "")).said,
            "error[E0222]: the model has no 'kv_lora_rank'\n"
            " --> config.json:1:1\n"
            "  |\n"
            "1 | {\n"
            "  | ^\n"
            "  = help: this is the key name of a HuggingFace config.json of a DeepSeek-V3-like model\n");
}

std::string about_experts(const std::string& value) {
  return read(replaced(kPublished, "\"n_routed_experts\": 256", "\"n_routed_experts\": " + value)).said;
}

TEST(ReadModel, RefusesNumbersOutOfRange) {
  for (const std::string value : {"-1", "0", "268435457"})
    EXPECT_EQ(about_experts(value), "error[E0223]: 'n_routed_experts' must be between 1 and 268435456, got " + value +
                                        "\n"
                                        "  --> config.json:11:23  n_routed_experts\n"
                                        "   |\n"
                                        "11 |   \"n_routed_experts\": " +
                                        value +
                                        ",\n"
                                        "   |                       ^\n")
        << value;
}

TEST(ReadModel, RefusesWhatIsNoInteger) {
  EXPECT_NE(about_experts("9223372036854775808"), "");
  EXPECT_NE(about_experts("\"256\""), "");
  EXPECT_NE(about_experts("256.5"), "");
  EXPECT_NE(about_experts(".nan"), "");
  EXPECT_NE(about_experts("[]"), "");
}

TEST(ReadModel, TakesTheIndexerOfSparseAttention) {
  const Read r = read(replaced(kPublished, "\"hidden_act\": \"silu\"",
                               "\"index_n_heads\": 64, \"index_head_dim\": 128, \"index_topk\": 2048"));
  EXPECT_EQ(r.said, "");
  EXPECT_TRUE(r.model.sparse());
  EXPECT_EQ(count_parameters(r.model).main, 671'877'944'064);
}

TEST(ReadModel, RefusesHalfAnIndexer) {
  EXPECT_EQ(read(replaced(kPublished, "\"hidden_act\": \"silu\"", "\"index_n_heads\": 64, \"index_topk\": 2048")).said,
            "error[E0224]: the model has an indexer of sparse attention, but no 'index_head_dim'\n"
            " --> config.json:1:1\n"
            "  |\n"
            "1 | {\n"
            "  | ^\n"
            "  = help: a config.json of DeepSeek-V3.2 has index_n_heads, index_head_dim and index_topk\n");
}

TEST(ReadModel, RefusesAnIndexerTooNarrowForItsRotation) {
  const Read r = read(replaced(kPublished, "\"hidden_act\": \"silu\"",
                               "\"index_n_heads\": 64, \"index_head_dim\": 32, \"index_topk\": 2048"));
  EXPECT_NE(
      r.said.find("error[E0224]: the indexer rotates the first 64 columns of its heads, but index_head_dim is 32\n"),
      std::string::npos)
      << r.said;
}

TEST(ReadModel, RefusesMoreDenseLayersThanLayers) {
  EXPECT_EQ(read(replaced(kPublished, "\"first_k_dense_replace\": 3", "\"first_k_dense_replace\": 62")).said,
            "error[E0225]: first_k_dense_replace is 62, but the model has 61 layers\n"
            " --> config.json:3:28  first_k_dense_replace\n"
            "  |\n"
            "3 |   \"first_k_dense_replace\": 62,\n"
            "  |                            ^\n");
}

TEST(ReadModel, RefusesMoreChosenExpertsThanExperts) {
  EXPECT_EQ(read(replaced(kPublished, "\"num_experts_per_tok\": 8", "\"num_experts_per_tok\": 257")).said,
            "error[E0226]: num_experts_per_tok is 257, but there are 256 experts\n"
            "  --> config.json:14:26  num_experts_per_tok\n"
            "   |\n"
            "14 |   \"num_experts_per_tok\": 257,\n"
            "   |                          ^\n");
}

TEST(ReadModel, RefusesGroupsThatDoNotFitTheExperts) {
  EXPECT_EQ(read(replaced(kPublished, "\"num_experts_per_tok\": 8",
                          "\"n_group\": 7, \"topk_group\": 4, \"num_experts_per_tok\": 8"))
                .said,
            "error[E0228]: 4 of 7 groups of experts must hold the 8 experts of a token: there are 256 experts\n"
            "  --> config.json:14:14  n_group\n"
            "   |\n"
            "14 |   \"n_group\": 7, \"topk_group\": 4, \"num_experts_per_tok\": 8,\n"
            "   |              ^\n"
            "   = help: n_group must divide n_routed_experts\n");
}

TEST(ReadModel, RefusesAnUnknownDtype) {
  EXPECT_EQ(read(replaced(kPublished, "bfloat16", "float8_e4m3fn")).said,
            "error[E0221]: dtype 'float8_e4m3fn' is not supported\n"
            "  --> config.json:20:18  torch_dtype\n"
            "   |\n"
            "20 |   \"torch_dtype\": \"float8_e4m3fn\",\n"
            "   |                  ^\n"
            "   = help: the Ascend engines run DeepSeek in float16 or bfloat16\n");
}

TEST(ReadModel, NamesAMissingFile) {
  Diagnostics diagnostics;
  read_model("no/such/config.json", diagnostics);
  EXPECT_EQ(rendered(diagnostics), "error[E0101]: no such file\n --> no/such/config.json\n");
}

TEST(SameShapeAs, TakesTheShapesOfAnotherFileUnderItsOwnName) {
  const Model r1 = shipped_model("deepseek-r1"), v3 = shipped_model("deepseek-v3");
  EXPECT_EQ(r1.name, "DeepSeek-R1");
  EXPECT_EQ(r1.hidden, v3.hidden);
  EXPECT_EQ(r1.experts, v3.experts);
}

TEST(SameShapeAs, NamesAMissingBase) {
  EXPECT_EQ(read("same_shape_as: no-such-base\n").said, "error[E0101]: no such file\n --> folder/no-such-base.yaml\n");
}

// A file that names itself, or two that name each other, must end with a message.
TEST(SameShapeAs, RefusesACircle) {
  const TemporaryFile file("circle.yaml", "same_shape_as: circle\n");
  Diagnostics diagnostics;
  read_model(file.path(), diagnostics);
  ASSERT_EQ(diagnostics.all().size(), 1u);
  EXPECT_EQ(render_short(diagnostics.all()[0]),
            file.path() + ":1:16: error[E0227]: same_shape_as must name a file that has shapes of its own");
}

}  // namespace
}  // namespace ascendsim
