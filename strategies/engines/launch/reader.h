// What readers of launch commands share: a question that fills up, with the place of every value.
#pragma once

#include "strategies/engines/launch/instances.h"
#include "strategies/engines/launch/weight_names.h"

namespace ascendsim {

class LaunchReader {
 protected:
  // REQUIRES: the command starts an engine.
  LaunchReader(const LaunchedCommand& command, const LaunchContext& context, Diagnostics& diagnostics);
  LaunchedNode finish();

  template <class T>
  void set(const FieldKey<T>& key, std::type_identity_t<T> value, SourceLocation where) {
    put(question_, key, std::move(value), std::move(where));
  }
  // From --model, a path, or a name; a config.json in the weight folder gives the shapes.
  WeightName read_model_name(const std::optional<ShellWord>& word, const char* usage);
  // Of --quantisation; false when it is not given.
  bool asked_quantisation();
  void quantisation_from_name(const WeightName& name, const SourceLocation& where, const char* option);
  void read_dtype(const char* option);
  void read_collectives();  // HCCL_BUFFSIZE, HCCL_OP_EXPANSION_MODE
  void read_host(std::initializer_list<const char*> variables);
  // The version's default into `member`; a note when the option is not written.
  void integer_default(const char* option, std::int64_t& member);

  const LaunchedCommand& command_;
  const LaunchContext& context_;
  Diagnostics& diagnostics_;
  OptionSet options_;
  Question question_;
  LaunchedNode node_;
};

}  // namespace ascendsim
