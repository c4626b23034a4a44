// Options of a command: rows that are bound to typed targets. A command declares its own beside what it does with them;
// rows of settings that several commands have stand in setting_rows.h.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reports/command_line/lists.h"
#include "sim/diagnostics.h"
#include "sim/units.h"
#include "strategies/intake/settings.h"

namespace ascendsim {

inline constexpr std::int64_t kMostTokens = 1 << 24, kMostRequests = 1 << 20, kMostServers = 4096;

// Whole numbers that a row takes, and how a message shows them.
struct Bounds {
  std::int64_t least = 1, most = 0;
  std::string_view examples{};
};

// What other tools, or other commands, call the same thing; the hint, where it is not the same option here.
struct OtherWord {
  std::string_view word;
  std::string hint{};
};

struct Option {
  std::string names;  // as CLI11 reads them; the first long one is the option's name
  std::string value;  // "N"; empty for a flag
  std::string help;
  std::string_view heading{};
  std::string fallback{};
  std::vector<OtherWord> others{};
  std::function<std::string(std::string_view)> meant{};  // hint for a name that is no option; empty: none
  bool required = false, in_file = false;                // in_file: unless a file says it
  bool repeats = false;                                  // else the last one counts
  std::function<void(const std::string& text)> read{};   // puts the text, or what is wrong with it, where it belongs
  std::vector<std::string> given{};                      // texts, in the order of the command line

  [[nodiscard]] std::string_view name() const;
  // What help shows as [default: ...].
  Option& or_else(std::string text) { return fallback = std::move(text), *this; }
  Option& must() { return required = true, *this; }
  Option& must_unless_in_file() { return required = in_file = true, *this; }
  Option& also(std::initializer_list<OtherWord> words) { return others.insert(others.end(), words), *this; }
};

class Options {
 public:
  explicit Options(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  // Rows from here on stand below this line of the help.
  void heading(std::string_view text) { heading_ = text; }

  Option& flag(std::string names, bool& target, std::string help);
  Option& text(std::string names, std::string value, std::string& target, std::string help);
  // Repeatable.
  Option& texts(std::string names, std::string value, std::vector<std::string>& target, std::string help);
  // A whole number, also as 64K; a target that has a value shows it as the default.
  Option& count(std::string names, std::int64_t& target, const Bounds& range, std::string help);
  Option& count(std::string names, std::optional<std::int64_t>& target, const Bounds& range, std::string help);
  // With commas between: one for each of several things.
  Option& counts(std::string names, std::vector<std::int64_t>& target, const Bounds& range, std::string help);
  // Alternatives: "1,8,32" or "4K..128K".
  Option& numbers(std::string names, NumberList& target, const Bounds& range, std::string help);
  Option& names(std::string names, std::vector<std::string>& target, std::string help);
  Option& time(std::string names, std::optional<Duration>& target, std::string help);

  // One of these words.
  template <class T, class Target>
  Option& choice(std::string names, std::string value, Target& target,
                 std::vector<std::pair<std::string_view, T>> known, std::string help) {
    Option& o = add(std::move(names), std::move(value), std::move(help));
    o.read = [this, &o, &target, known = std::move(known)](const std::string& text) {
      for (const auto& [word, meaning] : known)
        if (word == text) return void(target = meaning);
      std::vector<std::string_view> words;
      for (const auto& entry : known) words.push_back(entry.first);
      unknown(o.name(), text, words);
    };
    return o;
  }
  // Anything else. `read` says itself what is wrong.
  Option& custom(std::string names, std::string value, std::function<void(const std::string&)> read, std::string help);

  // E0004.
  void wrong(std::string message, std::string help);
  std::optional<std::int64_t> whole(std::string_view name, const std::string& text, const Bounds& range);
  void unknown(std::string_view option, std::string_view word, std::span<const std::string_view> known);
  [[nodiscard]] Diagnostics& diagnostics() { return diagnostics_; }

  // Every text to its target; all mistakes are said.
  void read_given();
  [[nodiscard]] std::deque<Option>& rows() { return rows_; }
  [[nodiscard]] const std::deque<Option>& rows() const { return rows_; }
  // The row with this name.
  Option& at(std::string_view name);
  [[nodiscard]] const Option& at(std::string_view name) const;
  // What to say about an option that is not here: the same under another word, else the nearest by letters.
  [[nodiscard]] std::string suggestion(std::string_view name) const;

 private:
  Option& add(std::string names, std::string value, std::string help);

  Diagnostics& diagnostics_;
  std::string_view heading_ = "Options";
  std::deque<Option> rows_;  // references to rows stay
};

// E0003 for a row that nothing else stands in for.
void say_missing(const Option& option, Diagnostics& diagnostics);

}  // namespace ascendsim
