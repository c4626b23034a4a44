// Changes of a JSON text that leave everything else as it stands: order, spaces, comments, keys that nobody knows here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ascendsim {

class JsonText {
 public:
  // REQUIRES: text that sim/config.h reads; a fragment without its outer braces is one too.
  explicit JsonText(std::string text) : text_(std::move(text)) {}

  // {"BackendConfig", "ModelConfig", "[0]", "tp"}: elements of lists by their place.
  using Path = std::vector<std::string>;
  [[nodiscard]] bool has(const Path& path) const;
  // The value as it stands there; empty when there is none.
  [[nodiscard]] std::string value(const Path& path) const;
  // `literal` is JSON. Objects on the way are made where they lack; false when the way leads through something else.
  bool set(const Path& path, const std::string& literal);
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  struct Span {
    std::size_t begin = std::string::npos, end = 0;
    [[nodiscard]] bool found() const { return begin != std::string::npos; }
  };
  struct Member {
    std::string key;
    std::size_t key_begin = 0;
    Span value;
  };
  struct Container {
    bool is_object = false, braced = true;
    std::size_t open = 0, close = 0;  // the brackets; of a fragment the ends of the text
    std::vector<Member> members;
  };
  [[nodiscard]] Container root() const;
  [[nodiscard]] Container container(std::size_t at) const;
  [[nodiscard]] Container members(std::size_t from, std::size_t to) const;
  [[nodiscard]] std::size_t skip_blank(std::size_t at) const;
  [[nodiscard]] std::size_t end_of_value(std::size_t at) const;
  [[nodiscard]] Span find(const Path& path) const;
  void insert(const Container& into, const std::string& key, const std::string& literal);

  std::string text_;
};

// A string with its quotes.
std::string json_quoted(std::string_view text);

}  // namespace ascendsim
