// The engines that are known. A new one: a folder with an engine.cpp, and its name here.
#include <algorithm>

#include "strategies/deployment/engine.h"

namespace ascendsim {

extern const Engine kMindieEngine, kVllmEngine, kSglangEngine, kCannRecipesEngine;

namespace {

constexpr const Engine* kEngines[] = {&kMindieEngine, &kVllmEngine, &kSglangEngine, &kCannRecipesEngine};

}  // namespace

std::span<const Engine* const> engines() { return kEngines; }

const Engine& engine_of(std::string_view stack) {
  const auto at = std::ranges::find_if(kEngines, [&](const Engine* e) {
    return stack.starts_with(e->name) && (stack.size() == e->name.size() || stack[e->name.size()] == '-');
  });
  return at == std::end(kEngines) ? kGenericEngine : **at;
}

const Engine* engine_called(std::string_view word) {
  const auto at =
      std::ranges::find_if(kEngines, [&](const Engine* e) { return !e->called.empty() && word == e->called; });
  return at == std::end(kEngines) ? nullptr : *at;
}

const Engine& usual_engine() { return *kEngines[0]; }

}  // namespace ascendsim
