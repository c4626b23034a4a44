#include <fmt/format.h>

#include "reports/commands/commands.h"
#include "strategies/deployment/field_text.h"
#include "strategies/intake/pairs.h"

namespace ascendsim {

namespace {

class ConvertCall final : public Call {
 public:
  void declare(Options& o) override {
    machine_rows(o, settings_, Asks::kTakes);
    load_rows(o, settings_, Asks::kTakes);
    model_row(o, settings_.model);
    engine_rows(o, settings_);
    file_rows(o, settings_);
    pair_rows(o, settings_);
    print_config_row(o, print_config_);
    o.heading("Output");
    o.flag("--schema", schema_, "print the JSON Schema of our deployment file");
  }
  [[nodiscard]] const Settings* asked() const override { return &settings_; }
  [[nodiscard]] bool asks_for_nothing() const override { return schema_; }
  Answer answer(Diagnostics& diagnostics) override;

 private:
  Settings settings_;
  bool print_config_ = false, schema_ = false;
};

Answer ConvertCall::answer(Diagnostics& diagnostics) {
  if (schema_) return {.text = question_schema()};
  const Libraries libraries;
  const YamlComments comments = print_config_ ? YamlComments::kOrigin : YamlComments::kMeaning;
  const Inputs inputs = gather_inputs(words, libraries, settings_, diagnostics);
  if (const auto& pair = inputs.pair) {
    const AskedQuestion prefill = load_question(pair->prefill, libraries, settings_, diagnostics),
                        decode = load_question(pair->decode, libraries, settings_, diagnostics);
    if (refused(diagnostics, settings_.strict)) throw ConfigError(diagnostics);
    // `run` reads both from one file.
    return {.text = fmt::format("--- # prefill: {}\n{}--- # decode: {}\n{}", pair->prefill.file,
                                to_yaml(prefill.question, comments), pair->decode.file,
                                to_yaml(decode.question, comments))};
  }
  const AskedQuestion loaded =
      load_question(only_choice(inputs.choices, diagnostics), libraries, settings_, diagnostics);
  if (refused(diagnostics, settings_.strict)) throw ConfigError(diagnostics);
  return {.text = to_yaml(loaded.question, comments)};
}

}  // namespace

constinit const Command kConvertCommand{
    .name = "convert",
    .summary = "any deployment file as our own YAML, with the meaning of every key",
    .words = "FILE...",
    .words_help = kConfigHelp,
    .least_words = 1,
    .most_words = SIZE_MAX,
    .example = "ascendsim convert config.json > deployment.yaml",
    .output = "YAML on stdout, or the JSON Schema for editors with --schema; exit 0, 2 on wrong input",
    .make = make_call<ConvertCall>};

}  // namespace ascendsim
