#include "hardware/catalogue.h"

#include <cmath>
#include <filesystem>
#include <fstream>

#include "tests/hardware/catalogue_under_test.h"
#include "tests/source_path.h"

namespace ascendsim {
namespace {

template <class Q>
void expect_sourced(const std::string& owner, const Figure<Q>& figure) {
  EXPECT_FALSE(figure.name.empty()) << owner;
  EXPECT_GE(figure.source.size(), 8U) << owner << " " << figure.name;
  EXPECT_GE(figure.value, Q{}) << owner << " " << figure.name;
  if (!figure.range) {
    EXPECT_NE(to_text(figure.kind), to_text(FigureKind::kAssumed)) << owner << " " << figure.name << " has no range";
    return;
  }
  EXPECT_LE(figure.range->first, figure.value) << owner << " " << figure.name;
  EXPECT_GE(figure.range->second, figure.value) << owner << " " << figure.name;
}

void expect_sourced(const Die& die) {
  const auto all = [&](const auto&... figures) { (expect_sourced(die.name, figures), ...); };
  all(die.cube_cores, die.vector_cores, die.clock, die.matrix_16bit, die.matrix_int8, die.vector_fp16, die.vector_fp32,
      die.hbm_capacity, die.hbm_visible, die.hbm_bandwidth, die.l2_capacity, die.l2_bandwidth, die.power);
  for (const auto& memory : die.core_memories) expect_sourced(die.name, memory);
}

void expect_sourced(const LinkType& link) {
  EXPECT_FALSE(link.description.empty()) << link.name;
  expect_sourced(link.name, link.bandwidth);
  expect_sourced(link.name, link.efficiency);
  expect_sourced(link.name, link.latency);
  link.transfers.for_each(
      [&](const std::string& key, const auto& figure) { expect_sourced(link.name + " " + key, figure); });
}

TEST(Catalogue, ListsWhatItHas) {
  const std::vector<std::string> servers{"atlas-800i-a2", "atlas-800i-a3", "atlas-800t-a3", "cloudmatrix384"};
  const std::vector<std::string> dies{"a2-280t-32g", "a2-280t-64g", "a2-313t-64g", "a2-376t-64g", "a3-280t", "a3-376t"};
  EXPECT_EQ(shipped_catalogue().server_names(), servers);
  EXPECT_EQ(shipped_catalogue().die_names(), dies);
}

TEST(Catalogue, EveryFigureOfEveryDieHasASource) {
  for (const auto& name : shipped_catalogue().die_names()) expect_sourced(shipped_die(name));
}

TEST(Catalogue, EveryFigureOfEveryServerHasASource) {
  for (const auto& name : shipped_catalogue().server_names()) {
    const Server server = shipped_server(name);
    expect_sourced(server.die);
    expect_sourced(server.die_link);
    expect_sourced(server.nic);
    expect_sourced(server.host_link);
    if (server.package_link) expect_sourced(*server.package_link);
    server.collectives.for_each(
        [&](const std::string& key, const auto& figure) { expect_sourced(name + " " + key, figure); });
  }
}

TEST(Catalogue, EveryFigureOfEveryKernelFamilyHasASource) {
  const KernelTable table = shipped_kernels();
  expect_sourced("kernels", table.combine_exponent);
  table.shared.for_each([](const std::string& key, const auto& figure) { expect_sourced(key, figure); });
  for (const KernelFamily& family : table.families) {
    expect_sourced(family.name, family.t0);
    expect_sourced(family.name, family.hbm_efficiency);
    expect_sourced(family.name, family.vector_efficiency);
    if (family.matrix_efficiency.value > Ratio{}) expect_sourced(family.name, family.matrix_efficiency);
  }
}

TEST(Catalogue, EveryLinkFileLoads) {
  for (const auto* name : {"a2-hccs", "a2-roce", "a2-pcie", "a3-sio", "a3-ub", "a3-roce", "a3-ub-host"}) {
    Diagnostics diagnostics;
    expect_sourced(shipped_catalogue().link(name, diagnostics));
    EXPECT_EQ(rendered(diagnostics), "");
  }
}

// Cube peak: cores x 16 x 16 x 16 multiply-accumulates x 2 x clock; INT8 has twice the depth. The files round to 0.1
// TFLOPS. Vector FP32 peak: 64 lanes x 2 x clock per core (910B3 is listed by its vendor tool with 9.0 instead of 9.2
// TFLOPS).
TEST(Catalogue, PeaksAgreeWithCoresAndClock) {
  for (const auto& name : shipped_catalogue().die_names()) {
    const Die die = shipped_die(name);
    const double cube = static_cast<double>(die.cube_cores.value.count()) * 8192 * die.clock.value.count();
    EXPECT_NEAR(die.matrix_16bit.value.count(), cube, 0.05e12) << name;
    EXPECT_NEAR(die.matrix_int8.value.count(), 2 * cube, 0.1e12) << name;
    const double vector = static_cast<double>(die.vector_cores.value.count()) * 128 * die.clock.value.count();
    EXPECT_NEAR(die.vector_fp32.value.count() / vector, 1.0, 0.05) << name;
    EXPECT_EQ(die.vector_cores.value, die.cube_cores.value * 2) << name;
    EXPECT_LT(die.hbm_visible.value, die.hbm_capacity.value) << name;
  }
}

TEST(Catalogue, ABinDiffersOnlyInWhatItsFileGives) {
  const Die small = shipped_die("a2-280t-32g");
  const Die large = shipped_die("a2-280t-64g");
  EXPECT_EQ(small.hbm_capacity.value, 32_GiB);
  EXPECT_EQ(small.hbm_visible.value.count(), 32'910'186'906);  // 30.65 GiB = 32 GiB x 61.3 / 64, to the nearest byte
  EXPECT_EQ(small.hbm_bandwidth.value, BytesPerSecond(800e9));
  EXPECT_EQ(small.matrix_16bit.value, large.matrix_16bit.value);
  EXPECT_EQ(small.core_memories.size(), 5U);  // inherited over two files
}

TEST(Catalogue, AnAliasIsTheOtherServerUnderItsOwnName) {
  const Server alias = shipped_server("atlas-800t-a3");
  EXPECT_EQ(alias.name, "atlas-800t-a3");
  EXPECT_EQ(alias.alias_of, "atlas-800i-a3");
  EXPECT_EQ(alias.product, "Atlas 800T A3");
  EXPECT_EQ(alias.dies(), 16);
  EXPECT_EQ(alias.die.name, "a3-376t");
}

TEST(Catalogue, CloudMatrixIs48Servers) {
  const Server matrix = shipped_server("cloudmatrix384");
  EXPECT_EQ(matrix.max_servers * matrix.cards, 384);
  EXPECT_EQ(matrix.fabric, Fabric::kUnifiedBus);
  EXPECT_EQ(shipped_server("atlas-800i-a3").max_servers, 0);
}

TEST(Catalogue, AServerTakesAnotherBinOfItsGeneration) {
  EXPECT_EQ(shipped_server("atlas-800i-a2").die.name, "a2-280t-64g");
  EXPECT_EQ(shipped_server("atlas-800i-a2", "a2-280t-32g").die.hbm_capacity.value, 32_GiB);
}

// Vendor formula for AllReduce on 8 cards (CANN 8.5 documentation, page 10_0043) against what the server file keeps of
// it: the middle term is the traffic of 2 x 7/8 of the payload over seven links. Stated there: 3.4 % at most.
TEST(Catalogue, MeshFiguresReproduceTheVendorFormula) {
  const Server server = shipped_server("atlas-800i-a2");
  const double links =
      server.die_links * server.die_link.bandwidth.value.count() * server.die_link.efficiency.value.count();
  for (const double mib : {0.0625, 0.25, 1.0, 4.0, 5.0, 8.0, 16.0, 128.0}) {
    const double published_us = mib < 8 ? -0.9698 * mib * mib + 27.062 * mib + 14.77 : 13.585 * mib + 61.5;
    const double bytes = mib * 1048576;
    const double ramp_bytes = static_cast<double>(server.collectives.bytes("mesh_ramp_bytes").count());
    const double us = microseconds(server.collectives.duration("mesh_floor")) + 1e6 * bytes * 2 * 7 / 8 / links +
                      microseconds(server.collectives.duration("mesh_ramp")) * bytes /
                          std::sqrt(bytes * bytes + ramp_bytes * ramp_bytes);
    EXPECT_NEAR(us / published_us, 1.0, 0.04) << mib << " MiB";
  }
}

TEST(Catalogue, AMissingFigureIsOurBug) {
  EXPECT_THROW((void)shipped_kernels().shared.duration("no_such_figure"), InternalError);
  EXPECT_THROW((void)shipped_kernels().family("no_such_family"), InternalError);
}

template <class Read>
std::string said(const Read& read) {
  Diagnostics diagnostics;
  read(diagnostics);
  return rendered(diagnostics);
}

TEST(CatalogueDiagnostics, UnknownServerNamesTheNearestAndAll) {
  EXPECT_EQ(
      said([](Diagnostics& d) { shipped_catalogue().server("atlas-800i-a4", {}, d); }),
      "error[E0201]: unknown server 'atlas-800i-a4'\n"
      "  = help: did you mean 'atlas-800i-a2'? known: atlas-800i-a2, atlas-800i-a3, atlas-800t-a3, cloudmatrix384\n");
}

TEST(CatalogueDiagnostics, UnknownDieNamesTheNearestAndAll) {
  const std::string expected =
      "error[E0202]: unknown die 'a2-280t-64'\n"
      "  = help: did you mean 'a2-280t-64g'? known: a2-280t-32g, a2-280t-64g, a2-313t-64g, a2-376t-64g, a3-280t, "
      "a3-376t\n";
  EXPECT_EQ(said([](Diagnostics& d) { shipped_catalogue().die("a2-280t-64", d); }), expected);
  EXPECT_EQ(said([](Diagnostics& d) { shipped_catalogue().server("atlas-800i-a2", "a2-280t-64", d); }), expected);
}

TEST(CatalogueDiagnostics, ADieOfAnotherGenerationIsRefused) {
  EXPECT_EQ(said([](Diagnostics& d) { shipped_catalogue().server("atlas-800i-a2", "a3-376t", d); }),
            "error[E0206]: server 'atlas-800i-a2' does not come with die 'a3-376t'\n"
            "  = help: its dies are a2-280t-64g, a2-280t-32g, a2-313t-64g, a2-376t-64g\n");
}

TEST(CatalogueDiagnostics, UnknownLinkAndKernelTable) {
  EXPECT_EQ(said([](Diagnostics& d) { shipped_catalogue().link("nvlink", d); }),
            "error[E0203]: unknown link 'nvlink'\n"
            "  = help: known: a2-hccs, a2-pcie, a2-roce, a3-roce, a3-sio, a3-ub, a3-ub-host\n");
  EXPECT_EQ(said([](Diagnostics& d) { shipped_catalogue().kernels("dav-c221", d); }),
            "error[E0204]: unknown kernel table 'dav-c221'\n"
            "  = help: did you mean 'dav-c220'? known: dav-c220\n");
}

// A name is looked up in the listing of its folder, so it cannot lead out of the catalogue.
TEST(CatalogueDiagnostics, ANameIsNoPath) {
  const std::string text = said([](Diagnostics& d) { shipped_catalogue().die("../servers/atlas-800i-a2", d); });
  EXPECT_TRUE(text.starts_with("error[E0202]: unknown die '../servers/atlas-800i-a2'\n")) << text;
}

// A catalogue of broken files in a folder of its own.
class BrokenCatalogue : public testing::Test {
 protected:
  BrokenCatalogue() {
    namespace fs = std::filesystem;
    root_ = fs::temp_directory_path() /
            ("ascendsim_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(root_);
    fs::copy(source_path("hardware/catalogue"), root_, fs::copy_options::recursive);
  }
  ~BrokenCatalogue() override { std::filesystem::remove_all(root_); }
  std::string write(const std::string& file, const std::string& text) {
    std::ofstream(root_ / file) << text;
    return (root_ / file).string();
  }
  [[nodiscard]] Catalogue catalogue() const { return Catalogue(root_.string()); }

  std::filesystem::path root_;
};

TEST_F(BrokenCatalogue, InheritanceInACircle) {
  const std::string a = write("dies/a.yaml", "inherits: b\n");
  const std::string b = write("dies/b.yaml", "product: B\ninherits: a\n");
  EXPECT_EQ(said([&](Diagnostics& d) { catalogue().die("a", d); }),
            "error[E0205]: 'a' inherits from itself\n"
            " --> " +
                b +
                ":2:11  inherits\n"
                "  |\n"
                "2 | inherits: a\n"
                "  |           ^\n"
                "  = help: the chain is a -> b -> a\n");
}

TEST_F(BrokenCatalogue, ABaseThatDoesNotExist) {
  const std::string file = write("dies/a.yaml", "inherits: a2-376t-64\n");
  EXPECT_EQ(said([&](Diagnostics& d) { catalogue().die("a", d); }),
            "error[E0202]: unknown die 'a2-376t-64'\n"
            " --> " +
                file +
                ":1:11  inherits\n"
                "  |\n"
                "1 | inherits: a2-376t-64\n"
                "  |           ^\n"
                "  = help: did you mean 'a2-376t-64g'? known: a, a2-280t-32g, a2-280t-64g, a2-313t-64g, a2-376t-64g, "
                "a3-280t, a3-376t\n");
}

TEST_F(BrokenCatalogue, EarlierMistakesDoNotHideAServer) {
  Diagnostics diagnostics;
  diagnostics.error("E0999", {}, "something else");
  EXPECT_EQ(catalogue().server("atlas-800t-a3", {}, diagnostics).dies(), 16);
  EXPECT_EQ(catalogue().server("atlas-800i-a2", {}, diagnostics).dies(), 8);
}

TEST_F(BrokenCatalogue, AMistakeIsReportedInTheFileThatHasIt) {
  const std::string file = write("dies/a2-280t-64g.yaml",
                                 "inherits: a2-376t-64g\n"
                                 "clock: {value: 1500 MHz, kind: spec, source: INI}\n"
                                 "clok: 3\n");
  const std::string text = said([&](Diagnostics& d) { catalogue().die("a2-280t-32g", d); });
  EXPECT_NE(text.find(file + ":3:1"), std::string::npos) << text;
  EXPECT_NE(text.find("clok"), std::string::npos) << text;
  EXPECT_NE(text.find("clock"), std::string::npos) << text;
}

TEST_F(BrokenCatalogue, AnAliasHasNothingElse) {
  const std::string file = write("servers/atlas-800t-a3.yaml", "alias_of: atlas-800i-a3\ncards: 8\n");
  const std::string text = said([&](Diagnostics& d) { catalogue().server("atlas-800t-a3", {}, d); });
  EXPECT_NE(text.find(file + ":2:1"), std::string::npos) << text;
}

TEST_F(BrokenCatalogue, ALinkThatDoesNotExistIsReportedWhereItIsNamed) {
  const std::string file = write("servers/mine.yaml", "inherits: atlas-800i-a2\nnic: a2-rose\n");
  EXPECT_EQ(
      said([&](Diagnostics& d) { catalogue().server("mine", {}, d); }),
      "error[E0203]: unknown link 'a2-rose'\n"
      " --> " +
          file +
          ":2:6  nic\n"
          "  |\n"
          "2 | nic: a2-rose\n"
          "  |      ^\n"
          "  = help: did you mean 'a2-roce'? known: a2-hccs, a2-pcie, a2-roce, a3-roce, a3-sio, a3-ub, a3-ub-host\n");
}

TEST_F(BrokenCatalogue, FabricCountsUnitsAndExponentsAreChecked) {
  const std::string server = write("servers/mine.yaml", "inherits: atlas-800i-a2\nfabric: hccs-mash\ncards: -8\n");
  EXPECT_EQ(said([&](Diagnostics& d) { catalogue().server("mine", {}, d); }),
            "error[E0209]: unknown fabric 'hccs-mash'\n"
            " --> " +
                server +
                ":2:9  fabric\n"
                "  |\n"
                "2 | fabric: hccs-mash\n"
                "  |         ^\n"
                "  = help: did you mean 'hccs-mesh'? known: hccs-mesh, unified-bus\n"
                "error[E0207]: 'cards' must be between 1 and 1048576, not -8\n"
                " --> " +
                server +
                ":3:8  cards\n"
                "  |\n"
                "3 | cards: -8\n"
                "  |        ^\n");
  const std::string kernels = write("kernels/mine.yaml",
                                    "combine_exponent: {value: 1.7, kind: spec, source: here}\n"
                                    "defaults: {}\nfamilies: {}\nshared:\n"
                                    "  gap: {value: 3 parsec, kind: spec, source: here}\n");
  const std::string text = said([&](Diagnostics& d) { catalogue().kernels("mine", d); });
  EXPECT_NE(text.find("error[E0210]: 'combine_exponent' cannot be 1.7\n --> " + kernels + ":1:"), std::string::npos)
      << text;
  EXPECT_NE(text.find("error[E0208]: 'gap' is not a figure with a known unit\n --> " + kernels + ":5:"),
            std::string::npos)
      << text;
}

}  // namespace
}  // namespace ascendsim
