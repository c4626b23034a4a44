// Several values of one option, as users write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ascendsim {

struct NumberList {
  std::vector<std::int64_t> values;  // as written, repeated ones dropped
};

// "1,8,32", "16384,65536", "8K,64K", "4K..128K": a range starts at its first number and doubles up to its last one,
// which always belongs to it. Empty with `why` when it is not such a list, or a value is not in [1, most].
std::optional<NumberList> parse_number_list(std::string_view text, std::int64_t most, std::string& why);

// At commas; brackets and quotes keep commas together ("[0.9, 0.7],[0.5]"). Of an empty text: nothing.
std::vector<std::string> split_list(std::string_view text);

}  // namespace ascendsim
