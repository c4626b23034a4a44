// Questions as text: our YAML file, a field's value, the JSON Schema for editors.
#pragma once

#include <string>

#include "strategies/deployment/fields.h"

namespace ascendsim {

// The value as it stands in our YAML.
std::string field_text(const Field& field, const Question& question);
// The whole question as our YAML file. Comments: what each field means, or where its value comes from.
enum class YamlComments : std::uint8_t { kMeaning, kOrigin };
std::string to_yaml(const Question& question, YamlComments comments);
// For editors: JSON Schema (2020-12) of the file.
std::string question_schema();

}  // namespace ascendsim
