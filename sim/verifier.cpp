#include "sim/verifier.h"

#include <vector>

#include "sim/drive.h"

namespace ascendsim {

namespace {

class Verifier {
 public:
  Verifier(std::span<const Program* const> programs, const Folding& folding)
      : programs_(programs), folding_(folding), written_(programs.size()) {
    for (std::size_t c = 0; c < programs.size(); ++c) {
      written_[c].resize(programs[c]->buffers.size());
      for (std::size_t b = 0; b < written_[c].size(); ++b)
        written_[c][b] = programs[c]->buffers[b].kind != BufferKind::kActivation;
    }
  }

  void local(int rank_class, std::size_t index) { reads_and_writes(rank_class, index); }

  void exchange(const Folding::Meeting& meeting, std::span<const Arrival> arrivals) {
    const OperatorView first = view(arrivals[0]);
    std::int64_t gathered_rows = 0, received_rows = 0;
    for (const Arrival& a : arrivals) {
      const OperatorView v = view(a);
      reads_and_writes(a.rank_class, a.op);
      expect(v.op().type == first.op().type, a, "a different collective than its peers");
      expect(std::string_view(v.op().label) == first.op().label, a, "a different step than its peers");
      expect(v.op().stream == first.op().stream, a, "another stream than its peers");
      expect(v.in(0).dtype == first.in(0).dtype && v.out().dtype == first.out().dtype, a, "another element type");
      expect(v.in(0).columns == first.in(0).columns && v.out().columns == first.out().columns, a, "another width");
      int ranks = 0;
      for (const Folding::Member& m : meeting.members) {
        ranks += m.ranks;
        if (m.rank_class != a.rank_class) continue;
        gathered_rows += std::int64_t{v.in(0).rows} * m.ranks;
        received_rows += std::int64_t{v.out().rows} * m.ranks;
      }
      expect(v.params<CollectiveParams>().ranks == ranks, a, "another group size");
    }
    for (const Arrival& a : arrivals) shapes(a, gathered_rows, received_rows, first);
  }

 private:
  OperatorView view(const Arrival& a) const { return programs_[static_cast<std::size_t>(a.rank_class)]->view(a.op); }

  void expect(bool holds, const Arrival& a, std::string_view what) const {
    if (holds) return;
    const Operator& op = view(a).op();
    check(false,
          fmt::format("rank {} enters '{}' (operator {}, layer {}) with {}",
                      folding_.representative[static_cast<std::size_t>(a.rank_class)], op.label, a.op, op.layer, what));
  }

  void shapes(const Arrival& a, std::int64_t gathered_rows, std::int64_t received_rows,
              const OperatorView& first) const {
    const OperatorView v = view(a);
    const auto& params = v.params<CollectiveParams>();
    switch (v.op().type->primitive) {
      case Primitive::kAllGather:
        if (params.axis == Axis::kRows)
          expect(v.out().rows == gathered_rows, a, "room for other rows than its peers send");
        else
          expect(v.in(0).rows == first.in(0).rows, a, "other rows than its peers");
        break;
      case Primitive::kReduceScatter:
        expect(v.in(0).rows == first.in(0).rows && std::int64_t{v.out().rows} * params.ranks >= v.in(0).rows, a,
               "other rows than its peers");
        break;
      case Primitive::kAllReduce:
        expect(v.in(0).rows == first.in(0).rows, a, "other rows than its peers");
        break;
      case Primitive::kShift:
        expect(gathered_rows == received_rows, a, "room for other rows than its peers send");
        break;
      case Primitive::kBroadcast:
        expect(v.in(0).rows == first.in(0).rows && params.detail == first.params<CollectiveParams>().detail, a,
               "another root or other rows than its peers");
        break;
      case Primitive::kAllToAll:
      case Primitive::kDispatch:
      case Primitive::kCombine:
      case Primitive::kNone:
        break;
    }
  }

  void reads_and_writes(int rank_class, std::size_t index) {
    const OperatorView v = programs_[static_cast<std::size_t>(rank_class)]->view(index);
    auto& written = written_[static_cast<std::size_t>(rank_class)];
    for (std::size_t i = 0; i < v.op().inputs; ++i)
      expect(written[v.in(i).buffer], {rank_class, index}, "a value that nothing has written");
    for (std::size_t i = 0; i < v.op().outputs; ++i) written[v.out(i).buffer] = true;
  }

  std::span<const Program* const> programs_;
  const Folding& folding_;
  std::vector<std::vector<bool>> written_;
};

}  // namespace

void verify(std::span<const Program* const> programs, const Folding& folding) {
  Verifier verifier(programs, folding);
  drive(programs, folding, verifier);
}

}  // namespace ascendsim
