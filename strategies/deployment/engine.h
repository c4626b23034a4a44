// An engine as a value: what its users call things, what it does otherwise than others, and the functions that read,
// judge and write its files. Every folder of strategies/engines/ with an engine.cpp defines one such constant, with the
// source of each value beside it; strategies/engines/builtin.cpp is the only list of them. No other code names an
// engine or asks which one it has: it asks for the trait that it depends on.
//
// The defaults below are those of the generic engine (strategies/engines/generic/engine.cpp), which stands for every
// stack without an engine of its own: our words, and what the programs do where nothing else is known. Types of higher
// floors are only declared here.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ascendsim {

class ConfigNode;
class Diagnostics;
class Document;
class ModelLibrary;
class QuantisationLibrary;
struct ContextScheme;
struct Deployment;
struct Engine;
struct Export;
struct ExportRequest;
struct Import;
struct ImportOptions;
struct KeySection;
struct LaunchContext;
struct LaunchedCommand;
struct LaunchedNode;
struct Layout;
struct OptionTable;
struct RuleInput;
struct Stack;

// What the two degrees that cut a sequence are called: of prompts, and of the cache.
struct DegreeWords {
  std::string_view cp = "cp", sp = "sp";
};

struct EngineWords {
  DegreeWords degrees{};
  // Engines that are told everything on a command line. The field that an option's value is kept in, and the option
  // that says a field, both without dashes ("tensor-parallel-size", "layout.tp"); empty when there is none. An engine
  // without `option_of` has a configuration file, whose keys are the aliases of the table of fields.
  std::string_view (*field_of)(std::string_view option) = nullptr;
  std::string_view (*option_of)(std::string_view field) = nullptr;
  // The degrees of a layout as a command line says them, where that is not an option for each degree.
  std::string (*degrees_in_options)(const Layout& layout) = nullptr;
  // How rows reach experts, by ExpertExchange; empty: not by this engine.
  std::array<std::string_view, 3> exchanges{"all-gather", "all-to-all-padded", "all-to-all"};
  bool batch_of_all_groups = false;  // its limit of requests side by side counts those of all DP groups together
  [[nodiscard]] bool has_options() const { return option_of != nullptr; }
};

// Who carries rows to experts (programs/expert_carriers.h): chosen by phase, or by the rows of a step whatever the
// phase.
enum class CarrierChoice : std::uint8_t { kByPhase, kByRows };
// Which steps the fused MC2 kernels serve when they are asked for.
enum class FusedMc2 : std::uint8_t { kNone, kFewRows, kAnyRows };
// What the memory fraction covers: all that lives on the die, or weights and KV pool alone, so that a step's memory
// comes on top.
enum class FractionOf : std::uint8_t { kAllMemory, kWeightsAndCache };
// Which prefill rank a decode rank pulls from where several decode ranks share one: rank i from i mod P, or neighbours
// from the same one.
enum class SharedSource : std::uint8_t { kInTurn, kNeighbours };

struct EngineTraits {
  // ---- programs ----
  void (*context)(const Deployment& deployment, ContextScheme& scheme) = nullptr;  // amends the scheme; never null
  bool head_over_tp_group = false;      // the LM head is cut over the TP group, not over the world
  bool whole_rows_for_experts = false;  // the residual stream is whole on every TP rank, each sends its share of it
  bool drafts_all_rows = false;         // every draft pass computes as many rows as the step, not one a sequence
  CarrierChoice carrier_choice = CarrierChoice::kByPhase;
  FusedMc2 fused_mc2 = FusedMc2::kNone;
  bool fused_mc2_needs_unified_bus = false;  // asked for on another fabric, it is as if nobody had
  bool gate_in_activation_type = false;      // the router multiplies in the model's 16-bit type, not in FP32

  // ---- layout and limits that nobody named ----
  bool cp_keeps_whole_cache = false;         // every cp rank keeps all tokens
  bool cuts_experts = false;                 // every expert over all ranks; else whole experts on each rank
  bool chunk_may_exceed_prompts = false;     // a prefill step holds the longest prompt, whatever the chunk size
  std::int64_t usual_prefill_tokens = 8192;  // of a prefill step: MindIE's defaults, Configuration Parameters
  std::int64_t usual_prompts = 50;           // (Service-Specific), maxPrefillTokens and maxPrefillBatchSize

  // ---- memory ----
  FractionOf fraction_of = FractionOf::kAllMemory;
  bool profiles_largest_step = false;  // starts with a step of all its batched tokens, which sets the peak
  bool cuts_initial_routing = true;    // enable_init_routing_cutoff is offered as a remedy

  // ---- pairs of a prefill and a decode side ----
  bool decode_answers = false;  // the decode side samples the first token that clients see
  SharedSource shared_source = SharedSource::kInTurn;
};

// What messages cite, or say in the engine's own terms; empty where they cite nothing.
struct EngineTexts {
  std::string_view carrier_source{};  // of how rows reach experts: "; file function"
  std::string_view prefix_cache{};    // what switches the prefix cache on
  std::string_view context_gather{};  // ends the sentence that the latent is gathered once
  std::string_view issue_variable{};  // of the environment: decides what a kernel costs the host that issues it
  std::string_view mtp_on_both_sides =
      "the draft layer's cache of a prompt is filled by the prefill side and read by "
      "the decode side";
  std::string_view mtp_remedy = "name drafts on both sides, or on neither";
  // Engines that do not start unless their KV pool holds one longest request.
  struct PoolRule {
    std::string_view who{}, source{}, remedy{};
  } pool_of_longest_request{};
};

// Words of a command line that follow each other and start a program, fewer than three with empty ones behind.
struct ProgramWords {
  std::array<std::string_view, 3> words{};
  bool by_path = false;  // an executable, that may be called by its path; else a Python module
};
// A load generator of the engine, and what it does when lengths are not set.
struct BenchmarkProgram {
  ProgramWords program{};
  const OptionTable& (*options)() = nullptr;
  std::int64_t input_tokens = 0, output_tokens = 0;
  std::int64_t batch = 0;  // requests side by side of the one batch that it runs; 0 = it runs arrivals
};

// What starts the engine, in the texts that launch files are.
struct EngineLaunch {
  std::span<const ProgramWords> servers{};
  std::span<const BenchmarkProgram> benchmarks{};
  std::span<const ProgramWords> routers{};             // pass requests on to both sides of a pair
  std::span<const std::string_view> mentions{};        // tell a script from any other text
  std::string_view usage{};                            // "vllm serve MODEL ..."
  std::string_view exported_program{};                 // with which the scripts that are written begin
  std::string_view options_program{};                  // that a YAML file of options alone is for
  bool (*holds_options)(ConfigNode root) = nullptr;    // such a file
  bool (*holds_commands)(std::string_view) = nullptr;  // YAML with command lines in it, whatever else may be wrong
  void (*read_commands)(ConfigNode root, const std::string& name,
                        const std::map<std::string, std::string, std::less<>>& defines,
                        std::vector<LaunchedCommand>& out, Diagnostics& diagnostics) = nullptr;
};

// Why the engine cannot say a field. For messages; that it cannot shows when exported files are read back.
struct Limitation {
  std::string_view field, why;
};

struct Engine {
  std::string_view name{};     // of its stacks, without a version: "vllm-ascend"; empty: the generic engine
  std::string_view product{};  // "vLLM-Ascend"
  std::string_view called{};   // by --from and --to: "vllm"; empty: there are no files of its own
  // Whose rules of admission and batching serve its requests: a name of strategies/serving/schedulers; empty: the
  // engine has no scheduler.
  std::string_view scheduler{};

  EngineWords words{};
  EngineTraits traits{};
  EngineTexts texts{};
  EngineLaunch launch{};

  // Its configuration file, or a command line that starts it: one of both, or neither.
  Import (*import_document)(const Document&, const ImportOptions&, const Stack&, const ModelLibrary&,
                            const QuantisationLibrary&, Diagnostics&) = nullptr;
  LaunchedNode (*import_command)(const LaunchedCommand&, const LaunchContext&, Diagnostics&) = nullptr;
  const OptionTable& (*options)() = nullptr;        // of its command line
  std::span<const KeySection> (*keys)() = nullptr;  // of its configuration file

  void (*check)(const RuleInput&, Diagnostics&) = nullptr;  // what it demands of a deployment; never null
  // What it demands of the two sides of a pair together, beyond what every engine does; null: nothing.
  void (*check_pair)(const Deployment& prefill, const Deployment& decode, Diagnostics&) = nullptr;

  Export (*write)(const ExportRequest&, Diagnostics&) = nullptr;  // its launch files
  std::span<const Limitation> (*limitations)() = nullptr;

  [[nodiscard]] bool is(const Engine& other) const { return this == &other; }
};

extern const Engine kGenericEngine;

// ---- the list (strategies/engines/builtin.cpp) ----

std::span<const Engine* const> engines();
// Of a stack, named with its version or without ("vllm-ascend-0.15"); the generic engine where none has that name.
const Engine& engine_of(std::string_view stack);
// As --from and --to name it; null when none is called so.
const Engine* engine_called(std::string_view word);
// Meant where nobody names an engine and a file does not show whose it is.
const Engine& usual_engine();

}  // namespace ascendsim
