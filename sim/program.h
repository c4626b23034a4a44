// A program: what one rank does in one forward step, written by ordinary code with a ProgramBuilder as one would write
// it with MPI. Programs are data; machines read them (drive.h): the verifier, the clock, and readings such as memory.h.
//
// Values are views (rows, columns) of buffers; a slice costs nothing. Program order defines meaning. Operators may
// update in place. The builder derives the waits between streams from reads and writes, so a strategy never writes one.
// Collectives match between ranks by group, stream and order. A group is named by its kind ("tp"): which ranks it joins
// is the business of whoever carries the program out, so ranks with the same part to play have equal programs.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "sim/units.h"
#include "sim/work.h"

namespace ascendsim {

enum class Dtype : std::uint8_t { kFp16, kBf16, kFp32, kInt8, kInt4, kInt32 };
constexpr int bits(Dtype d) {
  switch (d) {
    case Dtype::kFp16:
    case Dtype::kBf16:
      return 16;
    case Dtype::kFp32:
    case Dtype::kInt32:
      return 32;
    case Dtype::kInt8:
      return 8;
    case Dtype::kInt4:
      return 4;
  }
  return 0;
}
std::string_view to_text(Dtype d);

enum class BufferKind : std::uint8_t { kInput, kActivation, kWeight, kState };

// Names of the rows of an input or a state in their global tensor, without listing them: `repeats` runs of `rows`
// following rows, `stride` apart.
struct NamedRows {
  std::int64_t first = 0;
  std::int32_t rows = 1, repeats = 1;
  std::int64_t stride = 0;
  bool operator==(const NamedRows&) const = default;
};

// Rows `from`, ... of one value become rows `to`, ... of another: `rows` following ones, `repeats` times, each time so
// and so far on. Where rows go is placement, not work: lists of moves lie beside the operators (Program::move_lists).
struct RowMove {
  std::int32_t from = 0, to = 0, rows = 0, repeats = 1;
  std::int32_t from_stride = 0, to_stride = 0;
  bool operator==(const RowMove&) const = default;
};
std::int64_t rows_of(std::span<const RowMove> moves);

// The part of a global tensor that this rank holds, e.g. rows [0, 1536) and columns [3072, 6144) of "layers.7.q_b".
// Weights are [inputs, outputs]; `experts` stacks that many of them, starting with `first_expert`.
struct TensorSlice {
  const char* key = "";  // static storage; with `layer` it names the global tensor
  std::int32_t layer = -1;
  std::int32_t row = 0, column = 0, first_expert = 0;
  std::int32_t experts = 1;
  std::uint32_t row_list =
      0;  // inputs and state whose rows are scattered: 1 + index into Program::rows; 0 = rows follow `row`
  std::uint32_t first_name = 0, names = 0;  // the same in Program::names, in compressed form; rows beyond are padding
  std::int32_t second_column =
      0;                    // weights that are two matrices side by side (gate and up): where the second half begins
  std::int32_t fan_in = 0;  // weights: inputs of the whole matrix; the calculator scales its numbers by it
  Bytes extra{};            // quantisation scales and the like, beside the elements
};

struct Buffer {
  BufferKind kind = BufferKind::kActivation;
  Dtype dtype = Dtype::kFp16;
  std::int32_t columns = 0;
  std::int64_t rows = 0;      // expected rows: what the clock charges
  std::int64_t capacity = 0;  // rows that are allocated: what memory counts
  std::uint32_t slice = 0;    // weight, state: index into Program::slices
  [[nodiscard]] Bytes allocated() const { return Bytes(ceil_div(capacity * columns * bits(dtype), 8)); }
};

struct Value {
  std::uint32_t buffer = 0;
  std::int32_t row = 0, rows = 0;
  std::int32_t column = 0, columns = 0;
  Dtype dtype = Dtype::kFp16;

  [[nodiscard]] Value row_slice(std::int64_t first, std::int64_t count) const;
  [[nodiscard]] Value column_slice(std::int64_t first, std::int64_t count) const;
  // The same elements under another shape (per-head weights read transposed). REQUIRES: equal element counts.
  [[nodiscard]] Value reshaped(std::int64_t new_rows, std::int64_t new_columns) const;
  [[nodiscard]] std::int64_t elements() const { return std::int64_t{rows} * columns; }
  [[nodiscard]] Bytes bytes() const { return Bytes(ceil_div(elements() * bits(dtype), 8)); }
};
static_assert(sizeof(Value) == 24);

enum class Primitive : std::uint8_t {
  kNone,
  kAllGather,
  kReduceScatter,
  kAllReduce,
  kAllToAll,
  kDispatch,
  kCombine,
  kShift,
  kBroadcast
};
std::string_view to_text(Primitive p);

class OperatorView;

// What an operator does to tensors (calculator.h), in either precision. Null: it has a cost but no mathematics yet.
template <class Scalar>
class Tensors;
struct Compute {
  void (*in_double)(const OperatorView&, Tensors<double>&) = nullptr;
  void (*in_float)(const OperatorView&, Tensors<float>&) = nullptr;
};

// One constexpr entry per operator type; sim/ holds the entries and never knows the types.
struct OperatorType {
  const char* name;
  Work (*work)(const OperatorView&);  // null for collectives
  Primitive primitive = Primitive::kNone;
  Compute compute = {};
  std::uint8_t category = 0;  // of its operators, but for those in a section of another (ProgramBuilder::Section)
};

using StreamId = std::uint8_t;
constexpr StreamId kComputeStream = 0, kCommunicationStream = 1;
constexpr int kMaxStreams = 4;  // two lanes of a compute and a communication stream each
constexpr std::uint32_t kNoWait = 0xffffffff;

struct Operator {
  const OperatorType* type = nullptr;
  const char* label = "";        // static storage: "o_proj"; what tables and diagnostics call it
  std::uint32_t params = 0;      // offset into Program::params
  std::uint32_t operands = 0;    // inputs, then outputs, in Program::values
  std::uint32_t wait = kNoWait;  // an earlier operator on another stream that must have finished
  std::int16_t layer = -1;
  std::uint8_t inputs = 0, outputs = 0;
  StreamId stream = kComputeStream;
  std::uint8_t category = 0;    // how reports group time; opaque here
  std::uint8_t group = 0;       // collectives: group kind
  bool outside_graph = false;   // issued by the host even where the step replays captured graphs
  std::uint32_t move_list = 0;  // 1 + index into Program::move_lists; 0 = moves no rows
};
static_assert(sizeof(Operator) == 40);

enum class Axis : std::int32_t { kRows, kColumns };
// bytes: the amount that closed forms are written in. Full output of an all-gather, full input of a reduce-scatter, the
// vector of an all-reduce, the local buffer of an all-to-all or a shift.
struct CollectiveParams {
  Bytes bytes{};
  std::int32_t ranks = 1;
  Axis axis = Axis::kRows;
  std::int64_t detail = 0;  // for the operator's own use: exchange()
};
// What one rank sends with a bandwidth-optimal algorithm (= what it receives).
Bytes bytes_sent(Primitive primitive, const CollectiveParams& params);

struct Program {
  std::vector<Operator> operators;
  std::vector<Value> values;
  std::vector<Buffer> buffers;
  std::vector<TensorSlice> slices;
  std::vector<std::uint64_t> params;
  std::vector<std::vector<std::int32_t>> rows;  // global rows of inputs and state, see TensorSlice::row_list
  std::vector<NamedRows> names;
  struct MoveList {
    std::uint32_t first = 0, count = 0;
  };
  std::vector<RowMove> moves;
  std::vector<MoveList> move_lists;

  [[nodiscard]] OperatorView view(std::size_t index) const;
  // The global row of each of a buffer's `rows` rows; kPaddingRow where it has none.
  static constexpr std::int64_t kPaddingRow = -1;
  [[nodiscard]] std::vector<std::int64_t> row_names(const Buffer& buffer) const;
  // Equal for every machine that does not look at the numbers in tensors: where a view or a slice starts or which rows
  // are moved where may differ.
  [[nodiscard]] bool same_work(const Program& other) const;
};

class OperatorView {
 public:
  OperatorView(const Program& program, const Operator& op) : program_(&program), op_(&op) {}
  [[nodiscard]] const Operator& op() const { return *op_; }
  [[nodiscard]] const Value& in(std::size_t i) const { return program_->values[op_->operands + i]; }
  [[nodiscard]] const Value& out(std::size_t i = 0) const { return program_->values[op_->operands + op_->inputs + i]; }
  [[nodiscard]] const Buffer& buffer(const Value& v) const { return program_->buffers[v.buffer]; }
  [[nodiscard]] const TensorSlice& slice(const Value& v) const { return program_->slices[buffer(v).slice]; }
  template <class P>
  [[nodiscard]] const P& params() const {
    static_assert(std::is_trivially_copyable_v<P> && alignof(P) <= 8);
    return *reinterpret_cast<const P*>(program_->params.data() + op_->params);
  }
  // Trailing elements that apply() stored behind the parameters.
  template <class P, class T>
  [[nodiscard]] std::span<const T> tail(std::size_t count) const {
    return {reinterpret_cast<const T*>(program_->params.data() + op_->params + words<P>()), count};
  }
  [[nodiscard]] std::span<const RowMove> moves() const {
    if (op_->move_list == 0) return {};
    const Program::MoveList& list = program_->move_lists[op_->move_list - 1];
    return {program_->moves.data() + list.first, list.count};
  }
  template <class P>
  static constexpr std::size_t words() {
    return (sizeof(P) + 7) / 8;
  }

 private:
  const Program* program_;
  const Operator* op_;
};
inline OperatorView Program::view(std::size_t index) const { return {*this, operators[index]}; }

// REQUIRES everywhere: row and column counts below 2^31; a program has fewer than 2^32 operators and values.
class ProgramBuilder {
 public:
  ProgramBuilder();

  // What follows belongs to this layer and lane until the next call.
  void set_layer(int layer) { layer_ = static_cast<std::int16_t>(layer); }
  // What is applied while a section lives belongs to its category, whatever the types say: a mixture of experts has
  // products and norms of its own. Collectives stay communication.
  class Section {
   public:
    Section(ProgramBuilder& builder, std::uint8_t category) : builder_(builder), outer_(builder.section_) {
      builder.section_ = category;
    }
    ~Section() { builder_.section_ = outer_; }
    Section(const Section&) = delete;
    Section& operator=(const Section&) = delete;

   private:
    ProgramBuilder& builder_;
    std::optional<std::uint8_t> outer_;
  };
  void set_outside_graph(bool outside) { outside_graph_ = outside; }
  // Collectives go to the lane's compute stream, as in engines that launch everything on one stream.
  void serialise_communication() { communication_offset_ = kComputeStream; }
  void set_lane(int lane) {
    lane_ = static_cast<StreamId>(2 * lane);
    streams_ = std::max<StreamId>(streams_, static_cast<StreamId>(lane_ + 2));
  }

  Value input(Dtype dtype, std::int64_t rows, std::int64_t columns);
  // The rows `rows` of the global tensor that `slice` names, in that order.
  Value input(Dtype dtype, std::int64_t columns, TensorSlice slice, std::vector<std::int32_t> rows);
  Value state(Dtype dtype, std::int64_t columns, TensorSlice slice, std::vector<std::int32_t> rows);
  // The same with names, which several buffers may share.
  struct Names {
    std::uint32_t first = 0, count = 0;
  };
  Names name_rows(std::span<const NamedRows> names);
  Value input(Dtype dtype, std::int64_t rows, std::int64_t columns, TensorSlice slice, Names names);
  Value state(Dtype dtype, std::int64_t rows, std::int64_t columns, TensorSlice slice, Names names);
  // capacity: rows allocated, when more than are expected (routed tokens, padding).
  Value activation(Dtype dtype, std::int64_t rows, std::int64_t columns, std::int64_t capacity = 0);
  Value weight(Dtype dtype, std::int64_t inputs, std::int64_t outputs, const TensorSlice& slice);
  Value state(Dtype dtype, std::int64_t rows, std::int64_t columns, const TensorSlice& slice);

  template <class P>
  void apply(const OperatorType& type, const char* label, const P& params, std::initializer_list<Value> in,
             std::initializer_list<Value> out) {
    push(type, label, store(params), {in.begin(), in.size()}, {out.begin(), out.size()}, lane_,
         section_.value_or(type.category));
  }
  template <class P, class T>
  void apply(const OperatorType& type, const char* label, const P& params, std::span<const T> tail,
             std::initializer_list<Value> in, std::initializer_list<Value> out) {
    const std::uint32_t at = store(params);
    append_words(tail.data(), tail.size_bytes());
    push(type, label, at, {in.begin(), in.size()}, {out.begin(), out.size()}, lane_, section_.value_or(type.category));
  }

  // A list of row moves; operators may share it.
  struct Moves {
    std::uint32_t list = 0;
    std::int64_t rows = 0;  // moved in all
  };
  Moves add_moves(std::span<const RowMove> moves);
  [[nodiscard]] std::span<const RowMove> moves(Moves moves) const {
    const Program::MoveList& list = program_.move_lists[moves.list - 1];
    return {program_.moves.data() + list.first, list.count};
  }
  // The operator just applied moves these rows.
  void moving(Moves moves) { program_.operators.back().move_list = moves.list; }

  // A collective over the group kind `group` of `ranks` ranks; with one rank nothing happens and `in` comes back.
  // all_gather: `out_rows` = rows of all members together (unequal shares allowed), default ranks * in.rows.
  struct Group {
    std::uint8_t kind = 0;
    int ranks = 1;
  };
  Value all_gather(const char* label, Value in, Group group, Axis axis = Axis::kRows, std::int64_t out_rows = 0);
  Value reduce_scatter(const char* label, Value in, Group group);  // rows are padded up to a multiple of ranks
  Value all_reduce(const char* label, Value in, Group group);
  Value all_to_all(const char* label, Value in, Group group, std::int64_t out_rows, std::int64_t out_columns);
  // A ring step: every member sends `in` to the next one of its group, the last to the first, and receives `out`, whose
  // rows may be others than it sends; beside compute even where serialise_communication() holds, or a ring would hide
  // nothing. The kind's groups are ordered (fold.h). REQUIRES: at least two ranks.
  void shift(const char* label, Value in, Value out, Group group);
  // The member numbered `root` of the group sends `in`, of the others whatever they name, into every `out`, once
  // `after` has been computed: beside all else, on the communication stream of the other lane.
  void broadcast(const char* label, Value in, Value out, Group group, int root, Value after);
  // A collective of an operator's own making (fused dispatch and combine): `bytes` = the local buffer that travels,
  // made from the first input with the help of the others. REQUIRES: at least two ranks.
  void exchange(const OperatorType& type, const char* label, std::initializer_list<Value> in, Value out, Group group,
                Bytes bytes, std::int64_t detail = 0);

  Program take();

 private:
  // Operators by number + 1; 0 = none. A writer waits for whoever touched the buffer before, so the last writer and the
  // readers since then (one per stream: streams run in order) are all that later operators need to know.
  struct Access {
    std::uint32_t write = 0;
    StreamId write_stream = 0;
    std::array<std::uint32_t, kMaxStreams> read{};
  };
  // Parameters are compared and hashed as words, so padding bytes must not exist. A type with floating-point members
  // says kPaddingFree itself.
  template <class P>
  static constexpr bool padding_free() {
    if constexpr (requires { P::kPaddingFree; })
      return P::kPaddingFree;
    else
      return std::is_empty_v<P> || std::has_unique_object_representations_v<P>;
  }
  template <class P>
  std::uint32_t store(const P& params) {
    static_assert(padding_free<P>(), "parameters with padding bytes compare unequal");
    const auto at = static_cast<std::uint32_t>(program_.params.size());
    std::array<std::uint64_t, OperatorView::words<P>()> words{};
    if constexpr (!std::is_empty_v<P>) std::memcpy(words.data(), &params, sizeof(P));
    for (const std::uint64_t word : words) program_.params.push_back(word);
    return at;
  }
  void append_words(const void* data, std::size_t bytes);
  Value add_buffer(Buffer buffer);
  Value add_named(BufferKind kind, Dtype dtype, std::int64_t rows, std::int64_t columns, TensorSlice slice,
                  Names names);
  Value add_scattered(BufferKind kind, Dtype dtype, std::int64_t columns, TensorSlice slice,
                      std::vector<std::int32_t> rows);
  void push(const OperatorType& type, const char* label, std::uint32_t params, std::span<const Value> in,
            std::span<const Value> out, StreamId stream, std::uint8_t category, std::uint8_t group = 0);
  void fence(StreamId stream, std::uint32_t wait, std::uint32_t params);  // of the operator behind it
  Value collective(const OperatorType& type, const char* label, std::span<const Value> in, Value out, Group group,
                   Bytes bytes, Axis axis, std::int64_t detail = 0);
  Value collective(const OperatorType& type, const char* label, Value in, Value out, Group group, Bytes bytes,
                   Axis axis) {
    return collective(type, label, {&in, 1}, out, group, bytes, axis);
  }

  Program program_;
  std::vector<Access> access_;
  std::array<std::array<std::uint32_t, kMaxStreams>, kMaxStreams> waited_{};  // [stream][other]: finished up to here
  std::int16_t layer_ = -1;
  std::optional<std::uint8_t> section_;
  bool outside_graph_ = false;
  StreamId lane_ = 0;
  StreamId communication_offset_ = kCommunicationStream;
  StreamId streams_ = 2;  // in use: none above needs looking at
};

// Category that the builder gives to every collective.
constexpr std::uint8_t kCommunicationCategory = 255;

}  // namespace ascendsim
