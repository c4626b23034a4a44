#include "reports/command_line/arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace ascendsim {

Arguments at_dashes(std::span<const std::string> args) {
  const auto dashes = std::ranges::find(args, "--");
  Arguments out{.split = {args.begin(), dashes}, .words = {}};
  if (dashes != args.end()) out.words.assign(dashes + 1, args.end());
  return out;
}

void check_values(std::span<const std::string> args, const std::function<bool(std::string_view)>& takes_value,
                  Diagnostics& diagnostics) {
  const auto is_number = [](const std::string& text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
  };
  for (std::size_t i = 0; i < args.size(); ++i) {
    if ((args[i] == "K" || args[i] == "k") && i > 0 && is_number(args[i - 1]))
      diagnostics.error("E0004", {}, fmt::format("'{}' stands alone behind {}", args[i], args[i - 1]), {},
                        fmt::format("without a blank: {}{}", args[i - 1], args[i]));
    const std::size_t equals = args[i].starts_with("-") ? args[i].find('=') : std::string::npos;
    const std::string name = args[i].substr(0, equals);
    if (!takes_value(name)) continue;
    const bool beside = equals != std::string::npos;
    if (!beside && i + 1 == args.size()) break;  // the parser says that it needs one
    const std::string& value = beside ? args[i].substr(equals + 1) : args[++i];
    if (value.empty())
      diagnostics.error("E0004", {}, fmt::format("{} has an empty value", name), {},
                        "give it one, or leave the option out");
  }
}

void say_unwritable(const std::string& path, std::string_view option, Diagnostics& diagnostics) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code failed;
  if (!folder.empty() && !std::filesystem::exists(folder, failed))
    diagnostics.error("E0005", {},
                      fmt::format("cannot write '{}': the folder '{}' does not exist", path, folder.string()), {},
                      fmt::format("make the folder first, or choose another {}", option));
  else
    diagnostics.error("E0005", {}, fmt::format("cannot write '{}'", path), {},
                      fmt::format("choose another {}", option));
}

}  // namespace ascendsim
