#include "hardware/faults.h"

#include <filesystem>
#include <fstream>

#include "tests/hardware/catalogue_under_test.h"

namespace ascendsim {
namespace {

struct Read {
  std::vector<LinkFault> faults;
  std::vector<std::string> said;  // "2:5 E0213 message"
};

Read read(std::string_view server, int servers, const std::string& text) {
  const std::string path = (std::filesystem::temp_directory_path() /
                            (std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()) + ".yaml"))
                               .string();
  std::ofstream(path) << text;
  Diagnostics diagnostics;
  Read result{read_faults(path, Cluster(shipped_server(server), servers), diagnostics), {}};
  for (const Diagnostic& d : diagnostics.all())
    result.said.push_back(std::to_string(d.where.line) + ":" + std::to_string(d.where.column) + " " + d.code + " " +
                          d.message);
  std::filesystem::remove(path);
  return result;
}

TEST(Faults, EveryKindIsRead) {
  const Read a2 = read("atlas-800i-a2", 5,
                       "faults:\n"
                       "  - {link: hccs, server: 1, dies: [5, 3], remaining: 0}\n"
                       "  - {link: roce, server: 0, die: 7, remaining: 0.25}\n"
                       "  - {link: roce-uplink, leaf: 1, remaining: 0.5}\n");
  EXPECT_EQ(a2.said, std::vector<std::string>{});
  ASSERT_EQ(a2.faults.size(), 3U);
  EXPECT_EQ(a2.faults[0].kind, LinkKind::kHccs);
  EXPECT_EQ(a2.faults[0].server, 1);
  EXPECT_EQ(a2.faults[0].first, 3);
  EXPECT_EQ(a2.faults[0].second, 5);
  EXPECT_EQ(a2.faults[1].remaining, Ratio(0.25));
  EXPECT_EQ(a2.faults[2].first, -1);
  EXPECT_NO_THROW(Cluster(shipped_server("atlas-800i-a2"), 5, 8, a2.faults));

  const Read a3 = read("atlas-800i-a3", 2,
                       "faults:\n"
                       "  - {link: sio, server: 0, dies: [0, 1], remaining: 0.5}\n"
                       "  - {link: ub, server: 1, die: 4, plane: 2, remaining: 0}\n"
                       "  - {link: ub, server: 1, die: 5, remaining: 0}\n"
                       "  - {link: ub-uplink, server: 1, plane: 6, remaining: 0}\n");
  EXPECT_EQ(a3.said, std::vector<std::string>{});
  EXPECT_EQ(a3.faults.size(), 1U + 1 + 7 + 1);
  EXPECT_NO_THROW(Cluster(shipped_server("atlas-800i-a3"), 2, 16, a3.faults));
}

TEST(Faults, EveryMistakeIsNamedAtOnce) {
  const Read r = read("atlas-800i-a2", 1,
                      "faults:\n"
                      "  - {link: hcsc, server: 0, dies: [3, 5], remaining: 0}\n"
                      "  - {link: sio, server: 0, dies: [0, 1], remaining: 0}\n"
                      "  - {link: hccs, server: 1, dies: [3, 8], remaining: 0}\n"
                      "  - {link: hccs, server: 0, dies: [3, 3], remaining: 1}\n"
                      "  - {link: roce, server: 0, die: 7, remaining: 0, plane: 1}\n"
                      "  - {link: roce, server: 0, die: 7, remaining: 0}\n"
                      "  - {link: roce, server: 0, die: 7, remaining: 0.5}\n"
                      "  - {link: roce-uplink, leaf: 0, remaining: 0}\n");
  EXPECT_EQ(r.said,
            (std::vector<std::string>{
                "2:12 E0214 unknown link 'hcsc'", "3:12 E0213 atlas-800i-a2 of 1 server has no link of kind 'sio'",
                "4:26 E0213 there is no server 1: they count from 0 to 0",
                "4:39 E0213 there is no die 8: they count from 0 to 7",
                "5:54 E0215 a fault needs 'remaining': the share of the bandwidth that is left, from 0 to below 1",
                "5:35 E0213 'dies' must name two dies", "6:51 E0110 unknown key 'plane'",
                "8:12 E0215 this link has a fault already",
                "9:12 E0213 atlas-800i-a2 of 1 server has no link of kind 'roce-uplink'"}));
}

TEST(Faults, AFileThatIsNoListOfFaults) {
  EXPECT_EQ(read("atlas-800i-a2", 1, "fault: []\n").said.size(), 2U);  // no list, and an unknown key
  EXPECT_EQ(read("atlas-800i-a2", 1, "faults: 3\n").said.size(), 1U);
}

}  // namespace
}  // namespace ascendsim
