// Properties of SGLang's scheduler on random loads. Each case draws a hundred of them: 10,000 loads a property.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <map>

#include "tests/strategies/serving/schedulers/sglang_load_under_test.h"

namespace ascendsim {
namespace {

constexpr std::uint64_t kLoadsOfACase = 100;
constexpr std::int64_t kPatience = 20'000;  // passes; the longest of these loads takes some hundred

template <class Property>
void on_random_loads(Property&& property) {
  const auto first = *rc::gen::inRange<std::uint64_t>(0, 1'000'000'000);
  for (std::uint64_t seed = first; seed < first + kLoadsOfACase; ++seed) {
    const SglangRecording load = random_load(seed);
    SCOPED_TRACE(seed);
    try {
      property(load, seed);
    } catch (const SglangStop&) {
      // Out of memory is where SGLang stops as well.
    }
  }
}

// Every slot is free, in the tree or owned by one request after each pass, and in the end no request holds any.
RC_GTEST_PROP(SglangProperty, ConservesMemory, ()) {
  on_random_loads([](const SglangRecording& load, std::uint64_t seed) {
    EngineUnderTest engine(load);
    while (!engine.done() && engine.step() < kPatience) {
      engine.pass();
      for (std::size_t i = 0; i < load.ranks; ++i) {
        const SglangScheduler& rank = engine.ranks().rank(i);
        if (rank.accounted_tokens() != rank.pool_tokens())
          RC_FAIL("a slot is lost or there twice: load " + std::to_string(seed));
        RC_ASSERT(rank.free_tokens() >= 0);
        RC_ASSERT(rank.free_slots() >= 0);
      }
    }
    RC_ASSERT(engine.done());
    for (std::size_t i = 0; i < load.ranks; ++i) {
      const SglangScheduler& rank = engine.ranks().rank(i);
      RC_ASSERT(rank.free_tokens() + rank.evictable_tokens() == rank.pool_tokens());
      RC_ASSERT(rank.in_flight() == 0);
    }
  });
}

// Every request is computed from where its prefix ends, without gaps, and puts out what it was to put out: not one
// token less, and more only for drafts that were accepted beyond the end. First come, first served means that they enter
// a batch for the first time in the order of their arrival; on the decode side one may be retracted as it enters.
RC_GTEST_PROP(SglangProperty, ComputesEveryRequestInOrder, ()) {
  on_random_loads([](const SglangRecording& load, std::uint64_t seed) {
    const SglangConfig& c = load.config;
    EngineUnderTest engine(load);
    std::map<std::size_t, std::int64_t> computed;  // by request: where its next piece begins
    std::vector<std::vector<std::size_t>> entered(load.ranks);
    std::size_t ended = 0;
    while (!engine.done() && engine.step() < kPatience) {
      engine.pass();
      for (std::size_t i = 0; i < load.ranks; ++i) {
        const SglangScheduler& rank = engine.ranks().rank(i);
        for (const auto* back : {&rank.pass().retracted, &rank.pass().preempted}) {
          for (const RequestIndex r : *back) computed.erase(engine.number(i, r));
        }
        for (const ScheduledRequest& row : rank.step().requests) {
          const std::size_t request = engine.number(i, row.request);
          const auto [at, fresh] = computed.try_emplace(request, row.context);
          if (fresh && std::ranges::find(entered[i], request) == entered[i].end()) entered[i].push_back(request);
          if (c.num_draft_tokens == 0 && at->second != row.context) RC_FAIL("a gap: load " + std::to_string(seed));
          RC_ASSERT(row.tokens > 0);
          at->second = row.context + row.tokens;
        }
        for (const RequestIndex r : rank.pass().finished) {
          ++ended;
          const SglangRecording::Load& asked = load.requests[engine.number(i, r)];
          const std::int64_t most = rank.max_new_tokens(r);
          const std::int64_t due =
              std::max<std::int64_t>(1, asked.sampling.ignore_eos ? most : std::min(most, asked.request.output_tokens));
          RC_ASSERT(rank.output_tokens(r) >= (c.role == SglangRole::kPrefill ? 1 : due));
          RC_ASSERT(rank.output_tokens(r) < due + std::max<std::int64_t>(1, c.num_draft_tokens));
        }
      }
    }
    std::size_t refused = 0;
    for (const SglangRecording::Load& r : load.requests) {
      refused += r.request.input_tokens >= c.pool_tokens / c.page_size * c.page_size - 6 ? 1U : 0U;
    }
    RC_ASSERT(ended + refused == load.requests.size());
    if (c.schedule_policy == SglangPolicy::kFcfs && !c.enable_priority_scheduling && c.role != SglangRole::kDecode) {
      for (const auto& order : entered) RC_ASSERT(std::ranges::is_sorted(order));
    }
  });
}

// Passes taken at once are the passes taken one by one: decode passes of one batch in which nobody ends, and the same
// state to the last bit, after them and for ever.
RC_GTEST_PROP(SglangProperty, PassesTakenAtOnceAreThePassesTakenOneByOne, ()) {
  std::int64_t at_once = 0;
  on_random_loads([&](const SglangRecording& load, std::uint64_t seed) {
    EngineUnderTest single(load), quick(load);
    while (!single.done() && single.step() < kPatience) {
      const std::int64_t steady = quick.steady_passes();
      if (steady == 0) {
        quick.pass();
        single.pass();
      } else {
        quick.advance(steady);
        at_once += steady;
        std::vector<std::size_t> running;
        for (std::size_t i = 0; i < load.ranks; ++i) running.push_back(single.ranks().rank(i).running().size());
        for (std::int64_t pass = 0; pass < steady; ++pass) {
          single.pass();
          for (std::size_t i = 0; i < load.ranks; ++i) {
            const SglangPass& p = single.ranks().rank(i).pass();
            RC_ASSERT(p.kind == SglangPassKind::kDecode || p.kind == SglangPassKind::kIdleBatch);
            RC_ASSERT(p.finished.empty() && p.retracted.empty() && p.allocated.empty());
            RC_ASSERT(single.ranks().rank(i).running().size() == running[i]);
          }
        }
      }
      if (single.seen() != quick.seen()) RC_FAIL("another state: load " + std::to_string(seed));
    }
    RC_ASSERT(quick.done());
  });
  RC_ASSERT(at_once > 0);
}

}  // namespace
}  // namespace ascendsim
