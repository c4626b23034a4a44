#include "workloads/quantisation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace ascendsim {

namespace {

template <class T>
T choice(Section& section, std::string_view key, std::initializer_list<std::pair<std::string_view, T>> words,
         Diagnostics& diagnostics) {
  const std::string text = section.required<std::string>(key);
  std::vector<std::string_view> known;
  for (const auto& [word, value] : words) {
    if (word == text) return value;
    known.push_back(word);
  }
  if (!text.empty())
    diagnostics.error("E0231", section.self().find(key).where(), fmt::format("unknown {} '{}'", key, text), {},
                      fmt::format("one of: {}", fmt::join(known, ", ")));
  return words.begin()->second;
}

Precision read_precision(Section section, Dtype float_type, Diagnostics& diagnostics) {
  Precision p;
  p.weight = choice<Dtype>(
      section, "weight",
      {{"16bit", float_type}, {"int8", Dtype::kInt8}, {"int4", Dtype::kInt4}, {"fp32", Dtype::kFp32}}, diagnostics);
  p.activation = choice<ActivationQuant>(
      section, "activation",
      {{"none", ActivationQuant::kNone}, {"static", ActivationQuant::kStatic}, {"dynamic", ActivationQuant::kDynamic}},
      diagnostics);
  p.scale_per_channel = section.optional<Bytes>("scale_per_channel", Bytes(0));
  section.finish();
  return p;
}

}  // namespace

QuantisationLibrary::QuantisationLibrary(std::string folder) : folder_(std::move(folder)) {}

std::vector<std::string> QuantisationLibrary::names() const { return document_names(folder_); }

Quantisation QuantisationLibrary::load(std::string_view name, Dtype float_type, Diagnostics& diagnostics) const {
  Quantisation q;
  const auto document = Document::load(folder_ + "/" + std::string(name) + ".yaml", diagnostics);
  if (!document) return q;
  Section root(document->root(), diagnostics);
  q.name = root.required<std::string>("name");
  root.required<std::string>("source");
  Section modules = root.section("modules");
  for (std::size_t m = 0; m < kModuleNames.size(); ++m)
    q.modules[m] = read_precision(modules.section(kModuleNames[m]), float_type, diagnostics);
  modules.finish();
  root.finish();
  return q;
}

}  // namespace ascendsim
