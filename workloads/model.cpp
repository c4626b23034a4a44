#include "workloads/model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

namespace ascendsim {

namespace {

struct Field {
  const char* key;
  std::int64_t Model::*member;
  bool required = true;
  std::int64_t least = 1;
};

constexpr Field kFields[] = {
    {"hidden_size", &Model::hidden},
    {"vocab_size", &Model::vocabulary},
    {"num_hidden_layers", &Model::layers},
    {"first_k_dense_replace", &Model::dense_layers, true, 0},
    {"num_attention_heads", &Model::heads},
    {"q_lora_rank", &Model::q_rank},
    {"kv_lora_rank", &Model::kv_rank},
    {"qk_nope_head_dim", &Model::nope},
    {"qk_rope_head_dim", &Model::rope},
    {"v_head_dim", &Model::value},
    {"intermediate_size", &Model::dense_width},
    {"moe_intermediate_size", &Model::expert_width},
    {"n_routed_experts", &Model::experts},
    {"n_shared_experts", &Model::shared_experts, true, 0},
    {"num_experts_per_tok", &Model::top_k},
    {"num_nextn_predict_layers", &Model::mtp_layers, false, 0},
    {"index_n_heads", &Model::index_heads, false},
    {"index_head_dim", &Model::index_width, false},
    {"index_topk", &Model::index_top_k, false},
    {"n_group", &Model::expert_groups, false},
    {"topk_group", &Model::kept_groups, false},
    {"max_position_embeddings", &Model::max_positions},
};
constexpr std::int64_t kLargestField = std::int64_t{1} << 28;  // keeps every product of two widths far below 2^63

// Releases of one model carry their date: "DeepSeek-R1-0528", "DeepSeek-V3-0324". The shapes are the same.
std::string_view without_date(std::string_view name) {
  constexpr std::size_t kDate = 5;
  if (name.size() <= kDate || (name[name.size() - kDate] != '-' && name[name.size() - kDate] != '_')) return name;
  const std::string_view digits = name.substr(name.size() - kDate + 1);
  return std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; }) ? name.substr(0, name.size() - kDate)
                                                                                  : name;
}

// Spellings differ only in case and separators: "deepseek_r1", "DeepSeek-R1".
std::string canonical(std::string_view name) {
  std::string out;
  for (const char c : name)
    if (c != '-' && c != '_' && c != ' ' && c != '.')
      out += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return out;
}

std::optional<Dtype> read_dtype(ConfigNode root, Diagnostics& diagnostics) {
  const ConfigNode node = root.find("torch_dtype") ? root.find("torch_dtype") : root.find("dtype");
  if (!node) return std::nullopt;
  const auto text = node.as_string(diagnostics);
  if (!text) return std::nullopt;
  if (*text == "float16") return Dtype::kFp16;
  if (*text == "bfloat16") return Dtype::kBf16;
  diagnostics.error("E0221", node.where(), fmt::format("dtype '{}' is not supported", *text), {},
                    "the Ascend engines run DeepSeek in float16 or bfloat16");
  return std::nullopt;
}

void read_field(ConfigNode root, const Field& field, Model& model, Diagnostics& diagnostics) {
  const ConfigNode node = root.find(field.key);
  if (!node) {
    if (field.required)
      diagnostics.error("E0222", root.where(), fmt::format("the model has no '{}'", field.key), {},
                        "this is the key name of a HuggingFace config.json of a DeepSeek-V3-like model");
    return;
  }
  const auto value = node.as_integer(diagnostics);
  if (!value) return;
  if (*value < field.least || *value > kLargestField) {
    diagnostics.error(
        "E0223", node.where(),
        fmt::format("'{}' must be between {} and {}, got {}", field.key, field.least, kLargestField, *value));
    return;
  }
  // Programs are built layer by layer, and rope turns columns by pairs.
  constexpr std::int64_t kMostLayers = 1024;
  if (field.member == &Model::layers && *value > kMostLayers)
    diagnostics.error("E0223", node.where(),
                      fmt::format("'{}' must be at most {}, got {}", field.key, kMostLayers, *value));
  else if (field.member == &Model::rope && *value % 2 != 0)
    diagnostics.error("E0223", node.where(), fmt::format("'{}' must be even, got {}", field.key, *value));
  else
    model.*field.member = *value;
}

void check_model(ConfigNode root, const Model& m, Diagnostics& diagnostics) {
  for (const char* key : {"index_n_heads", "index_head_dim", "index_topk"})
    if ((m.index_heads > 0 || m.index_width > 0 || m.sparse()) && !root.find(key))
      diagnostics.error("E0224", root.where(),
                        fmt::format("the model has an indexer of sparse attention, but no '{}'", key), {},
                        "a config.json of DeepSeek-V3.2 has index_n_heads, index_head_dim and index_topk");
  if (m.index_width > 0 && m.index_width < m.rope)
    diagnostics.error("E0224", root.find("index_head_dim").where(),
                      fmt::format("the indexer rotates the first {} columns of its heads, but index_head_dim is {}",
                                  m.rope, m.index_width));
  if (m.dense_layers > m.layers)
    diagnostics.error(
        "E0225", root.find("first_k_dense_replace").where(),
        fmt::format("first_k_dense_replace is {}, but the model has {} layers", m.dense_layers, m.layers));
  if (m.top_k > m.experts)
    diagnostics.error("E0226", root.find("num_experts_per_tok").where(),
                      fmt::format("num_experts_per_tok is {}, but there are {} experts", m.top_k, m.experts));
}

// Only the calculator needs to know how the router chooses. Defaults are those of HuggingFace's DeepseekV3Config
// (n_group 8, topk_group 4, routed_scaling_factor 2.5); with experts that have no such groups, one group.
void read_router(ConfigNode root, Model& m, Diagnostics& diagnostics) {
  if (const ConfigNode scale = root.find("routed_scaling_factor"))
    m.routed_scale = scale.as_number(diagnostics).value_or(m.routed_scale);
  const auto fits = [&] {
    return m.experts % m.expert_groups == 0 && m.kept_groups <= m.expert_groups &&
           m.kept_groups * (m.experts / m.expert_groups) >= m.top_k;
  };
  if (m.expert_groups > 0 && m.kept_groups > 0 && !fits())
    diagnostics.error(
        "E0228", root.find("n_group").where(),
        fmt::format("{} of {} groups of experts must hold the {} experts of a token: there are {} experts",
                    m.kept_groups, m.expert_groups, m.top_k, m.experts),
        {}, "n_group must divide n_routed_experts");
  if (m.expert_groups > 0 && m.kept_groups > 0) return;
  m.expert_groups = 8;
  m.kept_groups = 4;
  if (!fits()) m.expert_groups = m.kept_groups = 1;
}

}  // namespace

ParameterCounts count_parameters(const Model& m) {
  ParameterCounts c{};
  // wq_b, wk, LayerNorm with bias, weights_proj.
  if (m.sparse())
    c.indexer_layer = m.q_rank * m.index_heads * m.index_width + m.hidden * m.index_width + 2 * m.index_width +
                      m.hidden * m.index_heads;
  c.attention_layer = m.hidden * m.q_rank + m.q_rank + m.q_rank * m.heads * m.qk_width() + m.hidden * m.cache_width() +
                      m.kv_rank + m.kv_rank * m.heads * (m.nope + m.value) + m.heads * m.value * m.hidden;
  c.dense_mlp = 3 * m.hidden * m.dense_width;
  c.gate = m.experts * m.hidden + m.experts;
  c.expert = 3 * m.hidden * m.expert_width;
  c.shared_expert = c.expert * m.shared_experts;
  c.moe_layer = c.gate + c.shared_expert + m.experts * c.expert;
  c.embedding = c.lm_head = m.vocabulary * m.hidden;
  const std::int64_t norms = 2 * m.hidden;
  c.main = m.layers * (c.attention_layer + c.indexer_layer + norms) + m.dense_layers * c.dense_mlp +
           m.moe_layers() * c.moe_layer + c.embedding + m.hidden + c.lm_head;
  c.active = c.main - m.moe_layers() * (m.experts - m.top_k) * c.expert;
  // eh_proj joins the embedding and the hidden state; enorm, hnorm and shared_head.norm beside the layer's own two
  // norms.
  c.mtp_unique = c.attention_layer + c.indexer_layer + norms + c.moe_layer + 2 * m.hidden * m.hidden + 3 * m.hidden;
  c.checkpoint = c.main + m.mtp_layers * (c.mtp_unique + c.embedding + c.lm_head);
  return c;
}

PrefillFlops prefill_flops(const Model& m, std::int64_t tokens) {
  const ParameterCounts c = count_parameters(m);
  const std::int64_t pairs = tokens * (tokens + 1) / 2;
  const std::int64_t kv_b = m.kv_rank * m.heads * (m.nope + m.value);
  const std::int64_t linear = c.attention_layer - m.q_rank - m.kv_rank - kv_b;  // without the two norms
  // The first top-k queries see fewer keys than they could select.
  const std::int64_t full = std::min(tokens, m.index_top_k);
  const std::int64_t selected = full * (full + 1) / 2 + (tokens - full) * m.index_top_k;
  return {
      .attention_core = Flops(m.sparse() ? 2 * m.layers * m.heads * (m.cache_width() + m.kv_rank) * selected
                                         : 2 * m.layers * m.heads * (m.qk_width() + m.value) * pairs),
      .attention_linear = Flops(2 * tokens * m.layers * linear),
      .kv_b = Flops(2 * tokens * m.layers * kv_b),
      .dense = Flops(2 * tokens * m.dense_layers * c.dense_mlp),
      .routed = Flops(2 * tokens * m.moe_layers() * m.top_k * c.expert),
      .shared = Flops(2 * tokens * m.moe_layers() * c.shared_expert),
      .gate = Flops(2 * tokens * m.moe_layers() * m.experts * m.hidden),
      .head = Flops(2 * m.hidden * m.vocabulary),
      .index_scores = Flops(2 * m.layers * m.index_heads * m.index_width * pairs),
      .index_linear = Flops(2 * tokens * m.layers * std::max<std::int64_t>(0, c.indexer_layer - 2 * m.index_width))};
}

Flops PrefillFlops::total() const {
  return attention_core + attention_linear + kv_b + dense + routed + shared + gate + head + index_scores + index_linear;
}

namespace {

// R1 and V3.1 have the shapes of V3 under another name. One step only, so that files cannot name each other in a
// circle.
Model read_model(const std::string& path, bool is_base, Diagnostics& diagnostics) {
  Model model;
  model.origin = path;
  const auto document = Document::load(path, diagnostics);
  if (!document) return model;
  ConfigNode root = document->root();
  if (const ConfigNode same = root.find("same_shape_as")) {
    if (is_base) {
      diagnostics.error("E0227", same.where(), "same_shape_as must name a file that has shapes of its own");
      return model;
    }
    const auto base = same.as_string(diagnostics);
    if (!base) return model;
    model = read_model((std::filesystem::path(path).parent_path() / (*base + ".yaml")).string(), true, diagnostics);
  } else {
    const std::size_t before = diagnostics.all().size();
    for (const Field& field : kFields) read_field(root, field, model, diagnostics);
    model.dtype = read_dtype(root, diagnostics);
    if (diagnostics.all().size() == before) check_model(root, model, diagnostics);
    if (diagnostics.all().size() == before) read_router(root, model, diagnostics);
  }
  if (const ConfigNode name = root.find("name")) model.name = name.as_string(diagnostics).value_or("");
  if (model.name.empty()) model.name = std::filesystem::path(path).parent_path().filename().string();
  return model;
}

}  // namespace

Model read_model(const std::string& path, Diagnostics& diagnostics) { return read_model(path, false, diagnostics); }

ModelLibrary::ModelLibrary(std::string folder) : folder_(std::move(folder)) {}

std::vector<std::string> ModelLibrary::names() const { return document_names(folder_); }

Model ModelLibrary::load(std::string_view name, const SourceLocation& where, Diagnostics& diagnostics) const {
  const auto known = names();
  for (const std::string& stem : known)
    if (canonical(stem) == canonical(without_date(name)))
      return read_model(folder_ + "/" + stem + ".yaml", diagnostics);
  std::vector<std::string_view> views(known.begin(), known.end());
  const std::string_view near = nearest(name, views);
  diagnostics.error("E0220", where, fmt::format("unknown model '{}'", name),
                    fmt::format("known models: {}", fmt::join(known, ", ")),
                    near.empty() ? "name one of them, or the path of a HuggingFace config.json, with --model"
                                 : fmt::format("did you mean '{}'?", near));
  return {};
}

std::string ModelLibrary::proper_name(std::string_view name) const {
  for (const std::string& stem : names())
    if (canonical(stem) == canonical(name)) {
      Diagnostics ignored;
      return read_model(folder_ + "/" + stem + ".yaml", ignored).name;
    }
  return std::string(name);
}

}  // namespace ascendsim
