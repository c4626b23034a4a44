#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "reports/answers/comparison_tables.h"
#include "reports/commands/commands.h"
#include "reports/writers/pictures.h"

namespace ascendsim {

namespace {

void write_pictures(const Comparison& c, const std::string& folder, Diagnostics& diagnostics) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  for (const Picture& p : pictures_of(c)) {
    const std::string path = fmt::format("{}/{}", folder, p.file);
    std::ofstream file(path, std::ios::binary);
    file << p.svg << std::flush;
    if (!file) diagnostics.error("E0005", {}, fmt::format("cannot write '{}'", path), {}, "choose another --svg DIR");
    if (!file) throw ConfigError(diagnostics);
  }
}

// "cp=1,2". Whoever compares says what is wrong with a text that has no values, beside all else.
Varied varied(std::string_view text) {
  const std::size_t equals = std::min(text.find('='), text.size());
  return {std::string(text.substr(0, equals)), split_list(text.substr(std::min(equals + 1, text.size())))};
}

class CompareCall final : public Call {
 public:
  void declare(Options& o) override {
    o.heading("Alternatives");
    o.custom(
         "--vary", "KEY=A,B,..", [this](const std::string& text) { vary_.push_back(varied(text)); },
         "alternatives of a key, repeatable: cp=1,2; the number of ranks stays, other degrees follow")
        .repeats = true;
    o.heading("Machine");
    o.names("--hardware", hardware_,
            "server types, as `ascendsim list hardware` names them: atlas-800i-a2,atlas-800i-a3")
        .or_else(std::string(kUsualServer));
    servers_row(o, settings_.servers).or_else("as many as the ranks need");
    die_row(o, settings_.die);
    o.heading("Load");
    o.numbers("--input,--isl", inputs_, {.most = kMostTokens, .examples = "16384,65536 or 4K..128K"},
              "prompt tokens of a request: 16384,65536 or 4K..128K")
        .also({{"--context"}, {"--input-len"}, {"--random-input-len"}});
    output_row(o, settings_.output);
    o.numbers("--batch", batches_, {.most = kMostRequests, .examples = "1,8,32"},
              "requests side by side, all DP groups together: 1,8,32")
        .or_else("1")
        .also({{"--concurrency"}, {"--batch-size"}, {"--users"}});
    further_load_rows(o, settings_);
    service_rows(o, settings_.service);
    o.heading("Engine");
    o.names("--model", models_, "models, or HuggingFace config.json files: deepseek-r1,deepseek-v3.1")
        .or_else("as the file names it");
    engine_rows(o, settings_);
    file_rows(o, settings_);
    pair_rows(o, settings_);
    o.heading("Output");
    o.text("--svg", "DIR", svg_folder_,
           "write pictures there: stacked bars of the time, and each alternative's ranks with what each of them holds");
  }
  [[nodiscard]] const Settings* asked() const override { return &settings_; }
  Answer answer(Diagnostics& diagnostics) override;

 private:
  Settings settings_;
  std::vector<Varied> vary_;
  NumberList inputs_, batches_;
  std::vector<std::string> models_, hardware_;
  std::string svg_folder_;
};

Answer CompareCall::answer(Diagnostics& diagnostics) {
  const Libraries libraries;
  // The first value of each list also stands where one is wanted.
  if (!inputs_.values.empty()) settings_.input = inputs_.values.front();
  if (!batches_.values.empty()) settings_.batch = batches_.values.front();
  if (!hardware_.empty()) settings_.hardware = hardware_.front();
  if (!models_.empty()) settings_.model = models_.front();
  const Comparison c =
      compare({words, vary_, models_, hardware_, inputs_.values, batches_.values}, libraries, settings_, diagnostics);
  if (!svg_folder_.empty()) write_pictures(c, svg_folder_, diagnostics);
  const auto good = [&](const Point& p) {
    return c.loads.empty() ? p.runs() : p.served && p.served->report.missed.empty();
  };
  return {.exit = std::ranges::any_of(c.points, good) ? Exit::kYes : Exit::kNo,
          .tables = comparison_tables(c),
          .json = comparison_json(c, diagnostics)};
}

}  // namespace

constinit const Command kCompareCommand{
    .name = "compare",
    .summary = "alternatives side by side: which is faster, by how much, because of what; where they cross",
    .words = "CONFIG...",
    .words_help = kConfigHelp,
    .least_words = 1,
    .most_words = SIZE_MAX,
    .example = "ascendsim compare config.json --vary cp=1,2 --input 4K..128K",
    .output =
        "verdict and tables on stdout, pictures with --svg; exit 0, 1 when no alternative can run, 2 on wrong input",
    .make = make_call<CompareCall>};

}  // namespace ascendsim
