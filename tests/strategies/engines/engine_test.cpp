// Every trait of every engine by value. Where a value changes, an engine was read anew: its source stands beside the
// value in engine.cpp.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "strategies/deployment/words.h"
#include "strategies/engines/keys.h"
#include "strategies/engines/launch/commands.h"
#include "strategies/engines/launch/options.h"
#include "strategies/programs/context.h"

namespace ascendsim {
namespace {

constexpr const char* kStacks[] = {"mindie",    "vllm-ascend", "sglang",     "cann-recipes",
                                   "omniinfer", "xdeepserve",  "cloudmatrix"};

// "head: vllm-ascend" and the like: the stacks that have a trait.
template <class Has>
std::string who(const Has& has) {
  std::string out;
  for (const char* stack : kStacks)
    if (has(engine_of(stack))) out += (out.empty() ? "" : " ") + std::string(stack);
  return out;
}

TEST(Engines, TraitsOfPrograms) {
  EXPECT_EQ(who([](const Engine& e) { return e.traits.head_over_tp_group; }), "vllm-ascend");
  EXPECT_EQ(who([](const Engine& e) { return e.traits.whole_rows_for_experts; }), "vllm-ascend");
  EXPECT_EQ(who([](const Engine& e) { return e.traits.drafts_all_rows; }), "cann-recipes");
  EXPECT_EQ(who([](const Engine& e) { return e.traits.carrier_choice == CarrierChoice::kByRows; }), "vllm-ascend");
  EXPECT_EQ(who([](const Engine& e) { return e.traits.fused_mc2 == FusedMc2::kAnyRows; }), "vllm-ascend");
  EXPECT_EQ(who([](const Engine& e) { return e.traits.fused_mc2 == FusedMc2::kFewRows; }), "sglang");
  EXPECT_EQ(who([](const Engine& e) { return e.traits.fused_mc2_needs_unified_bus; }), "vllm-ascend");
  EXPECT_EQ(who([](const Engine& e) { return e.traits.gate_in_activation_type; }), "vllm-ascend");
}

TEST(Engines, TraitsOfLayoutAndLimits) {
  EXPECT_EQ(who([](const Engine& e) { return e.traits.cp_keeps_whole_cache; }), "sglang");
  EXPECT_EQ(who([](const Engine& e) { return e.traits.cuts_experts; }), "mindie");
  EXPECT_EQ(who([](const Engine& e) { return e.traits.chunk_may_exceed_prompts; }), "sglang");
  for (const char* stack : kStacks) {
    EXPECT_EQ(engine_of(stack).traits.usual_prefill_tokens, 8192) << stack;
    EXPECT_EQ(engine_of(stack).traits.usual_prompts, 50) << stack;
  }
}

TEST(Engines, TraitsOfMemoryAndPairs) {
  EXPECT_EQ(who([](const Engine& e) { return e.traits.fraction_of == FractionOf::kWeightsAndCache; }), "sglang");
  EXPECT_EQ(who([](const Engine& e) { return e.traits.profiles_largest_step; }), "vllm-ascend");
  EXPECT_EQ(who([](const Engine& e) { return e.traits.cuts_initial_routing; }),
            "mindie cann-recipes omniinfer xdeepserve cloudmatrix");
  EXPECT_EQ(who([](const Engine& e) { return e.traits.decode_answers; }), "vllm-ascend");
  EXPECT_EQ(who([](const Engine& e) { return e.traits.shared_source == SharedSource::kNeighbours; }), "sglang");
}

TEST(Engines, Words) {
  const Layout l{.dp = 2, .cp = 2, .sp = 4, .tp = 4, .moe_ep = 16};
  for (const char* stack : kStacks) {
    const bool vllm = std::string(stack) == "vllm-ascend";
    EXPECT_EQ(layout_words(l, engine_of(stack).words.degrees, Degrees::kAboveOne, " "),
              vllm ? "dp 2 pcp 2 dcp 4 tp 4 moe_ep 16" : "dp 2 cp 2 sp 4 tp 4 moe_ep 16")
        << stack;
  }
  Deployment d;
  const auto said = [&](const char* stack, bool own = false) {
    d.set_engine(stack);
    return key_setting(d, own, "maxSeqLen", 4096);
  };
  EXPECT_EQ(said("mindie"), R"("maxSeqLen": 4096)");
  EXPECT_EQ(said("vllm-ascend"), "--max-model-len 4096");
  EXPECT_EQ(said("sglang"), "--context-length 4096");
  EXPECT_EQ(said("cann-recipes"), R"("maxSeqLen": 4096)");
  EXPECT_EQ(said("sglang", true), "limits.max_seq_len: 4096");
  // Options that people write, dashes or not, by any of their names; without an engine they are vLLM's.
  const auto field = [](const char* stack, const char* option) {
    const auto of = engine_of(stack).words.field_of;
    return of == nullptr ? std::string("none") : std::string(of(option));
  };
  EXPECT_EQ(field("mindie", "tensor-parallel-size"), "none");
  for (const char* stack : {"vllm-ascend", "cann-recipes", "omniinfer", ""}) {
    EXPECT_EQ(field(stack, "--tensor_parallel_size"), "layout.tp") << stack;
    EXPECT_EQ(field(stack, "dcp"), "layout.sp") << stack;
    EXPECT_EQ(field(stack, "context-length"), "") << stack;
  }
  EXPECT_EQ(field("sglang", "context-length"), "limits.max_seq_len");
  EXPECT_EQ(who([](const Engine& e) { return e.words.batch_of_all_groups; }), "sglang");
  EXPECT_EQ(who([](const Engine& e) { return e.words.degrees_in_options != nullptr; }), "sglang");
  EXPECT_EQ(engine_of("sglang").words.degrees_in_options(l), "--tp-size 16 --dp-size 2 --attn-cp-size 2");
  EXPECT_EQ(engine_of("sglang").words.degrees_in_options({.tp = 8}), "--tp-size 8");
}

TEST(Engines, Texts) {
  EXPECT_EQ(who([](const Engine& e) { return !e.texts.carrier_source.empty(); }), "vllm-ascend");
  EXPECT_EQ(who([](const Engine& e) { return !e.texts.prefix_cache.empty(); }), "mindie");
  EXPECT_EQ(who([](const Engine& e) { return !e.texts.context_gather.empty(); }), "mindie");
  EXPECT_EQ(who([](const Engine& e) { return !e.texts.issue_variable.empty(); }), "vllm-ascend");
  EXPECT_EQ(who([](const Engine& e) { return e.texts.mtp_remedy != kGenericEngine.texts.mtp_remedy; }), "mindie");
  EXPECT_EQ(who([](const Engine& e) { return !e.texts.pool_of_longest_request.who.empty(); }), "vllm-ascend");
}

// What each says of context parallelism, in the words of ContextScheme.
TEST(Engines, ContextSchemes) {
  Deployment d;
  d.layout.cp = 2;
  d.limits = {.max_seq_len = 4096, .max_batch = 16, .block_tokens = 64};
  for (const char* stack : kStacks) {
    d.set_engine(stack);
    const ContextScheme s = context_scheme(d);
    const bool vllm = std::string(stack) == "vllm-ascend", sglang = std::string(stack) == "sglang",
               chunk_by_chunk = !vllm && !sglang;
    EXPECT_EQ(s.cache.turn, vllm ? 64 : 0) << stack;
    EXPECT_EQ(s.unmasked_segment, vllm ? 16'384 : 0) << stack;
    EXPECT_EQ(s.history_workspace, vllm ? 8 * 4096 : 0) << stack;  // eight longest requests, below 64K
    EXPECT_EQ(s.history_in_two_gathers, vllm) << stack;
    EXPECT_EQ(s.merges_in_32_bit, vllm || sglang) << stack;
    EXPECT_EQ(s.head_gathers_by_group, vllm || sglang) << stack;
    EXPECT_EQ(s.chunk_major, chunk_by_chunk) << stack;
    EXPECT_EQ(s.calls == ContextScheme::Calls::kChunkByChunk, chunk_by_chunk) << stack;
  }
  d.model.index_heads = 1;
  d.model.index_width = 128, d.model.index_top_k = 2048;
  d.set_engine("mindie");
  ASSERT_TRUE(d.model.sparse());
  EXPECT_FALSE(context_scheme(d).chunk_major);  // the indexer picks among keys in order
}

TEST(Engines, AreFoundByTheirStacks) {
  EXPECT_EQ(engine_of("vllm-ascend-0.15").product, "vLLM-Ascend");
  EXPECT_TRUE(engine_of("vllm-ascend").is(engine_of("vllm-ascend-0.15")));
  EXPECT_EQ(engine_of("mindie-2026-04").product, "MindIE");
  for (const char* other : {"", "omniinfer-2025-09", "vllm", "mindie2", "sglangs-0.5"})
    EXPECT_TRUE(engine_of(other).is(kGenericEngine)) << other;
  EXPECT_EQ(engine_called("vllm"), &engine_of("vllm-ascend"));
  EXPECT_EQ(engine_called("vllm-ascend"), nullptr);
  EXPECT_EQ(engine_called(""), nullptr);
  EXPECT_EQ(usual_engine().product, "MindIE");
  Deployment d;
  EXPECT_TRUE(d.engine->is(kGenericEngine));
  d.set_engine("omniinfer", "2025-09");
  EXPECT_TRUE(d.engine->is(kGenericEngine));
  EXPECT_EQ(d.engine_name, "omniinfer");
  EXPECT_EQ(d.engine_version, "2025-09");
}

// What callers need not ask for.
TEST(Engines, AreWhole) {
  std::set<std::string_view> names, called;
  const auto whole = [](const Engine& e) {
    EXPECT_NE(e.traits.context, nullptr) << e.name;
    EXPECT_NE(e.check, nullptr) << e.name;
    EXPECT_FALSE(e.import_command != nullptr && e.import_document != nullptr) << e.name;
    EXPECT_EQ(e.import_command != nullptr, e.options != nullptr) << e.name;
    EXPECT_EQ(e.import_command != nullptr, e.words.option_of != nullptr) << e.name;
    EXPECT_EQ(e.import_command != nullptr, !e.launch.servers.empty()) << e.name;
    EXPECT_EQ(e.import_document != nullptr, e.keys != nullptr) << e.name;
    EXPECT_EQ(e.import_command != nullptr || e.import_document != nullptr, !e.called.empty()) << e.name;
    EXPECT_EQ(e.write != nullptr, !e.called.empty()) << e.name;
    EXPECT_EQ(e.write != nullptr, e.limitations != nullptr) << e.name;
    EXPECT_EQ(e.launch.holds_commands != nullptr, e.launch.read_commands != nullptr) << e.name;
    EXPECT_EQ(e.launch.holds_options != nullptr, !e.launch.options_program.empty()) << e.name;
    for (const BenchmarkProgram& b : e.launch.benchmarks)
      EXPECT_TRUE(b.options != nullptr && b.input_tokens > 0 && b.output_tokens > 0) << e.name;
    for (const Limitation& l : e.limitations == nullptr ? std::span<const Limitation>() : e.limitations())
      EXPECT_NE(find_field(l.field), nullptr) << l.field;
  };
  whole(kGenericEngine);
  for (const Engine* const e : engines()) {
    whole(*e);
    EXPECT_TRUE(names.insert(e->name).second && !e->name.empty()) << e->name;
    EXPECT_TRUE(e->called.empty() || called.insert(e->called).second) << e->called;
    EXPECT_FALSE(e->product.empty()) << e->name;
  }
}

// Words that start a program, whoever's it is, and what stands before them.
TEST(Engines, ProgramsAreRecognised) {
  const auto seen = [](const std::string& line) {
    Diagnostics diagnostics;
    std::string out;
    for (const LaunchedCommand& c : read_launch("#!/bin/sh\n" + line + "\n", "s.sh", {}, diagnostics))
      out += std::string(c.kind == LaunchKind::kServer      ? "server"
                         : c.kind == LaunchKind::kBenchmark ? "benchmark"
                         : c.kind == LaunchKind::kRouter    ? "router"
                                                            : "proxy") +
             " " + std::string(c.engine == nullptr ? "-" : c.engine->called) + " " + c.program;
    return out;
  };
  EXPECT_EQ(seen("nohup vllm serve m"), "server vllm vllm serve");
  EXPECT_EQ(seen("numactl -C 1 /opt/bin/vllm serve m"), "server vllm /opt/bin/vllm serve");
  EXPECT_EQ(seen("python -m vllm.entrypoints.openai.api_server --model m"),
            "server vllm vllm.entrypoints.openai.api_server");
  EXPECT_EQ(seen("vllm bench latency"), "benchmark vllm vllm bench latency");
  EXPECT_EQ(seen("python3 -m sglang.launch_server --tp 8"), "server sglang sglang.launch_server");
  EXPECT_EQ(seen("sglang serve"), "server sglang sglang serve");
  EXPECT_EQ(seen("/opt/bin/sglang serve"), "");
  EXPECT_EQ(seen("python -m sglang.bench_serving"), "benchmark sglang sglang.bench_serving");
  EXPECT_EQ(seen("python -m sglang_router.launch_router"), "router sglang sglang_router.launch_router");
  EXPECT_EQ(seen("ais_bench --models m"), "benchmark - ais_bench");
  EXPECT_EQ(seen("python my_proxy.py --port 1"), "proxy - my_proxy.py");
  EXPECT_EQ(seen("echo vllm serve m"), "");
  EXPECT_EQ(seen("vllm"), "");
}

}  // namespace
}  // namespace ascendsim
