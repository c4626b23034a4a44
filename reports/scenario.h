// From options to everything that a question needs. One path for every file: read into a Question (imported, or our
// own),
// --set, options, resolved names, rules, Scenario. Each step says all it finds; nothing is built from a layout that the
// engine would refuse.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "reports/command_line/options.h"
#include "strategies/deployment/question.h"
#include "strategies/engines/launch/instances.h"
#include "strategies/prediction/predict.h"

namespace ascendsim {

// A folder below ASCENDSIM_ROOT, or below the tree that the program was built from: "hardware/catalogue".
std::string data_folder(std::string_view name);

struct Libraries {
  Libraries();  // in their data folders
  Catalogue catalogue;
  ModelLibrary models;
  QuantisationLibrary schemes;
  StackLibrary stacks;
  [[nodiscard]] static EngineVersions versions(const std::string& engine, Diagnostics& diagnostics);
};

// One file, or the launch scripts of one instance, and what the command line says about it alone.
struct FileChoice {
  std::string file, hardware;
  std::optional<std::int64_t> servers;
  std::optional<Role> role;
  std::shared_ptr<const std::string> text{};  // of the file, when it was read already
  std::shared_ptr<const LaunchedInstance> launched{};
  std::optional<BenchmarkLoad> load{};  // of --workload, or of a script
  std::string engine_version{};         // of launch scripts: as asked, or the stack's
  std::optional<Role> side{};           // of a pair, as our own file says
};

// The files of one call. Launch scripts are put together to the instances that they start; every other file stands
// alone.
std::vector<FileChoice> read_inputs(const std::vector<std::string>& files, const Libraries& libraries,
                                    const Options& options, Diagnostics& diagnostics);
// The same for texts that are no files yet.
struct InputText {
  std::string name, text;
};
std::vector<FileChoice> read_texts(std::vector<InputText> texts, const Libraries& libraries, const Options& options,
                                   Diagnostics& diagnostics);
// A prefill and a decode instance among them; both null when there are no two such.
struct PairChoice {
  const FileChoice *prefill = nullptr, *decode = nullptr;
};
PairChoice pair_among(const std::vector<FileChoice>& choices);
struct Subject;
// What two sides must agree on, as the engine and as their scripts say it.
void check_pair(const FileChoice& prefill_choice, const Subject& prefill, const FileChoice& decode_choice,
                const Subject& decode, Diagnostics& diagnostics);

// What a file says after --set and options, names resolved. `stack` is empty when it could not be read.
struct LoadedQuestion {
  Question question;
  Stack stack;
  std::vector<KeyReport> keys;
  bool readable = false;    // without errors up to here
  bool has_layout = false;  // enough was read for the rules to judge
};
LoadedQuestion load_question(const FileChoice& choice, const Libraries& libraries, const Options& options,
                             Diagnostics& diagnostics);

// Without a file: what options say, for the newest version of a software stack. The layout is still to be chosen.
LoadedQuestion question_of_options(std::string_view stack, const std::string& server, const Libraries& libraries,
                                   const Options& options, Diagnostics& diagnostics);

// One file of the engine on some servers. scenario is empty after errors.
struct Subject {
  std::string file;
  std::vector<KeyReport> keys;
  Question question;  // as asked, its deployment included
  Workload workload;  // of this answer
  std::unique_ptr<Scenario> scenario;

  [[nodiscard]] const Deployment& deployment() const { return scenario->deployment; }
  [[nodiscard]] int servers() const { return scenario->cluster.servers(); }
  [[nodiscard]] std::int64_t dies() const { return deployment().layout.world(); }
  [[nodiscard]] std::int64_t cards() const {
    const Cluster& c = scenario->cluster;
    return servers() * ceil_div(c.ranks_per_server(), c.server().dies_per_card);
  }
};

// As many servers as the ranks need when nobody says, never more than there can be: the rules name what is missing.
int server_count(const Question& question, const Server& server, Diagnostics& diagnostics);
// For commands that can do without --hardware.
inline constexpr std::string_view kUsualServer = "atlas-800i-a3";

// Which load a command asks about when options leave it open.
enum class Load : std::uint8_t {
  kAsked,        // as options and file say
  kLimits,       // what the file allows at most, one request
  kLimitsIfAny,  // the same, and no complaint when the file allows none
};
Subject load_subject(const FileChoice& choice, Load load, const Libraries& libraries, const Options& options,
                     Diagnostics& diagnostics);

// The same for a deployment in our own format that stands inside another file.
Subject load_subject(ConfigNode deployment, Load load, const Libraries& libraries, const Options& options,
                     Diagnostics& diagnostics);

// A single subject for commands that need one. Throws ConfigError.
Subject load_single(Load load, const Libraries& libraries, const Options& options, Diagnostics& diagnostics);
Subject load_single(const std::vector<FileChoice>& choices, Load load, const Libraries& libraries,
                    const Options& options, Diagnostics& diagnostics);
const FileChoice& only_choice(const std::vector<FileChoice>& choices, Diagnostics& diagnostics);

// The effective configuration as our YAML, with the origin of each value.
std::string effective_configuration(const Subject& subject);

bool refused(const Diagnostics& diagnostics, bool strict);  // an error, or a warning where those count as errors

}  // namespace ascendsim
