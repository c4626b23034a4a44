// What is said to the user about their input: collected, never thrown one by one. Readers and rules add to a
// Diagnostics; whoever needs a clean input calls throw_if_errors(), and only the command line prints and exits (2).
#pragma once

#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ascendsim {

// A place in a text the user can open. line and column count from 1, columns in characters and not in bytes; 0 = the
// file as a whole (or no file at all).
struct SourceLocation {
  std::string file{};
  int line = 0;
  int column = 0;
  std::string key_path{};  // "BackendConfig.ModelDeployConfig.ModelConfig[0].sp", empty when not about a key
  std::string excerpt{};   // the source line itself, for the caret display; empty when not known
};

enum class Severity : unsigned char { kError, kWarning, kNote };

// code: "E0312"; stable, `ascendsim explain CODE` tells more. rule: who says so ("MindIE, Context Parallelism: ..."),
// help: what to do. message has no trailing full stop, rule and help may be empty.
struct Diagnostic {
  Severity severity = Severity::kError;
  std::string code{};
  std::string message{};
  SourceLocation where{};
  std::string rule{};
  std::string help{};
};

class Diagnostics {
 public:
  Diagnostics() = default;
  // For who asks whether a rule is broken and reads no message: of all errors only the code of the first is kept.
  static Diagnostics only_whether();
  // Whether messages are kept; where not, nobody need put them into words.
  [[nodiscard]] bool says() const { return says_; }
  // What is quoted from a file may hold anything: control characters become blanks, so that a message stays one line
  // and no escape sequence reaches a terminal.
  void add(Diagnostic d);
  void error(std::string code, SourceLocation where, std::string message, std::string rule = {}, std::string help = {});
  void warning(std::string code, SourceLocation where, std::string message, std::string rule = {},
               std::string help = {});
  void note(std::string code, SourceLocation where, std::string message, std::string rule = {}, std::string help = {});

  [[nodiscard]] std::span<const Diagnostic> all() const { return all_; }
  [[nodiscard]] bool has_errors() const;
  [[nodiscard]] std::string first_error() const;  // its code; empty without errors
  void throw_if_errors() const;  // throws ConfigError with everything collected so far, warnings included
  void append(const Diagnostics& other);

 private:
  std::vector<Diagnostic> all_;
  bool says_ = true;
  std::string refused_;  // where nothing is said: the code of the first error
};

struct ConfigError : std::exception {
  explicit ConfigError(Diagnostics d) : diagnostics(std::move(d)) {}
  [[nodiscard]] const char* what() const noexcept override { return "the input has errors"; }
  Diagnostics diagnostics;
};

// The form of a compiler message, several lines, ends with a newline:
//   error[E0312]: context parallelism needs sp = tp
//     --> conf/config.json:94:17  BackendConfig.ModelDeployConfig.ModelConfig[0].sp
//      |
//   94 |                 "sp": 4,
//      |                 ^
//      = rule: MindIE, Context Parallelism: the value of SP must be equal to that of TP
//      = help: set "sp": 8
std::string render(const Diagnostic& d);
// One line: "conf/config.json:94:17: error[E0312]: context parallelism needs sp = tp"
std::string render_short(const Diagnostic& d);

// The candidate that is nearest to `word` by Damerau-Levenshtein distance (case ignored, '-' and '_' alike), if it is
// within max(1, length/3); empty otherwise. Ties go to the earlier candidate.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace ascendsim
