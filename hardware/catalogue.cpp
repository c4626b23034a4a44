#include "hardware/catalogue.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <memory>

namespace ascendsim {
namespace {

// The folders of the catalogue, with the word and the code that a diagnostic about an unknown name uses.
struct Shelf {
  std::string_view folder, thing, unknown_code;
};
constexpr Shelf kServers{"servers", "server", "E0201"};
constexpr Shelf kDies{"dies", "die", "E0202"};
constexpr Shelf kLinks{"links", "link", "E0203"};
constexpr Shelf kKernels{"kernels", "kernel table", "E0204"};

constexpr std::array<double, 3> kExponents{1.0, 1.5, 2.0};  // those that combine() knows

std::vector<std::string> names_on(const std::string& root, const Shelf& shelf) {
  return document_names(fmt::format("{}/{}", root, shelf.folder));
}

// What a diagnostic suggests instead of `word`.
std::string suggestion(std::string_view word, const std::vector<std::string>& known) {
  const std::vector<std::string_view> candidates(known.begin(), known.end());
  const std::string_view close = nearest(word, candidates);
  const std::string list = fmt::format("known: {}", fmt::join(candidates, ", "));
  return close.empty() ? list : fmt::format("did you mean '{}'? {}", close, list);
}

// A file of the catalogue by name; empty after a diagnostic at `asked`, the place that gave the name.
std::shared_ptr<const Document> open(const std::string& root, const Shelf& shelf, std::string_view name,
                                     const SourceLocation& asked, Diagnostics& diagnostics) {
  const std::vector<std::string> known = names_on(root, shelf);
  if (!std::ranges::binary_search(known, name)) {
    const std::string help =
        known.empty() ? fmt::format("no data files in {}/{}", root, shelf.folder) : suggestion(name, known);
    diagnostics.error(std::string(shelf.unknown_code), asked, fmt::format("unknown {} '{}'", shelf.thing, name), {},
                      help);
    return nullptr;
  }
  return Document::load(fmt::format("{}/{}/{}.yaml", root, shelf.folder, name), diagnostics);
}

// A file of the catalogue and the files it inherits from, the most derived first. A key is read from the first file
// that has it, so that a bin gives only what differs.
class Layers {
 public:
  Layers(const std::string& root, const Shelf& shelf, std::string_view name, const SourceLocation& asked,
         Diagnostics& diagnostics)
      : diagnostics_(&diagnostics) {
    // Without its base a file would have every inherited key reported as missing.
    if (!read_chain(root, shelf, std::string(name), asked)) sections_.clear();
  }

  [[nodiscard]] bool found() const { return !sections_.empty(); }
  [[nodiscard]] bool has(std::string_view key) const {
    return std::ranges::any_of(sections_, [&](const Section& s) { return static_cast<bool>(s.self().find(key)); });
  }
  // The section to read `key` from. REQUIRES: found().
  Section& owner(std::string_view key) {
    Section* owner = nullptr;
    for (Section& section : sections_) {
      if (!section.self().find(key)) continue;
      if (owner == nullptr)
        owner = &section;
      else
        section.node(key);  // overridden, yet a known key of that file
    }
    return owner != nullptr ? *owner : sections_.front();
  }
  template <class Q>
  void read(std::string_view key, Figure<Q>& into) {
    into = owner(key).figure<Q>(key);
  }
  void read(std::string_view key, std::string& into) { into = owner(key).required<std::string>(key); }
  void read_count(std::string_view key, int least, int& into) {
    constexpr int kMost = 1 << 20;  // nothing countable in a server or a fabric comes near
    const ConfigNode node = owner(key).node(key);
    if (!node) return void(owner(key).required<std::int64_t>(key));  // says that it is missing
    const auto value = node.as_integer(*diagnostics_);
    if (!value) return;
    if (*value >= least && *value <= kMost) {
      into = static_cast<int>(*value);
    } else {
      diagnostics_->error("E0207", node.where(),
                          fmt::format("'{}' must be between {} and {}, not {}", key, least, kMost, *value));
    }
  }
  void finish() {
    for (Section& section : sections_) section.finish();
  }

 private:
  // False after a diagnostic.
  bool read_chain(const std::string& root, const Shelf& shelf, std::string name, SourceLocation where) {
    std::vector<std::string> seen;
    while (std::ranges::find(seen, name) == seen.end()) {
      const auto document = documents_.emplace_back(open(root, shelf, name, where, *diagnostics_));
      if (!document) return false;
      seen.push_back(name);
      const ConfigNode base = sections_.emplace_back(document->root(), *diagnostics_).node("inherits");
      if (!base) return true;
      const auto base_name = base.as_string(*diagnostics_);
      if (!base_name) return false;
      name = *base_name;
      where = base.where();
    }
    diagnostics_->error("E0205", where, fmt::format("'{}' inherits from itself", name), {},
                        fmt::format("the chain is {} -> {}", fmt::join(seen, " -> "), name));
    return false;
  }

  Diagnostics* diagnostics_;
  std::vector<std::shared_ptr<const Document>> documents_;  // keeps what the sections point into
  std::vector<Section> sections_;
};

// Named figures whose type follows from the unit they are written with.
FigureTable read_figure_table(Section table, Diagnostics& diagnostics) {
  FigureTable figures;
  const ConfigNode node = table.self();
  for (std::size_t i = 0; i < node.size(); ++i) {
    const std::string key(node.at(i).key());
    const std::string_view value = node.at(i).find("value").text();
    if (parse_quantity<Duration>(value))
      figures.add(key, table.figure<Duration>(key));
    else if (parse_quantity<Bytes>(value))
      figures.add(key, table.figure<Bytes>(key));
    else if (parse_quantity<BytesPerSecond>(value))
      figures.add(key, table.figure<BytesPerSecond>(key));
    else if (parse_quantity<Ratio>(value))
      figures.add(key, table.figure<Ratio>(key));
    else {
      table.node(key);
      diagnostics.error(
          "E0208", node.at(i).where(), fmt::format("'{}' is not a figure with a known unit", key), {},
          "write {value: 5 us, kind: measured, source: \"...\"}: a time, bytes, a rate or a plain number");
    }
  }
  table.finish();
  return figures;
}

LinkType read_link(const std::string& root, std::string_view name, const SourceLocation& asked,
                   Diagnostics& diagnostics) {
  LinkType link;
  Layers file(root, kLinks, name, asked, diagnostics);
  if (!file.found()) return link;
  link.name = name;
  file.read("description", link.description);
  file.read("bandwidth", link.bandwidth);
  file.read("efficiency", link.efficiency);
  file.read("latency", link.latency);
  if (file.has("transfers"))
    link.transfers = read_figure_table(file.owner("transfers").section("transfers"), diagnostics);
  if (file.has("bandwidth") && !(link.bandwidth.value.count() > 0) && !diagnostics.has_errors()) {
    diagnostics.error("E0212", file.owner("bandwidth").self().find("bandwidth").where(),
                      fmt::format("link '{}' has no bandwidth", name), {},
                      "a link that is down is a fault of a cluster, not a link type: see --faults");
  }
  file.finish();
  return link;
}

std::vector<Figure<Bytes>> read_core_memories(Section memories) {
  std::vector<Figure<Bytes>> figures;
  for (std::size_t i = 0; i < memories.self().size(); ++i) {
    figures.push_back(memories.figure<Bytes>(memories.self().at(i).key()));
  }
  memories.finish();
  return figures;
}

Die read_die(const std::string& root, std::string_view name, const SourceLocation& asked, Diagnostics& diagnostics) {
  Die die;
  Layers file(root, kDies, name, asked, diagnostics);
  if (!file.found()) return die;
  die.name = name;
  file.read("product", die.product);
  file.read("cube_cores", die.cube_cores);
  file.read("vector_cores", die.vector_cores);
  file.read("clock", die.clock);
  file.read("matrix_16bit", die.matrix_16bit);
  file.read("matrix_int8", die.matrix_int8);
  file.read("vector_fp16", die.vector_fp16);
  file.read("vector_fp32", die.vector_fp32);
  file.read("hbm_capacity", die.hbm_capacity);
  file.read("hbm_visible", die.hbm_visible);
  file.read("hbm_bandwidth", die.hbm_bandwidth);
  file.read("l2_capacity", die.l2_capacity);
  file.read("l2_bandwidth", die.l2_bandwidth);
  file.read("power", die.power);
  die.core_memories = read_core_memories(file.owner("core_memories").section("core_memories"));
  file.finish();
  return die;
}

Fabric read_fabric(Layers& file, Diagnostics& diagnostics) {
  std::string text;
  file.read("fabric", text);
  const SourceLocation where = file.owner("fabric").self().find("fabric").where();
  if (text == "unified-bus") return Fabric::kUnifiedBus;
  if (text != "hccs-mesh" && !text.empty()) {
    diagnostics.error("E0209", where, fmt::format("unknown fabric '{}'", text), {},
                      suggestion(text, {"hccs-mesh", "unified-bus"}));
  }
  return Fabric::kHccsMesh;
}

// The die the server was asked to have. `wanted` empty = the server's default.
Die read_server_die(const std::string& root, std::string_view server, std::string_view wanted, Layers& file,
                    Diagnostics& diagnostics) {
  std::string standard;
  file.read("die", standard);
  const SourceLocation where = file.owner("die").self().find("die").where();
  const ConfigNode others = file.owner("other_dies").node("other_dies");
  if (wanted.empty() || wanted == standard) return read_die(root, standard, where, diagnostics);
  std::vector<std::string> offered{standard};
  for (std::size_t i = 0; i < others.size(); ++i) {
    if (auto name = others.at(i).as_string(diagnostics)) offered.push_back(*name);
  }
  if (std::ranges::find(offered, wanted) != offered.end()) return read_die(root, wanted, {}, diagnostics);
  const std::vector<std::string> known = names_on(root, kDies);
  if (std::ranges::binary_search(known, wanted)) {
    diagnostics.error("E0206", {}, fmt::format("server '{}' does not come with die '{}'", server, wanted), {},
                      fmt::format("its dies are {}", fmt::join(offered, ", ")));
    return {};
  }
  return read_die(root, wanted, {}, diagnostics);  // says that it is unknown
}

RoceNetwork read_roce(Section section, Diagnostics& diagnostics) {
  RoceNetwork roce{section.figure<Count>("dies_per_leaf"), section.figure<Ratio>("oversubscription"),
                   section.figure<Duration>("spine_latency")};
  if (section.self().find("dies_per_leaf") && roce.dies_per_leaf.value.count() < 1)
    diagnostics.error("E0207", section.self().find("dies_per_leaf").where(), "a leaf switch has at least one die");
  if (section.self().find("oversubscription") && !(roce.oversubscription.value.count() >= 1))
    diagnostics.error("E0207", section.self().find("oversubscription").where(), "oversubscription is at least 1");
  section.finish();
  return roce;
}

Server read_server(const std::string& root, std::string_view name, std::string_view die, const SourceLocation& asked,
                   Diagnostics& diagnostics) {
  Server server;
  Layers file(root, kServers, name, asked, diagnostics);
  if (!file.found()) return server;
  const auto link = [&](std::string_view key) {
    std::string link_name;
    file.read(key, link_name);
    return read_link(root, link_name, file.owner(key).self().find(key).where(), diagnostics);
  };
  server.name = name;
  file.read("product", server.product);
  server.fabric = read_fabric(file, diagnostics);
  file.read_count("cards", 1, server.cards);
  file.read_count("dies_per_card", 1, server.dies_per_card);
  if (file.has("max_servers")) file.read_count("max_servers", 0, server.max_servers);
  server.die = read_server_die(root, name, die, file, diagnostics);
  server.die_link = link("die_link");
  file.read_count("die_links", 1, server.die_links);
  if (server.fabric == Fabric::kUnifiedBus) {
    file.read("uplink_oversubscription", server.uplink_oversubscription);
    if (file.has("uplink_oversubscription") && !(server.uplink_oversubscription.value.count() >= 1))
      diagnostics.error("E0207", file.owner("uplink_oversubscription").self().find("uplink_oversubscription").where(),
                        "oversubscription is at least 1");
  }
  if (file.has("package_link")) server.package_link = link("package_link");
  server.nic = link("nic");
  server.roce = read_roce(file.owner("roce").section("roce"), diagnostics);
  server.host_link = link("host_link");
  server.collectives = read_figure_table(file.owner("collectives").section("collectives"), diagnostics);
  file.finish();
  return server;
}

// Where to read a server from: its own file, or the one that an alias names.
struct ServerFile {
  std::string name;
  SourceLocation asked;  // the place in the alias file; empty when there is none
  bool is_alias = false;
  std::string product;  // of an alias: what it is sold as; empty = as the other one
};
std::optional<ServerFile> resolve_alias(const std::string& root, std::string_view name, Diagnostics& diagnostics) {
  const auto document = open(root, kServers, name, {}, diagnostics);
  if (!document) return std::nullopt;
  const ConfigNode alias = document->root().find("alias_of");
  if (!alias) return ServerFile{std::string(name), {}, false, {}};
  Section file(document->root(), diagnostics);
  ServerFile target{file.required<std::string>("alias_of"), alias.where(), true,
                    file.optional<std::string>("product", "")};
  file.finish();
  return target;
}

template <class Q>
Figure<Q> own_or_default(Section& own, Section& defaults, std::string_view key) {
  return !own.self().find(key) && defaults.self().find(key) ? defaults.figure<Q>(key) : own.figure<Q>(key);
}

KernelFamily read_family(std::string_view name, Section own, Section& defaults) {
  KernelFamily family;
  family.name = name;
  family.t0 = own_or_default<Duration>(own, defaults, "t0");
  family.hbm_efficiency = own_or_default<Ratio>(own, defaults, "hbm_efficiency");
  if (auto matrix = own.optional_figure<Ratio>("matrix_efficiency")) family.matrix_efficiency = *std::move(matrix);
  family.vector_efficiency = own_or_default<Ratio>(own, defaults, "vector_efficiency");
  if (auto start = own.optional_figure<Duration>("core_start")) family.core_start = *std::move(start);
  if (auto time = own.optional_figure<Duration>("row_time")) family.row_time = *std::move(time);
  if (auto share = own.optional_figure<Ratio>("l2_efficiency")) family.l2_efficiency = *std::move(share);
  if (auto bytes = own.optional_figure<Bytes>("block")) family.block = *std::move(bytes);
  if (auto bytes = own.optional_figure<Bytes>("l2_bytes_per_result")) family.l2_bytes_per_result = *std::move(bytes);
  own.finish();
  return family;
}

void refuse_unknown_exponent(const Figure<Ratio>& exponent, const SourceLocation& where, Diagnostics& diagnostics) {
  if (std::ranges::find(kExponents, exponent.value.count()) != kExponents.end()) return;
  diagnostics.error("E0210", where, fmt::format("'combine_exponent' cannot be {}", exponent.value.count()), {},
                    fmt::format("use one of {}", fmt::join(kExponents, ", ")));
}

template <class Table>
const auto& find_figure(const Table& table, std::string_view name) {
  const auto found = table.find(name);
  check(found != table.end(), fmt::format("no figure '{}' of this unit in the hardware catalogue", name));
  return found->second;
}

}  // namespace

Duration FigureTable::duration(std::string_view name) const { return find_figure(durations_, name).value; }
Ratio FigureTable::ratio(std::string_view name) const { return find_figure(ratios_, name).value; }
Bytes FigureTable::bytes(std::string_view name) const { return find_figure(bytes_, name).value; }
const Figure<Bytes>& FigureTable::bytes_figure(std::string_view name) const { return find_figure(bytes_, name); }
BytesPerSecond FigureTable::rate(std::string_view name) const { return find_figure(rates_, name).value; }

const KernelFamily& KernelTable::family(std::string_view name) const {
  const auto found = std::ranges::find(families, name, &KernelFamily::name);
  check(found != families.end(), fmt::format("no kernel family '{}' in the hardware catalogue", name));
  return *found;
}

Catalogue::Catalogue(std::string root) : root_(std::move(root)) {}

std::vector<std::string> Catalogue::server_names() const { return names_on(root_, kServers); }
std::vector<std::string> Catalogue::die_names() const { return names_on(root_, kDies); }

Die Catalogue::die(std::string_view name, Diagnostics& diagnostics) const {
  return read_die(root_, name, {}, diagnostics);
}

LinkType Catalogue::link(std::string_view name, Diagnostics& diagnostics) const {
  return read_link(root_, name, {}, diagnostics);
}

Server Catalogue::server(std::string_view name, std::string_view die, Diagnostics& diagnostics) const {
  const auto file = resolve_alias(root_, name, diagnostics);
  if (!file) return {};
  Server server = read_server(root_, file->name, die, file->asked, diagnostics);
  server.name = name;
  if (file->is_alias) server.alias_of = file->name;
  if (!file->product.empty()) server.product = file->product;
  return server;
}

KernelTable Catalogue::kernels(std::string_view name, Diagnostics& diagnostics) const {
  KernelTable table;
  const auto document = open(root_, kKernels, name, {}, diagnostics);
  if (!document) return table;
  Section file(document->root(), diagnostics);
  table.combine_exponent = file.figure<Ratio>("combine_exponent");
  refuse_unknown_exponent(table.combine_exponent, document->root().find("combine_exponent").where(), diagnostics);
  Section defaults = file.section("defaults");
  Section families = file.section("families");
  for (std::size_t i = 0; i < families.self().size(); ++i) {
    const std::string_view key = families.self().at(i).key();
    table.families.push_back(read_family(key, families.section(key), defaults));
  }
  table.shared = read_figure_table(file.section("shared"), diagnostics);
  defaults.finish();
  families.finish();
  file.finish();
  return table;
}

}  // namespace ascendsim
