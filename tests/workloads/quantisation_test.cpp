#include "workloads/quantisation.h"

#include <gtest/gtest.h>

#include <array>
#include <span>

#include "tests/workloads/library_under_test.h"

namespace ascendsim {
namespace {

Quantisation scheme(std::string_view name, Dtype float_type = Dtype::kFp16) {
  Diagnostics diagnostics;
  Quantisation q = shipped_schemes().load(name, float_type, diagnostics);
  EXPECT_EQ(rendered(diagnostics), "");
  return q;
}

struct Expected {
  Module module;
  Dtype weight;
  ActivationQuant activation;
  std::int64_t scale;
};

void expect_modules(const Quantisation& q, std::span<const Expected> expected) {
  for (const Expected& e : expected) {
    const Precision& p = q.of(e.module);
    const std::string_view name = kModuleNames[static_cast<std::size_t>(e.module)];
    EXPECT_EQ(p.weight, e.weight) << name;
    EXPECT_EQ(p.activation, e.activation) << name;
    EXPECT_EQ(p.scale_per_channel, Bytes(e.scale)) << name;
  }
}

using enum ActivationQuant;

// What stays in 16 bits (the router in fp32) in every scheme.
constexpr Expected kFloat[] = {{Module::kKvB, Dtype::kFp16, kNone, 0},
                               {Module::kGate, Dtype::kFp32, kNone, 0},
                               {Module::kEmbedding, Dtype::kFp16, kNone, 0},
                               {Module::kLmHead, Dtype::kFp16, kNone, 0},
                               {Module::kNorm, Dtype::kFp16, kNone, 0}};
// Static, a channel: deq_scale 8 + quant_bias 4 + weight_scale 2 + weight_offset 2; dynamic: 2 + 2 + an fp32 copy 4.
constexpr Expected kInt8[] = {{Module::kAttentionA, Dtype::kInt8, kStatic, 16},
                              {Module::kQB, Dtype::kInt8, kStatic, 16},
                              {Module::kOProj, Dtype::kInt8, kStatic, 16},
                              {Module::kDenseMlp, Dtype::kInt8, kDynamic, 8},
                              {Module::kSharedExpert, Dtype::kInt8, kDynamic, 8}};

TEST(Quantisation, W8A8) {
  const Quantisation q = scheme("w8a8");
  EXPECT_EQ(q.name, "W8A8");
  expect_modules(q, kFloat);
  expect_modules(q, kInt8);
  expect_modules(q, std::array{Expected{Module::kRoutedExpert, Dtype::kInt8, kDynamic, 8}});
}

// Only the routed experts shrink; a channel of theirs has a scale of 8 B and a bias of 4 B.
TEST(Quantisation, W4A8) {
  const Quantisation q = scheme("w4a8");
  EXPECT_EQ(q.name, "W4A8");
  expect_modules(q, kFloat);
  expect_modules(q, kInt8);
  expect_modules(q, std::array{Expected{Module::kRoutedExpert, Dtype::kInt4, kDynamic, 12}});
}

TEST(Quantisation, None) {
  const Quantisation q = scheme("float");
  EXPECT_EQ(q.name, "16-bit");
  expect_modules(q, kFloat);
  for (const Module m : {Module::kAttentionA, Module::kQB, Module::kOProj, Module::kDenseMlp, Module::kSharedExpert,
                         Module::kRoutedExpert})
    expect_modules(q, std::array{Expected{m, Dtype::kFp16, kNone, 0}});
}

TEST(Quantisation, SixteenBitsAreTheTypeOfTheModel) {
  EXPECT_EQ(scheme("w8a8", Dtype::kBf16).of(Module::kKvB).weight, Dtype::kBf16);
  EXPECT_EQ(scheme("w8a8", Dtype::kBf16).of(Module::kQB).weight, Dtype::kInt8);
}

TEST(QuantisationLibrary, ListsItsSchemes) {
  EXPECT_EQ(shipped_schemes().names(), (std::vector<std::string>{"float", "w4a8", "w4a8c8", "w8a8", "w8a8c8"}));
}

TEST(QuantisationLibrary, NamesAnUnknownWord) {
  std::string text = "name: X\nsource: test\nmodules:\n";
  for (const std::string_view m : kModuleNames)
    text += "  " + std::string(m) + ": {weight: " + (m == "q_b" ? "int7" : "int8") + ", activation: none}\n";
  const TemporaryFile file("scheme.yaml", text);
  Diagnostics diagnostics;
  (void)QuantisationLibrary(file.folder()).load("scheme", Dtype::kFp16, diagnostics);
  EXPECT_EQ(named(rendered(diagnostics), file.path(), "scheme.yaml"),
            "error[E0231]: unknown weight 'int7'\n"
            " --> scheme.yaml:5:17  modules.q_b.weight\n"
            "  |\n"
            "5 |   q_b: {weight: int7, activation: none}\n"
            "  |                 ^\n"
            "  = help: one of: 16bit, int8, int4, fp32\n");
}

}  // namespace
}  // namespace ascendsim
