// Which module is stored and multiplied in which precision, and what scales lie beside the weights. One scheme a file
// in workloads/quantisation/.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "sim/config.h"
#include "sim/program.h"

namespace ascendsim {

enum class Module : std::uint8_t {
  kAttentionA,  // q_a and kv_a, fused
  kQB,
  kOProj,
  kKvB,
  kIndexQ,  // of sparse attention: wq_b
  kIndexK,  // wk and weights_proj
  kDenseMlp,
  kSharedExpert,
  kRoutedExpert,
  kGate,
  kEmbedding,
  kLmHead,
  kNorm,
};
constexpr std::array<std::string_view, 13> kModuleNames = {
    "attention_a",   "q_b",           "o_proj", "kv_b",      "index_q", "index_k", "dense_mlp",
    "shared_expert", "routed_expert", "gate",   "embedding", "lm_head", "norm"};

enum class ActivationQuant : std::uint8_t { kNone, kStatic, kDynamic };

struct Precision {
  Dtype weight = Dtype::kFp16;
  ActivationQuant activation = ActivationQuant::kNone;
  Bytes scale_per_channel{};  // per output channel of every stored matrix
};

struct Quantisation {
  std::string name;  // "W8A8"
  std::array<Precision, kModuleNames.size()> modules{};
  [[nodiscard]] const Precision& of(Module m) const { return modules[static_cast<std::size_t>(m)]; }
};

class QuantisationLibrary {
 public:
  explicit QuantisationLibrary(std::string folder);
  [[nodiscard]] std::vector<std::string> names() const;  // "w8a8", ...
  // float_type: what "16bit" modules are (fp16 or bf16).
  [[nodiscard]] Quantisation load(std::string_view name, Dtype float_type, Diagnostics&) const;

 private:
  std::string folder_;
};

}  // namespace ascendsim
