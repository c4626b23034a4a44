#include "sim/program.h"

#include <algorithm>

namespace ascendsim {

namespace {

Work no_work(const OperatorView&) { return Work{.launches = 0}; }

constexpr OperatorType kFence{"fence", no_work};
constexpr OperatorType kAllGather{"all_gather", nullptr, Primitive::kAllGather};
constexpr OperatorType kReduceScatter{"reduce_scatter", nullptr, Primitive::kReduceScatter};
constexpr OperatorType kAllReduce{"all_reduce", nullptr, Primitive::kAllReduce};
constexpr OperatorType kAllToAll{"all_to_all", nullptr, Primitive::kAllToAll};
constexpr OperatorType kShift{"shift", nullptr, Primitive::kShift};
constexpr OperatorType kBroadcast{"broadcast", nullptr, Primitive::kBroadcast};

bool same_operator(const Operator& a, const Operator& b) {
  return a.type == b.type && std::string_view(a.label) == b.label && a.params == b.params && a.operands == b.operands &&
         a.wait == b.wait && a.layer == b.layer && a.inputs == b.inputs && a.outputs == b.outputs &&
         a.stream == b.stream && a.category == b.category && a.group == b.group;
}
bool same_value(const Value& a, const Value& b) {
  return a.buffer == b.buffer && a.rows == b.rows && a.columns == b.columns && a.dtype == b.dtype;
}
bool same_buffer(const Buffer& a, const Buffer& b) {
  return a.kind == b.kind && a.dtype == b.dtype && a.columns == b.columns && a.rows == b.rows &&
         a.capacity == b.capacity;
}

}  // namespace

std::string_view to_text(Dtype d) {
  switch (d) {
    case Dtype::kFp16:
      return "float16";
    case Dtype::kBf16:
      return "bfloat16";
    case Dtype::kFp32:
      return "float32";
    case Dtype::kInt8:
      return "int8";
    case Dtype::kInt4:
      return "int4";
    case Dtype::kInt32:
      return "int32";
  }
  return "?";
}

std::string_view to_text(Primitive p) {
  switch (p) {
    case Primitive::kNone:
      return "none";
    case Primitive::kAllGather:
      return "all-gather";
    case Primitive::kReduceScatter:
      return "reduce-scatter";
    case Primitive::kAllReduce:
      return "all-reduce";
    case Primitive::kAllToAll:
      return "all-to-all";
    case Primitive::kDispatch:
      return "dispatch";
    case Primitive::kCombine:
      return "combine";
    case Primitive::kShift:
      return "shift";
    case Primitive::kBroadcast:
      return "broadcast";
  }
  return "?";
}

Bytes bytes_sent(Primitive primitive, const CollectiveParams& c) {
  if (primitive == Primitive::kShift) return c.bytes;
  const std::int64_t share =
      c.bytes.count() / c.ranks * (c.ranks - 1) + c.bytes.count() % c.ranks * (c.ranks - 1) / c.ranks;
  return Bytes(primitive == Primitive::kAllReduce ? 2 * share : share);
}

std::int64_t rows_of(std::span<const RowMove> moves) {
  std::int64_t rows = 0;
  for (const RowMove& m : moves) rows += std::int64_t{m.rows} * m.repeats;
  return rows;
}

Value Value::row_slice(std::int64_t first, std::int64_t count) const {
  check(first >= 0 && count >= 0 && first + count <= rows, "a row slice leaves its value");
  Value v = *this;
  v.row += static_cast<std::int32_t>(first);
  v.rows = static_cast<std::int32_t>(count);
  return v;
}

Value Value::column_slice(std::int64_t first, std::int64_t count) const {
  check(first >= 0 && count >= 0 && first + count <= columns, "a column slice leaves its value");
  Value v = *this;
  v.column += static_cast<std::int32_t>(first);
  v.columns = static_cast<std::int32_t>(count);
  return v;
}

Value Value::reshaped(std::int64_t new_rows, std::int64_t new_columns) const {
  check(new_rows * new_columns == elements(), "a reshaped value has other elements");
  Value v = *this;
  v.rows = static_cast<std::int32_t>(new_rows);
  v.columns = static_cast<std::int32_t>(new_columns);
  return v;
}

std::vector<std::int64_t> Program::row_names(const Buffer& buffer) const {
  const TensorSlice& slice = slices[buffer.slice];
  std::vector<std::int64_t> out;
  out.reserve(static_cast<std::size_t>(buffer.rows));
  if (slice.row_list > 0) {
    for (const std::int32_t row : rows[slice.row_list - 1]) out.push_back(row);
  } else if (slice.names > 0) {
    for (std::uint32_t i = slice.first_name; i < slice.first_name + slice.names; ++i)
      for (std::int32_t repeat = 0; repeat < names[i].repeats; ++repeat)
        for (std::int32_t r = 0; r < names[i].rows; ++r) out.push_back(names[i].first + repeat * names[i].stride + r);
  } else {
    for (std::int64_t r = 0; r < buffer.rows; ++r) out.push_back(slice.row + r);
  }
  check(static_cast<std::int64_t>(out.size()) <= buffer.rows, "a buffer has more names than rows");
  out.resize(static_cast<std::size_t>(buffer.rows), kPaddingRow);
  return out;
}

bool Program::same_work(const Program& other) const {
  return std::ranges::equal(operators, other.operators, same_operator) &&
         std::ranges::equal(values, other.values, same_value) &&
         std::ranges::equal(buffers, other.buffers, same_buffer) && params == other.params;
}

ProgramBuilder::ProgramBuilder() {
  program_.operators.reserve(512);
  program_.values.reserve(2048);
  program_.buffers.reserve(1024);
  program_.slices.reserve(256);
  program_.params.reserve(2048);
  access_.reserve(1024);
  program_.slices.push_back({});
}

void ProgramBuilder::append_words(const void* data, std::size_t bytes) {
  const std::size_t at = program_.params.size();
  program_.params.resize(at + (bytes + 7) / 8);
  if (bytes > 0) std::memcpy(program_.params.data() + at, data, bytes);
}

Value ProgramBuilder::add_buffer(Buffer buffer) {
  constexpr std::int64_t kLimit = std::int64_t{1} << 31;
  check(buffer.rows >= 0 && buffer.rows < kLimit && buffer.columns >= 0, "a buffer needs 0 <= rows, columns < 2^31");
  buffer.capacity = std::max(buffer.capacity, buffer.rows);
  const Value v{.buffer = static_cast<std::uint32_t>(program_.buffers.size()),
                .rows = static_cast<std::int32_t>(buffer.rows),
                .columns = buffer.columns,
                .dtype = buffer.dtype};
  program_.buffers.push_back(buffer);
  access_.emplace_back();
  return v;
}

Value ProgramBuilder::input(Dtype dtype, std::int64_t rows, std::int64_t columns) {
  return add_buffer({BufferKind::kInput, dtype, static_cast<std::int32_t>(columns), rows});
}

Value ProgramBuilder::activation(Dtype dtype, std::int64_t rows, std::int64_t columns, std::int64_t capacity) {
  return add_buffer({BufferKind::kActivation, dtype, static_cast<std::int32_t>(columns), rows, capacity});
}

Value ProgramBuilder::weight(Dtype dtype, std::int64_t inputs, std::int64_t outputs, const TensorSlice& slice) {
  program_.slices.push_back(slice);
  program_.slices.back().layer = slice.layer >= 0 ? slice.layer : layer_;
  return add_buffer({BufferKind::kWeight, dtype, static_cast<std::int32_t>(outputs), inputs * slice.experts, 0,
                     static_cast<std::uint32_t>(program_.slices.size() - 1)});
}

Value ProgramBuilder::state(Dtype dtype, std::int64_t rows, std::int64_t columns, const TensorSlice& slice) {
  program_.slices.push_back(slice);
  program_.slices.back().layer = slice.layer >= 0 ? slice.layer : layer_;
  return add_buffer({BufferKind::kState, dtype, static_cast<std::int32_t>(columns), rows, 0,
                     static_cast<std::uint32_t>(program_.slices.size() - 1)});
}

Value ProgramBuilder::add_scattered(BufferKind kind, Dtype dtype, std::int64_t columns, TensorSlice slice,
                                    std::vector<std::int32_t> rows) {
  const auto count = static_cast<std::int64_t>(rows.size());
  program_.rows.push_back(std::move(rows));
  slice.row_list = static_cast<std::uint32_t>(program_.rows.size());
  slice.layer = slice.layer >= 0 ? slice.layer : layer_;
  program_.slices.push_back(slice);
  return add_buffer({kind, dtype, static_cast<std::int32_t>(columns), count, 0,
                     static_cast<std::uint32_t>(program_.slices.size() - 1)});
}

Value ProgramBuilder::input(Dtype dtype, std::int64_t columns, TensorSlice slice, std::vector<std::int32_t> rows) {
  return add_scattered(BufferKind::kInput, dtype, columns, slice, std::move(rows));
}

Value ProgramBuilder::state(Dtype dtype, std::int64_t columns, TensorSlice slice, std::vector<std::int32_t> rows) {
  return add_scattered(BufferKind::kState, dtype, columns, slice, std::move(rows));
}

ProgramBuilder::Names ProgramBuilder::name_rows(std::span<const NamedRows> names) {
  const Names at{static_cast<std::uint32_t>(program_.names.size()), static_cast<std::uint32_t>(names.size())};
  program_.names.insert(program_.names.end(), names.begin(), names.end());
  return at;
}

ProgramBuilder::Moves ProgramBuilder::add_moves(std::span<const RowMove> moves) {
  program_.move_lists.push_back(
      {static_cast<std::uint32_t>(program_.moves.size()), static_cast<std::uint32_t>(moves.size())});
  program_.moves.insert(program_.moves.end(), moves.begin(), moves.end());
  return {static_cast<std::uint32_t>(program_.move_lists.size()), rows_of(moves)};
}

Value ProgramBuilder::input(Dtype dtype, std::int64_t rows, std::int64_t columns, TensorSlice slice, Names names) {
  return add_named(BufferKind::kInput, dtype, rows, columns, slice, names);
}

Value ProgramBuilder::state(Dtype dtype, std::int64_t rows, std::int64_t columns, TensorSlice slice, Names names) {
  return add_named(BufferKind::kState, dtype, rows, columns, slice, names);
}

Value ProgramBuilder::add_named(BufferKind kind, Dtype dtype, std::int64_t rows, std::int64_t columns,
                                TensorSlice slice, Names names) {
  slice.first_name = names.first;
  slice.names = names.count;
  slice.layer = slice.layer >= 0 ? slice.layer : layer_;
  program_.slices.push_back(slice);
  return add_buffer({kind, dtype, static_cast<std::int32_t>(columns), rows, 0,
                     static_cast<std::uint32_t>(program_.slices.size() - 1)});
}

void ProgramBuilder::fence(StreamId stream, std::uint32_t wait, std::uint32_t params) {
  Operator op{
      .type = &kFence, .label = "fence", .params = params, .wait = wait, .layer = layer_, .stream = stream};
  op.operands = static_cast<std::uint32_t>(program_.values.size());
  program_.operators.push_back(op);
}

void ProgramBuilder::push(const OperatorType& type, const char* label, std::uint32_t params, std::span<const Value> in,
                          std::span<const Value> out, StreamId stream, std::uint8_t category, std::uint8_t group) {
  // Streams run in order, so per other stream only the latest access matters.
  std::array<std::uint32_t, kMaxStreams> need{};
  const auto after_writer = [&](const Access& a) { need[a.write_stream] = std::max(need[a.write_stream], a.write); };
  for (const Value& v : in) after_writer(access_[v.buffer]);
  for (const Value& v : out) {
    const Access& a = access_[v.buffer];
    after_writer(a);
    for (StreamId s = 0; s < streams_; ++s) need[s] = std::max(need[s], a.read[s]);
  }

  std::uint32_t wait = kNoWait;
  for (StreamId s = 0; s < streams_; ++s) {
    if (s == stream || need[s] <= waited_[stream][s]) continue;
    waited_[stream][s] = need[s];
    if (wait != kNoWait) fence(stream, wait, params);
    wait = need[s] - 1;
  }

  Operator op{.type = &type,
              .label = label,
              .params = params,
              .wait = wait,
              .layer = layer_,
              .inputs = static_cast<std::uint8_t>(in.size()),
              .outputs = static_cast<std::uint8_t>(out.size()),
              .stream = stream,
              .category = category,
              .group = group,
              .outside_graph = outside_graph_};
  op.operands = static_cast<std::uint32_t>(program_.values.size());
  for (const Value& v : in) program_.values.push_back(v);
  for (const Value& v : out) program_.values.push_back(v);
  program_.operators.push_back(op);
  const auto index = static_cast<std::uint32_t>(program_.operators.size());
  for (const Value& v : in) access_[v.buffer].read[stream] = index;
  for (const Value& v : out) access_[v.buffer] = {index, stream, {}};
}

Value ProgramBuilder::collective(const OperatorType& type, const char* label, std::span<const Value> in, Value out,
                                 Group group, Bytes bytes, Axis axis, std::int64_t detail) {
  const CollectiveParams params{bytes, group.ranks, axis, detail};
  push(type, label, store(params), in, {&out, 1}, static_cast<StreamId>(lane_ + communication_offset_),
       kCommunicationCategory, group.kind);
  return out;
}

Value ProgramBuilder::all_gather(const char* label, Value in, Group group, Axis axis, std::int64_t out_rows) {
  if (group.ranks == 1) return in;
  const bool rows = axis == Axis::kRows;
  const std::int64_t gathered = !rows ? in.rows : out_rows > 0 ? out_rows : std::int64_t{in.rows} * group.ranks;
  const Value out = activation(in.dtype, gathered, rows ? in.columns : std::int64_t{in.columns} * group.ranks);
  return collective(kAllGather, label, in, out, group, out.bytes(), axis);
}

Value ProgramBuilder::reduce_scatter(const char* label, Value in, Group group) {
  if (group.ranks == 1) return in;
  const std::int64_t share = ceil_div(in.rows, group.ranks);
  const Value out = activation(in.dtype, share, in.columns);
  return collective(kReduceScatter, label, in, out, group, out.bytes() * group.ranks, Axis::kRows);
}

Value ProgramBuilder::all_reduce(const char* label, Value in, Group group) {
  if (group.ranks == 1) return in;
  return collective(kAllReduce, label, in, in, group, in.bytes(), Axis::kRows);
}

Value ProgramBuilder::all_to_all(const char* label, Value in, Group group, std::int64_t out_rows,
                                 std::int64_t out_columns) {
  if (group.ranks == 1) return in;
  return collective(kAllToAll, label, in, activation(in.dtype, out_rows, out_columns), group, in.bytes(), Axis::kRows);
}

void ProgramBuilder::shift(const char* label, Value in, Value out, Group group) {
  check(group.ranks > 1 && in.columns == out.columns && in.dtype == out.dtype, "a shift needs peers and equal widths");
  const CollectiveParams params{in.bytes(), group.ranks, Axis::kRows, 0};
  push(kShift, label, store(params), std::array{in}, {&out, 1}, static_cast<StreamId>(lane_ + kCommunicationStream),
       kCommunicationCategory, group.kind);
}

void ProgramBuilder::broadcast(const char* label, Value in, Value out, Group group, int root, Value after) {
  check(group.ranks > root && root >= 0 && in.columns == out.columns && in.rows == out.rows && in.dtype == out.dtype,
        "a broadcast needs its root, and room for what it sends");
  constexpr StreamId kBeside = kMaxStreams - 2 + kCommunicationStream;
  streams_ = kMaxStreams;
  const CollectiveParams params{in.bytes(), group.ranks, Axis::kRows, root};
  push(kBroadcast, label, store(params), std::array{in, after}, {&out, 1}, kBeside, kCommunicationCategory, group.kind);
}

void ProgramBuilder::exchange(const OperatorType& type, const char* label, std::initializer_list<Value> in, Value out,
                              Group group, Bytes bytes, std::int64_t detail) {
  check(group.ranks > 1 && type.primitive != Primitive::kNone, "an exchange needs peers and a collective type");
  collective(type, label, {in.begin(), in.size()}, out, group, bytes, Axis::kRows, detail);
}

Program ProgramBuilder::take() { return std::move(program_); }

}  // namespace ascendsim
