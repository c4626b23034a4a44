// A launch script, read and never executed: straight-line POSIX shell with bash arrays, as engines' guides print it.
// Understood: comments, quotes, backslash-newline, assignments, export, arrays (`IPs=(a b)`, `${#IPs[@]}`,
// `"${ARGS[@]}"`),
// `${x:-default}`, `$(( ))`, `expr` in backticks or `$( )`, word splitting, `A=1 cmd`, pipes, redirections,
// here-documents,
// `&`, `;`, `&&`. The right side of `||` counts as not run. Diagnosed: control flow, functions, subshells, unclosed
// quotes. Other command substitutions and variables that nobody assigns stay unresolved; whoever needs such a word says
// so.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sim/diagnostics.h"

namespace ascendsim {

struct ShellWord {
  std::string text;  // after expansion; an unresolved variable stays as ${NAME}
  SourceLocation where;
  std::vector<std::string> unresolved;  // names, for --define
};

struct ShellVariable {
  ShellWord value;
  bool exported = false;
};
using ShellVariables = std::map<std::string, ShellVariable, std::less<>>;

struct ShellCommand {
  std::vector<ShellWord> words;  // at least one
  ShellVariables variables;      // at that point; assignments in front of the command count as exported
};

using Defines = std::map<std::string, std::string, std::less<>>;  // --define NAME=VALUE, over any assignment

inline constexpr std::size_t kMaxScriptBytes = 1u << 20;
std::vector<ShellCommand> read_shell(std::string text, const std::string& name, const Defines& defines,
                                     Diagnostics& diagnostics);

}  // namespace ascendsim
