// HCCL's choice by product, size, rank count and scale.
#include <fmt/format.h>

#include "strategies/collectives/collective_cost.h"

namespace ascendsim {

namespace {

constexpr const char* kExpansionSource = "CANN 8.5, HCCL_OP_EXPANSION_MODE (envref_07_0096); thresholds: HCCL source";
constexpr const char* kAlgorithmSource = "CANN 8.5, HCCL_ALGO (envref_07_0079) and algorithm overview (hcclug_000114)";
constexpr const char* kFusedSource =
    "CANN MoeDistributeDispatch / MoeDistributeCombine; vllm-ascend pull requests 2752, 5300";

bool is_moe(Primitive p) { return p == Primitive::kDispatch || p == Primitive::kCombine; }

bool is_fused(const CollectiveAlgorithm& a) {
  const std::string_view name = a.name;
  return name == "mc2" || name == "layered";
}

}  // namespace

bool moves_rows(const CollectiveCall& call) { return call.moe_rows || is_moe(call.primitive); }

namespace {

// The largest n that HCCL gives to vector cores on A3; empty: any.
std::optional<Bytes> largest_for_vector_cores(const CollectiveCall& call, const Server& server) {
  const FigureTable& f = server.collectives;
  const std::int64_t ranks = call.span.ranks;
  const bool one_server = call.span.servers == 1;
  const auto gather = [&](std::string_view inside, std::string_view between) {
    return f.bytes(one_server    ? inside
                   : ranks <= 6  ? "aiv_threshold_gather_servers_6"
                   : ranks <= 16 ? "aiv_threshold_gather_servers_16"
                                 : between) *
           ranks;
  };
  switch (call.primitive) {
    case Primitive::kAllGather:
      return gather("aiv_threshold_all_gather", "aiv_threshold_all_gather_servers");
    case Primitive::kReduceScatter:
      return gather("aiv_threshold_reduce_scatter", "aiv_threshold_reduce_scatter_servers");
    case Primitive::kAllReduce:
      if (one_server) return f.bytes("aiv_threshold_all_reduce") * ranks;
      return f.bytes(ranks <= 8 ? "aiv_threshold_all_reduce_servers_8" : "aiv_threshold_all_reduce_servers");
    case Primitive::kAllToAll:
      if (!one_server) return std::nullopt;
      return f.bytes("aiv_threshold_all_to_all") * ranks;
    default:
      return f.bytes("aiv_threshold_all_to_all");  // one message
  }
}

const char* algorithm_between_servers(const CollectiveCall& call, const Server& server, const char*& reason) {
  const bool even = call.span.ranks == call.span.servers * call.span.ranks_per_server;
  if (!even) {
    reason = "unequal ranks in the servers: no hierarchical algorithm";
    return call.primitive == Primitive::kAllToAll ? "direct" : "nhr";
  }
  const bool large =
      call.primitive == Primitive::kAllReduce
          ? call.bytes / call.span.ranks_per_server >= server.collectives.bytes("pipeline_threshold_all_reduce")
          : call.bytes / call.span.ranks >= server.collectives.bytes("pipeline_threshold");
  if (call.primitive == Primitive::kAllToAll) {
    reason = large ? "several A2 servers, blocks of 32 KiB or more: all links at once"
                   : "several A2 servers, small blocks: two steps";
    return large ? "direct" : "hierarchical-exchange";
  }
  reason = large ? "several A2 servers, 32 KiB a rank or more (all-reduce: 1 MiB a die of a server): stages inside and "
                   "between servers overlap"
                 : "several A2 servers, small: NHR has the fewest steps between servers";
  return large ? "pipelined" : "hierarchical";
}

const char* algorithm_of(const CollectiveCall& call, const Server& server, const char*& reason, const char*& source) {
  source = kAlgorithmSource;
  switch (call.primitive) {
    case Primitive::kDispatch:
    case Primitive::kCombine:
      source = kFusedSource;
      reason = "MoE dispatch and combine: fused kernels";
      return "mc2";
    case Primitive::kShift:
      reason = "a ring step has one form";
      source = "";
      return "neighbour";
    case Primitive::kBroadcast:
      if (server.fabric == Fabric::kHccsMesh && call.span.servers > 1) {
        reason = "several A2 servers: fewest crossings";
        return "tree";
      }
      reason = "every pair of dies has a path of its own";
      return "mesh";
    default:
      break;
  }
  if (server.fabric == Fabric::kHccsMesh && call.span.servers > 1)
    return algorithm_between_servers(call, server, reason);
  reason = server.fabric == Fabric::kHccsMesh ? "one A2 server: full mesh of HCCS links"
                                              : "inside a supernode: every pair of dies over UB";
  return call.primitive == Primitive::kAllToAll ? "direct" : "mesh";
}

}  // namespace

std::string_view to_text(Expansion expansion) {
  switch (expansion) {
    case Expansion::kAiv:
      return "AIV";
    case Expansion::kAiCpu:
      return "AI CPU";
    case Expansion::kHost:
      return "host";
    case Expansion::kFused:
      return "fused kernel";
  }
  return "";
}

std::span<const ExpansionText> expansions() {
  static constexpr ExpansionText kTexts[] = {{Expansion::kAiv, "aiv", "vector cores"},
                                             {Expansion::kAiCpu, "aicpu", "none: AI CPUs and copy engines"},
                                             {Expansion::kHost, "host", "none: the host and copy engines"},
                                             {Expansion::kFused, "fused", "vector cores"}};
  return kTexts;
}

std::string to_text(const CollectiveChoice& choice) {
  return fmt::format("{} ({})", choice.algorithm->name, to_text(choice.expansion));
}

std::string refusal(const CollectiveCall& call, const Server& server, const CollectivePreference& preference) {
  if (preference.algorithm != nullptr) {
    const CollectiveAlgorithm& a = *preference.algorithm;
    if (!a.covers(call.primitive)) return fmt::format("'{}' is no algorithm for {}", a.name, to_text(call.primitive));
    if (!a.defined(shape_of(call, server, a)))
      return fmt::format("'{}' is not defined for {} ranks on {} server{}: {}", a.name, call.span.ranks,
                         call.span.servers, call.span.servers == 1 ? "" : "s", a.rule);
  }
  if (!preference.expansion) return {};
  const bool a3 = server.fabric == Fabric::kUnifiedBus;
  const bool fused = is_moe(call.primitive) && (preference.algorithm == nullptr || is_fused(*preference.algorithm));
  switch (*preference.expansion) {
    case Expansion::kFused:
      return fused ? "" : "fused kernels exist for dispatch and combine, as mc2 or layered";
    case Expansion::kHost:
      if (a3) return "HCCL on A3 expands on AI CPUs (its default) or on vector cores, not on the host";
      break;
    case Expansion::kAiCpu:
    case Expansion::kAiv:
      if (a3 && !fused && moves_rows(call) && *preference.expansion == Expansion::kAiv)
        return "exchanges of MoE rows outside fused kernels are known on AI CPUs and copy engines only";
      if (!a3 && *preference.expansion == Expansion::kAiCpu)
        return "HCCL on A2 expands on the host (its default) or on vector cores, not on AI CPUs "
               "(HCCL_OP_EXPANSION_MODE)";
      if (!a3)
        return "HCCL on A2 can expand on vector cores inside a server, but no measurement is known to price that by; "
               "its default is the host";
      break;
  }
  return fused ? "mc2 and layered are fused kernels" : "";
}

CollectiveChoice select_collective(const CollectiveCall& call, const Server& server,
                                   const CollectivePreference& preference) {
  CollectiveChoice choice;
  const char* name = algorithm_of(call, server, choice.reason, choice.source);
  choice.algorithm = preference.algorithm != nullptr ? preference.algorithm : find_collective(name);
  check(choice.algorithm != nullptr && choice.algorithm->covers(call.primitive), "no collective algorithm applies");
  if (preference.algorithm != nullptr) choice.reason = "asked for by name", choice.source = "";
  if (is_fused(*choice.algorithm)) {
    choice.expansion = Expansion::kFused;
    return choice;
  }
  if (server.fabric == Fabric::kHccsMesh) {
    choice.expansion = Expansion::kHost;
    return choice;
  }
  // Figures of row exchanges are of AI CPUs alone.
  const bool rows = moves_rows(call);
  const bool asked = preference.expansion == Expansion::kAiv,
             wanted = preference.expansion.value_or(Expansion::kAiv) == Expansion::kAiv;
  const std::optional<Bytes> largest = largest_for_vector_cores(call, server);
  const bool small = !rows && (!largest || call.bytes <= *largest);
  choice.expansion = small && wanted ? Expansion::kAiv : Expansion::kAiCpu;
  choice.fell_back = asked && !small;
  if (preference.algorithm != nullptr && !choice.fell_back) return choice;
  choice.source = kExpansionSource;
  if (choice.fell_back)
    choice.reason = "AIV asked for, but above its threshold HCCL falls back to AI CPUs and copy engines";
  else if (rows)
    choice.reason = "A3, rows in unequal shares: AI CPUs and copy engines, every pair of dies over UB";
  else if (choice.expansion == Expansion::kAiCpu && small)
    choice.reason = "A3, AI CPU asked for: copy engines, every pair of dies over UB";
  else if (choice.expansion == Expansion::kAiCpu)
    choice.reason = "A3, above the AIV threshold: AI CPUs and copy engines, every pair of dies over UB";
  else if (!largest)
    choice.reason = "A3, several servers of a supernode: vector cores whatever the size, every pair of dies over UB";
  else
    choice.reason = "A3, up to the AIV threshold: vector cores, every pair of dies over UB";
  return choice;
}

}  // namespace ascendsim
