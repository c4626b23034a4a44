// One JSON object a line.
#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>

#include "workloads/requests/trace_rows.h"

namespace ascendsim {
namespace {

namespace ondemand = simdjson::ondemand;

class JsonRows : public TraceRows {
 public:
  JsonRows(TraceLines& lines, const TraceOptions& options, TraceProblems& problems)
      : lines_(lines), options_(options), problems_(problems) {}

  // The keys of the first row choose the layout.
  bool read_keys() {
    std::vector<std::string> has;
    if (!for_each([&](std::string_view key, ondemand::value&) { has.emplace_back(key); })) return false;
    const auto choice = choose_names(has, "key", options_, lines_, problems_);
    if (!choice) return false;
    choice_ = *choice;
    lines_.again();
    return true;
  }

  Got next(TraceRow& row) override {
    if (!lines_.next()) return Got::kEnd;
    row.line = lines_.number();
    row.time = 0;
    row.request.priority = 0;
    row.request.shared.clear();
    seen_ = 0;
    wrong_ = false;
    hash_ids_offset_ = 0;
    const TraceNames& names = choice_.names;
    const bool read = for_each([&](std::string_view key, ondemand::value& value) {
      if (key == choice_.time_name && !key.empty()) {
        const std::string_view token = scalar(value, kTime, key, row.time_offset);
        keep(read_time(token, choice_.clock, key, row.time_offset, lines_, problems_), row.time);
      } else if (key == names.input) {
        const std::string_view token = scalar(value, kInput, key, row.input_offset);
        keep(read_tokens(token, key, row.input_offset, lines_, problems_), row.request.input_tokens);
      } else if (key == names.output) {
        std::size_t offset = 0;
        const std::string_view token = scalar(value, kOutput, key, offset);
        keep(read_tokens(token, key, offset, lines_, problems_), row.request.output_tokens);
      } else if (key == names.priority && !key.empty()) {
        std::size_t offset = 0;
        const std::string_view token = scalar(value, kPriority, key, offset);
        keep(read_priority(token, key, offset, lines_, problems_), row.request.priority);
      } else if (key == names.hash_ids && !key.empty()) {
        read_hash_ids(value, key, row);
      }
    });
    if (!read || wrong_) return Got::kWrong;
    if (!complete() || !blocks_match(row)) return Got::kWrong;
    return Got::kRow;
  }

 private:
  enum Role : unsigned { kTime = 1, kInput = 2, kOutput = 4, kHashIds = 8, kPriority = 16 };

  // Calls visit(key, value) for every field of the line's object. False after E0612.
  template <class Visit>
  bool for_each(Visit&& visit) {
    const std::string_view line = lines_.text();
    ondemand::document document;
    ondemand::object object;
    auto error =
        parser_.iterate(simdjson::padded_string_view(line.data(), line.size(), line.size() + TraceLines::kPadding))
            .get(document);
    const bool parsed = !error;
    if (!error) error = document.get_object().get(object);
    if (!error) {
      for (auto item : object) {
        ondemand::field field;
        if ((error = std::move(item).get(field))) break;
        // A key ends at its first quote; one with escapes is none that is read.
        const char* const key = field.key().raw();
        const std::size_t left = line.size() - static_cast<std::size_t>(key - line.data());
        visit(std::string_view(key, std::min(std::string_view(key, left).find('"'), left)), field.value());
      }
    }
    const char* at = nullptr;
    const bool more = parsed && !document.current_location().get(at);
    const std::size_t offset = more ? std::min(static_cast<std::size_t>(at - line.data()), line.size()) : line.size();
    if (!error && !more) return true;
    if (!error) {
      refuse("text behind the object", offset);
    } else if (!lines_.ended()) {
      refuse("the line is not complete: the file seems to be cut here", line.size());
    } else if (error == simdjson::UTF8_ERROR) {
      refuse("the line is not valid UTF-8", 0);
    } else if (error == simdjson::INCORRECT_TYPE || line.find_first_not_of(" \t") != line.find('{')) {
      refuse("a JSON object is expected: {...}", line.find_first_not_of(" \t"));
    } else {
      refuse("this is not valid JSON", offset);
    }
    return false;
  }
  void refuse(std::string message, std::size_t offset) {
    problems_.error("E0612", lines_.number(), lines_.text(), offset, std::move(message), "JSONL: one object a line",
                    "was the file written completely?");
  }

  std::string_view scalar(ondemand::value& value, Role role, std::string_view key, std::size_t& offset) {
    const std::string_view token = value.raw_json_token();  // of a list or an object its bracket
    offset = static_cast<std::size_t>(token.data() - lines_.text().data());
    take(role, key, offset);
    return token.substr(0, std::min(token.find_last_not_of(" \t\r") + 1, token.size()));
  }
  void take(Role role, std::string_view key, std::size_t offset) {
    if ((seen_ & role) != 0) {
      problems_.error("E0622", lines_.number(), lines_.text(), offset, fmt::format("the key {} stands twice", key), {},
                      "readers would differ in which one counts: remove one of them");
      wrong_ = true;
    }
    seen_ |= role;
  }
  template <class From, class To>
  void keep(const std::optional<From>& value, To& target) {
    if (value)
      target = *value;
    else
      wrong_ = true;
  }

  void read_hash_ids(ondemand::value& value, std::string_view key, TraceRow& row) {
    scalar(value, kHashIds, key, hash_ids_offset_);
    ondemand::array ids;
    auto error = value.get_array().get(ids);
    if (!error) {
      for (auto item : ids) {
        std::uint64_t id = 0;
        if ((error = item.get_uint64().get(id))) break;
        row.request.shared.push_back({options_.block_tokens, id});
      }
    }
    if (error == simdjson::SUCCESS) return;
    if (error != simdjson::INCORRECT_TYPE && error != simdjson::NUMBER_ERROR && error != simdjson::NUMBER_OUT_OF_RANGE)
      return;  // a fault of the text, which ends the walk over the object as well
    problems_.error("E0613", lines_.number(), lines_.text(), hash_ids_offset_,
                    fmt::format("{} must be a list of integers that are not negative", key), {},
                    fmt::format("one id for each {} tokens of the prompt", options_.block_tokens));
    wrong_ = true;
  }

  bool complete() {
    const TraceNames& names = choice_.names;
    const auto need = [&](Role role, std::string_view name, bool needed) {
      if (!needed || (seen_ & role) != 0) return true;
      problems_.error("E0611", lines_.number(), lines_.text(), 0, fmt::format("the row has no {}", name), {},
                      fmt::format("every row of the layout {} has it", to_text(names.layout)));
      return false;
    };
    const bool time = need(kTime, choice_.time_name, !choice_.time_name.empty());
    const bool input = need(kInput, names.input, true), output = need(kOutput, names.output, true);
    return need(kHashIds, names.hash_ids, names.needs_hash_ids) && time && input && output;
  }

  // ceil(input / block) ids: the last block may be filled in part.
  bool blocks_match(TraceRow& row) {
    if ((seen_ & kHashIds) == 0) return true;
    const std::int64_t tokens = row.request.input_tokens, block = options_.block_tokens;
    const auto ids = static_cast<std::int64_t>(row.request.shared.size());
    if (ids != ceil_div(tokens, block)) {
      problems_.error(
          "E0616", lines_.number(), lines_.text(), hash_ids_offset_,
          fmt::format("{} hash ids for {} tokens, {} are expected", ids, tokens, ceil_div(tokens, block)),
          fmt::format("Mooncake: one id for each {} tokens of the prompt, the last for what remains", block),
          "is the block of this trace another one?");
      return false;
    }
    if (ids > 0) row.request.shared.back().tokens = tokens - (ids - 1) * block;
    return true;
  }

  TraceLines& lines_;
  const TraceOptions options_;
  TraceProblems& problems_;
  TraceChoice choice_;
  ondemand::parser parser_;
  unsigned seen_ = 0;
  bool wrong_ = false;
  std::size_t hash_ids_offset_ = 0;
};

}  // namespace

std::unique_ptr<TraceRows> read_jsonl(TraceLines& lines, const TraceOptions& options, TraceProblems& problems) {
  auto rows = std::make_unique<JsonRows>(lines, options, problems);
  return rows->read_keys() ? std::move(rows) : nullptr;
}

}  // namespace ascendsim
