#include "strategies/engines/launch/shell.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

#include "sim/source_text.h"

namespace ascendsim {

namespace {

constexpr std::size_t kMaxValueBytes = 64u << 10;  // A=$A$A, again and again, must not fill the memory
constexpr std::size_t kMaxExpandedBytes = 16u << 20;
constexpr std::size_t kMaxCommands = 4096, kMaxWords = 4096, kMaxVariables = 4096;
constexpr int kMaxDepth = 32;
constexpr const char* kNotRun = "scripts are read, not run";

bool blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }
bool name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool digit(char c) { return c >= '0' && c <= '9'; }
bool name_char(char c) { return name_start(c) || digit(c); }

// Leaves the script after a diagnostic; never seen outside of read_shell().
struct Stop {};

void add_names(std::vector<std::string>& to, const std::vector<std::string>& names) {
  for (const std::string& n : names)
    if (std::ranges::find(to, n) == to.end()) to.push_back(n);
}

// What an expansion yields: one value, or the elements of an array.
struct Expansion {
  std::vector<ShellWord> values;
  bool array = false;  // "${A[@]}" keeps its elements apart
};

class Reader {
 public:
  Reader(const SourceText& source, const Defines& defines, Diagnostics& diagnostics)
      : source_(source), text_(source.text()), defines_(defines), diagnostics_(diagnostics) {
    for (const auto& [name, value] : defines) arrays_[name] = {{{value, {}, {}}}, true};
  }

  std::vector<ShellCommand> read() {
    try {
      while (at_ < text_.size()) read_command();
    } catch (const Stop&) {
    }
    return std::move(commands_);
  }

 private:
  struct Array {
    std::vector<ShellWord> values;
    bool exported = false;
    bool list = false;  // NAME=(...)
  };

  [[noreturn]] void stop(const char* code, std::size_t offset, std::string message, std::string help) {
    diagnostics_.error(code, source_.locate(std::min(offset, text_.size())), std::move(message), kNotRun,
                       std::move(help));
    throw Stop{};
  }
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  [[nodiscard]] bool starts(std::string_view s) const { return text_.substr(at_).starts_with(s); }

  // Blanks, line continuations and comments.
  void skip_blanks() {
    while (at_ < text_.size()) {
      if (blank(peek())) {
        ++at_;
      } else if (continuation(at_)) {
        at_ += continuation(at_);
      } else if (peek() == '#') {
        while (at_ < text_.size() && peek() != '\n') ++at_;
      } else {
        return;
      }
    }
  }
  // Length of a backslash-newline, 0 when there is none.
  [[nodiscard]] std::size_t continuation(std::size_t at) const {
    if (at >= text_.size() || text_[at] != '\\') return 0;
    if (text_.substr(at + 1).starts_with("\r\n")) return 3;
    return text_.substr(at + 1).starts_with("\n") ? 2 : 0;
  }
  // "\   " at the end of a line escapes the blank and not the newline.
  void check_blank_after_backslash() {
    if (peek() != '\\' || !blank(peek(1)) || peek(1) == '\r') return;
    std::size_t end = at_ + 1;
    while (end < text_.size() && blank(text_[end])) ++end;
    if (end >= text_.size() || text_[end] == '\n')
      stop("E0401", at_, "a blank follows the backslash: the command ends on this line",
           "remove the blanks at the end of the line");
  }

  void read_command() {
    skip_blanks();
    if (at_ >= text_.size()) return;
    if (peek() == '\n' || peek() == ';' || peek() == '&') {
      skipped_ = false;
      if (peek() == '&' && peek(1) == '&') stop("E0402", at_, "'&&' has no command before it", "");
      ++at_;
      return;
    }
    const std::size_t begin = at_;
    ShellCommand command;
    const bool was_skipped = skipped_;
    std::vector<std::pair<std::string, Array>> prefix;
    while (read_part(command, prefix)) {
      if (command.words.size() > kMaxWords) stop("E0403", begin, "a command of more than 4096 words", "");
    }
    end_of_command(command, prefix, was_skipped, begin);
  }

  // One word, assignment or redirection. False at the end of the command.
  bool read_part(ShellCommand& command, std::vector<std::pair<std::string, Array>>& prefix) {
    skip_blanks();
    const char c = peek();
    if (at_ >= text_.size() || c == '\n' || c == ';' || c == '|') return false;
    if (c == '&' && peek(1) != '>') return false;
    if (read_redirection()) return true;
    if (c == '(' || c == ')')
      stop("E0404", at_, fmt::format("'{}': subshells and functions are not followed", c),
           "give the command line alone: --launch \"vllm serve ...\"");
    if (command.words.empty()) {
      refuse_control_flow();
      if (read_assignment(prefix)) return true;
    } else if (declares(command.words.front().text) && read_assignment(declared_)) {
      return true;
    }
    read_word(command.words);
    return true;
  }

  [[nodiscard]] static bool declares(std::string_view word) {
    return word == "export" || word == "declare" || word == "local" || word == "readonly" || word == "typeset";
  }

  void refuse_control_flow() {
    static constexpr std::string_view kWords[] = {"if",     "then",     "else", "elif", "fi",   "for",
                                                  "while",  "until",    "do",   "done", "case", "esac",
                                                  "select", "function", "{",    "}",    "[[",   "!"};
    std::size_t end = at_;
    while (end < text_.size() && !blank(text_[end]) && text_[end] != '\n' && text_[end] != ';') ++end;
    const std::string_view word = text_.substr(at_, end - at_);
    if (std::ranges::find(kWords, word) != std::end(kWords))
      stop("E0404", at_, fmt::format("'{}': control flow is not followed", word),
           "give the commands that it leads to in a file of their own, or --launch \"vllm serve ...\"");
    std::size_t name = at_;
    while (name < text_.size() && (name_char(text_[name]) || text_[name] == '-')) ++name;
    if (name == at_) return;
    while (name < text_.size() && blank(text_[name])) ++name;
    if (text_.substr(name).starts_with("("))
      stop("E0404", at_, "functions are not followed", "give the commands that it runs in a file of their own");
  }

  // > file, 2>&1, <file, <<EOF ... EOF. Nothing of it matters.
  bool read_redirection() {
    std::size_t at = at_;
    while (at < text_.size() && digit(text_[at])) ++at;
    if (at < text_.size() && text_[at] == '&' && text_.substr(at + 1).starts_with(">")) ++at;
    if (at >= text_.size() || (text_[at] != '>' && text_[at] != '<')) return false;
    const bool here = text_.substr(at).starts_with("<<") && !text_.substr(at).starts_with("<<<");
    if (text_.substr(at).starts_with("<(") || text_.substr(at).starts_with(">("))
      stop("E0404", at, "process substitution is not followed", "");
    while (at < text_.size() && (text_[at] == '>' || text_[at] == '<' || text_[at] == '&' || text_[at] == '-')) ++at;
    at_ = at;
    skip_blanks();
    const std::size_t begin = at_;
    std::vector<ShellWord> target;
    if (at_ < text_.size() && peek() != '\n' && peek() != ';' && peek() != '|' && peek() != '&' && peek() != '(' &&
        peek() != ')')
      read_word(target);
    if (here && target.empty()) stop("E0402", begin, "the here-document has no end mark", "");
    if (here) skip_here_document(target.front().text, begin);
    return true;
  }
  // Its body begins on the next line; what is left of this one is read first.
  void skip_here_document(const std::string& mark, std::size_t begin) {
    std::size_t line = text_.find('\n', at_);
    const std::size_t body = line;
    while (line != std::string_view::npos) {
      const std::size_t end = std::min(text_.find('\n', line + 1), text_.size());
      std::string_view content = text_.substr(line + 1, end - line - 1);
      while (!content.empty() && blank(content.back())) content.remove_suffix(1);
      while (!content.empty() && content.front() == '\t') content.remove_prefix(1);
      if (content == mark) {
        here_ = {body, end};
        return;
      }
      line = end < text_.size() ? end : std::string_view::npos;
    }
    stop("E0405", begin, fmt::format("the here-document does not end: no line '{}'", mark), "");
  }

  // NAME=value, NAME+=value, NAME=(a b c), NAME[i]=value (not followed).
  bool read_assignment(std::vector<std::pair<std::string, Array>>& into) {
    std::size_t end = at_;
    if (end >= text_.size() || !name_start(text_[end])) return false;
    while (end < text_.size() && name_char(text_[end])) ++end;
    const bool append = text_.substr(end).starts_with("+=");
    if (!append && (end >= text_.size() || text_[end] != '=')) return false;
    const std::size_t begin = at_;
    std::string name(text_.substr(at_, end - at_));
    at_ = end + (append ? 2 : 1);
    Array value = peek() == '(' ? read_list() : Array{{read_scalar()}, false, false};
    if (append) {
      const Array* const before = find(name);
      Array joined = before != nullptr ? *before : Array{};
      if (value.list || joined.list || joined.values.empty()) {
        joined.list = joined.list || value.list;
        joined.values.insert(joined.values.end(), value.values.begin(), value.values.end());
      } else {
        ShellWord& whole = joined.values.front();
        whole.text += value.values.front().text;
        whole.where = value.values.front().where;
        add_names(whole.unresolved, value.values.front().unresolved);
      }
      value = std::move(joined);
    }
    for (ShellWord& w : value.values) {
      if (w.text.size() > kMaxValueBytes) stop("E0403", begin, fmt::format("the value of {} is too long", name), "");
      spend(w.text.size(), begin);
      // Whoever lacks `ip` of ip=$(hostname -I) can define ip.
      const bool substituted =
          std::erase_if(w.unresolved, [](const std::string& n) { return n.starts_with("$("); }) > 0;
      if (substituted) {
        add_names(w.unresolved, {name});
        w.text = fmt::format("${{{}}}", name);
      }
    }
    if (value.values.size() > kMaxWords) stop("E0403", begin, fmt::format("{} has too many elements", name), "");
    into.emplace_back(std::move(name), std::move(value));
    return true;
  }
  Array read_list() {
    const std::size_t begin = at_;
    ++at_;
    Array list{{}, false, true};
    while (true) {
      skip_blanks();
      if (at_ >= text_.size()) stop("E0405", begin, "this '(' is not closed", "add ')'");
      if (peek() == '\n') {
        ++at_;
      } else if (peek() == ')') {
        ++at_;
        return list;
      } else if (peek() == '(' || peek() == ';' || peek() == '&' || peek() == '|' || peek() == '<' || peek() == '>') {
        stop("E0402", at_, fmt::format("'{}' in an array", peek()), "quote it");
      } else {
        read_word(list.values);
        if (list.values.size() > kMaxWords) stop("E0403", begin, "an array of more than 4096 elements", "");
      }
    }
  }
  // Without word splitting.
  ShellWord read_scalar() {
    std::vector<ShellWord> words;
    in_assignment_ = true;
    const SourceLocation where = source_.locate(at_);
    const char c = peek();
    if (at_ < text_.size() && !blank(c) && c != '\n' && c != ';' && c != '&' && c != '|' && c != '<' && c != '>' &&
        c != ')' && continuation(at_) == 0)
      read_word(words);
    in_assignment_ = false;
    ShellWord joined{{}, where, {}};
    for (const ShellWord& w : words) {
      joined.text += (joined.text.empty() ? "" : " ") + w.text;
      add_names(joined.unresolved, w.unresolved);
    }
    return joined;
  }

  void read_word(std::vector<ShellWord>& into) {
    const SourceLocation where = source_.locate(at_);
    ShellWord word{{}, where, {}};
    bool started = false;
    const auto flush = [&] {
      if (started) spend(word.text.size() + where.excerpt.size(), at_);
      if (started) into.push_back(std::move(word));
      word = {{}, where, {}};
      started = false;
    };
    const auto limit = [&] {
      if (word.text.size() > kMaxValueBytes || into.size() > kMaxWords)
        stop("E0403", at_, "this word grows too long", "");
    };
    const auto insert = [&](const Expansion& e, bool quoted) {
      for (std::size_t i = 0; i < e.values.size(); ++i) {
        const ShellWord& v = e.values[i];
        if (i > 0 && e.array) flush();
        if (i > 0 && !e.array) word.text += ' ';
        if (e.array && i > 0) word.where = v.where.line > 0 ? v.where : where;
        if (quoted || in_assignment_) {
          started = true;
          word.text += v.text;
          add_names(word.unresolved, v.unresolved);
        } else {
          split(v, word, started, flush);
        }
        limit();
      }
    };
    const std::size_t begin = at_;
    while (at_ < text_.size()) {
      check_blank_after_backslash();
      const char c = peek();
      if (const std::size_t length = continuation(at_)) {
        at_ += length;
      } else if (blank(c) || c == '\n' || c == ';' || c == '&' || c == '|' || c == '<' || c == '>' || c == '(' ||
                 c == ')') {
        break;
      } else if (c == '\\') {
        if (at_ + 1 >= text_.size()) stop("E0405", at_, "a backslash ends the script", "remove it");
        word.text += text_[at_ + 1];
        started = true;
        at_ += 2;
      } else if (c == '\'') {
        started = true;
        word.text += single_quoted();
      } else if (c == '$' && peek(1) == '\'') {
        ++at_;
        started = true;
        word.text += single_quoted();
      } else if (c == '"') {
        const std::size_t open = at_++;
        bool any = false;
        while (true) {
          if (at_ >= text_.size()) stop("E0405", open, "this '\"' is not closed", "close it");
          if (peek() == '"') break;
          if (const std::size_t skipped = continuation(at_)) {
            at_ += skipped;
          } else if (peek() == '\\' && std::string_view("\"\\$`").find(peek(1)) != std::string_view::npos &&
                     peek(1) != '\0') {
            word.text += peek(1);
            any = true;
            at_ += 2;
          } else if (peek() == '$' || peek() == '`') {
            const Expansion e = expand();
            any = any || !e.array;
            insert(e, true);
          } else {
            word.text += text_[at_++];
            any = true;
          }
          limit();
        }
        ++at_;
        if (any || text_[at_ - 2] == '"') started = true;  // "" is a word, "${EMPTY[@]}" is none
      } else if (c == '$' || c == '`') {
        insert(expand(), false);
      } else {
        word.text += c;
        started = true;
        ++at_;
      }
      limit();
    }
    if (at_ == begin) ++at_;  // never stand still
    flush();
  }
  template <class Flush>
  static void split(const ShellWord& value, ShellWord& word, bool& started, const Flush& flush) {
    if (!value.unresolved.empty() && value.text.empty()) started = true;
    for (const char c : value.text) {
      if (blank(c) || c == '\n') {
        flush();
      } else {
        word.text += c;
        if (!started) add_names(word.unresolved, value.unresolved);
        started = true;
      }
    }
    if (started) add_names(word.unresolved, value.unresolved);
  }

  std::string single_quoted() {
    const std::size_t end = text_.find('\'', at_ + 1);
    if (end == std::string_view::npos) stop("E0405", at_, "this \"'\" is not closed", "close it");
    std::string out(text_.substr(at_ + 1, end - at_ - 1));
    std::erase(out, '\r');
    at_ = end + 1;
    return out;
  }

  // ---- expansions: at_ stands on '$' or '`' ----
  Expansion expand() {
    if (++depth_ > kMaxDepth) stop("E0403", at_, "expansions nested too deeply", "");
    Expansion e = expand_one();
    --depth_;
    return e;
  }
  Expansion expand_one() {
    const std::size_t begin = at_;
    if (peek() == '`') {
      const std::size_t end = text_.find('`', at_ + 1);
      if (end == std::string_view::npos) stop("E0405", at_, "this '`' is not closed", "close it");
      at_ = end + 1;
      return substitution(text_.substr(begin + 1, end - begin - 1), begin);
    }
    if (starts("$((")) {
      const std::size_t end = closing(at_ + 1);
      at_ = end + 1;
      const std::string_view inside = text_.substr(begin + 3, end - begin - 4);
      return number(arithmetic(inside, begin, false), inside, begin);
    }
    if (starts("$(")) {
      const std::size_t end = closing(at_ + 1);
      at_ = end + 1;
      return substitution(text_.substr(begin + 2, end - begin - 2), begin);
    }
    if (starts("${")) return braced();
    ++at_;
    if (name_start(peek())) {
      const std::size_t from = at_;
      while (at_ < text_.size() && name_char(peek())) ++at_;
      return value_of(std::string(text_.substr(from, at_ - from)), begin);
    }
    if (digit(peek()) || (peek() != '\0' && std::string_view("?$!@*#-").find(peek()) != std::string_view::npos)) {
      const std::string name(1, text_[at_++]);
      return unresolved(name, begin);
    }
    return {{{"$", {}, {}}}, false};
  }
  // Of the '(' at `open`.
  std::size_t closing(std::size_t open) {
    int level = 0;
    char quote = '\0';
    for (std::size_t i = open; i < text_.size(); ++i) {
      const char c = text_[i];
      if (quote != '\0') {
        if (c == quote) quote = '\0';
      } else if (c == '\\') {
        ++i;
      } else if (c == '\'' || c == '"') {
        quote = c;
      } else if (c == '(') {
        ++level;
      } else if (c == ')' && --level == 0) {
        return i;
      }
    }
    stop("E0405", open, "this '(' is not closed", "add ')'");
  }

  Expansion unresolved(const std::string& name, std::size_t offset) {
    return {{{fmt::format("${{{}}}", name), source_.locate(offset), {name}}}, false};
  }
  Expansion value_of(const std::string& name, std::size_t offset) {
    const Array* const a = find(name);
    if (a == nullptr) return unresolved(name, offset);
    if (a->values.empty()) return {{{"", source_.locate(offset), {}}}, false};
    return {{a->values.front()}, false};  // $A of an array is its first element
  }
  [[nodiscard]] const Array* find(std::string_view name) const {
    const auto at = arrays_.find(name);
    return at == arrays_.end() ? nullptr : &at->second;
  }

  // ${NAME}, ${#NAME}, ${#NAME[@]}, ${NAME[@]}, ${NAME[2]}, ${NAME:-word} and its kin.
  Expansion braced() {
    const std::size_t begin = at_;
    at_ += 2;
    const bool length = peek() == '#' && peek(1) != '}';
    if (length) ++at_;
    const std::size_t from = at_;
    while (at_ < text_.size() && name_char(peek())) ++at_;
    if (at_ == from && at_ < text_.size() && peek() != '}') ++at_;  // ${@}, ${?}
    const std::string name(text_.substr(from, at_ - from));
    std::string_view index;
    if (peek() == '[') {
      const std::size_t close = text_.find(']', at_);
      if (close == std::string_view::npos) stop("E0405", at_, "this '[' is not closed", "add ']'");
      index = text_.substr(at_ + 1, close - at_ - 1);
      at_ = close + 1;
    }
    const Array* const a = find(name);
    const bool all = index == "@" || index == "*";
    if (peek() == '}') {
      ++at_;
      if (a == nullptr) return unresolved(name, begin);
      if (length) {
        const std::size_t n = all ? a->values.size() : a->values.empty() ? 0 : a->values.front().text.size();
        return {{{fmt::to_string(n), source_.locate(begin), {}}}, false};
      }
      if (all) return {a->values, index == "@"};
      if (index.empty()) return value_of(name, begin);
      const auto i = arithmetic(index, begin, false);
      if (!i) return unresolved(name, begin);
      if (*i < 0 || *i >= static_cast<std::int64_t>(a->values.size()))
        stop("E0402", begin, fmt::format("{} has {} elements, no [{}]", name, a->values.size(), *i), "");
      return {{a->values[static_cast<std::size_t>(*i)]}, false};
    }
    const bool colon = peek() == ':';
    const char op = peek(colon ? 1 : 0);
    const bool known = op == '-' || op == '=' || op == '+' || op == '?';
    at_ += (colon ? 1 : 0) + (known ? 1 : 0);
    const Expansion word = operand(begin);
    if (!known || length) return unresolved(name, begin);  // ${x%.*}, ${x:2:3}, ${x/a/b}
    const bool set = a != nullptr && (!colon || (!a->values.empty() && !a->values.front().text.empty()));
    if (op == '+') return set ? word : Expansion{{{"", source_.locate(begin), {}}}, false};
    if (set) return value_of(name, begin);
    return op == '?' ? unresolved(name, begin) : word;
  }
  // The word up to the '}' of an expansion.
  Expansion operand(std::size_t begin) {
    ShellWord word{{}, source_.locate(begin), {}};
    bool quoted = false;
    while (true) {
      if (at_ >= text_.size()) stop("E0405", begin, "this '${' is not closed", "add '}'");
      const char c = peek();
      if (c == '}' && !quoted) break;
      if (c == '"') {
        quoted = !quoted;
        ++at_;
      } else if (c == '\'' && !quoted) {
        word.text += single_quoted();
      } else if (c == '$' || c == '`') {
        for (const ShellWord& v : expand().values) {
          word.text += v.text;
          add_names(word.unresolved, v.unresolved);
        }
      } else if (c == '\\' && at_ + 1 < text_.size()) {
        word.text += text_[at_ + 1];
        at_ += 2;
      } else {
        word.text += text_[at_++];
      }
      if (word.text.size() > kMaxValueBytes) stop("E0403", begin, "this word grows too long", "");
    }
    ++at_;
    return {{std::move(word)}, false};
  }

  // `expr 16 \* ${n}` is arithmetic; nothing else is run.
  Expansion substitution(std::string_view inside, std::size_t offset) {
    std::string_view left = inside;
    while (!left.empty() && (blank(left.front()) || left.front() == '\n')) left.remove_prefix(1);
    if (left.starts_with("expr") && left.size() > 4 && blank(left[4])) {
      left.remove_prefix(5);
      return number(arithmetic(left, offset, true), inside, offset);
    }
    diagnostics_.note(
        "A0130", source_.locate(offset),
        fmt::format("the output of $({}) is not known: {}", inside.substr(0, inside.find('\n')), kNotRun));
    return {{{"$(...)", source_.locate(offset), {fmt::format("$({})", inside)}}}, false};
  }
  Expansion number(std::optional<std::int64_t> value, std::string_view inside, std::size_t offset) {
    if (value) return {{{fmt::to_string(*value), source_.locate(offset), {}}}, false};
    std::vector<std::string> names = std::move(missing_);
    missing_.clear();
    if (names.empty()) names.push_back(fmt::format("$(({}))", inside));
    return {{{"$((...))", source_.locate(offset), std::move(names)}}, false};
  }

  // Integers, names, $names, + - * / % and brackets. Empty when a variable is unknown (missing_ says which).
  class Arithmetic {
   public:
    Arithmetic(Reader& reader, std::string_view text, std::size_t offset, bool expr)
        : reader_(reader), text_(text), offset_(offset), expr_(expr) {}
    std::optional<std::int64_t> whole() {
      const std::int64_t v = sum();
      skip();
      if (at_ < text_.size()) wrong();
      return known_ ? std::optional(v) : std::nullopt;
    }

   private:
    [[noreturn]] void wrong() {
      reader_.stop("E0406", offset_, fmt::format("'{}' is not arithmetic that is understood", text_),
                   "integers and variables with + - * / % and brackets");
    }
    void skip() {
      // expr's operators may be escaped or quoted.
      while (at_ < text_.size() && (blank(text_[at_]) || text_[at_] == '\n' ||
                                    (expr_ && (text_[at_] == '\\' || text_[at_] == '\'' || text_[at_] == '"'))))
        ++at_;
    }
    bool take(char c) {
      skip();
      if (at_ >= text_.size() || text_[at_] != c) return false;
      ++at_;
      return true;
    }
    std::int64_t plus(std::int64_t a, std::int64_t b) {
      std::int64_t out = 0;
      if (__builtin_add_overflow(a, b, &out)) too_large();
      return out;
    }
    std::int64_t minus(std::int64_t a, std::int64_t b) {
      std::int64_t out = 0;
      if (__builtin_sub_overflow(a, b, &out)) too_large();
      return out;
    }
    std::int64_t times(std::int64_t a, std::int64_t b) {
      std::int64_t out = 0;
      if (__builtin_mul_overflow(a, b, &out)) too_large();
      return out;
    }
    [[noreturn]] void too_large() { reader_.stop("E0406", offset_, fmt::format("'{}' is too large", text_), ""); }
    std::int64_t sum() {
      if (++depth_ > kMaxDepth) reader_.stop("E0403", offset_, "arithmetic nested too deeply", "");
      std::int64_t v = product();
      while (true) {
        if (take('+'))
          v = plus(v, product());
        else if (take('-'))
          v = minus(v, product());
        else
          break;
      }
      --depth_;
      return v;
    }
    std::int64_t product() {
      std::int64_t v = factor();
      while (true) {
        const bool product = take('*');
        const bool over = !product && take('/');
        if (!product && !over && !take('%')) return v;
        const std::int64_t w = factor();
        if (product) {
          v = times(v, w);
        } else if (known_) {
          if (w == 0) reader_.stop("E0406", offset_, fmt::format("'{}' divides by zero", text_), "");
          if (w == -1)  // the smallest integer has no opposite
            v = over ? minus(0, v) : 0;
          else
            v = over ? v / w : v % w;
        }
      }
    }
    std::int64_t factor() {
      if (++depth_ > kMaxDepth) reader_.stop("E0403", offset_, "arithmetic nested too deeply", "");
      const std::int64_t v = factor_of();
      --depth_;
      return v;
    }
    std::int64_t factor_of() {
      skip();
      if (take('(')) {
        const std::int64_t v = sum();
        if (!take(')')) wrong();
        return v;
      }
      if (take('-')) return minus(0, factor());
      if (take('+')) return factor();
      if (at_ < text_.size() && digit(text_[at_])) return literal();
      if (at_ >= text_.size()) wrong();
      return variable();
    }
    std::int64_t literal() {
      std::int64_t v = 0;
      const char* const end = text_.data() + text_.size();
      const auto [rest, error] = std::from_chars(text_.data() + at_, end, v);
      if (error != std::errc{}) too_large();
      at_ = static_cast<std::size_t>(rest - text_.data());
      return v;
    }
    std::int64_t variable() {
      const std::size_t begin = at_;
      ShellWord value;
      if (text_[at_] == '$') {
        // text_ is a part of the script: its expansions are read where they stand.
        const std::size_t back = reader_.at_;
        reader_.at_ = static_cast<std::size_t>(text_.data() - reader_.text_.data()) + at_;
        const Expansion e = reader_.expand();
        at_ = reader_.at_ - static_cast<std::size_t>(text_.data() - reader_.text_.data());
        reader_.at_ = back;
        if (at_ > text_.size()) wrong();
        if (e.values.size() != 1) wrong();
        value = e.values.front();
      } else if (name_start(text_[at_]) && !expr_) {
        while (at_ < text_.size() && name_char(text_[at_])) ++at_;
        const Expansion e = reader_.value_of(std::string(text_.substr(begin, at_ - begin)), offset_);
        value = e.values.front();
      } else {
        wrong();
      }
      if (!value.unresolved.empty()) {
        add_names(reader_.missing_, value.unresolved);
        known_ = false;
        return 0;
      }
      std::int64_t v = 0;
      const char* const end = value.text.data() + value.text.size();
      const auto [rest, error] = std::from_chars(value.text.data(), end, v);
      if (error != std::errc{} || rest != end)
        reader_.stop("E0406", offset_, fmt::format("'{}' is no integer in '{}'", value.text, text_), "");
      return v;
    }

    Reader& reader_;
    std::string_view text_;
    std::size_t offset_, at_ = 0;
    bool expr_, known_ = true;
    int depth_ = 0;
  };
  std::optional<std::int64_t> arithmetic(std::string_view text, std::size_t offset, bool expr) {
    return Arithmetic(*this, text, offset, expr).whole();
  }

  // ---- effects ----
  // A script may repeat itself by reference; what it grows to stays small.
  void spend(std::size_t bytes, std::size_t offset) {
    spent_ += bytes;
    if (spent_ > kMaxExpandedBytes) stop("E0403", offset, "the script grows beyond 16 MiB", "");
  }
  void assign(const std::string& name, Array value, bool exported) {
    if (defines_.contains(name)) return;
    if (arrays_.size() > kMaxVariables) stop("E0403", at_, "more than 4096 variables", "");
    const Array* const before = find(name);
    value.exported = exported || (before != nullptr && before->exported);
    arrays_[name] = std::move(value);
  }

  void end_of_command(ShellCommand& command, std::vector<std::pair<std::string, Array>>& prefix, bool was_skipped,
                      std::size_t begin) {
    const bool test =
        !command.words.empty() && (command.words.front().text == "[" || command.words.front().text == "test");
    if (!was_skipped) run(command, prefix, begin);
    declared_.clear();
    if (starts("&&") || starts("||")) {
      if (test)
        stop("E0404", begin, "a condition decides what runs: control flow is not followed",
             "write down what it leads to, or --define");
      skipped_ = starts("||") || (was_skipped && starts("&&"));
      at_ += 2;
      while (at_ < text_.size() && (peek() == '\n' || blank(peek()))) ++at_;
      if (at_ >= text_.size()) stop("E0402", at_, "the script ends after '&&' or '||'", "");
      return;
    }
    skipped_ = false;
    if (peek() == '|' || peek() == ';' || peek() == '&') {
      const bool pipe = peek() == '|';
      at_ += starts("|&") ? 2 : 1;
      if (starts(";")) stop("E0404", at_, "';;' belongs to a case: control flow is not followed", "");
      if (pipe)
        while (at_ < text_.size() && (peek() == '\n' || blank(peek()))) ++at_;
      return;
    }
    if (peek() == '\n') {
      at_ = here_ ? here_->second : at_ + 1;
      here_.reset();
    }
  }

  void run(ShellCommand& command, std::vector<std::pair<std::string, Array>>& prefix, std::size_t begin) {
    if (command.words.empty()) {
      for (auto& [name, value] : prefix) assign(name, std::move(value), false);
      return;
    }
    const std::string& first = command.words.front().text;
    if (declares(first)) return declare(command);
    if (first == "unset") {
      for (const ShellWord& w : command.words)
        if (!defines_.contains(w.text)) arrays_.erase(w.text);
      return;
    }
    if (first.starts_with("-") && first.size() > 1)
      stop("E0407", begin, fmt::format("a command cannot begin with the option '{}'", first),
           "the line before lacks its backslash, or a comment ended it");
    if (first == "source" || first == "." || first == "eval")
      diagnostics_.note(
          "A0131", command.words.front().where,
          fmt::format("'{}' is not followed: {}; what it sets is given with --define NAME=VALUE", first, kNotRun));
    if (commands_.size() >= kMaxCommands) stop("E0403", begin, "more than 4096 commands", "");
    for (const auto& [name, a] : arrays_) {
      ShellVariable& v = command.variables[name] = {joined(a), a.exported};
      spend(v.value.text.size() + name.size(), begin);
    }
    for (const auto& [name, a] : prefix)
      if (!defines_.contains(name)) command.variables[name] = {joined(a), true};
    commands_.push_back(std::move(command));
  }
  void declare(const ShellCommand& command) {
    const std::string& how = command.words.front().text;
    const auto has = [&](std::string_view option) {
      return std::ranges::any_of(command.words, [&](const ShellWord& w) { return w.text == option; });
    };
    const bool exports = how == "export" ? !has("-n") : has("-x");
    for (auto& [name, value] : declared_) assign(name, std::move(value), exports);
    for (const ShellWord& w : command.words)
      if (const auto at = arrays_.find(w.text); at != arrays_.end() && exports) at->second.exported = true;
  }
  static ShellWord joined(const Array& a) {
    ShellWord out;
    for (const ShellWord& w : a.values) {
      if (out.where.line == 0) out.where = w.where;
      out.text += (out.text.empty() ? "" : " ") + w.text;
      add_names(out.unresolved, w.unresolved);
    }
    return out;
  }

  const SourceText& source_;
  std::string_view text_;
  const Defines& defines_;
  Diagnostics& diagnostics_;
  std::size_t at_ = 0;
  int depth_ = 0;
  bool in_assignment_ = false, skipped_ = false;
  std::size_t spent_ = 0;  // bytes
  std::optional<std::pair<std::size_t, std::size_t>>
      here_;  // body of a here-document: from its first newline to its end
  std::map<std::string, Array, std::less<>> arrays_;
  std::vector<std::pair<std::string, Array>> declared_;
  std::vector<std::string> missing_;
  std::vector<ShellCommand> commands_;
};

}  // namespace

std::vector<ShellCommand> read_shell(std::string text, const std::string& name, const Defines& defines,
                                     Diagnostics& diagnostics) {
  if (text.size() > kMaxScriptBytes) {
    SourceLocation where;
    where.file = name;
    diagnostics.error("E0105", where, fmt::format("{} bytes are too many for a launch script", text.size()), {},
                      "at most 1 MiB");
    return {};
  }
  if (!is_text(text, name, diagnostics)) return {};
  const SourceText source(std::move(text), name);
  return Reader(source, defines, diagnostics).read();
}

}  // namespace ascendsim
