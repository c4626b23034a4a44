#include "strategies/prediction/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "strategies/deployment/words.h"
#include "strategies/prediction/pipeline.h"
#include "strategies/programs/context.h"
#include "strategies/programs/expert_loads.h"
#include "strategies/programs/groups.h"
#include "strategies/programs/layer_sharding.h"
#include "strategies/programs/placement.h"
#include "strategies/programs/short_model.h"

namespace ascendsim {

namespace {

std::int64_t sequences_per_group(const Deployment& d, std::int64_t batch) { return ceil_div(batch, d.layout.dp); }

// Prompts as long as the engine lets a prefill step be, on every DP group: what the engine's warm-up reserves.
Step warm_up_step(const Deployment& d) { return prefill_step(d.layout, d.layout.dp, warm_up_tokens(d)); }

void add_program(MemoryPerRank& memory, const Program& program, const ShortModel& model) {
  if (ActivationPeak peak = activation_peak(program); peak.bytes > memory.activation_peak.bytes)
    memory.activation_peak = std::move(peak);
  if (memory.weights.count() > 0) return;
  const auto elsewhere = [&](const TensorSlice& slice) {  // counted by add_sharded
    const std::string_view key = slice.key;
    if (key == kElsewhere) return true;
    const bool sharded =
        (key == "o_proj" && shards_o_proj(model.deployment)) || (key == "q_b" && shards_q_b(model.deployment));
    return sharded && slice.layer < model.deployment.end_layer();
  };
  for (TensorBytes t : tensors(program, BufferKind::kWeight)) {
    if (elsewhere(t.slice)) continue;
    if (t.slice.layer == model.first) {
      t.elements = t.elements * (1 + model.dropped);
      t.extra = t.extra * (1 + model.dropped);
    }
    memory.weights_without_scales += t.elements;
    memory.weights += t.elements + t.extra;
    auto known =
        std::ranges::find(memory.weight_components, std::string_view(t.slice.key), &MemoryPerRank::Component::name);
    if (known == memory.weight_components.end()) {
      memory.weight_components.push_back({t.slice.key, Bytes(0), Bytes(0)});
      known = memory.weight_components.end() - 1;
    }
    known->bytes += t.elements;
    known->scales += t.extra;
  }
}

// Of the layers that a rank holds of a sharded series; scales stay beside every layer. The windows are buffers of the
// program.
void add_sharded(MemoryPerRank& memory, const Deployment& d) {
  const auto add = [&](bool sharded, const LayerSeries& series) {
    if (!sharded) return;
    const Precision& precision = d.quantisation.of(series.module);
    const Bytes elements = Bytes(ceil_div(series.inputs * series.outputs * bits(precision.weight), 8)) * held_layers(d);
    const Bytes scales = precision.scale_per_channel * (series.outputs * (d.end_layer() - d.first_layer()));
    memory.weights += elements + scales;
    memory.weights_without_scales += elements;
    auto known =
        std::ranges::find(memory.weight_components, std::string_view(series.key), &MemoryPerRank::Component::name);
    if (known == memory.weight_components.end()) {
      memory.weight_components.push_back({series.key, Bytes(0), Bytes(0)});
      known = memory.weight_components.end() - 1;
    }
    known->bytes += elements;
    known->scales += scales;
  };
  add(shards_q_b(d), q_b_series(d));
  add(shards_o_proj(d), o_proj_series(d));
}

// Ranks have the same weights, but where some hold the shared expert instead of routed ones: the last rank has routed
// ones, which are as many or more, and comes first here because the first program counts the weights.
void add_programs(MemoryPerRank& memory, const ShortModel& model, const Step& step, const KernelFacts& facts) {
  const Deployment& d = model.deployment;
  if (d.experts.shared_ranks > 0) add_program(memory, build_program(d, step, facts, d.layout.world() - 1), model);
  add_program(memory, build_program(d, step, facts, 0), model);
  // Rows of the busiest experts fill the largest buffers.
  if (d.experts.rank_loads.empty()) return;
  std::int64_t busiest = 0;
  for (std::int64_t r = 1; r < d.layout.world(); ++r)
    if (routed_load(d, r) > routed_load(d, busiest)) busiest = r;
  if (busiest > 0) add_program(memory, build_program(d, step, facts, busiest), model);
}

// A communicator exists for every kind of group with more than one member; moe_ep and moe_tp have sizes of their own.
void add_communication(MemoryPerRank& memory, const Deployment& d, const Stack& stack) {
  const Layout& l = d.layout;
  const double copies = stack.figures.ratio("buffers_per_group").count();
  const auto add = [&](const char* name, std::int64_t ranks, std::string_view figure) {
    if (ranks < 2) return;
    const Bytes one = d.communication_buffer.value_or(stack.figures.bytes(figure));
    const Bytes bytes(std::llround(copies * static_cast<double>(one.count())));
    memory.communication += bytes;
    memory.communication_components.push_back({name, bytes, Bytes(0)});
  };
  add("attn_tp", l.tp, "group_buffer");
  add("attn_sp", l.sp, "group_buffer");
  add("attn_dp", l.dp, "group_buffer");
  add("attn_cp", l.cp, "group_buffer");
  add("world", l.world(), "group_buffer");
  add("moe_ep", l.moe_ep, "moe_ep_buffer");
  add("moe_tp", l.moe_tp, "moe_tp_buffer");
  // Parts of the model that are shared by as many ranks share a communicator
  // (vllm_ascend/distributed/parallel_state.py).
  std::set<std::int64_t> sizes{l.o_proj_parts(), l.lm_head_parts(), l.embedding_parts(), l.mlp_parts()};
  for (const std::int64_t size : sizes) add("local_tp", size, "group_buffer");
}

// Blocks of one sequence on the fullest shard: prompt and everything generated.
std::int64_t blocks_of(const Deployment& d, std::int64_t prompt, std::int64_t generated) {
  return context_scheme(d).cache.blocks_of_fullest(prompt, generated);
}

}  // namespace

double MemoryPerRank::smallest_fraction() const {
  const double exact = static_cast<double>(peak().count()) / static_cast<double>(capacity.count());
  return std::ceil(exact * 100 - 1e-9) / 100;
}

MemoryPerRank::Part MemoryPerRank::largest() const {
  const Part parts[] = {{"weights", weights},
                        {"KV cache", kv_cache},
                        {"activations", activations},
                        {"communication buffers", communication},
                        {"runtime", runtime}};
  return *std::ranges::max_element(parts, {}, &Part::bytes);
}

namespace {

std::int64_t longest_prefill(const Deployment& d) {
  return std::max<std::int64_t>(d.limits.max_prefill_tokens, d.limits.max_input_tokens);
}

}  // namespace

// Engines that do not profile their largest step: chunks matter where they cut the longest prompt.
bool profiles_batched_tokens(const Deployment& d) {
  if (d.limits.max_batched_tokens == 0) return false;
  return d.traits().profiles_largest_step || (chunk_tokens(d) > 0 && chunk_tokens(d) < longest_prefill(d));
}

std::int64_t warm_up_tokens(const Deployment& d) {
  if (profiles_batched_tokens(d)) return d.limits.max_batched_tokens;
  return longest_prefill(d);
}

namespace {

// kv_b stays in the form that prefill multiplies with beside the two absorbed matrices of decode. A fused prolog keeps
// its weights in a layout of its own, and the originals beside it unless the rank only ever decodes steps that the
// prolog takes (vllm_ascend/attention/mla_v1.py, process_weights_after_loading).
void add_copies(MemoryPerRank& memory, const Deployment& d, const KernelFacts& facts) {
  if (d.kv_b_copies < 2) return;
  const auto copy = [&](const char* name, std::initializer_list<std::string_view> of) {
    MemoryPerRank::Component sum{name, Bytes(0), Bytes(0)};
    for (const MemoryPerRank::Component& c : memory.weight_components)
      if (std::ranges::find(of, c.name) != of.end()) sum.bytes += c.bytes;
    if (sum.bytes.count() == 0) return;
    memory.weights += sum.bytes;
    memory.weights_without_scales += sum.bytes;
    memory.weight_components.push_back(std::move(sum));
  };
  // Sparse attention absorbs in prefill too and lets go of kv_b (vllm_ascend/attention/sfa_v1.py,
  // process_weights_after_loading).
  if (!d.model.sparse()) copy("kv_b_proj (copy)", {"w_uk", "w_uv"});
  // DSA-CP turns the prolog off (sfa_v1.py).
  const bool dsa_cp = d.model.sparse() && runs_flashcomm(d);
  const bool prolog = !dsa_cp && facts.prolog_max_tokens > 0 && d.role != Role::kPrefill &&
                      d.quantisation.of(Module::kQB).activation == ActivationQuant::kStatic;
  const bool dropped = d.role == Role::kDecode && warm_up_tokens(d) <= facts.prolog_max_tokens;
  if (prolog && !dropped) copy("mla_prolog (copy)", {"qkv_a", "q_b"});
}

// Of the capacity, with everything else known.
Bytes allowed(const MemoryPerRank& m, const Deployment& d) {
  Bytes out(std::llround(static_cast<double>(m.capacity.count()) * d.memory_fraction));
  // The rest of the die is for what lives during a step.
  if (d.traits().fraction_of == FractionOf::kWeightsAndCache) out = std::min(m.capacity, out + m.fixed() - m.weights);
  if (d.kv_memory) out = std::min(m.capacity, m.fixed() + *d.kv_memory);
  if (d.pool_tokens > 0)
    out = std::min(out, m.fixed() + m.block * (d.pool_tokens / (d.limits.block_tokens * d.layout.kv_shards())));
  return out;
}

MemoryPerRank memory_of_stage(const Deployment& d, const Workload& w, const Stack& stack, const KernelFacts& facts,
                              Bytes capacity) {
  MemoryPerRank memory;
  memory.capacity = capacity;
  memory.runtime = stack.figures.bytes("runtime");
  add_communication(memory, d, stack);

  // Prefill and decode use the same weights: either program lists them all.
  const ShortModel model(d, 2);
  if (d.role != Role::kPrefill) {
    const std::int64_t sequences = std::min(d.limits.max_batch, sequences_per_group(d, w.batch)) * d.layout.dp;
    const std::int64_t context = w.input_tokens + std::max<std::int64_t>(w.output_tokens, 1);
    const Step step = decode_step(d.layout, sequences, w.input_tokens, context, 1 + d.features.speculative_tokens);
    add_programs(memory, model, step, facts);
  }
  if (d.role != Role::kDecode || profiles_batched_tokens(d)) add_programs(memory, model, warm_up_step(d), facts);
  if (const std::int64_t chunk = chunk_tokens(d); chunk > 0 && chunk < d.limits.max_input_tokens)
    add_programs(memory, model,
                 prefill_step(d.layout, d.layout.dp, d.limits.max_input_tokens, d.limits.max_input_tokens - chunk),
                 facts);
  add_sharded(memory, d);
  add_copies(memory, d, facts);
  memory.activations = memory.activation_peak.bytes;

  const Bytes token_layer = d.cached_token_layer();
  memory.kv_bytes_per_token = token_layer * d.cached_layers() / d.layout.kv_shards();
  memory.block = token_layer * (d.cached_layers() * d.limits.block_tokens);
  // A prefill node keeps a prompt's blocks only until they are transferred.
  memory.kv_blocks_needed = pool_needed(d, w) / (d.limits.block_tokens * d.layout.kv_shards());
  memory.kv_cache = memory.block * memory.kv_blocks_needed;
  memory.allowed = allowed(memory, d);
  memory.kv_blocks = std::max<std::int64_t>(0, (memory.allowed - memory.fixed()).count() / memory.block.count());
  if (memory.allowed < memory.fixed()) memory.kv_blocks = 0;
  memory.kv_capacity_tokens = memory.kv_blocks * d.limits.block_tokens * d.layout.kv_shards();
  return memory;
}

}  // namespace

MemoryPerRank memory_per_rank(const Deployment& d, const Workload& w, const Stack& stack, const KernelFacts& facts,
                              Bytes capacity) {
  if (d.layout.pp == 1) return memory_of_stage(d, w, stack, facts, capacity);
  std::vector<MemoryPerRank> stages;
  for (const Deployment& stage : stages_of(d)) {
    stages.push_back(memory_of_stage(stage, w, stack, facts, capacity));
    stages.back().stage = static_cast<std::int64_t>(stages.size()) - 1;
    stages.back().stages = d.layout.pp;
  }
  // All stages have the blocks of the one that has fewest: a sequence lies in every one of them.
  MemoryPerRank fewest = *std::ranges::min_element(stages, {}, &MemoryPerRank::kv_blocks);
  MemoryPerRank out =
      std::move(*std::ranges::min_element(stages, {}, [](const MemoryPerRank& m) { return m.allowed - m.peak(); }));
  out.kv_blocks = fewest.kv_blocks;
  out.kv_capacity_tokens = fewest.kv_capacity_tokens;
  return out;
}

std::optional<Bytes> least_excess(const Deployment& d, const Workload& w, Bytes capacity) {
  if (d.kv_memory || d.pool_tokens > 0 || d.layout.pp > 1 || d.experts.shared_ranks > 0) return std::nullopt;
  const std::int64_t elements =
      3 * d.model.hidden * (d.model.expert_width / d.layout.moe_tp) * d.experts_per_rank() * d.model.moe_layers();
  const Bytes experts(elements * bits(d.quantisation.of(Module::kRoutedExpert).weight) / 8);
  const Bytes cache = d.cached_token_layer() * d.cached_layers() * (pool_needed(d, w) / d.layout.kv_shards());
  return experts + cache - Bytes(std::llround(static_cast<double>(capacity.count()) * d.memory_fraction));
}

void add_doubt(MemoryPerRank& m, const Deployment& d, Bytes most_runtime, Bytes least_capacity) {
  MemoryPerRank worst = m;
  worst.runtime = std::max(m.runtime, most_runtime);
  worst.capacity = std::min(m.capacity, least_capacity);
  worst.allowed = allowed(worst, d);
  const Bytes runtime = worst.peak() - m.peak();
  m.doubt = {runtime, m.allowed - worst.allowed + runtime};
}

std::int64_t pool_needed(const Deployment& d, const Workload& w) {
  const std::int64_t blocks =
      sequences_per_group(d, w.batch) * blocks_of(d, w.input_tokens, d.role == Role::kPrefill ? 0 : w.output_tokens);
  return blocks * d.limits.block_tokens * d.layout.kv_shards();
}

std::int64_t longest_context(const MemoryPerRank& memory, const Deployment& d) {
  // Longer contexts never need fewer blocks on any shard.
  std::int64_t fits = 0, too_long = memory.kv_capacity_tokens + d.limits.block_tokens * d.layout.kv_shards() + 1;
  while (too_long - fits > 1) {
    const std::int64_t tokens = fits + (too_long - fits) / 2;
    (blocks_of(d, tokens, 0) <= memory.kv_blocks ? fits : too_long) = tokens;
  }
  return fits;
}

std::int64_t sequences_of(const MemoryPerRank& memory, const Deployment& d, std::int64_t tokens) {
  return memory.kv_blocks / blocks_of(d, tokens, 0);
}

namespace {

class RemedySearch {
 public:
  RemedySearch(const Deployment& d, const Workload& w, const Stack& stack, const KernelFacts& facts, Bytes capacity)
      : now_(d), workload_(w), stack_(stack), facts_(facts), capacity_(capacity) {}

  // Keeps the change if it fits, alone or with a memory fraction that the engine's vendor still names.
  bool consider(std::string change, Deployment changed) {
    Workload w = workload_;
    w.input_tokens = std::min(w.input_tokens, changed.limits.max_input_tokens);
    // A pool that was fixed too small has to grow, whatever else changes.
    if (const std::int64_t needed = pool_needed(changed, w); changed.pool_tokens > 0 && changed.pool_tokens < needed) {
      changed.pool_tokens = needed;
      change += fmt::format("{}{} {}", change.empty() ? "" : " and ", name("kv_cache.pool_tokens"), needed);
    }
    MemoryPerRank m = memory_per_rank(changed, w, stack_, facts_, capacity_);
    // Beside a fraction that does it alone, a change with as high a fraction is no second way.
    if (!m.fits() && m.smallest_fraction() <= highest_fraction()) {
      if (!change.empty() && m.smallest_fraction() >= fraction_alone_) return false;
      if (change.empty()) fraction_alone_ = m.smallest_fraction();
      changed.memory_fraction = m.smallest_fraction();
      change += fmt::format("{}{}{}{:.2f}", change.empty() ? "" : " and ", name("NPU_MEMORY_FRACTION"),
                            in_options_ ? " " : "=", changed.memory_fraction);
      m = memory_per_rank(changed, w, stack_, facts_, capacity_);
    }
    if (m.fits()) found.push_back({std::move(change), m.peak(), m.allowed});
    return m.fits();
  }

  // As it is, or with a fraction that the vendor names.
  [[nodiscard]] bool could_fit(const Deployment& changed) const {
    Workload w = workload_;
    w.input_tokens = std::min(w.input_tokens, changed.limits.max_input_tokens);
    Deployment grown = changed;
    if (grown.pool_tokens > 0) grown.pool_tokens = std::max(grown.pool_tokens, pool_needed(grown, w));
    const MemoryPerRank m = memory_per_rank(grown, w, stack_, facts_, capacity_);
    return m.fits() || m.smallest_fraction() <= std::min(highest_fraction(), fraction_alone_ - 0.01);
  }

  void init_routing() {
    if (!now_.traits().cuts_initial_routing || now_.layout.ep_level != 1 || now_.init_routing_cutoff) return;
    for (const double factor : {0.5, 0.25}) {
      Deployment cut = now_;
      cut.init_routing_cutoff = true;
      cut.topk_scaling_factor = factor;
      if (consider(fmt::format("enable_init_routing_cutoff true with topk_scaling_factor {}", factor), cut)) return;
    }
  }

  // The longest prefill step that fits, in whole thousands of tokens.
  void shorter_prefill() {
    constexpr std::int64_t kShortest =
        2048;  // MindIE's default maxInputTokenLen: below it weights are what does not fit
    constexpr std::int64_t kStep = 1024;
    const auto shorter_by = [&](std::int64_t tokens) {
      Deployment shorter = now_;
      shorter.limits.max_prefill_tokens = tokens;
      shorter.limits.max_input_tokens = std::min(shorter.limits.max_input_tokens, tokens);
      return shorter;
    };
    std::int64_t fits = 0, too_long = ceil_div(now_.limits.max_prefill_tokens, kStep);
    while (too_long - fits > 1) {
      const std::int64_t tokens = fits + (too_long - fits) / 2;
      (could_fit(shorter_by(tokens * kStep)) ? fits : too_long) = tokens;
    }
    const std::int64_t tokens = fits * kStep;
    if (tokens < kShortest) return;
    const Deployment shorter = shorter_by(tokens);
    const bool shorter_prompts = shorter.limits.max_input_tokens < now_.limits.max_input_tokens;
    consider(shorter_prompts ? fmt::format("{} and {} {} (shorter prompts)", name("maxPrefillTokens"),
                                           name("maxInputTokenLen"), tokens)
                             : fmt::format("{} {}", name("maxPrefillTokens"), tokens),
             shorter);
  }

  void lighter_weights(const QuantisationLibrary& schemes) {
    if (now_.quantisation.name == "W4A8") return;
    Diagnostics broken;
    Deployment lighter = now_;
    lighter.quantisation = schemes.load("w4a8", now_.dtype, broken);
    broken.throw_if_errors();
    consider("W4A8 weights", lighter);
  }

  void more_ranks() {
    for (const std::int64_t factor : {2, 4}) {
      Deployment wider = now_;
      Layout& l = wider.layout;
      if (l.cp > 1) {
        if (l.sp == l.tp) l.sp *= factor;
        l.tp *= factor;
      } else
        l.dp *= factor;
      l.moe_ep *= factor;
      if (wider.model.experts % l.moe_ep != 0 || wider.model.heads % l.tp != 0) continue;
      wider.experts.rank_loads = routed_loads(wider);
      const std::string change =
          in_options_ ? fmt::format("{} ranks ({})", l.world(), launch_degrees(wider))
                      : fmt::format("{} {} (dp {}, cp {}, sp {}, tp {}, moe_ep {}, moe_tp {})", name("worldSize"),
                                    l.world(), l.dp, l.cp, l.sp, l.tp, l.moe_ep, l.moe_tp);
      if (consider(change, wider)) return;
      // More DP groups gather more rows: a prefill step of one longest prompt each may be what is left to give.
      if (wider.limits.max_prefill_tokens <= wider.limits.max_input_tokens) continue;
      wider.limits.max_prefill_tokens = wider.limits.max_input_tokens;
      if (consider(fmt::format("{} with {} {}", change, name("maxPrefillTokens"), wider.limits.max_prefill_tokens),
                   wider))
        return;
    }
  }

  std::vector<Remedy> found;

 private:
  // As command lines say it.
  [[nodiscard]] static std::string launch_degrees(const Deployment& d) {
    const Layout& l = d.layout;
    if (d.engine->words.degrees_in_options != nullptr) return d.engine->words.degrees_in_options(l);
    std::string out;
    for (const auto& [key, degree] : {std::pair{"dp", l.dp}, {"cp", l.cp}, {"sp", l.sp}, {"tp", l.tp}})
      if (degree > 1) out += fmt::format("{}{}", out.empty() ? "" : " ", key_setting(d, key, degree));
    return out;
  }
  [[nodiscard]] std::string name(std::string_view key) const { return key_name(now_, key); }
  [[nodiscard]] double highest_fraction() const { return stack_.highest_memory_fraction; }

  const Deployment& now_;
  const Workload& workload_;
  const Stack& stack_;
  const KernelFacts& facts_;
  Bytes capacity_;
  const bool in_options_ = now_.engine->words.has_options();
  double fraction_alone_ = 2;  // the fraction that makes it fit as it is; above 1: none
};

}  // namespace

std::vector<Remedy> remedies(const Deployment& d, const Workload& w, const Stack& stack, const KernelFacts& facts,
                             Bytes capacity, const QuantisationLibrary& schemes) {
  RemedySearch search(d, w, stack, facts, capacity);
  search.consider("", d);
  search.init_routing();
  search.shorter_prefill();
  search.lighter_weights(schemes);
  search.more_ranks();
  return std::move(search.found);
}

}  // namespace ascendsim
