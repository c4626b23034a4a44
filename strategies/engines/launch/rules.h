// Rules that engines started by a command line share. Names are those of their options.
#pragma once

#include <string>

#include "strategies/engines/rules.h"

namespace ascendsim {

class LaunchRules : protected RuleBase {
 public:
  using RuleBase::RuleBase;

 protected:
  // What strategies/engines/versions says of a feature.
  void lacks(const char* feature, bool used, const char* key, const char* what);
  void degrees(const std::string& rule);
  void idle_dies();  // behind everything else about the layout
};

}  // namespace ascendsim
