// The kernel families that operators name in Work::family. hardware/catalogue/kernels/ holds t0 and efficiencies of
// each under the same name; a new family is a line here and an entry there.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace ascendsim {

enum class Kernel : std::uint8_t {
  kGemm16,
  kGemmInt8,
  kGemmFp32,
  kGroupedGemmInt8,
  kGroupedGemmInt4,
  kGroupedGemm16,
  kAttentionPrefill,
  kMlaDecode,
  kMlaProlog,
  kVector,
  kFinalizeRouting,
  kActivation,
  kNorm,
  kQuantise,
  kRope,
  kKvNormRopeCache,
  kTopK,
  kDataMovement,
  kMerge,
  kLightningIndexer,
  kSparseAttention,
};
constexpr std::array<std::string_view, 21> kKernelNames = {"gemm_16",
                                                           "gemm_int8",
                                                           "gemm_fp32",
                                                           "grouped_gemm_int8",
                                                           "grouped_gemm_int4",
                                                           "grouped_gemm_16",
                                                           "attention_prefill",
                                                           "mla_decode",
                                                           "mla_prolog",
                                                           "vector",
                                                           "finalize_routing",
                                                           "activation",
                                                           "norm",
                                                           "quantise",
                                                           "rope",
                                                           "kv_norm_rope_cache",
                                                           "top_k",
                                                           "data_movement",
                                                           "merge",
                                                           "lightning_indexer",
                                                           "sparse_attention"};
constexpr std::uint8_t family(Kernel k) { return static_cast<std::uint8_t>(k); }

// What breakdowns group time by (OperatorType::category); communication is sim's kCommunicationCategory.
enum class Category : std::uint8_t { kAttention, kLinear, kMoe, kVector };
constexpr std::uint8_t category(Category c) { return static_cast<std::uint8_t>(c); }

}  // namespace ascendsim
