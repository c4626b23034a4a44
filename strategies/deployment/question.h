// A whole question: deployment, hardware and workload, as one flat list of named fields. One table (question_fields)
// says for every field its path, its type, its range, what it means and where it is kept; reading our own YAML file,
// writing it (convert), --set, --print-config, `explain KEY` and the JSON Schema are all printed from that table.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "sim/config.h"
#include "strategies/deployment/deployment.h"
#include "strategies/engines/mindie/import.h"

namespace ascendsim {

struct HardwareChoice {
  std::string server, die;   // empty: not said; the server's own die
  std::int64_t servers = 0;  // 0: as many as the ranks need
};

struct Question {
  Deployment deployment;  // model, quantisation, dtype, role, exchange ... are resolved into it at the end
  std::string stack, model, quantisation = "w8a8", dtype = "float16", role = "hybrid", exchange = "all-gather",
                            kv_dtype = "16bit", prefill_attention = "tensor-parallel", graph_mode = "stack",
                            expert_communication = "auto", kv_transfer_mode = "pull", expansion = "auto",
                            cp_partition = "zigzag", cp_exchange = "all-gather", cp_cache = "cut",
                            layer_sharding = "none";
  HardwareChoice hardware;
  Workload workload;
  std::int64_t declared_world = 0;  // as written, or dp x cp x tp
  bool imported = false;            // from an engine's own file
  bool launched = false;            // ... which is a launch script: limits that follow from others are still to be set

  // Whether somebody named the field (by its path), be it a file, --set or an option.
  [[nodiscard]] bool named(std::string_view path) const { return !deployment.origin(path).assumed; }
};

using ScaleTable = std::vector<std::pair<std::int64_t, double>>;
using FieldAccess = std::variant<std::int64_t& (*)(Question&), double& (*)(Question&), bool& (*)(Question&),
                                 std::string& (*)(Question&), std::vector<double>& (*)(Question&),
                                 std::vector<std::int64_t>& (*)(Question&), std::optional<Bytes>& (*)(Question&),
                                 ScaleTable& (*)(Question&)>;

struct Field {
  std::string_view path;   // "layout.tp"
  std::string_view alias;  // the engine's own key ("tp", "maxSeqLen"); empty when it has none
  std::string_view meaning;
  FieldAccess access;
  double least = 0, most = 0;  // of numbers; equal = no limit
  std::span<const std::string_view> choices{};
  std::span<const std::string_view> alias_choices{};  // what the engine writes for each choice
};
std::span<const Field> question_fields();
// By path, by alias, or by the last parts of either ("parallel_options.o_proj_local_tp"), or by an option of that
// stack's engine
// ("tensor_parallel_size", "--max-model-len", "dcp"); null when none fits.
const Field* find_field(std::string_view name, std::string_view stack = {});

// Our own file is told from an engine's by its content: it says `ascendsim`, or has a layout or a stack.
bool is_question(ConfigNode root);
// Diagnoses unknown keys, types and ranges. What the file names gets an origin, by path and by alias.
void read_question(ConfigNode root, Question& question, Diagnostics& diagnostics);
// "layout.tp=4"; the value is read as YAML.
void set_field(std::string_view assignment, Question& question, Diagnostics& diagnostics);
// The same for a value that an option or the environment holds; `source` says which.
template <class T>
void put(Question& question, std::string_view path, T value, std::string source);
void set_origin(Question& question, const Field& field, const Origin& origin);

// The value as it stands in our YAML.
std::string field_text(const Field& field, const Question& question);
// The whole question as our YAML file. Comments: what each field means, or where its value comes from.
enum class YamlComments : std::uint8_t { kMeaning, kOrigin };
std::string to_yaml(const Question& question, YamlComments comments);
// For editors: JSON Schema (2020-12) of the file.
std::string question_schema();

// An imported MindIE deployment as a question.
Question from_import(const Import& import);
// Degrees that nobody named follow from those that somebody did.
void derive_layout(Question& question);
// What nobody named, once the load is known: limits from the workload, the memory fraction from the stack. Notes say
// so.
void complete(Question& question, const Stack& stack, Diagnostics& diagnostics);
// Prefix hits in whole blocks and an acceptance for every draft token; notes what is assumed.
void complete_workload(const Deployment& deployment, const Stack& stack, Workload& workload, Diagnostics& diagnostics);
// Notes of an import that no longer hold after `after` was made of `before` are dropped, or said anew.
Diagnostics with_current_assumptions(const Diagnostics& notes, const Question& before, const Question& after);
// Text fields of a question resolved into its deployment.
void resolve(Question& question, const ModelLibrary& models, const QuantisationLibrary& schemes,
             Diagnostics& diagnostics);

template <class T>
void put(Question& question, std::string_view path, T value, std::string source) {
  const Field& field = *find_field(path);
  std::get<T& (*)(Question&)>(field.access)(question) = std::move(value);
  Origin origin{{}, false};
  origin.where.file = std::move(source);
  set_origin(question, field, origin);
}

}  // namespace ascendsim
