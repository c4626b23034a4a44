// Configuration text (YAML, and JSON as its subset) with the place of everything that was read.
//
// Reading never throws for bad input: it adds to a Diagnostics and hands out fallback values, so one run reports all
// mistakes of a file. A Section remembers which keys were asked for; finish() reports the rest with a suggestion.
// Refused, each with a diagnostic: unreadable or missing file, directory, empty or blank text, NUL bytes (binary),
// invalid UTF-8, more than max_bytes, nesting deeper than 64, YAML anchors / aliases (unless asked for) / tags /
// several documents, duplicate keys, non-scalar keys, anything yaml-cpp rejects (with its line and column). Beyond
// plain YAML two habits of vendor files are accepted: `//` comments outside strings, and a comma after the last
// top-level value. A document may be a brace-less fragment ("ModelDeployConfig" : {...}).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/diagnostics.h"
#include "sim/units.h"

namespace ascendsim {

class Document;

// A cheap handle to one value of a document. Default-constructed = absent.
class ConfigNode {
 public:
  enum class Kind : unsigned char { kAbsent, kNull, kScalar, kSequence, kMap };
  ConfigNode() = default;

  [[nodiscard]] Kind kind() const;
  [[nodiscard]] explicit operator bool() const { return kind() != Kind::kAbsent; }
  [[nodiscard]] bool is_map() const { return kind() == Kind::kMap; }
  [[nodiscard]] bool is_sequence() const { return kind() == Kind::kSequence; }
  [[nodiscard]] bool is_scalar() const { return kind() == Kind::kScalar; }
  [[nodiscard]] bool is_quoted() const;                  // "8" is a string even where it looks like a number
  [[nodiscard]] std::string_view text() const;           // of a scalar or a written null / ~; empty otherwise
  [[nodiscard]] std::string_view key() const;            // the key under which it stands in its map; empty otherwise
  [[nodiscard]] std::size_t size() const;                // of a sequence or map
  [[nodiscard]] ConfigNode at(std::size_t index) const;  // child of a sequence or map, in file order
  [[nodiscard]] ConfigNode find(std::string_view key) const;  // child of a map; absent when missing or not a map
  [[nodiscard]] SourceLocation where() const;                 // of the value
  [[nodiscard]] SourceLocation key_where() const;             // of its key

  // Typed readings. Empty after adding a diagnostic that says what was expected and what stands there. Integers refuse
  // quotes, fractions, NaN, hexadecimal and octal forms and whatever does not fit into 64 bits.
  std::optional<std::int64_t> as_integer(Diagnostics&) const;
  std::optional<double> as_number(Diagnostics&) const;       // finite
  std::optional<bool> as_bool(Diagnostics&) const;           // true / false only
  std::optional<std::string> as_string(Diagnostics&) const;  // a scalar, quoted or not
  template <class Q>
  std::optional<Q> as_quantity(Diagnostics&) const;  // "1.6 TB/s"; a bare number for a dimensioned key is an error

  bool operator==(const ConfigNode&) const = default;

 private:
  friend class Document;
  ConfigNode(const Document* document, std::uint32_t index) : document_(document), index_(index) {}
  const Document* document_ = nullptr;
  std::uint32_t index_ = 0;
};

// kRead: `*name` is a copy of what `&name` marks, `<<` puts the keys of a map in where the map itself has none. Both
// are for files that others wrote; copies keep the places of the original.
enum class YamlAliases : unsigned char { kRefused, kRead };

class Document {
 public:
  static constexpr std::size_t kMaxBytes = 10u << 20;  // MindIE's own limit for config.json: (0, 10 MB]
  // Empty (after diagnostics) when there is nothing to read from. `name` is what diagnostics call the file.
  static std::shared_ptr<const Document> load(const std::string& path, Diagnostics&, std::size_t max_bytes = kMaxBytes);
  static std::shared_ptr<const Document> parse(std::string text, std::string name, Diagnostics&,
                                               YamlAliases aliases = YamlAliases::kRefused);

  [[nodiscard]] ConfigNode root() const;
  [[nodiscard]] const std::string& name() const;
  // What a parser of strict JSON would refuse in a file that is JSON otherwise: comments, commas before a closing
  // bracket.
  struct Leniency {
    SourceLocation where;
    const char* what;
  };
  [[nodiscard]] std::vector<Leniency> beyond_strict_json() const;
  ~Document();
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

 private:
  friend class ConfigNode;
  Document();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Names of the .yaml files of a folder, without the ending, sorted: what a library of data files knows.
std::vector<std::string> document_names(const std::string& folder);

enum class FigureKind : unsigned char { kSpec, kMeasured, kFitted, kAssumed };
std::string_view to_text(FigureKind kind);

// A number somebody else must be able to check. In data files:  {value: 1.6 TB/s, kind: spec, source: "...",
// range: [1.6 TB/s, 1.76 TB/s]}  where range is optional and kind `fitted` or `assumed` should carry one.
template <class Q>
struct Figure {
  Q value{};
  FigureKind kind = FigureKind::kAssumed;
  std::string source;
  std::optional<std::pair<Q, Q>> range;
  std::string name;  // "hbm_bandwidth", the key it was read from
};

// A mapping that is being read strictly: every key must be asked for, once, before finish().
class Section {
 public:
  // A node that is not a map is reported and then treated as empty.
  Section(ConfigNode node, Diagnostics& diagnostics);

  template <class T>
  T required(std::string_view key);  // reports a missing key; T{} when absent or wrong
  template <class T>
  std::optional<T> optional(std::string_view key);  // `key: null` is absent; `key:` with nothing is reported
  template <class T>
  T optional(std::string_view key, T fallback) {
    return optional<T>(key).value_or(std::move(fallback));
  }
  template <class Q>
  Figure<Q> figure(std::string_view key);  // required
  template <class Q>
  std::optional<Figure<Q>> optional_figure(std::string_view key);
  Section section(std::string_view key);  // required child mapping
  ConfigNode node(std::string_view key);  // marks it as read; absent when missing
  [[nodiscard]] ConfigNode self() const { return node_; }
  void finish();  // unknown keys, with did-you-mean

 private:
  explicit Section(Diagnostics& diagnostics) : diagnostics_(&diagnostics) {}  // empty; what is missing was reported
  ConfigNode required_node(std::string_view key);
  ConfigNode node_;
  Diagnostics* diagnostics_;
  std::vector<std::string> asked_;
};

}  // namespace ascendsim
