// The catalogue of the source tree, read so that a test fails with the diagnostics as a user would see them.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "hardware/catalogue.h"
#include "tests/source_path.h"

namespace ascendsim {

inline std::string rendered(const Diagnostics& diagnostics) {
  std::string text;
  for (const Diagnostic& d : diagnostics.all()) text += render(d);
  return text;
}

inline Catalogue shipped_catalogue() { return Catalogue(source_path("hardware/catalogue")); }

inline Server shipped_server(std::string_view name, std::string_view die = {}) {
  Diagnostics diagnostics;
  Server server = shipped_catalogue().server(name, die, diagnostics);
  EXPECT_EQ(rendered(diagnostics), "");
  return server;
}

inline Die shipped_die(std::string_view name) {
  Diagnostics diagnostics;
  Die die = shipped_catalogue().die(name, diagnostics);
  EXPECT_EQ(rendered(diagnostics), "");
  return die;
}

inline KernelTable shipped_kernels() {
  Diagnostics diagnostics;
  KernelTable table = shipped_catalogue().kernels("dav-c220", diagnostics);
  EXPECT_EQ(rendered(diagnostics), "");
  return table;
}

}  // namespace ascendsim
