// Model and quantisation from the name of a weight folder or a served model: "DeepSeek-V3.1_w8a8mix_mtp".
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace ascendsim {

struct WeightName {
  std::string model, scheme;  // "DeepSeek-V3.1", "w8a8"; scheme empty when the name holds none
};
// `name`: a path or a name. `schemes`: those of the library.
WeightName split_weight_name(std::string_view name, std::span<const std::string> schemes);

}  // namespace ascendsim
