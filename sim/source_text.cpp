#include "sim/source_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>

#include "sim/units.h"

namespace ascendsim {
namespace {

constexpr std::size_t kLongestExcerpt = 240;

bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_space(char c) { return is_blank(c) || c == '\n' || c == '\r'; }
bool is_one_of(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

bool is_forbidden_control(std::string_view bytes, std::size_t i) {
  const auto byte = static_cast<unsigned char>(bytes[i]);
  if (byte == '\r') return i + 1 == bytes.size() || bytes[i + 1] != '\n';  // old Mac line ends: YAML would join lines
  return (byte < 0x20u && byte != '\n' && byte != '\t') || byte == 0x7Fu;
}

// The bytes of the UTF-8 character at the start of `bytes`, 0 when it is not one: overlong forms, surrogates and
// values above U+10FFFF included, as in table 3-7 of the Unicode standard.
std::size_t utf8_length(std::string_view bytes) {
  const auto at = [&](std::size_t i) { return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0u; };
  const auto continues = [&](std::size_t i) { return (at(i) & 0xC0u) == 0x80u; };
  const unsigned lead = at(0);
  if (lead < 0x80u) return 1;
  if (lead < 0xC2u || lead > 0xF4u || !continues(1)) return 0;
  if (lead < 0xE0u) return 2;
  const bool bad_second = (lead == 0xE0u && at(1) < 0xA0u) || (lead == 0xEDu && at(1) > 0x9Fu) ||
                          (lead == 0xF0u && at(1) < 0x90u) || (lead == 0xF4u && at(1) > 0x8Fu);
  if (bad_second || !continues(2)) return 0;
  if (lead < 0xF0u) return 3;
  return continues(3) ? 4 : 0;
}

SourceLocation line_and_column(std::string_view bytes, std::size_t offset, const std::string& name) {
  const std::string_view before = bytes.substr(0, offset);
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return {.file = name,
          .line = static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
          .column = static_cast<int>(offset - line_start) + 1};
}

void report_too_large(const std::string& path, std::size_t max_bytes, Diagnostics& diagnostics) {
  diagnostics.error("E0105", {.file = path},
                    fmt::format("file is larger than {} bytes", with_commas(static_cast<std::int64_t>(max_bytes))));
}

void report_unreadable(const std::string& path, int error, Diagnostics& diagnostics) {
  diagnostics.error("E0103", {.file = path},
                    fmt::format("cannot read the file: {}", std::generic_category().message(error)));
}

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

// One pass, one byte at a time. It knows just enough of YAML and JSON to tell strings, comments and brackets apart;
// a quote or bracket counts where a value can start, so that "Huawei's" or "see [1" in plain text does not.
class Cleaner {
 public:
  Cleaner(std::string_view text, std::size_t max_depth) : text_(text), max_depth_(max_depth) { result_.text = text; }

  CleanedText run() {
    while (at_ < text_.size() && !result_.too_deep) step();
    if (quote_start_)
      result_.unclosed = quote_start_;
    else if (!open_.empty())
      result_.unclosed = open_.back();
    else
      finish_top_level();
    result_.text += '\n';  // without it the parser takes a last bracketed value for the start of a key
    return std::move(result_);
  }

 private:
  void step() {
    const char c = text_[at_];
    if (quote_start_) return inside_string(c);
    if (is_space(c)) return space(c);
    if (starts_comment(c)) return comment(c);
    significant(c);
  }

  void inside_string(char c) {
    const char quote = text_[*quote_start_];
    const bool pair = (c == '\\' && quote == '"') || (c == '\'' && quote == '\'' && next() == '\'');
    if (!pair && c == quote) quote_start_.reset();
    at_ += pair ? 2 : 1;
  }

  void space(char c) {
    if (c == '\n') value_can_start_ = true;
    if (c == '\t' && (looks_like_json() || first_ == '\0')) result_.text[at_] = ' ';
    ++at_;
  }

  [[nodiscard]] bool starts_comment(char c) const {
    const bool after_space = at_ == 0 || is_space(previous());
    if (c == '#') return after_space;
    return c == '/' && next() == '/' && (after_space || is_one_of(previous(), ",{}[]\""));
  }

  void comment(char c) {
    const std::size_t end = std::min(text_.find('\n', at_), text_.size());
    if (c == '/') std::fill(result_.text.begin() + offset(at_), result_.text.begin() + offset(end), ' ');
    at_ = end;
  }

  void significant(char c) {
    if (first_ == '\0') first_ = c;
    last_ = at_;
    const bool in_flow = !open_.empty();
    if (value_can_start_ && (c == '"' || c == '\'')) {
      quote_start_ = at_;
    } else if ((value_can_start_ || in_flow) && (c == '{' || c == '[')) {
      open_.push_back(at_);
      if (open_.size() > max_depth_) result_.too_deep = at_;
    } else if (in_flow && (c == '}' || c == ']')) {
      open_.pop_back();
    } else if (!in_flow && c == ',' && ends_line()) {
      last_top_level_comma_ = at_;
    }
    if (last_top_level_comma_ && *last_top_level_comma_ != at_) comma_between_top_level_values_ = true;
    value_can_start_ = value_can_follow(c, in_flow);
    ++at_;
  }

  // `-`, `:` and `?` are part of a plain word unless a space follows; JSON has no space after a colon.
  [[nodiscard]] bool value_can_follow(char c, bool in_flow) const {
    if (quote_start_ == at_) return true;
    if (is_one_of(c, ",[]{}")) return in_flow || !open_.empty() || looks_like_json();
    const bool before_space = is_space(next()) || looks_like_json();
    return (c == ':' || (value_can_start_ && is_one_of(c, "-?"))) && before_space;
  }

  [[nodiscard]] bool ends_line() const {
    std::size_t i = at_ + 1;
    while (i < text_.size() && (is_blank(text_[i]) || text_[i] == '\r')) ++i;
    return i >= text_.size() || text_[i] == '\n' || text_[i] == '/' || text_[i] == '#';
  }

  void finish_top_level() {
    if (!looks_like_json() || !last_top_level_comma_) return;
    if (first_ == '"' && comma_between_top_level_values_) {
      constexpr std::string_view kOpening = "{\n";
      result_.text.insert(0, kOpening);
      result_.text += "\n}";
      result_.prefix_bytes = kOpening.size();
    } else if (*last_top_level_comma_ == last_) {
      result_.text[last_] = ' ';
    }
  }

  [[nodiscard]] bool looks_like_json() const { return first_ != '\0' && is_one_of(first_, "{[\""); }
  [[nodiscard]] char previous() const { return at_ == 0 ? '\n' : text_[at_ - 1]; }
  [[nodiscard]] char next() const { return at_ + 1 < text_.size() ? text_[at_ + 1] : '\n'; }
  static std::ptrdiff_t offset(std::size_t i) { return static_cast<std::ptrdiff_t>(i); }

  std::string_view text_;
  std::size_t max_depth_;
  CleanedText result_;
  std::size_t at_ = 0;
  std::size_t last_ = 0;  // the last byte that is neither space nor comment
  char first_ = '\0';     // the first such byte
  bool value_can_start_ = true;
  std::vector<std::size_t> open_;
  std::optional<std::size_t> quote_start_;
  std::optional<std::size_t> last_top_level_comma_;
  bool comma_between_top_level_values_ = false;
};

}  // namespace

SourceText::SourceText(std::string text, std::string name) : text_(std::move(text)), name_(std::move(name)) {
  line_starts_.push_back(0);
  for (std::size_t at = text_.find('\n'); at != std::string::npos; at = text_.find('\n', at + 1))
    line_starts_.push_back(static_cast<std::uint32_t>(at + 1));
}

int SourceText::line_of(std::size_t offset) const {
  return static_cast<int>(std::upper_bound(line_starts_.begin(), line_starts_.end(), offset) - line_starts_.begin());
}

SourceLocation SourceText::locate(std::size_t offset) const {
  offset = std::min(offset, text_.size());
  const int line = line_of(offset);
  const std::size_t start = line_starts_[static_cast<std::size_t>(line) - 1];
  const std::string_view before = text().substr(start, offset - start);
  const auto inside_character = [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) == 0x80u; };
  const auto hidden = std::count_if(before.begin(), before.end(), inside_character);

  SourceLocation where = whole();
  where.line = line;
  where.column = static_cast<int>(before.size()) - static_cast<int>(hidden) + 1;
  const std::string_view rest = text().substr(start);
  std::string_view excerpt = rest.substr(0, rest.find('\n'));
  if (excerpt.ends_with('\r')) excerpt.remove_suffix(1);
  if (excerpt.size() <= kLongestExcerpt) where.excerpt = excerpt;
  return where;
}

std::optional<std::string> read_file(const std::string& path, std::size_t max_bytes, Diagnostics& diagnostics) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    diagnostics.error("E0101", {.file = path}, "no such file");
    return std::nullopt;
  }
  if (std::filesystem::is_directory(status)) {
    diagnostics.error("E0102", {.file = path}, "is a directory, expected a file");
    return std::nullopt;
  }
  const std::unique_ptr<std::FILE, FileCloser> file(std::fopen(path.c_str(), "rb"));
  if (!file) {
    report_unreadable(path, errno, diagnostics);
    return std::nullopt;
  }
  std::string bytes;
  constexpr std::size_t kBlock = 64u << 10;
  while (bytes.size() <= max_bytes) {
    const std::size_t had = bytes.size();
    bytes.resize(had + kBlock);
    const std::size_t got = std::fread(bytes.data() + had, 1, kBlock, file.get());
    bytes.resize(had + got);
    if (got < kBlock) break;
  }
  if (std::ferror(file.get()) != 0) {
    report_unreadable(path, errno, diagnostics);
    return std::nullopt;
  }
  if (bytes.size() > max_bytes) {
    report_too_large(path, max_bytes, diagnostics);
    return std::nullopt;
  }
  return bytes;
}

bool is_text(std::string_view bytes, const std::string& name, Diagnostics& diagnostics) {
  if (bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF")) {
    diagnostics.error("E0107", {.file = name}, "text is UTF-16", {}, "save the file as UTF-8");
    return false;
  }
  bool blank = true;
  for (std::size_t i = 0; i < bytes.size();) {
    const std::size_t length = utf8_length(bytes.substr(i, 4));
    const auto byte = static_cast<unsigned char>(bytes[i]);
    if (length == 0) {
      diagnostics.error("E0107", line_and_column(bytes, i, name), fmt::format("byte 0x{:02X} is not valid UTF-8", byte),
                        {}, "save the file as UTF-8");
      return false;
    }
    if (is_forbidden_control(bytes, i)) {
      diagnostics.error("E0106", line_and_column(bytes, i, name),
                        fmt::format("control character 0x{:02X}: this is not a text file", byte));
      return false;
    }
    blank = blank && is_space(bytes[i]);
    i += length;
  }
  if (blank) diagnostics.error("E0104", {.file = name}, bytes.empty() ? "file is empty" : "file is blank");
  return !blank;
}

CleanedText clean_for_yaml(std::string_view text, std::size_t max_depth) { return Cleaner(text, max_depth).run(); }

}  // namespace ascendsim
