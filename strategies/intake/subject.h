// From a file and settings to a judged subject: the one way, for every command.
//   read     what the file says, with --set and the settings in (AskedQuestion); nothing follows from anything yet
//   settle   what follows: degrees, names, what the engine picks on this fabric, limits
//   judge    the engine's rules, the load, the Scenario when nothing is wrong
// Each step says all it finds; nothing is built from a layout that the engine would refuse. Who varies a setting
// (compare, plan) changes what was asked and settles again, so that everything follows as it would from a file.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "strategies/deployment/completion.h"
#include "strategies/deployment/key_report.h"
#include "strategies/intake/inputs.h"
#include "strategies/prediction/predict.h"

namespace ascendsim {

// For commands that can do without --hardware.
inline constexpr std::string_view kUsualServer = "atlas-800i-a3";

// `stack` is empty when it could not be read.
struct AskedQuestion {
  Question question;
  Stack stack;
  std::vector<KeyReport> keys;
  bool readable = false;    // without errors up to here
  bool has_layout = false;  // enough was read for the rules to judge
};
AskedQuestion read_asked(const FileChoice& choice, const Libraries& libraries, const Settings& settings,
                         Diagnostics& diagnostics);
// Without a file: what the settings say, for the newest version of a software stack. The layout is still to be chosen.
AskedQuestion asked_of_settings(std::string_view stack, const std::string& server, const Libraries& libraries,
                                const Settings& settings, Diagnostics& diagnostics);
// E0379 where `changed` names another stack than the engine's own file does.
void say_foreign_stack(const Question& of_file, const Question& changed, Diagnostics& diagnostics);
// The stack of that name, in the version that the settings ask for.
Stack load_stack(std::string_view name, const Libraries& libraries, const Settings& settings, Diagnostics& diagnostics);

void settle(Question& question, const Stack& stack, const Libraries& libraries, Diagnostics& diagnostics);

// What a file says after --set and settings, and what follows: for commands that judge nothing.
AskedQuestion load_question(const FileChoice& choice, const Libraries& libraries, const Settings& settings,
                            Diagnostics& diagnostics);

// Everything about the machine and the engine's versions that rules and prices need.
struct Platform {
  Server server;
  KernelTable kernels;
  EngineVersions versions;
};
// Of a settled question. `server` stands in where it names none.
Platform load_platform(const Question& question, const Stack& stack, std::string_view server,
                       const Libraries& libraries, Diagnostics& diagnostics);

// As many servers as the ranks need when nobody says, never more than there can be: the rules name what is missing.
int server_count(const Question& question, const Server& server, Diagnostics& diagnostics);

// What the rules of its engine say of a settled question.
enum class Standing : std::uint8_t {
  kLegal,
  kWhatIf,     // the engine refuses it, but its programs can be built
  kCannotRun,  // nothing can be built
};
std::string_view to_text(Standing standing);
struct Judgement {
  Standing standing = Standing::kLegal;
  int servers = 1;
};
Judgement judge(const Question& question, const Platform& platform, Diagnostics& diagnostics);

// One deployment on some servers. scenario is empty after errors.
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

// Which load a command asks about when settings leave it open.
enum class Load : std::uint8_t {
  kAsked,        // as settings and file say
  kLimits,       // what the file allows at most, one request
  kLimitsIfAny,  // the same, and no complaint when the file allows none
  kLeast,  // one token in, one out: a trace brings the requests, and those that are too long are refused one by one
};
// kAsked, or kLeast where a trace says how long requests are.
Load asked_load(const Settings& settings);
Subject load_subject(const FileChoice& choice, Load load, const Libraries& libraries, const Settings& settings,
                     Diagnostics& diagnostics);
// The same for a deployment in our own format that stands inside another file.
Subject load_subject(ConfigNode deployment, Load load, const Libraries& libraries, const Settings& settings,
                     Diagnostics& diagnostics);
// A single subject for commands that need one; `complete`: what nobody says is missing. Throws ConfigError.
enum class Missing : std::uint8_t { kIsAnError, kIsFine };
Subject load_single(const std::vector<FileChoice>& choices, Load load, Missing missing, const Libraries& libraries,
                    const Settings& settings, Diagnostics& diagnostics);

// The effective configuration as our YAML, with the origin of each value.
std::string effective_configuration(const Subject& subject);

}  // namespace ascendsim
