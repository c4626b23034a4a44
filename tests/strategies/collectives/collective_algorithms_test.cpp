// Every algorithm: its schedule run on numbers is the collective, and its closed form is its schedule played as flows.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>  // needs the macros of the line above

#include <cmath>
#include <numeric>
#include <random>
#include <set>

#include "strategies/collectives/collective_cost.h"

namespace ascendsim {
namespace {

constexpr Primitive kPrimitives[] = {Primitive::kAllGather, Primitive::kReduceScatter, Primitive::kAllReduce,
                                     Primitive::kAllToAll,  Primitive::kDispatch,      Primitive::kCombine,
                                     Primitive::kShift,     Primitive::kBroadcast};

CollectiveShape group(Primitive primitive, int servers, int per_server, std::int64_t n,
                      Fabric fabric = Fabric::kHccsMesh) {
  CollectiveShape shape{.primitive = primitive,
                        .bytes = Bytes(n),
                        .ranks = servers * per_server,
                        .servers = servers,
                        .ranks_per_server = per_server};
  shape.fabric = fabric;
  return shape;
}

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  unsigned operator()() { return static_cast<unsigned>(engine_()); }

 private:
  std::mt19937 engine_;  // its numbers are the same everywhere; distributions of the library are not
};

// ---- on numbers -----------------------------------------------------------------------------------------------------

using Order = std::function<std::size_t(std::size_t)>;
Order random_order(unsigned seed) {
  return [engine = Random(seed)](std::size_t n) mutable { return engine() % n; };
}

// Element i of rank r before the collective: never 0, and sums over ranks differ.
std::int64_t element(int rank, std::int64_t i) { return (rank + 1) * 100003 + i * 17; }
constexpr std::int64_t kUnknown = -7;

std::vector<RankNumbers> before(const CollectiveShape& s) {
  std::vector<RankNumbers> ranks(static_cast<std::size_t>(s.ranks));
  for (int r = 0; r < s.ranks; ++r) {
    RankNumbers& mine = ranks[static_cast<std::size_t>(r)];
    const Range own = part(s.n(), s.ranks, r);
    for (std::int64_t i = 0; i < s.n(); ++i) {
      const bool known = s.primitive == Primitive::kAllGather   ? i >= own.begin && i < own.begin + own.bytes
                         : s.primitive == Primitive::kBroadcast ? r == 0
                                                                : true;
      mine[Place::kVector].push_back(known ? element(r, i) : kUnknown);
    }
    mine[Place::kResult].assign(static_cast<std::size_t>(s.n() + s.ranks * s.ranks), 0);
    mine[Place::kScratch].assign(static_cast<std::size_t>(s.servers * (s.n() + s.ranks)), 0);
  }
  return ranks;
}

std::int64_t sum_of(const CollectiveShape& s, std::int64_t i) {
  std::int64_t sum = 0;
  for (int r = 0; r < s.ranks; ++r) sum += element(r, i);
  return sum;
}

bool is_the_collective(const CollectiveShape& s, std::string_view algorithm, std::vector<RankNumbers>& ranks) {
  for (int r = 0; r < s.ranks; ++r) {
    const Range own = part(s.n(), s.ranks, r);
    Numbers& vector = ranks[static_cast<std::size_t>(r)][Place::kVector];
    Numbers& result = ranks[static_cast<std::size_t>(r)][Place::kResult];
    const auto at = [](const Numbers& numbers, std::int64_t i) { return numbers[static_cast<std::size_t>(i)]; };
    for (std::int64_t i = 0; i < s.n(); ++i) {
      switch (s.primitive) {
        case Primitive::kAllGather: {
          int owner = 0;
          while (i >= part(s.n(), s.ranks, owner + 1).begin) ++owner;
          if (at(vector, i) != element(owner, i)) return false;
          break;
        }
        case Primitive::kReduceScatter:
          if (i >= own.begin && i < own.begin + own.bytes && at(vector, i) != sum_of(s, i)) return false;
          break;
        case Primitive::kAllReduce:
          if (at(algorithm == "one-shot" ? result : vector, i) != sum_of(s, i)) return false;
          break;
        case Primitive::kBroadcast:
          if (at(vector, i) != element(0, i)) return false;
          break;
        case Primitive::kShift:
          if (at(result, i) != element((r - 1 + s.ranks) % s.ranks, i)) return false;
          break;
        default:
          break;
      }
    }
    if (s.primitive != Primitive::kAllToAll) continue;
    for (int from = 0; from < s.ranks; ++from)
      for (std::int64_t i = 0; i < own.bytes; ++i)
        if (at(result, from * own.bytes + i) != element(from, own.begin + i)) return false;
  }
  return true;
}

bool performs(const CollectiveShape& s, std::string_view algorithm, const Schedule& schedule, unsigned seed) {
  std::vector<RankNumbers> ranks = before(s);
  perform(schedule, ranks, random_order(seed));
  return is_the_collective(s, algorithm, ranks);
}

Schedule without(const Schedule& s, std::size_t dropped) {
  Schedule out(s.ranks());
  for (std::size_t i = 0; i < s.transfers().size(); ++i)
    if (i != dropped) out.add(s.transfers()[i]);
  return out;
}

bool is_moe(Primitive p) { return p == Primitive::kDispatch || p == Primitive::kCombine; }

// Servers x ranks in each; n with and without remainders, and fewer bytes than ranks.
constexpr std::pair<int, int> kGroups[] = {{1, 2}, {1, 3}, {1, 4}, {1, 7}, {1, 8}, {2, 1},
                                           {2, 2}, {2, 4}, {3, 2}, {4, 2}, {3, 3}};

TEST(CollectiveAlgorithms, ComputeTheCollectiveInAnyLegalOrder) {
  unsigned seed = 1;
  for (const CollectiveAlgorithm& a : builtin_collectives())
    for (const Primitive primitive : kPrimitives) {
      if (!a.covers(primitive) || is_moe(primitive)) continue;
      for (const auto& [servers, inside] : kGroups)
        for (const std::int64_t n : {1, 5, 24, 47}) {
          const CollectiveShape s = group(primitive, servers, inside, n);
          if (!a.defined(s)) continue;
          EXPECT_TRUE(performs(s, a.name, a.schedule(s), ++seed))
              << a.name << " " << to_text(primitive) << " " << servers << " x " << inside << ", " << n;
        }
    }
}

TEST(CollectiveAlgorithms, WithoutOneMessageItIsNotTheCollective) {
  Random engine(3);
  for (const CollectiveAlgorithm& a : builtin_collectives())
    for (const Primitive primitive : kPrimitives) {
      if (!a.covers(primitive) || is_moe(primitive)) continue;
      const CollectiveShape s = group(primitive, 2, 2, 23);
      const Schedule whole = a.schedule(s);
      for (int trial = 0; trial < 5; ++trial) {
        const std::size_t dropped = engine() % whole.transfers().size();
        EXPECT_FALSE(performs(s, a.name, without(whole, dropped), engine()))
            << a.name << " " << to_text(primitive) << " without " << dropped;
      }
    }
}

TokenRouting random_routing(int servers, int inside, int tokens, int copies, unsigned seed) {
  TokenRouting r{.ranks = servers * inside, .ranks_per_server = inside, .tokens = tokens, .copies = copies, .row = 3};
  Random engine(seed);
  // Uneven on purpose: small ranks have the popular experts.
  for (int i = 0; i < r.ranks * tokens * copies; ++i)
    r.targets.push_back(static_cast<std::int32_t>(
        std::min(engine() % static_cast<unsigned>(r.ranks), engine() % static_cast<unsigned>(r.ranks))));
  return r;
}

bool moves_tokens(const TokenRouting& routing, Primitive primitive, const Schedule& schedule, unsigned seed) {
  const auto slots = slots_of(routing);
  const int capacity = routing.tokens * routing.copies;
  const auto row = static_cast<std::size_t>(routing.row);
  const auto value = [](int rank, std::int64_t i) { return element(rank, i); };
  std::vector<RankNumbers> ranks(static_cast<std::size_t>(routing.ranks));
  for (int r = 0; r < routing.ranks; ++r) {
    const auto i = static_cast<std::size_t>(r);
    const std::size_t tokens = static_cast<std::size_t>(routing.tokens) * row, here = slots[i].size() * row;
    ranks[i][Place::kVector].resize(primitive == Primitive::kDispatch ? tokens : here);
    ranks[i][Place::kResult].resize(primitive == Primitive::kDispatch ? here : tokens);
    ranks[i][Place::kScratch].resize(static_cast<std::size_t>(scratch_rows(routing, capacity)) * row);
    for (std::size_t e = 0; e < ranks[i][Place::kVector].size(); ++e)
      ranks[i][Place::kVector][e] = value(r, static_cast<std::int64_t>(e));
  }
  perform(schedule, ranks, random_order(seed));
  std::vector<Numbers> sums(ranks.size(), Numbers(static_cast<std::size_t>(routing.tokens) * row));
  for (std::size_t rank = 0; rank < ranks.size(); ++rank)
    for (std::size_t slot = 0; slot < slots[rank].size(); ++slot)
      for (std::size_t e = 0; e < row; ++e) {
        const Slot& s = slots[rank][slot];
        const std::size_t token = static_cast<std::size_t>(s.token) * row + e;
        if (primitive == Primitive::kDispatch &&
            ranks[rank][Place::kResult][slot * row + e] != value(s.from, static_cast<std::int64_t>(token)))
          return false;
        sums[static_cast<std::size_t>(s.from)][token] +=
            value(static_cast<int>(rank), static_cast<std::int64_t>(slot * row + e));
      }
  if (primitive == Primitive::kDispatch) return true;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank)
    if (ranks[rank][Place::kResult] != sums[rank]) return false;
  return true;
}

struct MoeCase {
  const char* name;
  MoeSchedule schedule;
};
const MoeCase kMoe[] = {
    {"mc2", mc2_schedule},
    {"all-to-all-v", all_to_all_v_schedule},
    {"padded", [](const TokenRouting& r, Primitive p) { return padded_schedule(r, p, r.tokens * r.copies); }},
    {"all-gather-ep", all_gather_ep_schedule},
    {"layered", layered_schedule}};

TEST(MoeExchange, BringsEveryCopyToItsExpertAndTheSumBack) {
  unsigned seed = 5;
  for (const MoeCase& c : kMoe)
    for (const Primitive primitive : {Primitive::kDispatch, Primitive::kCombine})
      for (const auto& [servers, inside] : {std::pair{1, 4}, std::pair{2, 2}, std::pair{3, 2}, std::pair{2, 4}}) {
        const TokenRouting routing = random_routing(servers, inside, 3, 2, ++seed);
        EXPECT_TRUE(moves_tokens(routing, primitive, c.schedule(routing, primitive), seed))
            << c.name << " " << to_text(primitive) << " " << servers;
      }
}

TEST(MoeExchange, WithoutOneRowItIsWrong) {
  Random engine(9);
  for (const MoeCase& c : kMoe)
    for (const Primitive primitive : {Primitive::kDispatch, Primitive::kCombine}) {
      const TokenRouting routing = random_routing(2, 2, 3, 2, engine());
      const Schedule whole = c.schedule(routing, primitive);
      for (int trial = 0; trial < 5; ++trial) {
        std::size_t dropped = engine() % whole.transfers().size();
        // A block that these two send may hold no row that its receiver needs: a row that is packed or unpacked is left
        // out.
        const bool blocks = std::string_view(c.name) == "padded" || std::string_view(c.name) == "all-gather-ep";
        while (blocks && whole.transfers()[dropped].bytes != routing.row) dropped = engine() % whole.transfers().size();
        EXPECT_FALSE(moves_tokens(routing, primitive, without(whole, dropped), engine()))
            << c.name << " " << to_text(primitive);
      }
    }
}

// A token crosses to a server once: with 8 copies over 2 servers at most 1 of 8 rows crosses that mc2 would send.
TEST(MoeExchange, LayeredSendsATokenOnceToAServer) {
  const TokenRouting routing = random_routing(2, 8, 16, 8, 11);
  const auto crossing = [&](const Schedule& s) {
    std::int64_t sum = 0;
    for (const Crossing& c : traffic(s))
      if (routing.server_of(c.from) != routing.server_of(c.to)) sum += c.bytes;
    return sum;
  };
  for (const Primitive primitive : {Primitive::kDispatch, Primitive::kCombine}) {
    std::int64_t distinct = 0;
    for (int from = 0; from < routing.ranks; ++from)
      for (int token = 0; token < routing.tokens; ++token) {
        bool crosses = false;
        for (int copy = 0; copy < routing.copies; ++copy)
          crosses |= routing.server_of(routing.target(from, token, copy)) != routing.server_of(from);
        distinct += crosses ? routing.row : 0;
      }
    EXPECT_EQ(crossing(layered_schedule(routing, primitive)), distinct);
    EXPECT_GT(crossing(mc2_schedule(routing, primitive)), 2 * distinct);
  }
}

// ---- bytes ----------------------------------------------------------------------------------------------------------

// (p-1)/p n, twice that for an all-reduce, n for a shift; what closed forms and the calculator's ledger count.
TEST(CollectiveAlgorithms, SendTheBytesOfTheClosedForm) {
  for (const CollectiveAlgorithm& a : builtin_collectives())
    for (const Primitive primitive : kPrimitives) {
      const std::string_view name = a.name;
      if (!a.covers(primitive) || is_moe(primitive) || primitive == Primitive::kBroadcast || name == "one-shot" ||
          name == "hierarchical-exchange")
        continue;
      for (const auto& [servers, inside] : kGroups) {
        const int p = servers * inside;
        const CollectiveShape s = group(primitive, servers, inside, 60 * p);
        if (!a.defined(s)) continue;
        for (const std::int64_t sent : bytes_sent_by_rank(a.schedule(s)))
          EXPECT_EQ(sent, bytes_sent(primitive, {.bytes = s.bytes, .ranks = p}).count())
              << name << " " << to_text(primitive) << " " << p;
      }
    }
}

// The exceptions, by hand. One-shot: the whole vector to each of 3 peers. Two servers of 2: 2 of 4 blocks of 60 to the
// relay, then 2 of its own server's and 2 of the other's... of which one block of each stays: 2 x 60 + 2 x 60.
TEST(CollectiveAlgorithms, SendTheirOwnBytesWhereTheyAreLonger) {
  EXPECT_EQ(bytes_sent_by_rank(one_shot_schedule(group(Primitive::kAllReduce, 1, 4, 240)))[0], 3 * 240);
  EXPECT_EQ(bytes_sent_by_rank(hierarchical_exchange_schedule(group(Primitive::kAllToAll, 2, 2, 240)))[0], 120 + 120);
}

TEST(CollectiveAlgorithms, TakeAsManyStepsAsTheirFormulasSay) {
  const auto steps = [](Schedule s) { return s.steps(); };
  EXPECT_EQ(steps(ring_schedule(group(Primitive::kAllGather, 1, 8, 800))), 7);
  EXPECT_EQ(steps(ring_schedule(group(Primitive::kAllReduce, 1, 8, 800))), 14);
  EXPECT_EQ(steps(mesh_schedule(group(Primitive::kAllReduce, 1, 8, 800))), 2);
  EXPECT_EQ(steps(halving_doubling_schedule(group(Primitive::kReduceScatter, 1, 8, 800))), 3);
  EXPECT_EQ(steps(nhr_schedule(group(Primitive::kAllGather, 1, 9, 900))), 4);  // ceil(log2 9)
  EXPECT_EQ(steps(hierarchical_schedule(group(Primitive::kAllGather, 4, 2, 800))), 3);
  EXPECT_EQ(steps(pipelined_schedule(group(Primitive::kAllGather, 4, 2, 800))), 4);
  EXPECT_EQ(steps(pairwise_schedule(group(Primitive::kAllToAll, 1, 8, 800))), 7);
  EXPECT_EQ(steps(tree_schedule(group(Primitive::kBroadcast, 1, 8, 800))), 3);
}

// ---- closed form and flows ------------------------------------------------------------------------------------------

CollectiveCosts random_costs(const CollectiveShape& s) {
  CollectiveCosts costs;
  costs.setup = Duration(*rc::gen::inRange<std::int64_t>(0, 100'000'000));
  for (std::size_t c = 0; c < kLinkClasses; ++c) {
    costs.step[c] = Duration(*rc::gen::inRange<std::int64_t>(0, 50'000'000));
    costs.bandwidth[c] = BytesPerSecond(static_cast<double>(*rc::gen::inRange(10, 300)) * 1e9);
    for (double& e : costs.efficiency[c]) e = *rc::gen::inRange(25, 101) / 100.0;
  }
  if (s.package_peers == 0) costs.bandwidth[0] = BytesPerSecond{};
  costs.message = Duration(*rc::gen::inRange<std::int64_t>(0, 20'000'000));
  return costs;
}

// Between A2 servers, ranks whose partner of a step is near run ahead of the others, and two messages may meet at a
// NIC: that is contention, and the closed form, in which all ranks keep step, does not hold.
bool keeps_step(const CollectiveAlgorithm& a, const CollectiveShape& s) {
  const std::string_view name = a.name;
  const bool mixed = s.fabric == Fabric::kHccsMesh && s.servers > 1 && s.ranks_per_server > 1;
  return !mixed ||
         (name != "nhr" && name != "pairwise" && name != "all-to-all-v" && name != "padded" && name != "tree");
}

RC_GTEST_PROP(CollectiveAlgorithms, ClosedFormIsTheFlowSimulation, ()) {
  const auto& all = builtin_collectives();
  const CollectiveAlgorithm& a = all[*rc::gen::inRange<std::size_t>(0, all.size())];
  const Primitive primitive =
      *rc::gen::suchThat(rc::gen::elementOf(std::vector<Primitive>(std::begin(kPrimitives), std::end(kPrimitives))),
                         [&](Primitive p) { return a.covers(p); });
  const Fabric fabric = *rc::gen::element(Fabric::kHccsMesh, Fabric::kUnifiedBus);
  const auto [servers, inside] =
      *rc::gen::element(std::pair{1, 2}, std::pair{1, 3}, std::pair{1, 6}, std::pair{1, 8}, std::pair{1, 16},
                        std::pair{2, 1}, std::pair{2, 8}, std::pair{4, 4}, std::pair{3, 2});
  const int p = servers * inside;
  // Large enough that a byte of remainder is nothing; a routing has whole rows.
  std::int64_t n = *rc::gen::inRange<std::int64_t>(8'000'000LL * p, 64'000'000LL * p);
  if (is_moe(primitive)) n -= n % (8 * p);
  CollectiveShape s = group(primitive, servers, inside, n, fabric);
  if (fabric == Fabric::kUnifiedBus && inside % 2 == 0 && p > 2) s.package_peers = *rc::gen::inRange(0, 2);
  if (*rc::gen::inRange(0, 4) == 0) s.padding = Ratio(1.5);
  RC_PRE(a.defined(s) && keeps_step(a, s));
  s.all_rdma = a.rdma && fabric == Fabric::kHccsMesh && servers > 1;
  const CollectiveCosts costs = random_costs(s);
  const StepPlan plan = a.plan(s);
  const double closed = seconds(time_of(plan, costs));
  const PlayedCollective played = play_collective(s, a.schedule(s), plan, costs);
  RC_LOG() << a.name << " " << to_text(primitive) << " " << servers << " x " << inside
           << (fabric == Fabric::kUnifiedBus ? " UB " : " mesh ") << s.package_peers << " n " << n << ": " << closed
           << " against " << seconds(played.time) << "\n";
  RC_ASSERT(std::abs(closed - seconds(played.time)) <= 1e-6 * closed);
}

// Vector cores as the limit: the bytes of all links together.
TEST(CollectiveAlgorithms, AnEngineIsALinkOfTheFlowsToo) {
  CollectiveShape s = group(Primitive::kAllReduce, 1, 16, 64'000'000, Fabric::kUnifiedBus);
  s.package_peers = 1;
  CollectiveCosts costs;
  costs.engine = BytesPerSecond(150e9);
  for (std::size_t c = 0; c < kLinkClasses; ++c) {
    costs.bandwidth[c] = BytesPerSecond(200e9);
    for (double& e : costs.efficiency[c]) e = 1;
  }
  const StepPlan plan = mesh_plan(s);
  // 2 x 15/16 x 64 MB / 150 GB/s = 800 us
  EXPECT_NEAR(microseconds(time_of(plan, costs)), 800, 1e-3);
  EXPECT_NEAR(microseconds(play_collective(s, mesh_schedule(s), plan, costs).time), 800, 1e-3);
}

// Four at once share every link: four times the bytes, one set of step costs.
TEST(CollectiveAlgorithms, ConcurrentOnesShareLinks) {
  const CollectiveShape s = group(Primitive::kAllGather, 1, 8, 8'000'000, Fabric::kUnifiedBus);
  CollectiveCosts costs;
  costs.bandwidth[1] = BytesPerSecond(100e9);
  costs.efficiency[1][0] = 0.5;
  const StepPlan plan = mesh_plan(s);
  // 7 MB over 50 GB/s = 140 us
  EXPECT_NEAR(microseconds(play_collective(s, mesh_schedule(s), plan, costs).time), 140, 1e-3);
  const PlayedCollective four = play_collective(s, mesh_schedule(s), plan, costs, 4);
  EXPECT_NEAR(microseconds(four.time), 560, 1e-3);
  ASSERT_EQ(four.links.size(), 2U);
  EXPECT_EQ(four.links[0].carried, Bytes(28'000'000));
  EXPECT_EQ(four.links[0].links, 8);
}

// ---- expert exchange as loads per port ------------------------------------------------------------------------------

// Rows from each to each: every rank sends `copies` x tokens rows, experts drawn with Zipf weights of exponent `skew`.
std::vector<std::int64_t> routed_rows(int ranks, int tokens, int copies, double skew, unsigned seed) {
  std::vector<double> weights(static_cast<std::size_t>(ranks));
  Random engine(seed);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = std::pow(static_cast<double>(i + 1), -skew);
  for (std::size_t i = weights.size() - 1; i > 0; --i) std::swap(weights[i], weights[engine() % (i + 1)]);
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<std::int64_t> rows(static_cast<std::size_t>(ranks * ranks));
  for (int from = 0; from < ranks; ++from)
    for (int i = 0; i < tokens * copies; ++i) {
      double draw = static_cast<double>(engine()) / 4294967296.0 * total;
      int to = 0;
      while (to + 1 < ranks && (draw -= weights[static_cast<std::size_t>(to)]) > 0) ++to;
      ++rows[static_cast<std::size_t>(from * ranks + to)];
    }
  return rows;
}

TEST(PortLoads, AreWithinTwoPercentOfPairwiseFlowsOn32Dies) {
  for (const double skew : {0.0, 0.3, 0.6, 1.0})
    for (unsigned seed = 1; seed <= 5; ++seed) {
      CollectiveShape s = group(Primitive::kDispatch, 2, 16, 128 * 8 * 7172, Fabric::kUnifiedBus);
      s.package_peers = 1;
      CollectiveCosts costs;
      costs.bandwidth[0] = BytesPerSecond(240e9);
      costs.bandwidth[1] = BytesPerSecond(196e9);
      for (auto& efficiencies : costs.efficiency) std::ranges::fill(efficiencies, 0.3);
      const auto rows = routed_rows(s.ranks, 128, 8, skew, seed);
      Schedule flows(s.ranks);
      for (int from = 0; from < s.ranks; ++from)
        for (int to = 0; to < s.ranks; ++to)
          flows.add({from, to, 0, Place::kVector, Place::kResult, false, 0, 0,
                     rows[static_cast<std::size_t>(from * s.ranks + to)] * 7172});
      const double loads = seconds(port_load_time(s, rows, 7172, TransferKind::kDispatch, costs));
      const double pairs = seconds(play_collective(s, flows, mc2_plan(s), costs).time);
      EXPECT_NEAR(loads / pairs, 1, 0.02) << "skew " << skew << ", seed " << seed;
    }
}

// ---- overflow -------------------------------------------------------------------------------------------------------

TEST(Overflow, OfBytesTimesRanksIsLoud) {
  // 768 ranks x 2^62 bytes each
  EXPECT_THROW(one_shot_plan(group(Primitive::kAllReduce, 1, 768, std::int64_t{1} << 62, Fabric::kUnifiedBus)),
               InternalError);
  EXPECT_NO_THROW(ring_plan(group(Primitive::kAllReduce, 1, 768, std::int64_t{1} << 62)));
  // The last part of 2^62 + 5 bytes ends where the vector ends.
  const Range last = part((std::int64_t{1} << 62) + 5, 768, 767);
  EXPECT_EQ(last.begin + last.bytes, (std::int64_t{1} << 62) + 5);
  EXPECT_EQ(multiply(std::int64_t{1} << 62, 2), std::nullopt);
}

}  // namespace
}  // namespace ascendsim
