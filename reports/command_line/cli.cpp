#include "reports/command_line/cli.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>

#include "reports/answers/findings.h"
#include "reports/command_line/arguments.h"
#include "reports/commands/commands.h"
#include "reports/writers/writers.h"

namespace ascendsim {

namespace {

std::vector<std::string_view> command_names() {
  std::vector<std::string_view> names;
  for (const Command* const c : builtin_commands()) names.emplace_back(c->name);
  return names;
}

std::string usage_line(const Command& c, const Options& options) {
  std::string text = fmt::format("Usage: ascendsim {}", c.name);
  if (*c.words != '\0') text += fmt::format(" {}", c.words);
  for (const Option& o : options.rows())
    if (o.required) text += fmt::format(" {} {}", o.name(), o.value);
  return text + " [options]\n";
}

std::string top_help() {
  std::string text =
      "Predicts how a deployment of DeepSeek-R1, V3, V3.1 or V3.2 performs on Ascend hardware, and why.\n\nUsage: "
      "ascendsim "
      "COMMAND [options]\n\nCommands:\n";
  for (const Command* const c : builtin_commands()) text += fmt::format("  {:10} {}\n", c->name, c->summary);
  return text +
         "\nOptional arguments:\n  -h, --help      show this text, or that of a command\n  -V, --version   show the "
         "version\n\nExamples:\n  " +
         builtin_commands().front()->example + "\n";
}

std::string help_row(const Option& o) {
  const std::string_view all = o.names, name = o.name();
  std::string left(name);
  if (!all.starts_with("--")) left = fmt::format("{}, {}", all.substr(0, all.find(',')), name);
  if (!o.value.empty()) left += ' ' + o.value;
  const std::string fallback = o.fallback.empty() ? "" : fmt::format(" [default: {}]", o.fallback);
  return fmt::format("  {:26} {}{}\n", left, o.help, fallback);
}

std::string command_help(const Command& c, const Options& options) {
  std::string required;
  if (*c.words != '\0') required = fmt::format("  {:26} {}\n", c.words, c.words_help);
  std::vector<std::pair<std::string_view, std::string>> headings;  // in the order in which they first occur
  for (const Option& o : options.rows()) {
    if (o.required) {
      required += help_row(o);
      continue;
    }
    auto at = std::ranges::find(headings, o.heading, &std::pair<std::string_view, std::string>::first);
    if (at == headings.end()) at = headings.insert(at, {o.heading, {}});
    at->second += help_row(o);
  }
  std::string text = fmt::format("{}.\n\n{}", c.summary, usage_line(c, options));
  if (!required.empty())
    text +=
        fmt::format("\n{}:\n{}", c.least_words > 0 || *c.words == '\0' ? "Required arguments" : "Arguments", required);
  for (const auto& [heading, rows] : headings) text += fmt::format("\n{}:\n{}", heading, rows);
  return text + fmt::format("\nExamples:\n  {}\n\nAnswer: {}\n", c.example, c.output);
}

// What only all words and options together show.
class Whole {
 public:
  Whole(const Command& command, const Call& call, const Options& options, Diagnostics& diagnostics)
      : command_(command), call_(call), options_(options), diagnostics_(diagnostics) {}

  void check() {
    const Settings* const s = call_.asked();
    const bool pair = s != nullptr && s->pair();
    if (call_.asks_for_nothing() && !pair) return;
    const std::size_t words = call_.words.size() + (s != nullptr && !s->launch.empty() ? 1 : 0);
    // A file may carry its hardware and load: whether they are missing shows when it is read.
    for (const Option& o : options_.rows())
      if (o.required && o.given.empty() && !(o.in_file && (words > 0 || pair))) say_missing(o, diagnostics_);
    if (pair) return check_pair(*s);
    const std::string_view all = command_.words, one = all.substr(0, all.find("..."));
    if (words < command_.least_words)
      diagnostics_.error("E0003", {}, fmt::format("{} is missing", one), {}, command_.words_help);
    if (words > command_.most_words)
      diagnostics_.error("E0003", {},
                         command_.most_words == 0
                             ? fmt::format("{} takes options only, got: {}", command_.name, fmt::join(call_.words, " "))
                             : fmt::format("{} takes {} {}, got {}: {}", command_.name, command_.most_words,
                                           command_.words, words, fmt::join(call_.words, " ")),
                         {},
                         command_.most_words == 0 && *command_.words_help != '\0'
                             ? fmt::format("{} {}", command_.words_help, call_.words.front())
                             : "");
  }

 private:
  void check_pair(const Settings& s) {
    if (s.prefill.file.empty()) say_missing(options_.at("--prefill"), diagnostics_);
    if (s.decode.file.empty()) say_missing(options_.at("--decode"), diagnostics_);
    if (!call_.words.empty())
      diagnostics_.error("E0003", {},
                         fmt::format("--prefill and --decode name the files of a pair: {} is one too many",
                                     fmt::join(call_.words, " ")));
    for (const auto& [option, given] : {std::pair{"--role", s.role.has_value()}, {"--servers", s.servers.has_value()}})
      if (given)
        diagnostics_.error("E0004", {}, fmt::format("{} does not say which side of the pair it means", option), {},
                           "--prefill-servers and --decode-servers; roles follow from --prefill and --decode");
  }

  const Command& command_;
  const Call& call_;
  const Options& options_;
  Diagnostics& diagnostics_;
};

// One command line: CLI11 splits it, nothing in it decides what is right (2.1.2 swallows unknown options as words).
class Application {
 public:
  Application(std::span<const std::string> args, std::string& out, std::string& err)
      : args_(at_dashes(args)), out_(out), err_(err) {
    app_.set_help_flag();
    app_.require_subcommand(0, 1);
    app_.allow_extras();
    app_.add_flag("-h,--help", help_);
    app_.add_flag("-V,--version", version_);
    for (const Command* const c : builtin_commands()) {
      CLI::App* const sub = app_.add_subcommand(c->name);
      // Only the command that is called gets its options.
      sub->preparse_callback([this, c, sub](std::size_t) { start(*c, *sub); });
    }
  }

  int run() {
    const std::string what = parse();
    if (what.empty() && version_) return say(kDone, fmt::format("ascendsim {}\n", ASCENDSIM_VERSION));
    if (what.empty() && help_) return say(kDone, command_ ? command_help(*command_, options_) : top_help());
    if (!what.empty()) diagnostics_.error("E0003", {}, what);
    check_values(
        args_.split,
        [&](std::string_view name) {
          const auto called = [&](const Option& o) {
            return ("," + o.names + ",").find(fmt::format(",{},", name)) != std::string::npos;
          };
          const auto row = std::ranges::find_if(options_.rows(), called);
          return row != options_.rows().end() && !row->value.empty();
        },
        diagnostics_);
    report_unknown();
    if (!diagnostics_.has_errors()) options_.read_given();
    if (command_ == nullptr && !diagnostics_.has_errors()) {
      err_ += top_help();
      diagnostics_.error("E0001", {}, "a command is missing", {},
                         fmt::format("one of: {}", fmt::join(command_names(), ", ")));
    }
    if (diagnostics_.has_errors()) return refuse(true);
    Whole(*command_, *call_, options_, diagnostics_).check();
    if (diagnostics_.has_errors()) return refuse(true);
    return answer();
  }

 private:
  void start(const Command& c, CLI::App& sub) {
    command_ = &c;
    sub_ = &sub;
    call_ = c.make();
    call_->declare(options_);
    output_rows(options_, call_->output, c.formats);
    if (c.writes_files) {
      Option& folder = options_.at("--output-file").must();
      folder.value = "DIR", folder.help = "the folder of the files";
    }
    options_.flag("-h,--help", help_, "show this text");
    sub.set_help_flag();
    sub.allow_extras();
    sub.add_option("words", call_->words);
    sub.add_flag("-V,--version", version_);
    for (Option& o : options_.rows()) {
      if (o.value.empty())
        sub.add_flag_callback(o.names, [&o] { o.given.emplace_back(); });
      else
        sub.add_option(o.names, CLI::callback_t([&o](const CLI::results_t& texts) { return o.given = texts, true; }))
            ->expected(1, -1)
            ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
            ->allow_extra_args(false);
    }
  }

  // What CLI11 says is wrong; empty when it could split everything.
  std::string parse() {
    try {
      app_.parse(std::vector<std::string>(args_.split.rbegin(), args_.split.rend()));
      if (call_) call_->words.insert(call_->words.end(), args_.words.begin(), args_.words.end());
      help_ = help_ || (command_ != nullptr && !options_.at("--help").given.empty());
      return {};
    } catch (const CLI::ArgumentMismatch& e) {
      const std::string_view what = e.what();
      return fmt::format("{} needs a value", what.substr(0, what.find(':')));
    } catch (const CLI::ParseError& e) {
      return e.what();
    }
  }

  void report_unknown() {
    std::vector<std::string> left = app_.remaining();
    if (sub_ != nullptr)
      for (const std::string& s : sub_->remaining()) left.push_back(s);
    for (const std::string& s : left) {
      const bool is_option = s.size() > 1 && s[0] == '-';
      if (!is_option && command_ != nullptr) continue;
      const std::string name = s.substr(0, s.find('='));
      if (is_option) {
        diagnostics_.error("E0002", {}, fmt::format("unknown option '{}'", name), {}, options_.suggestion(name));
        continue;
      }
      const auto commands = command_names();
      const std::string_view near = nearest(name, commands);
      diagnostics_.error("E0001", {}, fmt::format("unknown command '{}'", name), {},
                         near.empty() ? fmt::format("one of: {}", fmt::join(commands, ", "))
                                      : fmt::format("did you mean '{}'?", near));
      return;
    }
  }

  int say(int code, const std::string& text) {
    out_ += text;
    return code;
  }

  // Also where it could not be read.
  [[nodiscard]] Format format() const {
    if (std::ranges::find(args_.split, "--json") != args_.split.end()) return Format::kJson;
    return call_ ? call_->output.format : Format::kTable;
  }

  int refuse(bool with_usage) {
    const Output written = write_refusal(diagnostics_, format(), call_ && call_->output.verbose);
    err_ += written.err;
    if (with_usage && command_ != nullptr) err_ += usage_line(*command_, options_);
    return say(kWrongInput, written.out);
  }

  int answer() {
    const OutputSettings& output = call_->output;
    int code = kDone;
    Output written;
    try {
      Answer answer = call_->answer(diagnostics_);
      code = static_cast<int>(answer.exit);
      if (output.format == Format::kVllmBench && !answer.benchmark) {
        options_.wrong("--format vllm-bench is the result of requests over time", "--rate 4, or --max-concurrency 64");
        return refuse(false);
      }
      answer.findings = diagnostics_;
      written = write(std::move(answer), output.format, output.verbose);
    } catch (const ConfigError& e) {
      written = write_refusal(e.diagnostics, output.format, output.verbose);
      err_ += written.err + count_in_words(e.diagnostics) + "\n";
      return say(kWrongInput, written.out);
    }
    err_ += written.err;
    if (output.file.empty() || command_->writes_files) return say(code, written.out);
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(output.file.c_str(), "wb"), &std::fclose);
    if (file && std::fwrite(written.out.data(), 1, written.out.size(), file.get()) == written.out.size() &&
        std::fflush(file.get()) == 0)
      return code;
    say_unwritable(output.file, "-o FILE", diagnostics_);
    return refuse(false);
  }

  Arguments args_;
  std::string& out_;
  std::string& err_;
  bool help_ = false, version_ = false;
  Diagnostics diagnostics_;
  Options options_{diagnostics_};
  const Command* command_ = nullptr;  // the one that is called
  CLI::App* sub_ = nullptr;
  std::unique_ptr<Call> call_;
  CLI::App app_{"", "ascendsim"};
};

}  // namespace

int run_application(std::span<const std::string> args, std::string& out, std::string& err) {
  try {
    return Application(args, out, err).run();
  } catch (const std::exception& e) {
    err += fmt::format("this is a bug in ascendsim: {}\n", e.what());
    return kOurBug;
  }
}

}  // namespace ascendsim
