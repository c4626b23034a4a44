#include "strategies/intake/pairs.h"

#include <fmt/format.h>

#include "strategies/prediction/disaggregated.h"

namespace ascendsim {

namespace {

// --prefill FILE names one file, or the script of one instance.
FileChoice side_of(const std::string& file, const Libraries& libraries, const Settings& settings,
                   Diagnostics& diagnostics) {
  return only_choice(read_inputs({file}, libraries, settings, diagnostics), diagnostics);
}

PairOfChoices with_sides(FileChoice prefill, FileChoice decode, const Settings& o) {
  const auto side = [&](FileChoice& choice, const std::string& hardware, std::optional<std::int64_t> servers,
                        Role role) {
    choice.hardware = hardware.empty() ? o.hardware : hardware;
    choice.servers = servers;
    choice.role = role;
  };
  side(prefill, o.prefill.hardware, o.prefill.servers, Role::kPrefill);
  side(decode, o.decode.hardware, o.decode.servers, Role::kDecode);
  return {std::move(prefill), std::move(decode)};
}

}  // namespace

Inputs gather_inputs(const std::vector<std::string>& files, const Libraries& libraries, const Settings& settings,
                     Diagnostics& diagnostics) {
  Inputs out;
  if (settings.pair()) {
    FileChoice prefill = side_of(settings.prefill.file, libraries, settings, diagnostics);
    out.pair =
        with_sides(std::move(prefill), side_of(settings.decode.file, libraries, settings, diagnostics), settings);
    return out;
  }
  out.choices = read_inputs(files, libraries, settings, diagnostics);
  if (const PairChoice pair = pair_among(out.choices); pair.prefill != nullptr)
    out.pair = with_sides(*pair.prefill, *pair.decode, settings);
  return out;
}

PairChoice pair_among(const std::vector<FileChoice>& choices) {
  PairChoice pair;
  if (choices.size() != 2) return pair;
  for (const FileChoice& c : choices) {
    const bool prefill = c.launched ? c.launched->question.deployment.role == Role::kPrefill : c.side == Role::kPrefill;
    const bool decode = c.launched ? c.launched->question.deployment.role == Role::kDecode : c.side == Role::kDecode;
    if (!prefill && !decode) return {};
    (prefill ? pair.prefill : pair.decode) = &c;
  }
  return pair.prefill != nullptr && pair.decode != nullptr ? pair : PairChoice{};
}

void check_pair(const FileChoice& prefill_choice, const Subject& prefill, const FileChoice& decode_choice,
                const Subject& decode, Diagnostics& diagnostics) {
  check_disaggregated(prefill.question.deployment, decode.question.deployment, diagnostics);
  if (prefill_choice.launched && decode_choice.launched)
    check_pair_of_scripts(*prefill_choice.launched, *decode_choice.launched, diagnostics);
}

PairOfSubjects load_pair(const PairOfChoices& choices, Load load, const Libraries& libraries, const Settings& o,
                         Diagnostics& diagnostics) {
  const auto side = [&](const FileChoice& choice) {
    Diagnostics of_side;
    Subject s = load_subject(choice, load, libraries, o, of_side);
    for (Diagnostic d : of_side.all()) {
      if (d.where.file.empty() && d.severity != Severity::kNote)
        d.where.file = fmt::format("{} side", word_of(choice.role.value_or(Role::kHybrid)));
      diagnostics.add(std::move(d));
    }
    if (s.question.hardware.server.empty())
      say_missing(!o.prefill.hardware.empty() || !o.decode.hardware.empty()
                      ? choice.role == Role::kPrefill ? kNeededPrefillHardware : kNeededDecodeHardware
                      : kNeededHardware,
                  diagnostics);
    return s;
  };
  PairOfSubjects p;
  p.prefill = side(choices.prefill);
  p.decode = side(choices.decode);
  if (load == Load::kAsked && p.decode.question.workload.input_tokens == 0) say_missing(kNeededInput, diagnostics);
  if (load == Load::kAsked && p.decode.question.workload.output_tokens == 0) say_missing(kNeededOutput, diagnostics);
  check_pair(choices.prefill, p.prefill, choices.decode, p.decode, diagnostics);
  if (refused(diagnostics, o.strict)) throw ConfigError(diagnostics);
  // Hits are the prefill side's, accepted drafts the decode side's.
  p.decode.workload.prefix_hit = p.prefill.workload.prefix_hit;
  return p;
}

}  // namespace ascendsim
