// What ways to attend to cut prompts share: calls of the kernel that add up in (out, lse), and how latents reach a rank.
// Queries lie part after part, in each part sequence after sequence. Internal to context/.
#pragma once

#include <array>
#include <vector>

#include "strategies/programs/context/attention.h"

namespace ascendsim {

// Rows that every cp rank computed of a prompt, as ranks sent them and in order.
struct GatheredRows {
  Value by_rank, ordered;
};

class PromptAttention {
 public:
  PromptAttention(RankStep& step, Value q, Value out, Value lse);

  using Blocks = std::vector<AttentionBlock>;
  RankStep& s;
  [[nodiscard]] std::int32_t chunk() const { return static_cast<std::int32_t>(s.rows.split.chunk); }
  [[nodiscard]] std::int64_t part_rows() const { return part_rows_; }  // of all sequences
  // Calls the kernel with `rows` rows of queries, from the first of part `part` on. Nothing without blocks.
  void call(const char* label, const Blocks& blocks, std::int64_t part, std::int64_t rows, const Expanded& kv);

  // The latent of the whole prompt reaches every cp rank in one all-gather and goes to the cache from there.
  GatheredRows gather(Value latent, Value cache);
  // The latent goes from neighbour to neighbour (Liu, Zaharia, Abbeel 2023): while the rank works on what started on
  // rank `rank`, each(rank, latent), it hands it on. Two buffers take turns.
  void round_the_ring(Value latent, Value cache, auto each) {
    const std::array buffers{s.p.activation(latent.dtype, latent.rows, latent.columns),
                             s.p.activation(latent.dtype, latent.rows, latent.columns)};
    Value now = latent;
    for (std::int64_t step = 0; step < s.l.cp; ++step) {
      const std::int64_t rank = (s.at.cp - step + s.l.cp) % s.l.cp;
      const Value next = buffers[static_cast<std::size_t>(step % 2)];
      if (step + 1 < s.l.cp) s.p.shift("latent_shift", now, next, s.group(Group::kAttnCp));
      if (const Moves writes = s.moves.passing_cache_writes(rank); writes.rows > 0)
        write_gathered(s, now, cache, writes);
      each(rank, now);
      now = next;
    }
  }
  // Round-robin shares see each other through triangles: row i of rank r sees rows 0 .. i of ranks up to r, 0 .. i - 1 of
  // the others (striped attention, Brandon et al. 2023).
  [[nodiscard]] Blocks triangle_with(std::int64_t rank) const;

 private:
  PrefillCore core_;
  Value q_, out_, lse_;
  std::int64_t part_rows_;
  std::array<bool, 2> begun_{};  // out and lse of a part hold something
};

// Each in its own file.
AttendCutPrompts attend_chunk_by_chunk, attend_masked_first, attend_striped, attend_ring, attend_striped_ring;

}  // namespace ascendsim
