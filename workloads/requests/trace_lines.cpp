#include "workloads/requests/trace_lines.h"

#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace ascendsim {
namespace {

constexpr std::int64_t kShown = 5;  // diagnostics of a code
constexpr std::size_t kLongestExcerpt = 160;

// zlib reads what is not compressed as it is, and several compressed files one behind the other as one.
class FileBytes : public TraceBytes {
 public:
  explicit FileBytes(gzFile file) : file_(file) { gzbuffer(file_, 256u << 10); }
  FileBytes(const FileBytes&) = delete;
  FileBytes& operator=(const FileBytes&) = delete;
  ~FileBytes() override { gzclose_r(file_); }

  std::ptrdiff_t read(char* buffer, std::size_t size) override {
    const int got = gzread(file_, buffer, static_cast<unsigned>(size));
    if (got > 0) return got;
    int code = Z_OK;
    const char* text = gzerror(file_, &code);
    if (got == 0 && code != Z_BUF_ERROR) return 0;
    fault_ = code == Z_BUF_ERROR ? "the compressed file ends too early: it is cut"
             : code == Z_ERRNO   ? fmt::format("cannot be read: {}", std::strerror(errno))
                                 : fmt::format("the compressed file is damaged: {}", text);
    return -1;
  }
  [[nodiscard]] std::string fault() const override { return fault_; }

 private:
  gzFile file_;
  std::string fault_;
};

class TextBytes : public TraceBytes {
 public:
  explicit TextBytes(std::string text) : text_(std::move(text)) {}
  std::ptrdiff_t read(char* buffer, std::size_t size) override {
    const std::size_t got = std::min(size, text_.size() - at_);
    std::copy_n(text_.data() + at_, got, buffer);
    at_ += got;
    return static_cast<std::ptrdiff_t>(got);
  }

 private:
  std::string text_;
  std::size_t at_ = 0;
};

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t") == std::string_view::npos; }

}  // namespace

std::unique_ptr<TraceBytes> open_bytes(const std::string& path, Diagnostics& diagnostics) {
  gzFile file = nullptr;
  if (path == "-") {
    file = gzdopen(dup(STDIN_FILENO), "rb");
  } else {
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (status.type() == std::filesystem::file_type::not_found) {
      diagnostics.error("E0101", {.file = path}, "no such file");
      return nullptr;
    }
    if (std::filesystem::is_directory(status)) {
      diagnostics.error("E0102", {.file = path}, "is a directory, expected a file");
      return nullptr;
    }
    file = gzopen(path.c_str(), "rb");
  }
  if (file == nullptr) {
    diagnostics.error("E0103", {.file = path}, fmt::format("cannot be read: {}", std::strerror(errno)));
    return nullptr;
  }
  return std::make_unique<FileBytes>(file);
}

std::unique_ptr<TraceBytes> bytes_of(std::string text) { return std::make_unique<TextBytes>(std::move(text)); }

SourceLocation TraceProblems::at(std::int64_t line, std::string_view text, std::size_t offset) const {
  SourceLocation where{.file = name_};
  if (line == 0) return where;
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) == 0x80u; };
  const std::string_view before = text.substr(0, offset);
  where.line = static_cast<int>(std::min<std::int64_t>(line, 2'000'000'000));
  where.column = 1 + static_cast<int>(static_cast<std::ptrdiff_t>(before.size()) -
                                      std::count_if(before.begin(), before.end(), continues));
  if (text.size() <= kLongestExcerpt) where.excerpt = text;
  return where;
}

void TraceProblems::error(std::string_view code, std::int64_t line, std::string_view text, std::size_t offset,
                          std::string message, std::string rule, std::string help) {
  any_ = true;
  auto it = count_.find(code);
  if (it == count_.end()) it = count_.emplace(code, 0).first;
  if (++it->second <= kShown)
    diagnostics_.error(std::string(code), at(line, text, offset), std::move(message), std::move(rule), std::move(help));
}

void TraceProblems::warning(std::string_view code, std::int64_t line, std::string message, std::string help) {
  diagnostics_.warning(std::string(code), at(line, {}, 0), std::move(message), {}, std::move(help));
}

void TraceProblems::note(std::string_view code, std::int64_t line, std::string message) {
  diagnostics_.note(std::string(code), at(line, {}, 0), std::move(message));
}

void TraceProblems::finish() {
  for (const auto& [code, count] : count_)
    if (count > kShown) diagnostics_.note(code, {.file = name_}, fmt::format("and {} more of these", count - kShown));
  count_.clear();
}

TraceLines::TraceLines(std::unique_ptr<TraceBytes> bytes, TraceProblems& problems)
    : bytes_(std::move(bytes)), problems_(problems), buffer_((std::size_t{256} << 10) + kPadding) {}

bool TraceLines::next() {
  if (std::exchange(again_, false)) return true;
  if (!std::exchange(started_, true)) start();
  for (;;) {
    while (cut())
      if (!is_blank(text_)) return true;
    if (!at_end_) {
      if (!fill()) return false;
      continue;
    }
    if (begin_ == end_) return false;
    text_ = {buffer_.data() + begin_, end_ - begin_};  // the last line has no end
    if (text_.ends_with('\r')) text_.remove_suffix(1);
    ended_ = text_.size() < end_ - begin_;
    begin_ = end_;
    ++number_;
    return !is_blank(text_);
  }
}

bool TraceLines::cut() {
  const char* const data = buffer_.data();
  const std::size_t from = std::max(searched_, no_feed_before_);
  const auto* feed = static_cast<const char*>(std::memchr(data + from, '\n', end_ - from));
  const char* const stop = feed != nullptr ? feed : data + end_;
  no_feed_before_ = static_cast<std::size_t>(stop - data);
  // A CR ends a line as well; one at the end of the buffer may be half of a CRLF.
  const auto* back = static_cast<const char*>(
      std::memchr(data + searched_, '\r', static_cast<std::size_t>(stop - (data + searched_))));
  if (back != nullptr && back + 1 == stop) back = nullptr;
  if (feed == nullptr && back == nullptr) {
    searched_ = end_ > begin_ && data[end_ - 1] == '\r' ? end_ - 1 : end_;
    return false;
  }
  const char* const line_end = back != nullptr ? back : feed;
  text_ = {data + begin_, static_cast<std::size_t>(line_end - (data + begin_))};
  if (back == nullptr && text_.ends_with('\r')) text_.remove_suffix(1);
  begin_ = searched_ = static_cast<std::size_t>(line_end - data) + 1;
  ended_ = true;
  ++number_;
  return true;
}

bool TraceLines::fill() {
  if (begin_ > 0) {
    std::copy(buffer_.data() + begin_, buffer_.data() + end_, buffer_.data());
    end_ -= begin_;
    searched_ -= begin_;
    no_feed_before_ -= std::min(no_feed_before_, begin_);
    begin_ = 0;
  }
  if (end_ > kLongest) {
    problems_.error("E0618", number_ + 1, {}, 0, fmt::format("the line has more than {} MiB", kLongest >> 20), {},
                    "a trace has one request a line");
    return stop();
  }
  if (buffer_.size() - end_ < kPadding + (std::size_t{64} << 10)) buffer_.resize(2 * buffer_.size());
  const std::ptrdiff_t got = bytes_->read(buffer_.data() + end_, buffer_.size() - end_ - kPadding);
  if (got < 0) {
    problems_.error("E0619", number_ + 1, {}, 0, bytes_->fault(), {}, "fetch or compress the file again");
    return stop();
  }
  at_end_ = got == 0;
  end_ += static_cast<std::size_t>(got);
  return true;
}

bool TraceLines::stop() {
  begin_ = end_ = searched_ = no_feed_before_ = 0;
  at_end_ = true;
  return false;
}

// Byte order marks, and files that are no text.
void TraceLines::start() {
  if (!fill()) return;
  std::string_view first(buffer_.data(), end_);
  if (first.starts_with("\xFF\xFE") || first.starts_with("\xFE\xFF")) {
    problems_.error("E0107", 0, {}, 0, "text is UTF-16", {}, "save the file as UTF-8");
  } else if (first.substr(0, 4096).find('\0') != std::string_view::npos) {
    problems_.error("E0106", 0, {}, 0, "the file holds zero bytes: this is not a text file");
  }
  if (problems_.any()) {
    stop();
    return;
  }
  if (first.starts_with("\xEF\xBB\xBF")) begin_ = searched_ = 3;
}

}  // namespace ascendsim
