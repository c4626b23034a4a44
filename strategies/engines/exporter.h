// A deployment as the files that start it on an engine. Writers put down what the engine has words for; whoever calls
// them reads the files back (engines/NAME/import.cpp), so that what got lost on the way is found and named, whatever it
// was.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "strategies/deployment/completion.h"
#include "strategies/deployment/field_text.h"
#include "strategies/deployment/versions.h"

namespace ascendsim {

// The user's own launch file, to be changed where it must be.
struct BaseFile {
  std::string name, text;
};

// One instance. REQUIRES: its limits are set and its names resolved (strategies/intake/subject.h).
struct ExportSide {
  const Question& question;
  std::int64_t servers = 1, dies_per_server = 16;
};
struct ExportRequest {
  std::vector<ExportSide> sides;  // one, or prefill and decode of a pair
  const EngineVersions& versions;
  std::string version;             // of the target engine
  const BaseFile* base = nullptr;  // only with one side
};

struct ExportedFile {
  std::string name, text;
  std::size_t side = 0;
  bool launches = true;  // starts the engine: read back
};
// Variables that the engine reads and its file has no key for.
struct EnvironmentValue {
  std::string name, value;
};
struct Export {
  std::vector<ExportedFile> files;
  std::vector<std::vector<EnvironmentValue>> environment;  // by side, where it is not in the file itself
};

// Fields whose value differs once the files are read back; those that follow from others, or say where and under which
// load it runs, are left out.
struct FieldChange {
  const Field* field;
  std::string before, after;
  bool named;    // somebody asked for it
  bool decides;  // layout, role, model, weights: another deployment altogether
};
std::vector<FieldChange> changes(const Question& before, const Question& after);

// "DeepSeek-R1_w8a8", and the folder of weights that stands for it where nobody said one.
std::string weight_name(const Question& question);
std::string weight_folder(const Question& question);
// The load of a benchmark: as asked, or what the limits allow.
Workload benchmark_load(const Question& question);

}  // namespace ascendsim
