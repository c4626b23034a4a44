#include "strategies/intake/subject.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "sim/check.h"
#include "strategies/deployment/field_text.h"
#include "strategies/deployment/words.h"
#include "strategies/engines/rules.h"
#include "strategies/intake/reading.h"

namespace ascendsim {

namespace {

constexpr std::int64_t kMostServers = 4096;

// The longest sequence that the engine and the model take, prompt as long as may be.
Workload at_limits(const Deployment& d) {
  const std::int64_t longest = std::min(d.limits.max_seq_len, d.model.max_positions);
  const std::int64_t input = std::min(d.limits.max_input_tokens, longest - 1);
  return {.input_tokens = input, .output_tokens = longest - input, .batch = 1};
}

Workload workload_of(Load load, const Question& q) {
  const Deployment& d = q.deployment;
  const Workload& asked = q.workload;
  if (load == Load::kAsked) return asked;
  if (load == Load::kLeast) return {.input_tokens = 1, .output_tokens = 1, .batch = 1, .acceptance = asked.acceptance};
  Workload w = at_limits(d);
  if (asked.input_tokens > 0) {
    w.input_tokens = asked.input_tokens;
    w.output_tokens = std::max<std::int64_t>(1, std::min(w.output_tokens, d.limits.max_seq_len - w.input_tokens));
  }
  if (asked.output_tokens > 0) {
    w.output_tokens = asked.output_tokens;
    if (asked.input_tokens == 0) w.input_tokens = std::min(w.input_tokens, d.limits.max_seq_len - w.output_tokens);
  }
  w.batch = asked.batch;
  w.prefix_hit = asked.prefix_hit;
  w.acceptance = asked.acceptance;
  return w;
}

bool possible(const Workload& w) { return w.input_tokens >= 1 && w.output_tokens >= 1 && w.batch >= 1; }

std::string server_name(const Question& q, std::string_view otherwise) {
  return q.hardware.server.empty() ? std::string(otherwise) : q.hardware.server;
}

// What the file names, and what is assumed beside it.
std::vector<KeyReport> keys_of(const Question& q) {
  std::vector<KeyReport> keys;
  for (const Field& f : question_fields())
    keys.push_back({std::string(f.path), field_text(f, q), q.named(f.path) ? KeyUse::kUsed : KeyUse::kAssumed, {}});
  return keys;
}

void settle_asked(AskedQuestion& asked, const Libraries& libraries, Diagnostics& diagnostics) {
  Diagnostics found;
  settle(asked.question, asked.stack, libraries, found);
  if (!asked.question.imported) asked.keys = keys_of(asked.question);
  asked.readable = asked.readable && !found.has_errors();
  diagnostics.append(found);
}

}  // namespace

void settle(Question& q, const Stack& stack, const Libraries& libraries, Diagnostics& diagnostics) {
  derive_layout(q);
  q.deployment.set_engine(stack.engine, stack.version);
  resolve(q, libraries.models, libraries.schemes, diagnostics);
  if (q.launched) {
    Diagnostics said_later;  // by load_platform()
    complete_launch(q, libraries.server(server_name(q, kUsualServer), "", said_later).fabric, diagnostics);
  }
  if (!q.imported && !stack.engine.empty()) complete(q, stack, diagnostics);
}

AskedQuestion load_question(const FileChoice& choice, const Libraries& libraries, const Settings& settings,
                            Diagnostics& diagnostics) {
  AskedQuestion out = read_asked(choice, libraries, settings, diagnostics);
  if (out.question.imported || out.question.deployment.own_words) settle_asked(out, libraries, diagnostics);
  return out;
}

Platform load_platform(const Question& q, const Stack& stack, std::string_view server, const Libraries& libraries,
                       Diagnostics& diagnostics) {
  Platform out;
  if (!stack.engine.empty()) out.kernels = libraries.kernels(stack.kernels, diagnostics);
  out.server = libraries.server(server_name(q, server), q.hardware.die, diagnostics);
  if (!stack.engine.empty()) out.versions = libraries.versions(stack.engine, diagnostics);
  return out;
}

int server_count(const Question& q, const Server& server, Diagnostics& diagnostics) {
  const std::int64_t most = server.max_servers > 0 ? server.max_servers : kMostServers;
  const std::int64_t wanted = q.hardware.servers > 0
                                  ? q.hardware.servers
                                  : ceil_div(q.deployment.layout.world(), std::max<std::int64_t>(1, server.dies()));
  if (q.hardware.servers > most)
    diagnostics.error("E0007", q.deployment.origin("hardware.servers").where,
                      fmt::format("--servers must be at most {} for {}, got {}", most, server.product, wanted));
  return static_cast<int>(std::clamp<std::int64_t>(wanted, 1, most));
}

std::string_view to_text(Standing standing) {
  switch (standing) {
    case Standing::kLegal:
      return "legal";
    case Standing::kWhatIf:
      return "what-if";
    default:
      return "cannot run";
  }
}

Judgement judge(const Question& q, const Platform& platform, Diagnostics& diagnostics) {
  Judgement out;
  Diagnostics found;
  out.servers = server_count(q, platform.server, found);
  const bool placeable = !found.has_errors();
  const RuleInput input{q.deployment, q.declared_world, platform.server, out.servers, !q.imported, &platform.versions};
  check_deployment(input, found);
  if (found.has_errors()) {
    // What every engine needs is what programs need to be built.
    Diagnostics needed;
    check_generic(input, needed);
    out.standing = placeable && !needed.has_errors() ? Standing::kWhatIf : Standing::kCannotRun;
  }
  diagnostics.append(found);
  return out;
}

namespace {

// Rules and limits; the scenario when nothing is wrong.
Subject subject_of(AskedQuestion asked, const std::string& file, Load load, const Libraries& libraries,
                   const Diagnostics& of_file, Diagnostics& diagnostics) {
  Diagnostics found, of_platform;
  Subject subject{file, std::move(asked.keys), std::move(asked.question), {}, nullptr};
  const Question& q = subject.question;
  const Deployment& d = q.deployment;
  if (q.hardware.server.empty() && load == Load::kLimitsIfAny)
    of_platform.note("A0108", {}, fmt::format("--hardware is not set: {} assumed", kUsualServer));
  Platform platform = load_platform(q, asked.stack, kUsualServer, libraries, of_platform);
  const bool usable = !of_platform.has_errors() && !asked.stack.engine.empty();
  Judgement judgement;
  if (asked.has_layout && usable) judgement = judge(q, platform, found);
  if (asked.readable) {
    subject.workload = workload_of(load, q);
    if (possible(subject.workload)) complete_workload(d, asked.stack, subject.workload, found);
    if (load != Load::kLimitsIfAny || possible(subject.workload))
      check_workload(d, subject.workload, !q.imported, found);
    if (!possible(subject.workload) && load == Load::kLimits)
      found.error("E0008", d.origin("maxSeqLen").where,
                  "this deployment leaves no room for a prompt and an output token", {},
                  fmt::format("raise {}, or lower --output", key_name(d, "maxSeqLen")));
  }
  const bool runs = asked.readable && asked.has_layout && usable && !found.has_errors();
  diagnostics.append(of_platform);
  diagnostics.append(of_file);
  diagnostics.append(found);
  if (runs) {
    const auto ranks = static_cast<int>(d.layout.world() / judgement.servers);
    subject.scenario = std::make_unique<Scenario>(d, std::move(asked.stack), std::move(platform.kernels),
                                                  Cluster(std::move(platform.server), judgement.servers, ranks));
  }
  return subject;
}

}  // namespace

Load asked_load(const Settings& settings) { return settings.service.trace.empty() ? Load::kAsked : Load::kLeast; }

Subject load_subject(const FileChoice& choice, Load load, const Libraries& libraries, const Settings& settings,
                     Diagnostics& diagnostics) {
  Diagnostics of_file;
  AskedQuestion asked = load_question(choice, libraries, settings, of_file);
  return subject_of(std::move(asked), choice.file, load, libraries, of_file, diagnostics);
}

Subject load_subject(ConfigNode deployment, Load load, const Libraries& libraries, const Settings& settings,
                     Diagnostics& diagnostics) {
  Diagnostics of_file;
  AskedQuestion asked = read_own(deployment, libraries, settings, of_file);
  settle_asked(asked, libraries, of_file);
  return subject_of(std::move(asked), deployment.where().file, load, libraries, of_file, diagnostics);
}

namespace {

// What neither the file nor a setting says.
void require(const Question& q, Load load, Diagnostics& diagnostics) {
  if (q.hardware.server.empty()) say_missing(kNeededHardware, diagnostics);
  if (load != Load::kAsked) return;
  if (q.workload.input_tokens == 0) say_missing(kNeededInput, diagnostics);
  if (q.workload.output_tokens == 0) say_missing(kNeededOutput, diagnostics);
}

}  // namespace

Subject load_single(const std::vector<FileChoice>& choices, Load load, Missing missing, const Libraries& libraries,
                    const Settings& settings, Diagnostics& diagnostics) {
  Subject subject = load_subject(only_choice(choices, diagnostics), load, libraries, settings, diagnostics);
  if (missing == Missing::kIsAnError) require(subject.question, load, diagnostics);
  if (refused(diagnostics, settings.strict)) throw ConfigError(diagnostics);
  check(subject.scenario != nullptr, "a subject without errors has a scenario");
  return subject;
}

std::string effective_configuration(const Subject& subject) {
  Question q = subject.question;
  q.workload = subject.workload;
  q.hardware.servers = subject.servers();
  q.hardware.server = subject.scenario->cluster.server().name;
  q.hardware.die = subject.scenario->cluster.server().die.name;
  return to_yaml(q, YamlComments::kOrigin);
}

}  // namespace ascendsim
