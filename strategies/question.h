// A whole question: deployment, hardware and workload, as one flat list of named fields. One table (question_fields) says
// for every field its path, its type, its range, what it means and where it is kept; reading our own YAML file, writing
// it (convert), --set, --print-config, `explain KEY` and the JSON Schema are all printed from that table.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sim/config.h"
#include "strategies/deployment.h"
#include "strategies/importers/mindie.h"

namespace ascendsim {

struct HardwareChoice {
  std::string server, die;             // empty: asked for elsewhere; the server's own die
  std::int64_t servers = 0;            // 0: as many as the ranks need
};

struct Question {
  Deployment deployment;               // model, quantisation and dtype below are resolved into it at the end
  std::string stack, stack_version, model, quantisation, dtype, role = "hybrid", exchange = "all-gather", kv_dtype = "16bit";
  std::string prefill_attention = "tensor-parallel";
  HardwareChoice hardware;
  Workload workload;
  std::int64_t declared_world = 0;     // MindIE's worldSize; 0 = not said
};

using FieldAccess = std::variant<std::int64_t& (*)(Question&), double& (*)(Question&), bool& (*)(Question&),
                                 std::string& (*)(Question&), std::vector<double>& (*)(Question&),
                                 std::optional<Bytes>& (*)(Question&)>;

struct Field {
  std::string_view path;               // "layout.tp"
  std::string_view alias;              // the engine's own key ("tp", "maxSeqLen"); empty when it has none
  std::string_view meaning;
  FieldAccess access;
  double least = 0, most = 0;          // of numbers; equal = no limit
  std::span<const std::string_view> choices{};
};
std::span<const Field> question_fields();
// By path, by alias, or by the last parts of either ("parallel_options.o_proj_local_tp"); null when none or several fit.
const Field* find_field(std::string_view name);

// Our own file. Diagnoses unknown keys, types and ranges; fields that the file does not name keep their value and are noted
// as assumed in deployment.origins (by path).
void read_question(ConfigNode root, Question& question, Diagnostics& diagnostics);
// "layout.tp=4"; the value is read as YAML.
void set_field(std::string_view assignment, Question& question, Diagnostics& diagnostics);

// The value as it stands in our YAML.
std::string field_text(const Field& field, const Question& question);
// The whole question as our YAML file, with the meaning of every field as a comment.
std::string to_yaml(const Question& question);
// For editors: JSON Schema (2020-12) of the file.
std::string question_schema();

// An imported MindIE deployment as a question, and text fields of a question resolved into its deployment.
Question from_import(const Import& import);
void resolve(Question& question, const ModelLibrary& models, const QuantisationLibrary& schemes, Diagnostics& diagnostics);

}  // namespace ascendsim
