// Shell scripts that start an engine: written anew, or somebody's own one with other options.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "strategies/engines/exporter.h"
#include "strategies/engines/launch/options.h"

namespace ascendsim {

struct LaunchScript {
  struct Option {
    std::string name;                    // "tensor-parallel-size"
    std::optional<std::string> value{};  // as the shell reads it; empty = a switch
  };
  std::vector<std::string> comments;
  std::vector<EnvironmentValue> variables, environment;  // assigned; exported
  std::string program;                                   // with its positional words
  std::vector<Option> options;

  void add(std::string name) { options.push_back({std::move(name)}); }
  void add(std::string name, std::string value) { options.push_back({std::move(name), std::move(value)}); }
  void add(std::string name, std::int64_t value) { options.push_back({std::move(name), std::to_string(value)}); }
};
std::string to_text(const LaunchScript& script);

// The base with the script's options in place of its own; options that decide nothing here, everything around the
// command and keys of JSON options that the script does not name stay. Diagnoses a base that starts no such program.
std::string patched(const BaseFile& base, const LaunchScript& script, const Engine& engine, Diagnostics& diagnostics);

// As the shell reads it back: in quotes where it must be.
std::string shell_quoted(const std::string& text);

// What every start script sets, for servers that meet over that network card.
void add_addresses(LaunchScript& script, std::size_t host);
std::string address(std::size_t host);  // of documentation (RFC 5737): 192.0.2.1 is the first host

// HCCL_BUFFSIZE, HCCL_OP_EXPANSION_MODE.
std::vector<EnvironmentValue> collective_environment(const Deployment& deployment);

// What writers of start scripts share: a script for each server of each side, or the user's own one with other options
// in it.
class ScriptWriter {
 public:
  // REQUIRES: the engine is started by a command line.
  ScriptWriter(const ExportRequest& request, const Engine& engine, Diagnostics& diagnostics)
      : request_(request), diagnostics_(diagnostics), engine_(engine) {}
  virtual ~ScriptWriter() = default;
  Export write();

 protected:
  virtual LaunchScript script(const ExportSide& side, std::int64_t node) const = 0;
  virtual void add_others() = 0;  // in front of a pair; the benchmark
  [[nodiscard]] bool pair() const { return request_.sides.size() == 2; }
  // Head of a script: model path, addresses, HCCL's variables.
  [[nodiscard]] LaunchScript begun(const ExportSide& side, std::int64_t node) const;
  // Of a pair: the first server of that side.
  [[nodiscard]] std::string host_of(std::size_t side) const;

  const ExportRequest& request_;
  Diagnostics& diagnostics_;
  Export out_;
  std::size_t first_host_ = 0;  // of the side that is being written

 private:
  const Engine& engine_;
};

}  // namespace ascendsim
