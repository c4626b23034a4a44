// What holds for every load: blocks and tokens are conserved, nobody overtakes, and steps taken at once are the same
// steps. Each of the 100 cases of a property serves 30 random loads, and 100 where steps are taken at once.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

#include "tests/strategies/serving/mindie_loop_under_test.h"

namespace ascendsim {
namespace {

using mindie_test::Load;
using mindie_test::Loop;
using mindie_test::random_load;

// Calls serve(load) for `loads` loads from a drawn seed on. MindIE itself raises on some; those end there.
template <class Serve>
void for_random_loads(std::uint64_t loads, Serve&& serve) {
  // Any 64 bits in every case: seeds are not small first, so that no two cases serve the same loads.
  const auto seed = *rc::gen::resize(rc::kNominalSize, rc::gen::arbitrary<std::uint64_t>());
  for (std::uint64_t i = 0; i < loads; ++i) {
    const Load load = random_load(seed + i);
    try {
      serve(load);
    } catch (const MindieStopped&) {
    }
  }
}

std::int64_t held_blocks(const MindieScheduler& rank, std::int64_t of_ring) {
  std::int64_t held = 0;
  for (const auto* queue : {&rank.waiting(), &rank.running()})
    for (std::size_t i = 0; i < queue->size(); ++i) held += rank.blocks().held_on((*queue)[i], of_ring);
  return held;
}

RC_GTEST_PROP(MindieProperties, BlocksAreConserved, ()) {
  for_random_loads(30, [](const Load& load) {
    Loop loop(load);
    while (!loop.done() && !loop.gets_nowhere()) {
      loop.pass();
      for (std::size_t k = 0; k < loop.ranks().size(); ++k) {
        const MindieScheduler& rank = loop.ranks().rank(k);
        for (std::int64_t i = 0; i < rank.blocks().ranks(); ++i) {
          const std::int64_t free = rank.blocks().free_on(i), held = held_blocks(rank, i);
          RC_ASSERT(free >= 0);
          // With a prefix cache requests share blocks.
          if (load.config.prefix_cache)
            RC_ASSERT(free + held >= load.config.npu_blocks);
          else
            RC_ASSERT(free + held == load.config.npu_blocks);
        }
      }
    }
    if (!loop.done()) return;
    for (std::size_t k = 0; k < loop.ranks().size(); ++k)
      RC_ASSERT(loop.ranks().rank(k).blocks().free() == load.config.npu_blocks * load.config.ranks());
  });
}

RC_GTEST_PROP(MindieProperties, EveryTokenIsProducedOnceAndEveryPromptComputed, ()) {
  for_random_loads(30, [](const Load& load) {
    Loop loop(load);
    std::map<std::size_t, std::int64_t> computed;  // of a prompt since it was last begun
    while (!loop.done() && !loop.gets_nowhere()) {
      loop.pass();
      for (std::size_t k = 0; k < loop.ranks().size(); ++k) {
        const MindieStep& step = loop.ranks().step(k);
        RC_ASSERT(step.batch.requests.size() == step.handed.size());
        for (std::size_t i = 0; i < step.handed.size(); ++i) {
          const ScheduledRequest& r = step.batch.requests[i];
          RC_ASSERT(r.context >= 0);
          if (!r.prompt) continue;
          RC_ASSERT(r.context + r.tokens <= 1500 + 60);
          const std::size_t n = loop.number(k, r.request);
          // The model may compute the last block of a prompt again that is cached as a whole.
          if (!load.config.prefix_cache) RC_ASSERT(r.context == (r.context == 0 ? 0 : computed[n]));
          computed[n] = r.context + r.tokens;
          if (r.samples) RC_ASSERT(computed[n] >= load.requests[n].input_tokens);
        }
      }
    }
    if (!loop.done()) return;
    for (std::size_t n = 0; n < load.requests.size(); ++n) {
      const Loop::Served& s = loop.served()[n];
      const bool ignored = load.requests[n].input_tokens > load.config.max_seq_len;
      RC_ASSERT(s.produced == (ignored ? 0 : load.requests[n].output_tokens));
      if (!ignored) RC_ASSERT(*s.first > load.requests[n].arrival);
    }
  });
}

RC_GTEST_PROP(MindieProperties, FirstTokensComeInOrderOfArrivalUnlessLongPromptsAreHeldBack, ()) {
  for_random_loads(30, [](const Load& load) {
    if (load.config.split_fuse || load.dp > 1) return;
    Loop loop(load);
    while (!loop.done() && !loop.gets_nowhere()) loop.pass();
    if (!loop.done()) return;
    for (std::size_t n = 1; n < load.requests.size(); ++n)
      RC_ASSERT(*loop.served()[n - 1].first <= *loop.served()[n].first);
  });
}

RC_GTEST_PROP(MindieProperties, LimitsOfARoundAreKept, ()) {
  for_random_loads(30, [](const Load& load) {
    Loop loop(load);
    while (!loop.done() && !loop.gets_nowhere()) {
      loop.pass();
      for (std::size_t k = 0; k < loop.ranks().size(); ++k) {
        const MindieStep& step = loop.ranks().step(k);
        std::int64_t prompts = 0, tokens = 0;
        for (const ScheduledRequest& r : step.batch.requests)
          if (r.prompt) {
            ++prompts;
            tokens += r.tokens;
          }
        if (load.config.split_fuse) {
          RC_ASSERT(std::ssize(step.handed) <= load.config.max_batch);
          if (!load.config.prefix_cache) RC_ASSERT(tokens <= load.config.max_prefill_tokens);
        } else {
          RC_ASSERT(prompts == 0 || prompts == std::ssize(step.handed));
          RC_ASSERT(prompts <= load.config.max_prefill_batch);
          // Requests that were swapped in take no place of the batch.
          if (prompts == 0) RC_ASSERT(std::ssize(step.handed) - std::ssize(step.swapped_in) <= load.config.max_batch);
        }
      }
    }
  });
}

// The same load twice, in step: decode steps at once on the one side, one by one on the other. After each stretch all
// that can be seen of the schedulers is equal, and both end together.
std::int64_t compare_coalesced(const Load& load) {
  Loop one_by_one(load), at_once(load);
  std::int64_t saved = 0;
  while (!at_once.done() && !at_once.gets_nowhere()) {
    const std::int64_t n = at_once.pass_coalesced();
    saved += n - 1;
    while (one_by_one.rounds() < at_once.rounds()) one_by_one.pass();
    RC_ASSERT(one_by_one.state() == at_once.state());
  }
  RC_ASSERT(one_by_one.done() == at_once.done());
  for (std::size_t n = 0; n < load.requests.size(); ++n) {
    RC_ASSERT(one_by_one.served()[n].first == at_once.served()[n].first);
    RC_ASSERT(one_by_one.served()[n].end == at_once.served()[n].end);
  }
  return saved;
}

RC_GTEST_PROP(MindieProperties, StepsAtOnceAreTheSameSteps, ()) {
  for_random_loads(100, [](const Load& load) { compare_coalesced(load); });
}

TEST(MindieCoalescing, TakesMostDecodeStepsOfAQuietLoadAtOnce) {
  // By hand: 4 requests together, 61 tokens each. After the prefill round and a first decode round that are decided,
  // 58 of the 60 decode steps cannot finish anybody; the last one is decided again.
  Load load;
  load.config.max_queue_delay = mindie_test::ms(0);
  for (int i = 0; i < 4; ++i) load.requests.push_back(mindie_test::request(100, 61));
  for (const bool async : {false, true})
    for (const std::int64_t ranks : {1, 4}) {
      load.config.async_inference = async;
      load.config.sp = ranks;
      EXPECT_GE(compare_coalesced(load), 55) << async << ranks;
    }
  load.config.speculation_gamma = 1;
  EXPECT_GE(compare_coalesced(load), 20);
}

}  // namespace
}  // namespace ascendsim
