// What a command is: a name with words and examples, and how to make one call of it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "reports/answers/answer.h"
#include "reports/command_line/options.h"
#include "reports/command_line/setting_rows.h"

namespace ascendsim {

// One call: what the options of a command are bound to, and what answers with it.
class Call {
 public:
  Call() = default;
  virtual ~Call() = default;
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // Its rows, those of the output aside. The targets live as long as the call.
  virtual void declare(Options& options) = 0;
  // Throws ConfigError when the input has errors; `diagnostics` holds what was said about the options.
  virtual Answer answer(Diagnostics& diagnostics) = 0;
  // Of commands that read deployments: whether --launch or a pair stands for files.
  [[nodiscard]] virtual const Settings* asked() const { return nullptr; }
  // Needs neither words nor options: --schema.
  [[nodiscard]] virtual bool asks_for_nothing() const { return false; }

  std::vector<std::string> words;  // without a dash: files, or what to list
  OutputSettings output;
};

struct Command {
  const char* name;
  const char* summary;
  const char* words;  // "CONFIG", as usage lines show it
  const char* words_help;
  std::size_t least_words, most_words;
  const char* example;
  const char* output;  // what stands on stdout, and the exit code
  std::unique_ptr<Call> (*make)();
  Formats formats = Formats::kOfTables;
  bool writes_files = false;  // -o names their folder, not that of the answer
};

template <class T>
std::unique_ptr<Call> make_call() {
  return std::make_unique<T>();
}

}  // namespace ascendsim
