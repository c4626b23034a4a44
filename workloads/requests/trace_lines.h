// The lines of a trace, one after the other, and what is said about them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/diagnostics.h"

namespace ascendsim {

// Collects diagnostics about a stream of any length in bounded space.
class TraceProblems {
 public:
  TraceProblems(Diagnostics& diagnostics, std::string name) : diagnostics_(diagnostics), name_(std::move(name)) {}

  [[nodiscard]] bool any() const { return any_; }
  [[nodiscard]] const std::string& name() const { return name_; }

  // At byte `offset` of a line; the column is counted in characters. line 0: the file as a whole.
  void error(std::string_view code, std::int64_t line, std::string_view text, std::size_t offset, std::string message,
             std::string rule = {}, std::string help = {});
  void warning(std::string_view code, std::int64_t line, std::string message, std::string help = {});
  void note(std::string_view code, std::int64_t line, std::string message);
  // Says how many more there are of each code. Once, at the end of the stream.
  void finish();

 private:
  [[nodiscard]] SourceLocation at(std::int64_t line, std::string_view text, std::size_t offset) const;

  Diagnostics& diagnostics_;
  std::string name_;
  std::map<std::string, std::int64_t, std::less<>> count_;
  bool any_ = false;
};

// Where bytes come from: fills the buffer and says how many, 0 at the end, -1 after a fault that `fault()` describes.
class TraceBytes {
 public:
  virtual ~TraceBytes() = default;
  virtual std::ptrdiff_t read(char* buffer, std::size_t size) = 0;
  [[nodiscard]] virtual std::string fault() const { return {}; }
};
// A file, gzip or not, or the standard input for "-". Nothing after E0101 to E0103.
std::unique_ptr<TraceBytes> open_bytes(const std::string& path, Diagnostics& diagnostics);
std::unique_ptr<TraceBytes> bytes_of(std::string text);

class TraceLines {
 public:
  // Behind a line there are so many bytes that may be read, as simdjson does.
  static constexpr std::size_t kPadding = 64;
  static constexpr std::size_t kLongest = std::size_t{16} << 20;

  TraceLines(std::unique_ptr<TraceBytes> bytes, TraceProblems& problems);

  // The next line that is not blank; false at the end and after E0106, E0107, E0618, E0619.
  bool next();
  void again() { again_ = true; }                                // next() gives the same line once more
  [[nodiscard]] std::string_view text() const { return text_; }  // without its end; valid until next()
  [[nodiscard]] std::int64_t number() const { return number_; }
  [[nodiscard]] bool ended() const { return ended_; }  // false: the file stops in this line

 private:
  bool cut();  // a line of the buffer; false: more bytes are needed
  bool fill();
  bool stop();  // nothing more after a fault; false
  void start();

  std::unique_ptr<TraceBytes> bytes_;
  TraceProblems& problems_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;
  std::size_t searched_ = 0, no_feed_before_ = 0;  // for ends of lines, for LF
  std::string_view text_;
  std::int64_t number_ = 0;
  bool at_end_ = false, ended_ = false, again_ = false, started_ = false;
};

}  // namespace ascendsim
