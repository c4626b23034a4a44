#include "strategies/deployment/stack.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace ascendsim {

namespace {

struct NamedFigure {
  const char* name;
  enum { kDuration, kRatio, kBytes } type;
  bool optional = false;
};
// What a stack file must say; the unit of a figure is its type.
constexpr NamedFigure kFigures[] = {
    {"memory_fraction", NamedFigure::kRatio},
    {"group_buffer", NamedFigure::kBytes},
    {"moe_ep_buffer", NamedFigure::kBytes},
    {"moe_tp_buffer", NamedFigure::kBytes},
    {"buffers_per_group", NamedFigure::kRatio},
    {"runtime", NamedFigure::kBytes},
    {"prolog_max_tokens", NamedFigure::kRatio},
    {"step_gap", NamedFigure::kDuration},
    {"kernel_issue", NamedFigure::kDuration},
    {"async_step_gap", NamedFigure::kDuration},
    {"draft_gap", NamedFigure::kDuration},
    {"mtp_acceptance", NamedFigure::kRatio},
    {"kernel_gap", NamedFigure::kDuration},
    {"eager_kernel_issue", NamedFigure::kDuration, true},  // engines that replay graphs, where they do not
    {"fused_moe_overlap", NamedFigure::kRatio, true},      // engines that have fused MC2
    {"lane_share_attention", NamedFigure::kRatio},
    {"lane_share_moe", NamedFigure::kRatio}};

constexpr std::pair<std::string_view, bool FusedKernels::*> kFusedKernels[] = {
    {"add_rms_norm", &FusedKernels::add_rms_norm}, {"add_rms_norm_cast", &FusedKernels::add_rms_norm_cast}};

// - {kernel: add_rms_norm, source: "file of the engine"}
void read_fused(ConfigNode list, FusedKernels& out, Diagnostics& diagnostics) {
  for (std::size_t i = 0; i < list.size(); ++i) {
    Section entry(list.at(i), diagnostics);
    const std::string kernel = entry.required<std::string>("kernel");
    static_cast<void>(entry.required<std::string>("source"));
    entry.finish();
    const auto* const known = std::ranges::find(kFusedKernels, std::string_view(kernel),
                                                &std::pair<std::string_view, bool FusedKernels::*>::first);
    if (known != std::ranges::end(kFusedKernels))
      out.*known->second = true;
    else if (!kernel.empty())
      diagnostics.error("E0211", list.at(i).where(), fmt::format("unknown fused kernel '{}'", kernel),
                        "add_rms_norm, add_rms_norm_cast");
  }
}

}  // namespace

StackLibrary::StackLibrary(std::string folder) : folder_(std::move(folder)) {}

std::vector<std::string> StackLibrary::names() const { return document_names(folder_); }

std::string StackLibrary::find(std::string_view engine, std::string_view version, Diagnostics& diagnostics) const {
  const std::vector<std::string> known = names();
  std::string newest;
  for (const std::string& name : known) {
    if (name == engine && version.empty()) return name;
    if (!name.starts_with(engine) || name[engine.size()] != '-') continue;
    if (name.substr(engine.size() + 1) == version) return name;
    newest = name;  // names ascend
  }
  if (!newest.empty() && version.empty()) return newest;
  // Versions of an engine that is known, or all stacks.
  std::vector<std::string_view> views;
  for (const std::string& name : known)
    if (newest.empty() || (name.starts_with(engine) && name[engine.size()] == '-')) views.push_back(name);
  const std::string asked = version.empty() ? std::string(engine) : fmt::format("{}-{}", engine, version);
  const std::string_view near = nearest(asked, views);
  diagnostics.error("E0211", {}, fmt::format("unknown software stack '{}'", asked),
                    fmt::format("known stacks: {}", fmt::join(views, ", ")),
                    near.empty() ? "name one of them" : fmt::format("did you mean '{}'?", near));
  return {};
}

Stack StackLibrary::load(std::string_view engine, std::string_view version, Diagnostics& diagnostics) const {
  Stack stack;
  const std::string name = find(engine, version, diagnostics);
  if (name.empty()) return stack;
  const auto document = Document::load(folder_ + "/" + name + ".yaml", diagnostics);
  if (!document) return stack;
  Section root(document->root(), diagnostics);
  stack.engine = root.required<std::string>("engine");
  stack.version = root.required<std::string>("version");
  stack.source = root.required<std::string>("source");
  stack.kernels = root.required<std::string>("kernels");
  stack.communication_stream = root.required<bool>("communication_stream");
  stack.moves_rows_by_index = root.optional<bool>("moves_rows_by_index", false);
  if (const ConfigNode fused = root.node("fused_kernels")) read_fused(fused, stack.fused, diagnostics);
  Section figures = root.section("figures");
  for (const NamedFigure& f : kFigures) {
    switch (f.type) {
      case NamedFigure::kDuration:
        if (!f.optional)
          stack.figures.add(f.name, figures.figure<Duration>(f.name));
        else if (auto figure = figures.optional_figure<Duration>(f.name))
          stack.figures.add(f.name, std::move(*figure));
        break;
      case NamedFigure::kRatio: {
        if (f.optional) {
          if (auto figure = figures.optional_figure<Ratio>(f.name)) stack.figures.add(f.name, std::move(*figure));
          break;
        }
        Figure<Ratio> figure = figures.figure<Ratio>(f.name);
        if (figure.range && std::string_view(f.name) == "memory_fraction")
          stack.highest_memory_fraction = figure.range->second.count();
        stack.figures.add(f.name, std::move(figure));
        break;
      }
      case NamedFigure::kBytes:
        stack.figures.add(f.name, figures.figure<Bytes>(f.name));
        break;
    }
  }
  figures.finish();
  root.finish();
  return stack;
}

KernelFacts kernel_facts(const Stack& stack, const KernelTable& kernels) {
  return {.attention_tile = static_cast<std::int32_t>(std::lround(kernels.shared.ratio("attention_tile").count())),
          .softmax_ops_per_score = kernels.shared.ratio("softmax_ops_per_score").count(),
          .softmax_ops_per_row = kernels.shared.ratio("softmax_ops_per_row").count(),
          .cube_rows = std::lround(kernels.shared.ratio("cube_rows").count()),
          .indexer_key_tile = std::lround(kernels.shared.ratio("indexer_key_tile").count()),
          .top_k_ops_per_key =
              kernels.shared.ratio("top_k_ops_per_key").count() * kernels.shared.ratio("sort_lane_ops").count(),
          .top_k_ops_per_choice =
              kernels.shared.ratio("top_k_ops_per_choice").count() * kernels.shared.ratio("sort_lane_ops").count(),
          .prolog_max_tokens = std::lround(stack.figures.ratio("prolog_max_tokens").count()),
          .adds_residual_in_norm = stack.fused.add_rms_norm,
          .casts_for_router_in_norm = stack.fused.add_rms_norm_cast,
          .kernel_gap = stack.figures.duration("kernel_gap"),
          .fused_moe_overlap =
              stack.figures.has_ratio("fused_moe_overlap") ? stack.figures.ratio("fused_moe_overlap").count() : 0,
          .communication_stream = stack.communication_stream,
          .moves_rows_by_index = stack.moves_rows_by_index};
}

}  // namespace ascendsim
