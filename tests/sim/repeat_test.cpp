#include "sim/repeat.h"

#include <fmt/format.h>

#include "tests/sim/small_programs.h"

namespace ascendsim {
namespace {

// Layer n on stream 0: mix reads x, writes y; on stream 1: sum of y; on stream 0 again: mix of what was summed.
//   0 begin | 1 mix 2 sum 3 add | 4 mix 5 sum 6 add | ... | end
struct Layers {
  ProgramBuilder p;
  Value x = p.activation(Dtype::kFp16, 4, 8);
  const ProgramBuilder::Group pair{0, 2};

  Layers() { touch(p, "begin", {}, {x}); }
  void layer(int number, std::int64_t columns = 8) {
    p.set_layer(number);
    const Value y = p.activation(Dtype::kFp16, 4, columns);
    touch(p, "mix", {x}, {y});
    const Value sum = p.all_reduce("sum", y, pair);
    touch(p, "add", {sum}, {x});
  }
  Program end() {
    p.set_layer(-1);
    touch(p, "end", {x}, {});
    return p.take();
  }
};

Program of_layers(int layers) {
  Layers l;
  for (int i = 0; i < layers; ++i) l.layer(i);
  return l.end();
}

// What of an operator time depends on.
std::vector<std::string> lines(const Program& p) {
  std::vector<std::string> out;
  for (const Operator& op : p.operators)
    out.push_back(fmt::format("{} stream {} after {} {}", op.label, op.stream,
                              op.wait == kNoWait ? -1 : static_cast<int>(op.wait), op.outside_graph));
  return out;
}

TEST(Repeat, FourLayersOfWhichTheThirdOccursAgainAreTen) {
  Program p = of_layers(4);
  const auto stretch = stretch_of(p, 2, 7);
  ASSERT_TRUE(stretch);
  EXPECT_EQ(stretch->first, 7u);
  EXPECT_EQ(stretch->end, 10u);
  const std::vector<std::uint32_t> origin = repeat(p, *stretch);
  EXPECT_EQ(lines(p), lines(of_layers(10)));
  // begin, 2 layers, 7 times the third, the fourth, end
  EXPECT_EQ(std::vector(origin.begin(), origin.begin() + 7), (std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 6}));
  for (std::size_t i = 7; i < 28; ++i) EXPECT_EQ(origin[i], 7 + (i - 7) % 3) << i;
  EXPECT_EQ(std::vector(origin.begin() + 28, origin.end()), (std::vector<std::uint32_t>{10, 11, 12, 13}));
}

TEST(Repeat, OnceIsTheProgramItself) {
  Program p = of_layers(4);
  repeat(p, *stretch_of(p, 2, 1));
  EXPECT_EQ(lines(p), lines(of_layers(4)));
}

// The first layer waits for what comes before all layers, so the second is not yet like it where streams do not say so;
// another width, no layer of that number, and a layer in two pieces.
TEST(Repeat, RefusesWhatIsNotAlike) {
  Layers wider;
  for (int i = 0; i < 4; ++i) wider.layer(i, i == 2 ? 16 : 8);
  EXPECT_FALSE(stretch_of(wider.end(), 2, 7));
  EXPECT_FALSE(stretch_of(of_layers(4), 4, 7));
  EXPECT_FALSE(stretch_of(of_layers(4), 0, 7));
  Layers in_pieces;
  for (const int i : {0, 1, 2, 3, 2}) in_pieces.layer(i);
  EXPECT_FALSE(stretch_of(in_pieces.end(), 2, 7));
}

// Two lanes write, the exchange of both waits twice: a fence stands before it. What lies behind a fence among the parameters was
// once taken for those of the operator before it, and such layers were alike to nobody.
TEST(Repeat, LayersWithFencesOccurAgain) {
  constexpr OperatorType kExchange{"exchange", nullptr, Primitive::kDispatch};
  struct Sized {
    std::int64_t rows;
  };
  const auto layers = [&](int count, std::int64_t other_rows) {
    ProgramBuilder p;
    const Value x = p.activation(Dtype::kFp16, 4, 8), y = p.activation(Dtype::kFp16, 4, 8);
    for (int i = 0; i < count; ++i) {
      p.set_layer(i);
      p.set_lane(0);
      touch(p, "write x", {y}, {x});
      p.set_lane(1);
      p.apply(kTouch, "write y", Sized{i == 2 ? other_rows : 4}, {}, {y});
      p.set_lane(0);
      p.exchange(kExchange, "exchange", {x}, y, {0, 2}, x.bytes());
    }
    return p.take();
  };
  Program p = layers(4, 4);
  const auto stretch = stretch_of(p, 2, 7);
  ASSERT_TRUE(stretch);
  const auto is_fence = [](const std::string& line) { return line.starts_with("fence"); };
  EXPECT_EQ(std::ranges::count_if(lines(p), is_fence), 7);  // one, then two a layer: y waits for its reader too
  repeat(p, *stretch);
  EXPECT_EQ(lines(p), lines(layers(10, 4)));
  EXPECT_FALSE(stretch_of(layers(4, 5), 2, 7));  // the operator before the fence differs in what it is told
}

// Somebody after the layers waits for the last but one: of ten nobody could say which is meant.
TEST(Repeat, RefusesWaitsIntoTheStretchBefore) {
  Program p = of_layers(4);
  p.operators.back().wait = 5;  // the sum of layer 1, one stretch before layer 2
  EXPECT_FALSE(stretch_of(p, 2, 7));
  p.operators.back().wait = 0;
  EXPECT_TRUE(stretch_of(p, 2, 7));
}

}  // namespace
}  // namespace ascendsim
