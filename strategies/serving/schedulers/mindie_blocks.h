// Blocks of the KV cache as MindIE's block manager hands them out: on one rank, or on a ring of sp x cp ranks, with or
// without a prefix cache, and on the host after swapping.
//
// `length` is always prompt and output tokens together with the placeholders at their end, `holes`, that MindIE writes
// for tokens it does not know yet.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "strategies/serving/scheduler.h"
#include "strategies/serving/schedulers/mindie_config.h"
#include "strategies/serving/schedulers/mindie_prefix.h"
#include "workloads/requests/request.h"

namespace ascendsim {

class MindieBlocks {
 public:
  enum class Room : unsigned char { kNow, kLater, kTooLong };

  explicit MindieBlocks(const MindieConfig& config);

  // A request with this number comes in; before all other calls for it.
  void enter(RequestIndex request, const Request& text);

  // Admission. On a ring one block more is asked than the text needs, of ranks x the fewest free blocks of a rank.
  [[nodiscard]] Room room_for(std::int64_t length) const;
  void place(RequestIndex request, std::int64_t length);  // REQUIRES: it holds nothing, and there is room
  // Growth. On one rank the blocks that were reserved ahead are not counted (rule 20 of the recordings), on a ring the
  // rank that takes the next token must have a free block even if the last block has room (rule 24).
  [[nodiscard]] bool can_append(RequestIndex request, std::int64_t length) const;
  void append(RequestIndex request, std::int64_t length, std::int64_t holes);
  void release(RequestIndex request);  // all it holds; nothing happens when it holds nothing

  // Swapping, on one rank only.
  [[nodiscard]] bool can_swap_out(std::int64_t length) const;
  void swap_out(RequestIndex request);
  [[nodiscard]] Room room_to_swap_in(std::int64_t length) const;
  void swap_in(RequestIndex request);

  // Prefix cache; without one, these answer 0 or nothing. Tokens of the text that are cached and computed already,
  // before it is placed (`computed` == 0) or as its first chunk has found them.
  std::int64_t cached_tokens(RequestIndex request, std::int64_t length, std::int64_t computed);
  // Blocks that the model is told to be computed already, by rank; valid until the next call.
  std::span<const std::int64_t> hits(RequestIndex request, bool prefilling, std::int64_t computed);
  void access(RequestIndex request, Duration now);
  void end_round();

  [[nodiscard]] std::int64_t free() const;  // on a ring: fewest free blocks of a rank x ranks
  [[nodiscard]] std::int64_t free_on(std::int64_t rank) const;
  [[nodiscard]] std::int64_t per_rank() const { return npu_blocks_; }
  [[nodiscard]] std::int64_t ranks() const { return ranks_; }
  [[nodiscard]] std::int64_t held(RequestIndex request) const { return tables_[request].blocks; }
  [[nodiscard]] std::int64_t held_on(RequestIndex request, std::int64_t rank) const;
  [[nodiscard]] std::int64_t tokens(RequestIndex request) const { return tables_[request].tokens; }
  [[nodiscard]] std::int64_t tokens_on(RequestIndex request, std::int64_t rank) const;
  [[nodiscard]] std::int64_t append_rank(RequestIndex request) const { return tables_[request].append_rank; }

 private:
  struct Table {
    std::int64_t blocks = 0, tokens = 0;  // tokens whose slots are written, placeholders among them
    std::int64_t append_rank = 0;
    bool on_host = false;
  };
  struct Share {  // of a request on one rank of the ring
    std::int64_t blocks = 0, tokens = 0;
  };
  struct Entry {
    BlockNumber block = 0;
    std::int32_t before = -1;  // entry with the text before it, -1: none
    std::int64_t rank = 0, start = 0, tokens = 0;
    std::int64_t text_tokens = 0;  // up to its end, once it is full
    PrefixKey key = 0;
  };
  struct PrefixTable {
    PrefixText text{};
    std::vector<Entry> entries{};
    std::vector<std::int64_t> hits{};
    bool hits_known = false, holes_inside = false;
    float access = -1;
  };

  Share& share(RequestIndex request, std::int64_t rank) {
    return shares_[request * static_cast<std::size_t>(ranks_) + static_cast<std::size_t>(rank)];
  }
  [[nodiscard]] const Share& share(RequestIndex request, std::int64_t rank) const {
    return shares_[request * static_cast<std::size_t>(ranks_) + static_cast<std::size_t>(rank)];
  }
  [[nodiscard]] std::int64_t room_on(RequestIndex request, std::int64_t rank) const;  // tokens in blocks it has there
  PrefixPool& pool(const Table& table, std::int64_t rank);
  void take(RequestIndex request, std::int64_t rank, PrefixKey key, std::int64_t before, std::int64_t start,
            std::int64_t tokens);
  void take_empty(RequestIndex request, std::int64_t rank);
  Entry& entry_on(RequestIndex request, std::int64_t rank, std::int64_t nth);
  void write(RequestIndex request, std::int64_t rank, std::int64_t tokens, std::int64_t holes);
  void write_entry(RequestIndex request, Entry& entry, std::int64_t tokens, bool ends_with_hole);
  void append_to_ring(RequestIndex request, std::int64_t length, std::int64_t holes);

  std::int64_t block_size_, npu_blocks_, host_blocks_, ranks_, gamma_;
  bool prefix_cache_;
  std::vector<std::int64_t> free_;  // by rank, without prefix cache
  std::int64_t host_free_ = 0;
  std::vector<PrefixPool> pools_{};  // by rank
  std::optional<PrefixPool> host_pool_{};
  std::vector<Table> tables_{};
  std::vector<Share> shares_{};  // by request and rank, on a ring only
  std::vector<PrefixTable> prefix_{};
  std::vector<std::int64_t> told_{};  // what hits() answers
  std::uint64_t contents_ = 0;        // handed out to texts that no other request has
};

}  // namespace ascendsim
