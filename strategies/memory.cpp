#include "strategies/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "strategies/groups.h"
#include "strategies/partitions.h"

namespace ascendsim {

namespace {

std::int64_t sequences_per_group(const Deployment& d, std::int64_t batch) { return ceil_div(batch, d.layout.dp); }

// Prompts as long as the engine lets a prefill step be, on every DP group: what the engine's warm-up reserves.
Step warm_up_step(const Deployment& d) {
  return prefill_step(d.layout, d.layout.dp, std::max<std::int64_t>(d.limits.max_prefill_tokens, d.limits.max_input_tokens));
}

void add_weights(MemoryPerRank& memory, const Program& program) {
  for (const TensorBytes& t : tensors(program, BufferKind::kWeight)) {
    memory.weights_without_scales += t.elements;
    memory.weights += t.elements + t.extra;
    auto known = std::ranges::find(memory.weight_components, std::string_view(t.slice.key), &MemoryPerRank::Component::name);
    if (known == memory.weight_components.end()) {
      memory.weight_components.push_back({t.slice.key, Bytes(0), Bytes(0)});
      known = memory.weight_components.end() - 1;
    }
    known->bytes += t.elements;
    known->scales += t.extra;
  }
}

// A communicator exists for every kind of group with more than one member; moe_ep and moe_tp have sizes of their own.
void add_communication(MemoryPerRank& memory, const Deployment& d, const Stack& stack) {
  const Layout& l = d.layout;
  const double copies = stack.figures.ratio("buffers_per_group").count();
  const auto add = [&](const char* name, std::int64_t ranks, std::string_view figure) {
    if (ranks < 2) return;
    const Bytes bytes(std::llround(copies * static_cast<double>(stack.figures.bytes(figure).count())));
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
}

// Blocks of one sequence on the fullest shard: prompt and everything generated.
std::int64_t blocks_of(const Deployment& d, std::int64_t prompt, std::int64_t generated) {
  return std::ranges::max(place_blocks(prompt, generated, d.layout.kv_shards(), d.limits.block_tokens).blocks);
}

}  // namespace

double MemoryPerRank::smallest_fraction() const {
  const double exact = static_cast<double>(peak().count()) / static_cast<double>(capacity.count());
  return std::ceil(exact * 100 - 1e-9) / 100;
}

const char* MemoryPerRank::largest() const {
  const std::pair<const char*, Bytes> parts[] = {{"weights", weights}, {"KV cache", kv_cache}, {"activations", activations},
                                                 {"communication buffers", communication}, {"runtime", runtime}};
  return std::ranges::max_element(parts, {}, &std::pair<const char*, Bytes>::second)->first;
}

MemoryPerRank memory_per_rank(const Deployment& d, const Workload& w, const Stack& stack, const KernelFacts& facts,
                              Bytes capacity) {
  MemoryPerRank memory;
  memory.capacity = capacity;
  memory.allowed = Bytes(std::llround(static_cast<double>(capacity.count()) * d.memory_fraction));
  memory.runtime = stack.figures.bytes("runtime");
  add_communication(memory, d, stack);

  // Prefill and decode use the same weights, so one of the programs lists them all.
  const Program warm_up = build_program(d, warm_up_step(d), facts, 0);
  add_weights(memory, warm_up);
  memory.activation_peak = activation_peak(warm_up);
  const std::int64_t decode_rows = std::min(d.limits.max_batch, sequences_per_group(d, w.batch)) * d.layout.dp;
  const std::int64_t context = w.input_tokens + std::max<std::int64_t>(w.output_tokens, 1);
  const ActivationPeak decode = activation_peak(build_program(d, decode_step(d.layout, decode_rows, w.input_tokens, context, 1 + d.features.speculative_tokens), facts, 0));
  if (decode.bytes > memory.activation_peak.bytes) memory.activation_peak = decode;
  memory.activations = memory.activation_peak.bytes;

  const Bytes token_layer(d.model.cache_width() * bits(d.dtype) / 8);
  memory.kv_bytes_per_token = token_layer * d.cached_layers() / d.layout.kv_shards();
  memory.block = token_layer * (d.cached_layers() * d.limits.block_tokens);
  memory.kv_blocks_needed = sequences_per_group(d, w.batch) * blocks_of(d, w.input_tokens, w.output_tokens);
  memory.kv_cache = memory.block * memory.kv_blocks_needed;
  if (d.kv_memory) memory.allowed = std::min(capacity, memory.fixed() + *d.kv_memory);
  memory.kv_blocks = std::max<std::int64_t>(0, (memory.allowed - memory.fixed()).count() / memory.block.count());
  if (memory.allowed < memory.fixed()) memory.kv_blocks = 0;
  memory.kv_capacity_tokens = memory.kv_blocks * d.limits.block_tokens * d.layout.kv_shards();
  return memory;
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

std::vector<Remedy> remedies(const Deployment& d, const Workload& w, const Stack& stack, const KernelFacts& facts,
                             Bytes capacity, const QuantisationLibrary& schemes) {
  std::vector<Remedy> out;
  const auto consider = [&](std::string change, const Deployment& changed, const Workload& workload) {
    const MemoryPerRank m = memory_per_rank(changed, workload, stack, facts, capacity);
    if (m.fits()) out.push_back({std::move(change), m.peak(), m.allowed});
  };
  const MemoryPerRank now = memory_per_rank(d, w, stack, facts, capacity);
  const double highest = 0.96;   // the highest value that Huawei's FAQ names
  if (now.smallest_fraction() <= highest && now.smallest_fraction() > d.memory_fraction) {
    Deployment more = d;
    more.memory_fraction = now.smallest_fraction();
    consider(fmt::format("NPU_MEMORY_FRACTION={:.2f}", more.memory_fraction), more, w);
  }
  const bool all_gather_experts = d.layout.ep_level == 1 && d.layout.moe_ep > 1;
  if (all_gather_experts && !d.init_routing_cutoff) {
    for (const double factor : {0.5, 0.25}) {
      Deployment cut = d;
      cut.init_routing_cutoff = true;
      cut.topk_scaling_factor = factor;
      const std::size_t before = out.size();
      consider(fmt::format("models.deepseekv2: \"enable_init_routing_cutoff\": true, \"topk_scaling_factor\": {}", factor), cut, w);
      if (out.size() > before) break;
    }
  }
  for (std::int64_t tokens = d.limits.max_prefill_tokens / 2; tokens >= 2048; tokens /= 2) {
    Deployment shorter = d;
    shorter.limits.max_prefill_tokens = shorter.limits.max_input_tokens = tokens;
    Workload cut = w;
    cut.input_tokens = std::min(w.input_tokens, tokens);
    const std::size_t before = out.size();
    consider(fmt::format("maxPrefillTokens and maxInputTokenLen {} (prompts up to {} tokens)", tokens, with_commas(tokens)), shorter, cut);
    if (out.size() > before) break;
  }
  if (d.quantisation.name != "W4A8") {
    Diagnostics ignored;
    Deployment lighter = d;
    lighter.quantisation = schemes.load("w4a8", d.dtype, ignored);
    consider("W4A8 weights", lighter, w);
  }
  for (const std::int64_t factor : {2, 4}) {
    Deployment wider = d;
    wider.layout.dp *= d.layout.cp > 1 ? 1 : factor;
    if (d.layout.cp > 1) wider.layout.sp = wider.layout.tp *= factor;
    wider.layout.moe_ep *= factor;
    if (d.model.experts % wider.layout.moe_ep != 0 || d.model.heads % wider.layout.tp != 0) continue;
    const std::size_t before = out.size();
    consider(fmt::format("worldSize {} (dp {}, tp {}, moe_ep {})", wider.layout.world(), wider.layout.dp, wider.layout.tp, wider.layout.moe_ep), wider, w);
    if (out.size() > before) break;
  }
  return out;
}

}  // namespace ascendsim
