#include "strategies/prediction/disaggregated.h"

#include <fmt/format.h>

#include <algorithm>

#include "strategies/prediction/assumptions.h"
#include "strategies/programs/context.h"

namespace ascendsim {

namespace {

BytesPerSecond nic_rate(const Scenario& s) {
  const LinkType& nic = s.cluster.server().nic;
  return nic.bandwidth.value * nic.efficiency.value;
}

// A prompt lies in one DP group of the prefill side, on all stages of its pipeline.
std::string mapping_of(const Layout& p, const Layout& d, SharedSource shared) {
  const std::string stages = p.pp > 1 ? fmt::format(" of each of {} stages", p.pp) : "";
  if (p.kv_shards() > 1) {
    const std::int64_t copies = p.tp / p.sp;
    return fmt::format("all {} shards of a prompt{}{}", p.kv_shards(), stages,
                       copies > 1 ? fmt::format("; decode ranks take its {} copies in turn", copies) : "");
  }
  // Decode TP rank i, of as many or fewer or more than the prefill side has.
  const std::string rank =
      p.tp == d.tp  ? "i"
      : p.tp > d.tp ? (p.tp % d.tp == 0 ? fmt::format("{} i", p.tp / d.tp) : fmt::format("i of {}", p.tp))
      : p.tp == 1   ? "0"
      : d.tp % p.tp == 0 && shared == SharedSource::kNeighbours ? fmt::format("i div {}", d.tp / p.tp)
                                                                : fmt::format("i mod {}", p.tp);
  return fmt::format("decode TP rank i: TP rank {}{}{}", rank, p.cp > 1 ? " of CP rank 0" : "", stages);
}

}  // namespace

KvTransfer kv_transfer(const Scenario& prefill, const Scenario& decode, const Workload& w) {
  const Deployment &p = prefill.deployment, &d = decode.deployment;
  KvTransfer t;
  t.blocks = ceil_div(w.input_tokens, d.limits.block_tokens);
  // Whole blocks of the fullest shard; without a cut cache that is the sequence.
  const std::int64_t pulled = context_scheme(d).cache.blocks_of_fullest(w.input_tokens, 0);
  t.per_decode_rank = d.cached_token_layer() * (d.cached_layers() * pulled * d.limits.block_tokens);
  t.total = t.per_decode_rank * (d.layout.cp_whole_cache ? 1 : d.layout.cp) * d.layout.tp;
  // Shards are spread over cp and sp. The copies of a cache inside the TP group take turns, as far as there are decode
  // ranks to serve (vllm_ascend mooncake_connector.py, _get_kv_split_metadata); of whole caches on every cp rank only
  // those of cp rank 0 send, unless SGLANG_DISAGGREGATION_ALL_CP_RANKS_TRANSFER is set: decode TP rank i of D pulls all
  // from prefill TP rank i P / D of P, layers from the stage that has them (sglang/srt/disaggregation/common/conn.py,
  // _resolve_rank_mapping, of an MLA cache).
  t.sources = p.layout.kv_shards() * p.layout.pp;
  t.mapping = mapping_of(p.layout, d.layout, p.traits().shared_source);
  const std::int64_t copies = p.layout.tp / p.layout.sp;
  t.per_prefill_rank = t.total / (t.sources * std::min(copies, d.layout.tp));
  t.rate = std::min(nic_rate(prefill), nic_rate(decode));
  const FigureTable& figures = decode.cluster.server().collectives;
  t.time = figures.duration("p2p_setup") + decode.cluster.server().nic.latency.value +
           std::max(t.per_decode_rank, t.per_prefill_rank) / t.rate;
  t.pieces = d.cached_layers() * p.layout.kv_shards();  // a layer lies on one stage
  t.exposed = t.time;
  return t;
}

// Of one prompt alone on an idle prefill side.
void push_by_layers(KvTransfer& t, const Scenario& prefill, const Scenario& decode, const Workload& w,
                    const PrefillRun& run) {
  const Deployment& d = decode.deployment;
  const Pushed pushed =
      push(run.pieces, w.input_tokens,
           {.setup = decode.cluster.server().collectives.duration("p2p_setup"),
            .latency = decode.cluster.server().nic.latency.value,
            .block_layer = std::max(t.per_decode_rank, t.per_prefill_rank) / (t.blocks * d.cached_layers()),
            .block_tokens = prefill.deployment.limits.block_tokens,
            .rate = t.rate});
  t.layer_wise = true;
  t.pieces = pushed.calls * prefill.deployment.layout.kv_shards();
  t.exposed = std::max(Duration{}, pushed.end - run.step.total);
}

DisaggregatedPrediction predict_disaggregated(const Scenario& prefill, const Scenario& decode, const Workload& w) {
  DisaggregatedPrediction out;
  PrefillRun first = run_prefill(prefill, w);
  DecodeRun rest = run_decode(decode, w);
  out.transfer = kv_transfer(prefill, decode, w);
  if (prefill.deployment.kv_transfer.layer_wise) push_by_layers(out.transfer, prefill, decode, w, first);
  out.decode_answers = decode.deployment.traits().decode_answers;
  Duration until_token{};
  if (out.decode_answers) {
    out.first_step =
        decode.pricer.price(decode_step(decode.deployment.layout, w.batch, w.input_tokens, w.input_tokens, 1)).total;
    until_token = out.transfer.exposed + out.first_step;
    for (Duration& t : first.first_token) t += until_token;
    first.end += until_token;
  }
  add_requests(out.requests, first, rest, w, out.decode_answers ? Duration{} : out.transfer.exposed, false);
  const Duration prefilled = out.requests.ttft.mean - until_token;
  out.queue = prefilled - std::min(prefilled, first.step.total);
  out.prefill_batch = prompts_kept(prefill.deployment, w);
  out.prefill.memory = prefill.memory(w);
  out.prefill.prefill_sequences = first.sequences;
  out.prefill.prefill_chunks = first.chunks;
  out.prefill.prefill = std::move(first.step);
  Workload prompts = w;
  prompts.acceptance.clear();
  out.prefill.assumptions = assumptions(prefill, prompts);
  add_assumptions_of_steps(out.prefill, prefill);
  out.decode.memory = decode.memory(w);
  out.decode.decode_context = rest.context;
  out.decode.decode = std::move(rest.step);
  out.decode.assumptions = assumptions(decode, w);
  add_assumptions_of_steps(out.decode, decode);
  out.requests.assumptions = {
      fmt::format("the prefill side keeps the cache of {} prompts: those of a step and those that are being pulled",
                  out.prefill_batch),
      out.decode_answers ? "the decode side recomputes the last prompt token, and what it samples is the first token "
                           "that the client sees"
                         : "the prefill side returns the first token; the KV transfer delays the second one",
      out.transfer.layer_wise
          ? "a request's blocks are pushed over the RoCE plane, each layer's as soon as its attention is done, without "
            "contention; kernels are not slowed by it"
          : "a request's blocks are pulled over the RoCE plane when its prefill is done, without contention"};
  if (prefill.deployment.layout.cp_whole_cache && prefill.deployment.layout.cp > 1)
    out.requests.assumptions.push_back(
        "every CP rank of the prefill side holds the whole cache; CP rank 0 alone sends it, as SGLang does unless told "
        "otherwise");
  return out;
}

void check_disaggregated(const Deployment& p, const Deployment& d, Diagnostics& diagnostics) {
  constexpr const char* kPage = "MindIE documentation, Prefill-Decode Disaggregation";
  if (p.model.name.empty() || d.model.name.empty()) return;  // a side that could not be read has said why
  if (p.model.name != d.model.name)
    diagnostics.error(
        "E0350", d.origin("modelName").where,
        fmt::format("the two sides serve different models: {} prefills, {} decodes", p.model.name, d.model.name), kPage,
        "use the same model on both sides");
  if ((p.features.speculative_tokens > 0) != (d.features.speculative_tokens > 0))
    diagnostics.error(
        "E0351", d.origin(d.origins.contains("plugin_params") ? "plugin_params" : "num_speculative_tokens").where,
        fmt::format("MTP must be configured on both sides: {} speculative tokens for prefill, {} for decode",
                    p.features.speculative_tokens, d.features.speculative_tokens),
        std::string(d.engine->texts.mtp_on_both_sides), std::string(d.engine->texts.mtp_remedy));
  if (p.engine_name != d.engine_name)
    diagnostics.error(
        "E0353", d.origin("stack").where,
        fmt::format("the two sides run different engines: {} prefills, {} decodes", p.engine_name, d.engine_name),
        kPage, "use one engine");
  if (d.engine->check_pair != nullptr) d.engine->check_pair(p, d, diagnostics);
  if (p.limits.block_tokens != d.limits.block_tokens || p.kv_int8 != d.kv_int8)
    diagnostics.error("E0352", d.origin("cacheBlockSize").where, "the two sides have different KV cache blocks", kPage,
                      fmt::format("set \"cacheBlockSize\": {} on both sides", p.limits.block_tokens));
}

}  // namespace ascendsim
