#include <nlohmann/json.hpp>

#include "reports/writers/writers.h"

namespace ascendsim {

namespace {

Json cell_json(const Cell& cell) {
  if (!cell.is_number) return cell.value();
  Json number = Json::parse(cell.raw, nullptr, false);
  return number.is_discarded() ? Json(nullptr) : number;
}

}  // namespace

Json tables_json(std::span<const Table> tables) {
  Json out = Json::object();
  for (const Table& t : tables) {
    if (t.readers == Readers::kPeople) continue;
    Json& rows = out[t.key] = Json::array();
    for (const auto& row : t.rows) {
      Json& object = rows.emplace_back(Json::object());
      for (std::size_t c = 0; c < row.size(); ++c) object[t.columns[c].key] = cell_json(row[c]);
    }
  }
  return out;
}

std::string json_text(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

}  // namespace ascendsim
