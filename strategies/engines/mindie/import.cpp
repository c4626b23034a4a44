#include "strategies/engines/mindie/import.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "strategies/engines/launch/weight_names.h"
#include "strategies/engines/mindie/keys.h"

namespace ascendsim {

namespace {

constexpr const char* kSource = "Ascend/MindIE-LLM documentation, Configuration Parameters (Service-Specific)";

std::string join_path(const std::string& parent, std::string_view key) {
  return parent.empty() ? std::string(key) : parent + "." + std::string(key);
}

std::string shown(ConfigNode node) {
  if (node.is_scalar()) return std::string(node.text());
  if (node.is_sequence()) return fmt::format("[{} entries]", node.size());
  if (node.is_map()) return fmt::format("{{{} keys}}", node.size());
  return "null";
}

// One section of the file against its key table; hands out the values that are used.
class Keys {
 public:
  Keys(Import& import, Diagnostics& diagnostics, ConfigNode node, std::string path, std::span<const KeySpec> specs)
      : import_(import), diagnostics_(diagnostics), node_(node), path_(std::move(path)), specs_(specs) {
    if (!node) return;
    if (!node.is_map()) {
      diagnostics.error("E0240", node.where(), fmt::format("{} must be an object", path_.empty() ? "the file" : path_),
                        kSource);
      node_ = {};
      return;
    }
    for (std::size_t i = 0; i < node.size(); ++i) check_key(node.at(i));
  }

  [[nodiscard]] ConfigNode node(std::string_view key) const { return node_.find(key); }
  [[nodiscard]] const std::string& path() const { return path_; }
  // Of the key's value, or of the section that lacks it.
  [[nodiscard]] SourceLocation where(std::string_view key) const {
    return node(key) ? node(key).where() : node_.where();
  }
  [[nodiscard]] bool readable() const { return node_.is_map(); }

  std::optional<std::int64_t> integer(std::string_view key) { return read<std::int64_t>(key, &ConfigNode::as_integer); }
  std::optional<bool> boolean(std::string_view key) { return read<bool>(key, &ConfigNode::as_bool); }
  std::optional<std::string> text(std::string_view key) { return read<std::string>(key, &ConfigNode::as_string); }

  // The value, or `fallback` as a printed assumption.
  std::int64_t integer_or(std::string_view key, std::int64_t fallback, std::string_view why) {
    if (const auto v = integer(key)) return *v;
    if (!node(key)) assume(key, fmt::to_string(fallback), why);
    return fallback;
  }
  void assume(std::string_view key, const std::string& value, std::string_view why) {
    diagnostics_.note("A0100", node_.where(), fmt::format("{} is not set: {} assumed ({})", key, value, why));
    import_.keys.push_back({join_path(path_, key), value, KeyUse::kAssumed, std::string(why)});
    import_.question.deployment.origins[std::string(key)] = {node_.where(), true};
  }

 private:
  template <class T>
  std::optional<T> read(std::string_view key, std::optional<T> (ConfigNode::*as)(Diagnostics&) const) {
    const ConfigNode n = node(key);
    if (!n) return std::nullopt;
    Diagnostics already_said;  // check_key() reported a wrong type or range
    const std::optional<T> value = (n.*as)(already_said);
    import_.question.deployment.origins[std::string(key)] = {n.where(), false};
    return bad(key) ? std::nullopt : value;
  }
  [[nodiscard]] bool bad(std::string_view key) const { return std::ranges::find(bad_, key) != bad_.end(); }

  void check_key(ConfigNode child) {
    const auto spec = std::ranges::find(specs_, child.key(), &KeySpec::key);
    KeyReport report{join_path(path_, child.key()), shown(child), KeyUse::kUnknown, {}};
    if (spec == specs_.end()) {
      std::vector<std::string_view> known;
      for (const KeySpec& s : specs_) known.push_back(s.key);
      const std::string_view near = nearest(child.key(), known);
      report.remark = near.empty() ? "" : fmt::format("did you mean \"{}\"?", near);
      diagnostics_.warning("W0330", child.key_where(), fmt::format("unknown key \"{}\"", child.key()),
                           "MindIE ignores keys that it does not know without a message",
                           near.empty() ? "remove it" : report.remark);
    } else {
      report.use = spec->use;
      report.remark = spec->remark;
      check_value(child, *spec);
      if (spec->use == KeyUse::kEffectNotModelled)
        diagnostics_.note("A0101", child.key_where(),
                          fmt::format("{} is ignored here although it has an effect in MindIE{}", child.key(),
                                      spec->remark.empty() ? "" : fmt::format(" ({})", spec->remark)));
    }
    import_.keys.push_back(std::move(report));
  }

  void check_value(ConfigNode child, const KeySpec& spec) {
    const std::size_t before = diagnostics_.all().size();
    switch (spec.type) {
      case KeyType::kInteger: {
        const auto value = child.as_integer(diagnostics_);
        if (value && (*value < spec.least || *value > spec.most))
          diagnostics_.error(
              "E0241", child.where(),
              spec.most == INT64_MAX
                  ? fmt::format("{} must be at least {}, got {}", spec.key, spec.least, *value)
                  : fmt::format("{} must be in [{}, {}], got {}", spec.key, spec.least, spec.most, *value),
              kSource);
        break;
      }
      case KeyType::kBool:
        child.as_bool(diagnostics_);
        break;
      case KeyType::kString:
        child.as_string(diagnostics_);
        break;
      case KeyType::kAny:
        break;
    }
    if (diagnostics_.all().size() > before) bad_.emplace_back(spec.key);
  }

  Import& import_;
  Diagnostics& diagnostics_;
  ConfigNode node_;
  std::string path_;
  std::span<const KeySpec> specs_;
  std::vector<std::string> bad_;
};

// Everything that one import needs at hand.
struct Reader {
  const ImportOptions& options;
  const Stack& stack;
  const ModelLibrary& models;
  const QuantisationLibrary& schemes;
  Diagnostics& diagnostics;
  Import import{};

  Deployment& deployment() { return import.question.deployment; }
  Keys keys(ConfigNode node, std::string path, std::span<const KeySpec> specs) {
    return {import, diagnostics, node, std::move(path), specs};
  }

  void read(ConfigNode root);
  void read_model_config(Keys& deploy, bool multi_node);
  void read_layout(Keys& model, bool multi_node);
  void read_deepseek(Keys& model);
  void read_local_tp(Keys& deepseek, Keys& parallel, const char* key, std::int64_t Layout::*member);
  void read_all_to_all_scale(ConfigNode node);
  void read_plugins(Keys& model);
  void read_schedule(ConfigNode node, const std::string& path);
  void read_devices(Keys& backend, bool multi_node);
  void read_role(Keys& server);
  void read_names(Keys& model);
  void read_memory_fraction();
};

void Reader::read_role(Keys& server) {
  const std::string mode = server.text("inferMode").value_or("standard");
  if (mode != "standard" && mode != "dmi")
    diagnostics.error("E0242", server.node("inferMode").where(),
                      fmt::format("inferMode must be standard or dmi, got {}", mode), kSource);
  if (options.role) {
    deployment().role = *options.role;
  } else if (mode == "dmi") {
    deployment().role = Role::kPrefill;
    diagnostics.note(
        "A0102", server.node("inferMode").where(),
        "inferMode dmi (prefill-decode disaggregation): the prefill role is assumed; --role decode for the other");
  }
}

// One set of devices for each instance, as many in each as it has ranks; with several servers nobody looks at them.
void Reader::read_devices(Keys& backend, bool multi_node) {
  constexpr const char* kStart = "MindIE's check of BackendConfig when the service starts";
  const ConfigNode sets = backend.node("npuDeviceIds");
  if (!sets || multi_node) return;
  const auto wrong = [&](ConfigNode at, std::string message, std::string help) {
    diagnostics.error("E0252", at.where(), std::move(message), kStart, std::move(help));
  };
  constexpr const char* kShape = R"("npuDeviceIds": [[0, 1, 2, 3]])";
  if (!sets.is_sequence())
    return wrong(sets, "npuDeviceIds must be a list with a set of devices for each instance", kShape);
  const std::int64_t instances = backend.integer("modelInstanceNumber").value_or(1),
                     world = import.question.declared_world;
  if (static_cast<std::int64_t>(sets.size()) != instances)
    wrong(sets,
          fmt::format("npuDeviceIds has {} sets of devices, modelInstanceNumber is {}: MindIE does not start",
                      sets.size(), instances),
          fmt::format("a set for each instance, or \"modelInstanceNumber\": {}", sets.size()));
  std::vector<std::int64_t> seen;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    const ConfigNode set = sets.at(i);
    if (!set.is_sequence()) return wrong(set, "npuDeviceIds must hold a list of devices for each instance", kShape);
    const auto devices = static_cast<std::int64_t>(set.size());
    if (world > 0 && devices != world)
      wrong(set,
            fmt::format("npuDeviceIds has {} device{} for an instance, worldSize is {}: MindIE does not start", devices,
                        devices == 1 ? "" : "s", world),
            fmt::format("{} devices, or \"worldSize\": {}", world, devices));
    for (std::size_t k = 0; k < set.size(); ++k) {
      const auto device = set.at(k).as_integer(diagnostics);
      if (!device) return;
      if (std::ranges::find(seen, *device) != seen.end())
        return wrong(set.at(k), fmt::format("npuDeviceIds names device {} twice: MindIE does not start", *device),
                     "each device once");
      seen.push_back(*device);
    }
  }
}

void Reader::read_memory_fraction() {
  double& fraction = deployment().memory_fraction;
  fraction = stack.figures.ratio("memory_fraction").count();
  if (options.memory_fraction.empty()) {
    diagnostics.note(
        "A0103", {},
        options.shell_memory_fraction.empty()
            ? fmt::format(
                  "NPU_MEMORY_FRACTION is not set: {} assumed (the engine's default); --env NPU_MEMORY_FRACTION=0.92",
                  fraction)
            : fmt::format("NPU_MEMORY_FRACTION is not set for the engine: {} assumed (its default). Your shell has {}, "
                          "which is not read: use --env NPU_MEMORY_FRACTION={}",
                          fraction, options.shell_memory_fraction, options.shell_memory_fraction));
    return;
  }
  fraction = parse_memory_fraction(options.memory_fraction, diagnostics).value_or(fraction);
}

// "DeepSeek-R1_w8a8" -> model DeepSeek-R1, scheme w8a8. The weight folder's name stands in for a missing model name.
void Reader::read_names(Keys& model) {
  const std::string name = model.text("modelName").value_or("");
  const std::string weights = model.text("modelWeightPath").value_or("");
  const std::filesystem::path folder(weights);
  const std::string folder_name = (folder.has_filename() ? folder : folder.parent_path()).filename().string();

  std::error_code ignored;
  const std::string config = weights.empty() ? "" : (folder / "config.json").string();
  const bool has_config = !config.empty() && std::filesystem::is_regular_file(config, ignored);
  Deployment& d = deployment();

  // The scheme: asked for, or a word of the names.
  const std::string from = name.empty() ? folder_name : name;
  const auto known = schemes.names();
  const auto [base, named_scheme] = split_weight_name(from, known);
  std::string scheme = options.quantisation;
  if (scheme.empty() && !named_scheme.empty()) {
    scheme = named_scheme;
    diagnostics.note("A0104", model.node("modelName").where(),
                     fmt::format("quantisation {} is taken from the name '{}'", scheme, from));
  }
  const bool unknown = !scheme.empty() && std::ranges::find(known, scheme) == known.end();
  if (scheme.empty()) {
    scheme = "float";
    diagnostics.note(
        "A0104", model.node("modelName").where(),
        fmt::format("no quantisation in the name '{}': 16-bit weights assumed; --quantisation w8a8 says otherwise",
                    from));
  } else if (unknown) {
    std::vector<std::string_view> views(known.begin(), known.end());
    diagnostics.error("E0244", {}, fmt::format("unknown quantisation '{}'", scheme), {},
                      fmt::format("one of: {}", fmt::join(known, ", ")));
    scheme = "float";
  }

  if (!options.model.empty() && std::filesystem::exists(options.model, ignored)) {
    d.model = read_model(options.model, diagnostics);
  } else if (!options.model.empty()) {
    d.model = models.load(options.model, {}, diagnostics);
  } else if (has_config) {
    d.model = read_model(config, diagnostics);
    d.model.name = models.proper_name(base);
  } else if (base.empty()) {
    diagnostics.error("E0245", model.where("modelName"), "neither modelName nor modelWeightPath names a model", kSource,
                      "--model DeepSeek-R1, or the path of a HuggingFace config.json");
  } else {
    d.model = models.load(base, model.node("modelName").where(), diagnostics);
    diagnostics.note("A0105", model.node("modelName").where(),
                     fmt::format("model {} is taken from the name '{}'", d.model.name, from));
  }

  if (d.model.dtype) {
    d.dtype = *d.model.dtype;
    SourceLocation file;
    file.file = d.model.origin;
    d.origins["dtype"] = {file, false};
  } else {
    d.dtype = Dtype::kFp16;
    diagnostics.note("A0106", {}, "dtype float16 is assumed: no config.json of the weight folder says otherwise");
  }
  d.quantisation = schemes.load(scheme, d.dtype, diagnostics);
  if (unknown) d.quantisation.name.clear();  // rules about schemes have nothing to say
}

void Reader::read_layout(Keys& model, bool multi_node) {
  Layout& l = deployment().layout;
  const auto written = model.integer("worldSize");
  if (written && !multi_node) import.question.declared_world = *written;
  const std::int64_t world = import.question.declared_world;
  const auto value = [&](const char* key) { return model.integer(key).value_or(1); };
  l.cp = value("cp");
  const std::int64_t known_dp = value("dp"), product = std::max<std::int64_t>(1, known_dp * l.cp);
  l.tp = model.integer_or("tp", world > 0 ? std::max<std::int64_t>(1, world / product) : 1, "worldSize / (dp x cp)");
  l.cp = model.integer_or("cp", 1, "context parallelism off");
  l.dp =
      model.integer_or("dp", world > 0 ? std::max<std::int64_t>(1, world / std::max<std::int64_t>(1, l.tp * l.cp)) : 1,
                       "worldSize / (cp x tp)");
  l.sp = model.integer_or("sp", 1, "sequence parallelism off");
  if (multi_node)
    diagnostics.note(
        "A0107", model.node("worldSize").where(),
        fmt::format("multiNodesInferEnabled: worldSize is not valid, dp x cp x tp = {} ranks are taken", l.world()));
  if (!written && !multi_node) {
    import.question.declared_world = l.world();
    model.assume("worldSize", fmt::to_string(l.world()), "dp x cp x tp");
  }
  const std::int64_t ranks = import.question.declared_world > 0 ? import.question.declared_world : l.world();
  const auto moe_ep = model.integer("moe_ep"), moe_tp = model.integer("moe_tp");
  l.moe_ep = moe_ep ? *moe_ep
                    : model.integer_or("moe_ep", moe_tp ? std::max<std::int64_t>(1, ranks / *moe_tp) : 1,
                                       moe_tp ? "worldSize / moe_tp" : "no expert parallelism");
  l.moe_tp =
      moe_tp ? *moe_tp : model.integer_or("moe_tp", std::max<std::int64_t>(1, ranks / l.moe_ep), "worldSize / moe_ep");
  if (model.integer("pp").value_or(1) > 1)
    diagnostics.error("E0246", model.node("pp").where(), "pipeline parallelism (pp > 1) is not modelled", {},
                      "remove pp");
}

void Reader::read_local_tp(Keys& deepseek, Keys& parallel, const char* key, std::int64_t Layout::*member) {
  // The parallelism page puts both under parallel_options, the tuning guide directly under deepseekv2.
  auto v = parallel.integer(key);
  if (!v) v = deepseek.integer(key);
  if (v) deployment().layout.*member = *v;
}

void Reader::read_all_to_all_scale(ConfigNode node) {
  if (!node) return;
  const auto wrong = [&](ConfigNode n) {
    diagnostics.error("E0247", n.where(),
                      "alltoall_ep_buffer_scale_factors must be [[tokens, factor], ...] in descending order of tokens",
                      kSource);
  };
  if (!node.is_sequence()) return wrong(node);
  for (std::size_t i = 0; i < node.size(); ++i) {
    const ConfigNode entry = node.at(i);
    if (!entry.is_sequence() || entry.size() != 2) return wrong(entry);
    const auto tokens = entry.at(0).as_integer(diagnostics);
    const auto factor = entry.at(1).as_number(diagnostics);
    if (!tokens || !factor) return;
    auto& table = deployment().all_to_all_scale;
    if (*tokens < 0 || *factor <= 0 || (!table.empty() && *tokens >= table.back().first)) return wrong(entry);
    table.emplace_back(*tokens, *factor);
  }
}

void Reader::read_deepseek(Keys& model) {
  Deployment& d = deployment();
  const ConfigNode models_node = model.node("models");
  const ConfigNode node = models_node.find("deepseekv2");
  static constexpr KeySpec kModels[] = {{"deepseekv2", KeyUse::kUsed}};
  keys(models_node, model.path() + ".models", kModels);
  const std::string path = model.path() + ".models.deepseekv2";
  const MindieSections& sections = mindie_sections();
  Keys deepseek = keys(node, path, sections.deepseek);
  Keys parallel = keys(node.find("parallel_options"), path + ".parallel_options", sections.parallel);
  const char* const kv = node.find("kv_cache_options") ? "kv_cache_options" : "kv_cache_option";
  Keys kv_cache = keys(node.find(kv), path + "." + kv, sections.kv_cache);

  const auto level = deepseek.integer("ep_level");
  if (!level && d.layout.moe_ep > 1) deepseek.assume("ep_level", "1", "all-gather expert parallelism");
  d.layout.ep_level = level.value_or(1);
  d.init_routing_cutoff = deepseek.boolean("enable_init_routing_cutoff").value_or(false);
  if (const ConfigNode n = deepseek.node("topk_scaling_factor")) {
    d.topk_scaling_factor = n.as_number(diagnostics).value_or(1);
    if (!(d.topk_scaling_factor > 0 && d.topk_scaling_factor <= 1)) {
      diagnostics.error("E0241", n.where(), fmt::format("topk_scaling_factor must be in (0, 1], got {}", n.text()),
                        kSource);
      d.topk_scaling_factor = 1;
    }
  }
  read_all_to_all_scale(deepseek.node("alltoall_ep_buffer_scale_factors"));
  read_local_tp(deepseek, parallel, "lm_head_local_tp", &Layout::lm_head_local_tp);
  read_local_tp(deepseek, parallel, "o_proj_local_tp", &Layout::o_proj_local_tp);
  d.features.kv_nz = kv_cache.boolean("enable_nz").value_or(false);
}

void Reader::read_plugins(Keys& model) {
  ConfigNode node = model.node("plugin_params");
  std::shared_ptr<const Document> inner;  // MindIE writes a JSON object inside a string
  if (node.is_sequence() || (node.is_scalar() && !node.text().empty())) {
    Diagnostics inside;
    if (node.is_scalar()) inner = Document::parse(std::string(node.text()), "plugin_params", inside);
    if (!inner || !inner->root().is_map()) {
      diagnostics.error("E0248", node.where(), "plugin_params must be a JSON object, or a string that holds one",
                        kSource, R"("plugin_params": "{\"plugin_type\":\"mtp\",\"num_speculative_tokens\":1}")");
      return;
    }
  }
  const ConfigNode object = inner ? inner->root() : node.is_map() ? node : ConfigNode();
  Diagnostics found;
  Keys plugin(import, found, object, model.path() + ".plugin_params", mindie_sections().plugin);
  const std::string types = plugin.text("plugin_type").value_or("");
  Features& features = deployment().features;
  for (std::size_t at = 0; at < types.size();) {
    const std::size_t comma = std::min(types.find(',', at), types.size());
    std::string type = types.substr(at, comma - at);
    std::erase(type, ' ');
    at = comma + 1;
    if (type == "mtp") {
      features.speculative_tokens = plugin.integer("num_speculative_tokens").value_or(1);
    } else if (type == "prefix_cache") {
      features.prefix_cache = true;
    } else if (type == "splitfuse") {
      features.splitfuse = true;
    } else if (type == "la" || type == "memory_decoding") {
      found.warning("W0331", {}, fmt::format("plugin {} is not modelled", type));
    } else if (!type.empty()) {
      static constexpr std::string_view kTypes[] = {"mtp", "prefix_cache", "splitfuse", "la", "memory_decoding"};
      const std::string_view near = nearest(type, kTypes);
      found.error("E0249", {}, fmt::format("unknown plugin_type '{}'", type),
                  "MindIE knows mtp, prefix_cache, splitfuse, la, memory_decoding",
                  near.empty() ? "" : fmt::format("did you mean '{}'?", near));
    }
  }
  // Places inside the string are places of the string.
  for (Diagnostic d : found.all()) {
    if (inner || d.where.line == 0) d.where = node.where();
    diagnostics.add(std::move(d));
  }
  deployment().origins["plugin_params"] = {node.where(), !node};
}

void Reader::read_schedule(ConfigNode node, const std::string& path) {
  Keys schedule = keys(node, path, mindie_sections().schedule);
  Limits& limits = deployment().limits;
  constexpr const char* kDefault = "MindIE's default";
  limits.block_tokens = schedule.integer_or("cacheBlockSize", 128, kDefault);
  if (limits.block_tokens % 16 != 0)
    diagnostics.error("E0241", schedule.node("cacheBlockSize").where(),
                      fmt::format("cacheBlockSize must be a multiple of 16, got {}", limits.block_tokens), kSource);
  limits.max_prefill_tokens =
      schedule.integer_or("maxPrefillTokens", std::max<std::int64_t>(8192, limits.max_input_tokens), kDefault);
  limits.max_batch = schedule.integer_or("maxBatchSize", 200, kDefault);
  limits.max_prefill_batch =
      schedule.integer_or("maxPrefillBatchSize", std::min<std::int64_t>(50, limits.max_batch), kDefault);
  if (limits.max_prefill_batch == 0) limits.max_prefill_batch = limits.max_batch;  // documented meaning of 0
  schedule.integer("maxIterTimes");
  if (schedule.text("templateType").value_or("Standard") == "Mix") {
    deployment().features.splitfuse = true;
    deployment().origins["plugin_params"] = {schedule.node("templateType").where(), false};
  }
}

void Reader::read_model_config(Keys& deploy, bool multi_node) {
  Limits& limits = deployment().limits;
  constexpr const char* kDefault = "MindIE's default";
  limits.max_seq_len = deploy.integer_or("maxSeqLen", 2560, kDefault);
  limits.max_input_tokens = deploy.integer_or("maxInputTokenLen", 2048, kDefault);

  const ConfigNode list = deploy.node("ModelConfig");
  ConfigNode first = list.is_sequence() && list.size() > 0 ? list.at(0) : list;
  if (!first.is_map()) {
    diagnostics.error("E0250", deploy.where("ModelConfig"), "ModelDeployConfig needs a ModelConfig with one model",
                      kSource, R"("ModelConfig": [ { "modelName": "DeepSeek-R1_w8a8", "worldSize": 16, ... } ])");
    return;
  }
  if (list.is_sequence() && list.size() > 1)
    diagnostics.warning("W0332", list.at(1).where(), "only the first entry of ModelConfig is simulated");
  Keys model = keys(first, deploy.path() + ".ModelConfig[0]", mindie_sections().model);
  read_names(model);
  read_layout(model, multi_node);
  read_deepseek(model);
  read_plugins(model);
  const std::int64_t gigabytes = model.integer("npuMemSize").value_or(-1);
  if (gigabytes == 0)
    diagnostics.error("E0241", model.node("npuMemSize").where(),
                      "npuMemSize must be -1 or a positive number of GB, got 0", kSource);
  if (gigabytes > 0) deployment().kv_memory = Bytes(gigabytes << 30);
}

void Reader::read(ConfigNode root) {
  const MindieSections& sections = mindie_sections();
  Keys top = keys(root, "", sections.top);
  Keys server = keys(top.node("ServerConfig"), "ServerConfig", sections.server);
  const bool whole = static_cast<bool>(top.node("BackendConfig"));
  Keys backend = keys(top.node("BackendConfig"), "BackendConfig", sections.backend);
  const std::string prefix = whole ? "BackendConfig." : "";
  const ConfigNode deploy_node = whole ? backend.node("ModelDeployConfig") : top.node("ModelDeployConfig");
  if (root.is_map() && !deploy_node) {
    diagnostics.error("E0251", root.where(), "this is not a MindIE config.json: it has no ModelDeployConfig", kSource,
                      "give the Server's conf/config.json, or its ModelDeployConfig part");
    return;
  }
  Keys deploy = keys(deploy_node, prefix + "ModelDeployConfig", sections.deploy);
  if (!deploy.readable()) return;
  read_role(server);
  read_memory_fraction();
  const auto multi_node = backend.boolean("multiNodesInferEnabled");
  read_model_config(deploy, multi_node.value_or(false));
  read_devices(backend, multi_node.value_or(false));
  deployment().one_server = multi_node == false;
  read_schedule(whole ? backend.node("ScheduleConfig") : top.node("ScheduleConfig"), prefix + "ScheduleConfig");
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return text;
}

// MindIE's keys are the aliases of fields, or stand for several of them: places are known by path as well. Names of
// what was loaded are those of data files.
void name_by_path(Question& q) {
  q.imported = true;
  Deployment& d = q.deployment;
  q.stack = d.engine_name.empty() ? "" : fmt::format("{}-{}", d.engine_name, d.engine_version);
  // A model that was read from a config.json is known by that file's path only.
  q.model = d.model.dtype ? d.model.origin : d.model.name;
  q.quantisation = lower(d.quantisation.name == "16-bit" ? "float" : d.quantisation.name);
  static constexpr std::pair<std::string_view, std::string_view> kWrittenElsewhere[] = {
      {"quantisation", "modelName"},
      {"role", "inferMode"},
      {"features.prefix_cache", "plugin_params"},
      {"features.splitfuse", "plugin_params"}};
  for (const Field& f : question_fields())
    if (const auto at = d.origins.find(f.alias); at != d.origins.end()) d.origins[std::string(f.path)] = at->second;
  for (const auto& [path, key] : kWrittenElsewhere)
    if (const auto at = d.origins.find(key); at != d.origins.end()) d.origins[std::string(path)] = at->second;
  if (q.declared_world == 0)
    d.origins["world_size"].assumed = true;  // MindIE does not read it with multiNodesInferEnabled
}

}  // namespace

Import import_mindie(const Document& document, const ImportOptions& options, const Stack& stack,
                     const ModelLibrary& models, const QuantisationLibrary& schemes, Diagnostics& diagnostics) {
  Reader reader{options, stack, models, schemes, diagnostics};
  Deployment& d = reader.deployment();
  d.set_engine(stack.engine, stack.version);
  d.file = document.name();
  reader.read(document.root());
  name_by_path(reader.import.question);
  return std::move(reader.import);
}

Import import_mindie(const std::string& path, const ImportOptions& options, const Stack& stack,
                     const ModelLibrary& models, const QuantisationLibrary& schemes, Diagnostics& diagnostics) {
  const auto document = Document::load(path, diagnostics);
  return document ? import_mindie(*document, options, stack, models, schemes, diagnostics) : Import{};
}

}  // namespace ascendsim
