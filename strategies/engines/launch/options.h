// Command lines of engines against their option tables: what argparse does with them (vLLM's FlexibleArgumentParser,
// SGLang's ArgumentParser), every option with what happens to it here.
// vLLM/utils argparse_utils.py: `_` and `-` are the same in names; 1k = 1000, 1K = 1024, 25.6k = 25600; JSON options
// may be written dotted (--speculative-config.method mtp, --x.y+ v appends); --no-x switches off; an unambiguous
// beginning of a name is that name (argparse, allow_abbrev); the last one wins; --config FILE.yaml comes before the
// command line.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "strategies/deployment/fields.h"
#include "strategies/deployment/key_report.h"
#include "strategies/deployment/versions.h"
#include "strategies/engines/launch/shell.h"

namespace ascendsim {

// kSwitch also exists as --no-NAME. kTokens: an integer that people write as 64k; kLength: such a one, auto or -1.
// kList: one or more values. kOpen: text that may stay unresolved, its reader knows whether that matters. kMaybe: text
// that may be missing.
enum class OptionType : std::uint8_t {
  kFlag,
  kSwitch,
  kInteger,
  kTokens,
  kLength,
  kNumber,
  kText,
  kOpen,
  kMaybe,
  kJson,
  kList
};

// Rows of option tables. A name may have several rows, of different versions.

struct EngineOption {
  std::string_view name{};     // "tensor-parallel-size"
  std::string_view aliases{};  // "-tp", several with blanks between
  OptionType type = OptionType::kText;
  KeyUse use = KeyUse::kNoEffect;
  std::string_view field{};    // of question_fields(): the value goes there as it is
  double least = 0, most = 0;  // of numbers; equal = no limit
  std::string_view remark{};
  std::string_view source{};
  std::span<const std::string_view> choices{};  // of a closed list of words
  VersionRange versions{};
  std::string_view usually{};  // the default; empty = none, or worked out at start
};
// A key inside a JSON option, with what is below it: "kv_connector_extra_config.prefill" of "kv-transfer-config".
struct JsonKeySpec {
  std::string_view option{}, key{};
  KeyUse use = KeyUse::kNoEffect;
  std::string_view remark{};
  std::span<const std::string_view> choices{};
  VersionRange versions{};
  std::string_view usually{};
};
struct EnvironmentSpec {
  std::string_view name{};
  KeyUse use = KeyUse::kNoEffect;
  std::string_view remark{};
  std::string_view source{};
  std::span<const std::string_view> choices{};
  VersionRange versions{};
};

class OptionSet;
struct BenchmarkLoad;

struct OptionTable {
  std::string_view engine{};  // as messages name it: "vLLM"
  std::span<const EngineOption> options{};
  std::span<const JsonKeySpec> json_keys{};
  std::span<const EnvironmentSpec> environment{};
  std::span<const std::string_view> own_prefixes{};  // of environment variables that would be the engine's: "VLLM_"
  bool underscores = false;                          // `_` is `-` in option names
  // Options that say a field without being its value: what reports call it. {"layout.cp", "attn-cp-size"}
  std::span<const std::pair<std::string_view, std::string_view>> words{};
  // Of a tool that drives a server: its options as a load.
  void (*read_generator)(const OptionSet& options, BenchmarkLoad& load, Diagnostics& diagnostics) = nullptr;
  std::string_view product{};  // whose versions rows speak of: "vLLM-Ascend"
  // JSON options whose unknown keys the engine does not refuse.
  std::span<const std::string_view> lenient{};
};

// A version of the table's engine; without one every row counts.
struct OptionVersion {
  std::string text{};
  std::optional<Version> at{};
  OptionVersion() = default;
  explicit OptionVersion(std::string_view version) : text(version), at(parse_version(version)) {}
  [[nodiscard]] bool has(const VersionRange& range) const { return !at || range.has(*at); }
};

// Those of all engines that are started by a command line.
std::vector<const OptionTable*> option_tables();
// The table's name of the option whose value is kept in `field`; empty when there is none.
std::string_view option_of_field(const OptionTable& table, std::string_view field);
// The field that the value of an option is kept in, whatever dashes, underscores or alias it is written with
// ("tensor_parallel_size", "--max-model-len", "dcp"); empty when there is none.
std::string_view field_of_option(const OptionTable& table, std::string_view written);

class OptionSet {
 public:
  // words: behind the program's own (`vllm serve`). Reads --config files too. Reports every option in `keys`.
  OptionSet(const OptionTable& table, std::span<const ShellWord> words, const ShellVariables& variables,
            const Defines& defines, Diagnostics& diagnostics, OptionVersion version = {});

  // Options, keys and variables that are written and that this version of the engine does not know, although another
  // one does.
  [[nodiscard]] std::vector<std::string> unknown_to(const Version& version) const;
  // The default of an option in the version at hand; empty when there is none.
  [[nodiscard]] std::string_view usual(std::string_view name) const;

  [[nodiscard]] bool has(std::string_view name) const { return find(name) != nullptr; }
  [[nodiscard]] SourceLocation where(std::string_view name) const;
  // Empty when absent, wrong or unresolved; the latter two were diagnosed if the table uses the option.
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view name) const;
  [[nodiscard]] std::optional<double> number(std::string_view name) const;
  [[nodiscard]] std::optional<std::string> text(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> texts(std::string_view name) const;  // of a list
  [[nodiscard]] std::vector<std::int64_t> integers(std::string_view name) const;
  [[nodiscard]] std::optional<ShellWord> word(std::string_view name) const;  // as written
  [[nodiscard]] std::optional<bool> flag(std::string_view name) const;       // of a switch: written on or off
  // Of a JSON option; "cudagraph_capture_sizes[0]" for elements.
  [[nodiscard]] std::optional<std::string> json(std::string_view option, std::string_view key) const;
  [[nodiscard]] std::optional<std::int64_t> json_integer(std::string_view option, std::string_view key) const;
  [[nodiscard]] std::vector<std::int64_t> json_integers(std::string_view option, std::string_view key) const;
  // The value that the process sees; empty when not exported. Diagnosed when it is unresolved.
  [[nodiscard]] std::optional<std::string> environment(std::string_view name) const;
  [[nodiscard]] SourceLocation environment_where(std::string_view name) const;
  [[nodiscard]] std::optional<ShellWord> positional() const { return positional_; }

  // Everything with a `field`.
  void apply(Question& question) const;
  [[nodiscard]] const std::vector<KeyReport>& keys() const { return keys_; }
  // An option that is not written; a note says so.
  void assume(std::string_view name, const std::string& value, std::string_view why);
  [[nodiscard]] const SourceLocation& command() const { return command_; }

 private:
  struct Option {
    const EngineOption* spec = nullptr;
    std::vector<ShellWord> values;
    bool off = false, usable = true;
    SourceLocation where;
  };
  struct Leaf {
    std::string text;
    SourceLocation where;
    std::vector<std::string> unresolved;
  };
  [[nodiscard]] const Option* find(std::string_view name) const;
  const EngineOption* look_up(const std::string& written, const SourceLocation& where, bool& off);
  [[nodiscard]] std::string has_no(std::string_view what, const VersionRange& range) const;
  void read(std::span<const ShellWord> words);
  void read_config(const ShellWord& file);
  void add_json(Option& option, const ShellWord& value);
  void add_leaf(const EngineOption& spec, const std::string& key, Leaf leaf);
  void check(Option& option);
  void report();
  void report_environment();
  // A word that is not among the choices is an error with the nearest of them.
  bool among(std::string_view what, const ShellWord& word, std::span<const std::string_view> choices,
             std::string_view source);
  bool resolved(const ShellWord& word, std::string_view what, bool needed) const;

  const OptionTable& table_;
  const ShellVariables& variables_;
  const Defines& defines_;
  Diagnostics& diagnostics_;
  SourceLocation command_;
  std::vector<Option> options_;
  std::map<std::string, Leaf, std::less<>> json_;  // "option.key"
  std::optional<ShellWord> positional_;
  std::vector<KeyReport> keys_;
  OptionVersion version_;
  std::vector<std::string> written_;  // names of options as they are written
  bool in_config_ = false;
};

// 1k = 1000, 1K = 1024, 25.6k = 25600; empty when it is no such number.
std::optional<std::int64_t> parse_human_integer(std::string_view text);

}  // namespace ascendsim
