#include "strategies/question.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace ascendsim {

namespace {

constexpr std::string_view kRoles[] = {"hybrid", "prefill", "decode"};
constexpr std::string_view kDtypes[] = {"float16", "bfloat16"};
constexpr std::string_view kExchanges[] = {"all-gather", "all-to-all-padded", "all-to-all"};
constexpr std::string_view kKvDtypes[] = {"16bit", "int8"};
constexpr std::string_view kPrefillAttention[] = {"tensor-parallel", "token-split"};
constexpr double kMaxRanks = 1 << 20, kMaxTokens = 1 << 24, kMaxBatch = 1 << 20;

// Where a field is kept. The template keeps the table below to a line a field.
template <auto Member>
auto& in_question(Question& q) { return q.*Member; }
template <auto Member>
auto& in_deployment(Question& q) { return q.deployment.*Member; }
template <auto Member>
auto& in_layout(Question& q) { return q.deployment.layout.*Member; }
template <auto Member>
auto& in_limits(Question& q) { return q.deployment.limits.*Member; }
template <auto Member>
auto& in_features(Question& q) { return q.deployment.features.*Member; }
template <auto Member>
auto& in_experts(Question& q) { return q.deployment.experts.*Member; }
template <auto Member>
auto& in_hardware(Question& q) { return q.hardware.*Member; }
template <auto Member>
auto& in_workload(Question& q) { return q.workload.*Member; }

// Sources of the meanings: docs/deployment-file.md.
constexpr Field kFields[] = {
    {"stack", "", "software stack: engine and version in strategies/stacks", in_question<&Question::stack>},
    {"model", "modelName", "model of the library, or the path of a HuggingFace config.json", in_question<&Question::model>},
    {"quantisation", "", "weight scheme in workloads/quantisation: w8a8, w4a8, float", in_question<&Question::quantisation>},
    {"dtype", "torch_dtype", "16-bit type of activations and of what is not quantised", in_question<&Question::dtype>, 0, 0, kDtypes},
    {"role", "", "hybrid does both phases; prefill or decode: one side of a disaggregated pair", in_question<&Question::role>, 0, 0, kRoles},
    {"world_size", "worldSize", "ranks of the instance, 0 = dp x cp x tp", in_question<&Question::declared_world>, 0, kMaxRanks},
    {"layout.dp", "dp", "attention data parallelism: groups with requests of their own", in_layout<&Layout::dp>, 1, kMaxRanks},
    {"layout.cp", "cp", "context parallelism: prompts cut into zigzag chunks", in_layout<&Layout::cp>, 1, kMaxRanks},
    {"layout.sp", "sp", "sequence parallelism: KV cache cut over the TP group", in_layout<&Layout::sp>, 1, kMaxRanks},
    {"layout.tp", "tp", "tensor parallelism of attention and dense layers", in_layout<&Layout::tp>, 1, kMaxRanks},
    {"layout.moe_ep", "moe_ep", "expert parallelism: ranks that share the experts", in_layout<&Layout::moe_ep>, 1, kMaxRanks},
    {"layout.moe_tp", "moe_tp", "tensor parallelism inside an expert", in_layout<&Layout::moe_tp>, 1, kMaxRanks},
    {"layout.o_proj_tp", "o_proj_local_tp", "local group of o_proj with tp 1, -1 = off", in_layout<&Layout::o_proj_local_tp>, -1, kMaxRanks},
    {"layout.lm_head_tp", "lm_head_local_tp", "local group of the LM head, -1 = cut over the world", in_layout<&Layout::lm_head_local_tp>, -1, kMaxRanks},
    {"experts.exchange", "", "how rows reach experts: all-gather (MindIE ep_level 1), all-to-all-padded (ep_level 2), all-to-all (real counts)", in_question<&Question::exchange>, 0, 0, kExchanges},
    {"experts.redundant", "", "replicas of experts over all moe_ep ranks together", in_experts<&ExpertOptions::redundant>, 0, kMaxRanks},
    {"experts.init_routing_cutoff", "enable_init_routing_cutoff", "all-gather: allocate only topk_scaling_factor of the routed rows", in_deployment<&Deployment::init_routing_cutoff>},
    {"experts.topk_scaling_factor", "topk_scaling_factor", "share of the routed rows that is allocated", in_deployment<&Deployment::topk_scaling_factor>, 0, 1},
    {"prefill.attention", "", "token-split: tokens outside attention, heads inside (cann-recipes SP-TP-SP)", in_question<&Question::prefill_attention>, 0, 0, kPrefillAttention},
    {"micro_batches", "", "2 = halves of a step's requests overlap on two lanes of streams", in_deployment<&Deployment::micro_batches>, 1, 2},
    {"kv_cache.dtype", "", "int8 = latent in int8, rope key in 16 bit (C8)", in_question<&Question::kv_dtype>, 0, 0, kKvDtypes},
    {"kv_cache.block_tokens", "cacheBlockSize", "tokens of a KV block", in_limits<&Limits::block_tokens>, 1, 4096},
    {"kv_cache.memory", "npuMemSize", "KV memory per rank fixed by hand", in_deployment<&Deployment::kv_memory>},
    {"limits.max_seq_len", "maxSeqLen", "prompt and output together", in_limits<&Limits::max_seq_len>, 1, kMaxTokens},
    {"limits.max_input_tokens", "maxInputTokenLen", "longest prompt", in_limits<&Limits::max_input_tokens>, 1, kMaxTokens},
    {"limits.max_prefill_tokens", "maxPrefillTokens", "tokens of a prefill step per DP group", in_limits<&Limits::max_prefill_tokens>, 1, kMaxTokens},
    {"limits.max_prefill_batch", "maxPrefillBatchSize", "prompts of a prefill step per DP group", in_limits<&Limits::max_prefill_batch>, 1, kMaxBatch},
    {"limits.max_batch", "maxBatchSize", "requests of a decode step per DP group", in_limits<&Limits::max_batch>, 1, kMaxBatch},
    {"memory_fraction", "NPU_MEMORY_FRACTION", "share of the driver's memory for weights, KV cache, activations and buffers", in_deployment<&Deployment::memory_fraction>, 0, 1},
    {"features.speculative_tokens", "num_speculative_tokens", "MTP: draft tokens of a decode step", in_features<&Features::speculative_tokens>, 0, 16},
    {"features.prefix_cache", "", "prefix cache switched on", in_features<&Features::prefix_cache>},
    {"features.splitfuse", "", "chunked prefill mixed with decode", in_features<&Features::splitfuse>},
    {"features.kv_nz", "enable_nz", "NZ layout of the KV cache", in_features<&Features::kv_nz>},
    {"features.async_scheduling", "MINDIE_ASYNC_SCHEDULING_ENABLE", "the next step is scheduled while one runs", in_features<&Features::async_scheduling>},
    {"hardware.server", "", "server type of the catalogue", in_hardware<&HardwareChoice::server>},
    {"hardware.die", "", "bin of the die, empty = the server's usual one", in_hardware<&HardwareChoice::die>},
    {"hardware.servers", "", "servers, 0 = as many as the ranks need", in_hardware<&HardwareChoice::servers>, 0, 4096},
    {"workload.input_tokens", "", "tokens of a prompt", in_workload<&Workload::input_tokens>, 1, kMaxTokens},
    {"workload.output_tokens", "", "tokens generated for a request", in_workload<&Workload::output_tokens>, 1, kMaxTokens},
    {"workload.batch", "", "requests side by side", in_workload<&Workload::batch>, 1, kMaxBatch},
    {"workload.prefix_hit", "", "tokens of every prompt in the prefix cache", in_workload<&Workload::prefix_hit>, 0, kMaxTokens},
    {"workload.acceptance", "", "MTP: acceptance of draft i given that the ones before it were accepted", in_workload<&Workload::acceptance>, 0, 1},
};

[[nodiscard]] bool limited(const Field& f) { return f.least != f.most; }

// The fallback keeps its place in the file: "a.b" stands in map a under key b.
std::string_view section_of(std::string_view path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
}
std::string_view key_of(std::string_view path) { return path.substr(path.rfind('.') + 1); }

std::string number_text(double v) { return fmt::format("{}", v); }

// Reads one value into its field.
class Reading {
 public:
  Reading(const Field& field, ConfigNode node, Question& question, Diagnostics& diagnostics)
      : field_(field), node_(node), question_(question), diagnostics_(diagnostics) {}

  void operator()(std::int64_t& (*access)(Question&)) const {
    const auto v = token_count();
    if (v && in_range(static_cast<double>(*v))) access(question_) = *v;
  }
  void operator()(double& (*access)(Question&)) const {
    const auto v = node_.as_number(diagnostics_);
    if (v && in_range(*v)) access(question_) = *v;
  }
  void operator()(bool& (*access)(Question&)) const {
    if (const auto v = node_.as_bool(diagnostics_)) access(question_) = *v;
  }
  void operator()(std::string& (*access)(Question&)) const {
    const auto v = node_.as_string(diagnostics_);
    if (!v || !among_choices(*v)) return;
    access(question_) = *v;
  }
  void operator()(std::vector<double>& (*access)(Question&)) const {
    if (!node_.is_sequence()) {
      diagnostics_.error("E0360", node_.where(), fmt::format("{} must be a list of numbers", field_.path), {}, "for example [0.9, 0.7]");
      return;
    }
    std::vector<double> values;
    for (std::size_t i = 0; i < node_.size(); ++i) {
      const auto v = node_.at(i).as_number(diagnostics_);
      if (!v || !in_range(*v)) return;
      values.push_back(*v);
    }
    access(question_) = std::move(values);
  }
  void operator()(std::optional<Bytes>& (*access)(Question&)) const {
    if (node_.kind() == ConfigNode::Kind::kNull) return;
    if (const auto v = node_.as_quantity<Bytes>(diagnostics_)) access(question_) = *v;
  }

 private:
  // Token counts may be written as 64K; everything else is a plain integer.
  [[nodiscard]] std::optional<std::int64_t> token_count() const {
    const bool tokens = field_.path.find("token") != std::string_view::npos || field_.path.find("seq_len") != std::string_view::npos;
    if (tokens && node_.is_scalar() && !node_.text().empty() && node_.text().find_first_of("kKmM") != std::string_view::npos)
      if (const auto v = parse_token_count(node_.text())) return v;
    return node_.as_integer(diagnostics_);
  }
  [[nodiscard]] bool in_range(double v) const {
    if (!limited(field_) || (v >= field_.least && v <= field_.most)) return true;
    diagnostics_.error("E0361", node_.where(), fmt::format("{} must be in [{}, {}], got {}", field_.path, number_text(field_.least),
                                                           number_text(field_.most), number_text(v)));
    return false;
  }
  [[nodiscard]] bool among_choices(std::string_view v) const {
    if (field_.choices.empty() || std::ranges::find(field_.choices, v) != field_.choices.end()) return true;
    const std::string_view near = nearest(v, field_.choices);
    diagnostics_.error("E0362", node_.where(), fmt::format("unknown {} '{}'", field_.path, v),
                       fmt::format("one of: {}", fmt::join(field_.choices, ", ")),
                       near.empty() ? "" : fmt::format("did you mean '{}'?", near));
    return false;
  }

  const Field& field_;
  ConfigNode node_;
  Question& question_;
  Diagnostics& diagnostics_;
};

void read_field(const Field& field, ConfigNode node, Question& question, Diagnostics& diagnostics) {
  std::visit(Reading(field, node, question, diagnostics), field.access);
  const Origin origin{node.where(), false};
  question.deployment.origins[std::string(field.path)] = origin;
  if (!field.alias.empty()) question.deployment.origins[std::string(field.alias)] = origin;
}

std::vector<std::string_view> known_paths() {
  std::vector<std::string_view> names;
  for (const Field& f : kFields) names.push_back(f.path);
  return names;
}

// Every value of the file, by path; maps that are no section of ours are unknown keys.
void read_map(ConfigNode map, const std::string& prefix, Question& question, Diagnostics& diagnostics) {
  for (std::size_t i = 0; i < map.size(); ++i) {
    const ConfigNode child = map.at(i);
    const std::string path = prefix.empty() ? std::string(child.key()) : prefix + "." + std::string(child.key());
    const auto field = std::ranges::find(kFields, path, &Field::path);
    const bool section = std::ranges::any_of(kFields, [&](const Field& f) { return section_of(f.path) == path; });
    if (field != std::end(kFields)) {
      read_field(*field, child, question, diagnostics);
    } else if (section && child.is_map()) {
      read_map(child, path, question, diagnostics);
    } else if (path != "ascendsim") {
      const auto known = known_paths();
      const std::string_view near = nearest(path, known);
      diagnostics.error("E0363", child.key_where(), section ? fmt::format("{} must be a map", path) : fmt::format("unknown key '{}'", path),
                        {}, near.empty() || section ? "`ascendsim explain file` lists all keys" : fmt::format("did you mean '{}'?", near));
    }
  }
}

struct Text {
  Question& question;
  std::string operator()(std::int64_t& (*access)(Question&)) const { return fmt::to_string(access(question)); }
  std::string operator()(double& (*access)(Question&)) const { return number_text(access(question)); }
  std::string operator()(bool& (*access)(Question&)) const { return access(question) ? "true" : "false"; }
  std::string operator()(std::string& (*access)(Question&)) const {
    const std::string& v = access(question);
    return v.empty() ? "\"\"" : v;
  }
  std::string operator()(std::vector<double>& (*access)(Question&)) const { return fmt::format("[{}]", fmt::join(access(question), ", ")); }
  std::string operator()(std::optional<Bytes>& (*access)(Question&)) const {
    return access(question) ? fmt::format("{} B", access(question)->count()) : "null";
  }
};

struct SchemaType {
  const Field& field;
  std::string operator()(std::int64_t& (*)(Question&)) const { return R"("type": ["integer", "string"])"; }
  std::string operator()(double& (*)(Question&)) const { return R"("type": "number")" + range(); }
  std::string operator()(bool& (*)(Question&)) const { return R"("type": "boolean")"; }
  std::string operator()(std::string& (*)(Question&)) const {
    return field.choices.empty() ? R"("type": "string")" : fmt::format(R"("enum": ["{}"])", fmt::join(field.choices, R"(", ")"));
  }
  std::string operator()(std::vector<double>& (*)(Question&)) const { return R"("type": "array", "items": {"type": "number"})"; }
  std::string operator()(std::optional<Bytes>& (*)(Question&)) const { return R"("type": ["string", "null"])"; }
  [[nodiscard]] std::string range() const {
    return limited(field) ? fmt::format(R"(, "minimum": {}, "maximum": {})", field.least, field.most) : "";
  }
};

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return text;
}

}  // namespace

std::span<const Field> question_fields() { return kFields; }

const Field* find_field(std::string_view name) {
  const Field* found = nullptr;
  for (const Field& f : kFields) {
    if (f.path == name || (!f.alias.empty() && f.alias == name)) return &f;
    const auto ends = [&](std::string_view known) { return !known.empty() && name.ends_with(known) && name[name.size() - known.size() - 1] == '.'; };
    if (name.size() > f.path.size() && ends(f.path)) found = &f;
    if (name.size() > f.alias.size() && ends(f.alias)) found = &f;
  }
  return found;
}

void read_question(ConfigNode root, Question& question, Diagnostics& diagnostics) {
  if (!root.is_map()) {
    diagnostics.error("E0364", root.where(), "a deployment file is a map of keys", {}, "`ascendsim convert FILE` prints one");
    return;
  }
  read_map(root, "", question, diagnostics);
}

void set_field(std::string_view assignment, Question& question, Diagnostics& diagnostics) {
  const std::size_t equals = assignment.find('=');
  SourceLocation where;
  where.file = fmt::format("--set {}", assignment);
  if (equals == std::string_view::npos || equals == 0) {
    diagnostics.error("E0365", where, "--set needs key.path=value", {}, "--set layout.tp=4");
    return;
  }
  const std::string_view name = assignment.substr(0, equals);
  const Field* field = find_field(name);
  if (field == nullptr) {
    const auto known = known_paths();
    const std::string_view near = nearest(name, known);
    diagnostics.error("E0363", where, fmt::format("unknown key '{}'", name), {},
                      near.empty() ? "`ascendsim explain file` lists all keys" : fmt::format("did you mean '{}'?", near));
    return;
  }
  const auto document = Document::parse(fmt::format("value: {}\n", assignment.substr(equals + 1)), where.file, diagnostics);
  if (document && document->root().find("value")) read_field(*field, document->root().find("value"), question, diagnostics);
}

std::string field_text(const Field& field, const Question& question) {
  // The accessors are shared with reading, hence not const; nothing is written here.
  return std::visit(Text{const_cast<Question&>(question)}, field.access);
}

std::string to_yaml(const Question& question) {
  std::string out = "ascendsim: 1   # version of this format; `ascendsim explain KEY` says more of each key\n";
  std::string_view section;
  for (const Field& f : kFields) {
    const std::string_view now = section_of(f.path);
    if (now != section && !now.empty()) out += fmt::format("{}:\n", now);
    section = now;
    const std::string line = fmt::format("{}{}: {}", now.empty() ? "" : "  ", key_of(f.path), field_text(f, question));
    out += fmt::format("{:<40} # {}\n", line, f.meaning);
  }
  return out;
}

std::string question_schema() {
  std::string out = R"({"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "ascendsim deployment file", "type": "object",
 "additionalProperties": false, "properties": {
  "ascendsim": {"type": "integer"})";
  std::string_view section;
  for (const Field& f : kFields) {
    const std::string_view now = section_of(f.path);
    if (now != section) {
      if (!section.empty()) out += "}}";
      if (!now.empty()) out += fmt::format(",\n  \"{}\": {{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {{\n", now);
      section = now;
      if (now.empty()) out += ",\n";
    } else {
      out += ",\n";
    }
    out += fmt::format(R"(  "{}": {{{}, "description": "{}"}})", key_of(f.path), std::visit(SchemaType{f}, f.access), f.meaning);
  }
  if (!section.empty()) out += "}}";
  return out + "}}\n";
}

Question from_import(const Import& import) {
  Question q;
  q.deployment = import.deployment;
  const Deployment& d = q.deployment;
  q.stack = d.engine;
  q.stack_version = d.engine_version;
  q.model = d.model.name;
  q.quantisation = lower(d.quantisation.name == "16-bit" ? "float" : d.quantisation.name);
  q.dtype = std::string(to_text(d.dtype));
  q.role = kRoles[static_cast<std::size_t>(d.role)];
  q.exchange = d.layout.ep_level == 1 ? "all-gather" : d.experts.exact_all_to_all ? "all-to-all" : "all-to-all-padded";
  q.kv_dtype = d.kv_int8 ? "int8" : "16bit";
  q.prefill_attention = kPrefillAttention[d.token_split_prefill ? 1 : 0];
  q.declared_world = import.declared_world;
  return q;
}

void resolve(Question& q, const ModelLibrary& models, const QuantisationLibrary& schemes, Diagnostics& diagnostics) {
  Deployment& d = q.deployment;
  const auto at = [&](std::string_view path) { return d.origin(path).where; };
  std::error_code ignored;
  if (q.model.empty())
    diagnostics.error("E0366", at("model"), "no model is named", {}, "model: DeepSeek-R1");
  else if (d.model.name != q.model)
    d.model = std::filesystem::is_regular_file(q.model, ignored) ? read_model(q.model, diagnostics) : models.load(q.model, at("model"), diagnostics);
  if (d.model.dtype && d.origin("dtype").assumed) q.dtype = std::string(to_text(*d.model.dtype));
  d.dtype = q.dtype == "bfloat16" ? Dtype::kBf16 : Dtype::kFp16;
  const auto known = schemes.names();
  if (std::ranges::find(known, lower(q.quantisation)) == known.end())
    diagnostics.error("E0244", at("quantisation"), fmt::format("unknown quantisation '{}'", q.quantisation), {}, fmt::format("one of: {}", fmt::join(known, ", ")));
  else
    d.quantisation = schemes.load(lower(q.quantisation), d.dtype, diagnostics);
  d.role = static_cast<Role>(std::ranges::find(kRoles, q.role) - std::begin(kRoles));
  d.layout.ep_level = q.exchange == "all-gather" ? 1 : 2;
  d.experts.exact_all_to_all = q.exchange == "all-to-all";
  d.kv_int8 = q.kv_dtype == "int8";
  d.token_split_prefill = q.prefill_attention == "token-split";
  if (q.declared_world == 0) q.declared_world = d.layout.world();
}

}  // namespace ascendsim
