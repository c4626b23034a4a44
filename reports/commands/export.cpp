// `export`: writes launch files, reads them back and says what got lost.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "reports/answers/memory_tables.h"
#include "reports/commands/commands.h"
#include "sim/source_text.h"
#include "strategies/engines/exporter.h"
#include "strategies/intake/pairs.h"

namespace ascendsim {

namespace {

struct Source {
  std::vector<FileChoice> choices;  // one instance, or prefill and decode
  std::vector<Subject> subjects;
  std::vector<Server> servers;
  std::vector<int> counts;
};

const Engine* target_of(std::string_view name, Diagnostics& diagnostics) {
  std::vector<std::string_view> names;
  for (const Engine* const e : engines())
    if (e->write != nullptr) names.push_back(e->called);
  const Engine* const to = engine_called(name);
  if (to != nullptr && to->write != nullptr) return to;
  const std::string_view near = nearest(name, names);
  diagnostics.error(
      "E0004", {}, fmt::format("unknown --to '{}'", name), {},
      near.empty() ? fmt::format("one of: {}", fmt::join(names, ", ")) : fmt::format("did you mean '{}'?", near));
  return nullptr;
}

std::string targets_in_words() {
  std::vector<std::string_view> all;
  for (const Engine* const e : engines())
    if (e->write != nullptr) all.push_back(e->called);
  return fmt::format("{} or {}", fmt::join(std::span(all).first(all.size() - 1), ", "), all.back());
}

// --engine-version is that of the target: of the source only where both are the same engine.
bool same_engine(const FileChoice& c, const Engine& to) {
  return (c.launched ? engine_of(c.launched->question.stack) : usual_engine()).is(to);
}

Source load_source(const Engine& to, const std::vector<std::string>& words, const Libraries& libraries,
                   const Settings& asked, Diagnostics& diagnostics) {
  Source s;
  Settings settings = asked;
  Diagnostics found;
  Inputs inputs = gather_inputs(words, libraries, asked, found);
  const auto foreign = [&](const FileChoice& c) { return !same_engine(c, to); };
  if (!asked.engine_version.empty() &&
      (std::ranges::any_of(inputs.choices, foreign) || (inputs.pair && foreign(inputs.pair->prefill)))) {
    settings.engine_version.clear();
    found = {};
    inputs = gather_inputs(words, libraries, settings, found);
  }
  diagnostics.append(found);
  if (inputs.pair)
    s.choices = {inputs.pair->prefill, inputs.pair->decode};
  else
    s.choices = {only_choice(inputs.choices, diagnostics)};
  for (const FileChoice& c : s.choices) {
    s.subjects.push_back(load_subject(c, Load::kLimitsIfAny, libraries, settings, diagnostics));
    const HardwareChoice& h = s.subjects.back().question.hardware;
    Diagnostics said;  // by load_subject
    s.servers.push_back(libraries.server(h.server.empty() ? std::string(kUsualServer) : h.server, h.die, said));
    s.counts.push_back(server_count(s.subjects.back().question, s.servers.back(), said));
  }
  if (inputs.pair) check_pair(s.choices[0], s.subjects[0], s.choices[1], s.subjects[1], diagnostics);
  if (refused(diagnostics, asked.strict)) throw ConfigError(diagnostics);
  return s;
}

// As `check` reads what was written.
std::vector<Subject> read_back(const Export& written, const Source& source, const std::string& version,
                               const std::string& folder, const Libraries& libraries, Diagnostics& found) {
  Settings settings;
  settings.engine_version = version;
  std::vector<InputText> texts;
  for (const ExportedFile& f : written.files)
    if (f.launches) texts.push_back({(std::filesystem::path(folder) / f.name).string(), f.text});
  std::vector<FileChoice> choices = read_texts(std::move(texts), libraries, settings, found);
  std::vector<Subject> out;
  if (choices.size() != source.choices.size()) {
    check(found.has_errors(), "exported files start as many instances as were asked for");
    return out;
  }
  if (choices.size() == 2 && choices[0].launched && choices[0].launched->question.deployment.role == Role::kDecode)
    std::swap(choices[0], choices[1]);
  for (std::size_t i = 0; i < choices.size(); ++i) {
    FileChoice& c = choices[i];
    Settings of_side = settings;
    c.hardware = source.servers[i].name;
    c.servers = source.counts[i];
    if (!c.launched) c.role = source.subjects[i].question.deployment.role;
    if (i < written.environment.size())
      for (const auto& [name, value] : written.environment[i])
        of_side.set.push_back(fmt::format("{}={}", name, name.starts_with("MINDIE_ASYNC") ? "true" : value));
    out.push_back(load_subject(c, Load::kLimitsIfAny, libraries, of_side, found));
  }
  for (const Subject& s : out)
    if (s.scenario && s.workload.input_tokens >= 1 && s.workload.output_tokens >= 1)
      check_pool(s, s.scenario->memory(s.workload), found);
  if (out.size() == 2) check_pair(choices[0], out[0], choices[1], out[1], found);
  return out;
}

std::string_view why_not(const Engine& to, const FieldChange& c) {
  const std::span<const Limitation> all = to.limitations();
  const auto at = std::ranges::find(all, c.field->path, &Limitation::field);
  return at == all.end() ? std::string_view("its launch files have no word for it") : at->why;
}

Table difference_table() {
  return {"What is not carried over",
          "differences",
          Table::Shape::kGrid,
          {{"key", "key"}, {"here", "before"}, {"there", "after"}, {"asked for", "named"}, {"why", "why"}},
          {}};
}

void compare_questions(const Question& before, const Question& after, const Engine& to, Table& table,
                       Diagnostics& diagnostics) {
  std::vector<std::string> unnamed;
  for (const FieldChange& c : changes(before, after)) {
    const std::string_view why = why_not(to, c);
    const SourceLocation where = before.deployment.origin(c.field->path).where;
    const std::string message = fmt::format("{} {} becomes {} in {}", c.field->path, c.before, c.after, to.product);
    if (c.decides)
      diagnostics.error("E0450", where, message, std::string(why), "another engine, or another value");
    else if (c.named)
      diagnostics.warning("W0450", where, message, std::string(why));
    else
      unnamed.push_back(fmt::format("{} {} becomes {}", c.field->path, c.before, c.after));
    table.rows.push_back({c.field->path, c.before, c.after, c.named ? "yes" : "no", why});
  }
  if (!unnamed.empty())
    diagnostics.note("A0150", {},
                     fmt::format("not asked for, and different in {}: {}", to.product, fmt::join(unnamed, ", ")));
}

// The load, so that the command of the guide predicts what was exported: all that the files do not say.
std::string load_options(const Source& source) {
  const Workload load = benchmark_load(source.subjects.back().question);
  std::string out = fmt::format(" --input {} --output {}", load.input_tokens, load.output_tokens);
  if (load.batch > 1) out += fmt::format(" --batch {}", load.batch);
  if (load.prefix_hit > 0) out += fmt::format(" --prefix-hit {}", load.prefix_hit);
  if (!load.acceptance.empty()) out += fmt::format(" --acceptance {}", fmt::join(load.acceptance, ","));
  // Launch files say how many servers there are only where they name each.
  for (std::size_t i = 0; i < source.subjects.size(); ++i) {
    const std::int64_t ranks = source.subjects[i].question.deployment.layout.world(), dies = source.servers[i].dies();
    if (source.counts[i] == ceil_div(ranks, dies)) continue;
    out += fmt::format(" --{}servers {}",
                       source.subjects.size() == 1 ? ""
                       : i == 0                    ? "prefill-"
                                                   : "decode-",
                       source.counts[i]);
  }
  return out;
}

std::string guide(const Export& written, const Source& source, const Engine& to, const std::string& version) {
  std::vector<std::string> files, environment;
  for (const ExportedFile& f : written.files)
    if (f.launches) files.push_back(f.name);
  const bool pair = source.choices.size() == 2, has_environment = !written.environment.empty();
  std::string out = fmt::format(
      "# {} {}\n\nWritten by `ascendsim export`. Set what is yours first: the path of the weights (MODEL_PATH, "
      "modelWeightPath), addresses, the network card.\n\n",
      to.product, version);
  for (const ExportedFile& f : written.files) out += fmt::format("- {}\n", f.name);
  std::string more = fmt::format(" --hardware {}", source.servers[0].name);
  if (has_environment)
    for (const auto& [name, value] : written.environment[0]) more += fmt::format(" --env {}={}", name, value);
  const std::string names = has_environment && pair ? fmt::format("--prefill {} --decode {}", files[0], files[1])
                                                    : fmt::format("{}", fmt::join(files, " "));
  const bool one_side = has_environment && !pair && source.subjects[0].question.deployment.role != Role::kHybrid;
  if (one_side) more += fmt::format(" --role {}", word_of(source.subjects[0].question.deployment.role));
  for (const Server& server : source.servers)
    if (pair && server.name != source.servers[0].name) more += fmt::format(" --decode-hardware {}", server.name);
  out += fmt::format("\nWhat ascendsim says of them:\n\n```sh\nascendsim run {}{}{}\n```\n", names, more,
                     load_options(source));
  return out;
}

// Options with an effect that is not modelled here: nobody knows them any more once the deployment is read.
void say_forgotten(const Subject& s, const Export& written, Diagnostics& diagnostics) {
  std::vector<std::string> names;
  for (const KeyReport& k : s.keys) {
    if (k.use != KeyUse::kEffectNotModelled && k.use != KeyUse::kUnknown) continue;
    const std::string key = k.path.substr(k.path.find_last_of(". ") + 1);
    const bool there = std::ranges::any_of(
        written.files, [&](const ExportedFile& f) { return f.launches && f.text.find(key) != std::string::npos; });
    if (!there) names.push_back(fmt::format("{} {}", key, k.value));
  }
  SourceLocation where;
  where.file = s.file;
  if (!names.empty())
    diagnostics.warning("W0450", where, fmt::format("not carried over: {}", fmt::join(names, ", ")),
                        "their effect is not modelled here", "--base FILE keeps them where the engine stays the same");
}

// What matters of the source here: not what programs cannot compute.
Diagnostics about_files(const Diagnostics& all) {
  static constexpr std::string_view kOfPredictions[] = {"W0331", "A0101", "A0112"};
  Diagnostics out;
  for (const Diagnostic& d : all.all()) {
    const bool said =
        std::ranges::any_of(out.all(), [&](const Diagnostic& o) { return o.code == d.code && o.message == d.message; });
    if (!said && std::ranges::find(kOfPredictions, d.code) == std::end(kOfPredictions)) out.add(d);
  }
  return out;
}

// Never over what was read.
void check_targets(const Export& written, std::span<const std::string> read, const std::string& folder,
                   Diagnostics& diagnostics) {
  for (const ExportedFile& f : written.files)
    for (const std::string& input : read) {
      std::error_code none;
      if (const auto path = std::filesystem::path(folder) / f.name; std::filesystem::equivalent(path, input, none))
        diagnostics.error("E0453", {}, fmt::format("{} would be written over: it is read here", path.string()), {},
                          "another -o DIR");
    }
}

void write_files(const std::vector<ExportedFile>& files, const std::string& folder, Diagnostics& diagnostics) {
  for (const ExportedFile& f : files) {
    const std::filesystem::path path = std::filesystem::path(folder) / f.name;
    std::error_code failed;
    std::filesystem::create_directories(path.parent_path(), failed);
    std::ofstream file(path, std::ios::binary);
    file << f.text << std::flush;
    if (!file) {
      diagnostics.error("E0453", {}, fmt::format("cannot write '{}'", path.string()), {}, "another -o DIR");
      throw ConfigError(diagnostics);
    }
    file.close();
    using std::filesystem::perms;
    if (path.extension() == ".sh")
      std::filesystem::permissions(path, perms::owner_exec | perms::group_exec | perms::others_exec,
                                   std::filesystem::perm_options::add, failed);
  }
}

std::optional<BaseFile> base_of(const std::string& base_file, const Source& source, Diagnostics& diagnostics) {
  if (base_file.empty()) return std::nullopt;
  if (source.choices.size() > 1)
    diagnostics.error("E0452", {}, "--base is one file, a pair has two", {}, "export one side at a time");
  auto text = read_file(base_file, Document::kMaxBytes, diagnostics);
  if (!text || diagnostics.has_errors()) throw ConfigError(diagnostics);
  return BaseFile{base_file, std::move(*text)};
}

class ExportCall final : public Call {
 public:
  void declare(Options& o) override {
    o.heading("Output");
    o.text("--to", "ENGINE", to_, fmt::format("{}: whose launch files are written", targets_in_words())).must();
    o.text("--base", "FILE", base_file_, "launch file of your own, changed only where it must be").or_else("a new one");
    machine_rows(o, settings_, Asks::kTakes);
    load_rows(o, settings_, Asks::kTakes);
    model_row(o, settings_.model);
    engine_rows(o, settings_);
    o.at("--engine-version").help = "version of the engine that is written";
    file_rows(o, settings_);
    pair_rows(o, settings_);
  }
  [[nodiscard]] const Settings* asked() const override { return &settings_; }
  Answer answer(Diagnostics& diagnostics) override;

 private:
  Settings settings_;
  std::string to_, base_file_;
};

Answer ExportCall::answer(Diagnostics& diagnostics) {
  const Libraries libraries;
  const Engine* const target = target_of(to_, diagnostics);
  if (diagnostics.has_errors()) throw ConfigError(diagnostics);
  const Engine& to = *target;
  const Source source = load_source(to, words, libraries, settings_, diagnostics);
  const std::optional<BaseFile> base = base_of(base_file_, source, diagnostics);
  const EngineVersions versions = libraries.versions(std::string(to.name), diagnostics);
  std::string version = settings_.engine_version;
  if (const FileChoice& first = source.choices.front(); version.empty() && first.launched && same_engine(first, to))
    version = first.launched->version.id;
  if (version.empty() && !versions.releases.empty()) version = versions.by_preference().front();
  if (version.empty()) version = libraries.stacks.load(to.name, "", diagnostics).version;
  ExportRequest request{{}, versions, version, base ? &*base : nullptr};
  for (std::size_t i = 0; i < source.subjects.size(); ++i)
    request.sides.push_back({source.subjects[i].question, source.counts[i], source.servers[i].dies()});
  Export written = to.write(request, diagnostics);
  if (diagnostics.has_errors()) throw ConfigError(diagnostics);
  std::vector<std::string> read = words;
  for (const std::string& more : {base_file_, settings_.prefill.file, settings_.decode.file})
    if (!more.empty()) read.push_back(more);
  check_targets(written, read, output.file, diagnostics);

  // What the engine refuses of it is said in terms of the new files.
  Diagnostics found;
  const std::vector<Subject> back = read_back(written, source, version, output.file, libraries, found);
  Table table = difference_table();
  for (std::size_t i = 0; i < back.size(); ++i)
    compare_questions(source.subjects[i].question, back[i].question, to, table, diagnostics);
  for (std::size_t i = 0; i < source.subjects.size() && !base; ++i)
    say_forgotten(source.subjects[i], written, diagnostics);
  for (const Diagnostic& d : found.all())
    if (d.severity != Severity::kNote) diagnostics.add(d);
  diagnostics = about_files(diagnostics);
  if (refused(diagnostics, settings_.strict)) throw ConfigError(diagnostics);

  written.files.push_back({"README.md", guide(written, source, to, version), 0, false});
  write_files(written.files, output.file, diagnostics);
  Table list{fmt::format("Launch files of {} {}", to.product, version),
             "files",
             Table::Shape::kGrid,
             {{"file", "file"}, {"bytes", "bytes", true}},
             {}};
  for (const ExportedFile& f : written.files)
    list.rows.push_back(
        {(std::filesystem::path(output.file) / f.name).string(), count_cell(static_cast<std::int64_t>(f.text.size()))});
  Json json = {
      {"engine", to.product}, {"engine_version", version}, {"files", Json::array()}, {"differences", Json::array()}};
  for (const auto& row : list.rows) json["files"].push_back(row[0].text);
  for (const auto& row : table.rows)
    json["differences"].push_back({{"key", row[0].text},
                                   {"before", row[1].text},
                                   {"after", row[2].text},
                                   {"named", row[3].text == "yes"},
                                   {"why", row[4].text}});
  return {.tables = {std::move(list), std::move(table)},
          .json = std::make_shared<Json>(std::move(json)),
          .notes_title = "Notes"};
}

}  // namespace

constinit const Command kExportCommand{
    .name = "export",
    .summary = "the launch files of an engine for any deployment that is read here, with environment and benchmark",
    .words = "CONFIG...",
    .words_help = kConfigHelp,
    .least_words = 1,
    .most_words = SIZE_MAX,
    .example = "ascendsim export config.json --to vllm -o launch/",
    .output =
        "files in -o DIR, a list of them on stdout; exit 0, 2 when the engine cannot run the deployment: nothing is "
        "written then",
    .make = make_call<ExportCall>,
    .writes_files = true};

}  // namespace ascendsim
