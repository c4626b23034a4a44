// Degrees, keys and settings as a reader knows them: in the words of the engine's command line, of its configuration
// file, or of our own file.
#pragma once

#include <string>
#include <string_view>

#include "strategies/deployment/deployment.h"

namespace ascendsim {

enum class Degrees : std::uint8_t { kAll, kAboveOne };
// "dp 1  pcp 2  dcp 8  tp 8  moe_ep 16  moe_tp 1"; pp where there is one.
std::string layout_words(const Layout& layout, const DegreeWords& words, Degrees which = Degrees::kAll,
                         std::string_view between = "  ");

// A key, named by its path or alias, as readers know it: "--max-model-len" of a command line, "limits.max_seq_len" of
// our own file, "maxSeqLen" of a configuration file. `own_words`: messages name keys as our file does; without it the
// deployment says so.
std::string key_name(const Deployment& deployment, bool own_words, std::string_view key);
std::string key_name(const Deployment& deployment, std::string_view key);
// The same with a value: "--max-model-len 4096", "limits.max_seq_len: 4096", "\"maxSeqLen\": 4096".
std::string key_setting(const Deployment& deployment, bool own_words, std::string_view key, std::int64_t value);
std::string key_setting(const Deployment& deployment, std::string_view key, std::int64_t value);

// How rows reach experts, as the engine calls it; empty where it has no such way.
std::string_view exchange_word(const Engine& engine, ExpertExchange exchange);

}  // namespace ascendsim
