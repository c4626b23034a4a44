// The catalogue of dies, servers, links and kernels: data files under hardware/catalogue/, every number a sourced
// Figure. Only the files that a question needs are read. A die, link or server file may say `inherits: NAME` and give
// only what differs.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/config.h"
#include "sim/units.h"

namespace ascendsim {

// One Ascend 910B chip (A2) or one 910C die (A3): the unit that is one HCCL rank.  hardware/catalogue/dies/<name>.yaml
struct Die {
  std::string name, product;
  Figure<Count> cube_cores, vector_cores;  // AIC, AIV
  Figure<Hertz> clock;
  Figure<FlopsPerSecond> matrix_16bit, matrix_int8;  // cube peaks, BF16/FP16 and INT8
  Figure<FlopsPerSecond> vector_fp16, vector_fp32;
  Figure<Bytes> hbm_capacity;  // what is soldered on
  Figure<Bytes> hbm_visible;   // what the driver shows; memory questions use this one
  Figure<BytesPerSecond> hbm_bandwidth;
  Figure<Bytes> l2_capacity;
  Figure<BytesPerSecond> l2_bandwidth;
  Figure<Watts> power;
  // Per-core facts (l1, l0a, l0b, l0c, ub sizes and so on) for those who ask: `list hardware NAME` prints them.
  std::vector<Figure<Bytes>> core_memories;
};

// Collective costs of one fabric as the communication library shows them; see strategies/collectives/.
// hardware/catalogue/servers/<name>.yaml, section `collectives`: a flat map of named figures so that an algorithm asks
// for what it needs. The type of a figure follows from its unit.
class FigureTable {
 public:
  void add(std::string name, Figure<Duration> f) { durations_.emplace(std::move(name), std::move(f)); }
  void add(std::string name, Figure<Ratio> f) { ratios_.emplace(std::move(name), std::move(f)); }
  void add(std::string name, Figure<Bytes> f) { bytes_.emplace(std::move(name), std::move(f)); }
  void add(std::string name, Figure<BytesPerSecond> f) { rates_.emplace(std::move(name), std::move(f)); }
  [[nodiscard]] Duration duration(std::string_view name) const;  // check()s that it exists, as all four do
  [[nodiscard]] Ratio ratio(std::string_view name) const;
  [[nodiscard]] Bytes bytes(std::string_view name) const;
  [[nodiscard]] BytesPerSecond rate(std::string_view name) const;
  [[nodiscard]] const Figure<Bytes>& bytes_figure(std::string_view name) const;  // with its range
  [[nodiscard]] bool has_ratio(std::string_view name) const { return ratios_.contains(name); }
  [[nodiscard]] bool has_duration(std::string_view name) const { return durations_.contains(name); }
  template <class F>
  void for_each(F&& f) const {
    for (const auto& [n, v] : durations_) f(n, v);
    for (const auto& [n, v] : ratios_) f(n, v);
    for (const auto& [n, v] : bytes_) f(n, v);
    for (const auto& [n, v] : rates_) f(n, v);
  }

 private:
  std::map<std::string, Figure<Duration>, std::less<>> durations_;
  std::map<std::string, Figure<Ratio>, std::less<>> ratios_;
  std::map<std::string, Figure<Bytes>, std::less<>> bytes_;
  std::map<std::string, Figure<BytesPerSecond>, std::less<>> rates_;
};

// hardware/catalogue/links/<name>.yaml. One direction per device.
struct LinkType {
  std::string name, description;
  Figure<BytesPerSecond> bandwidth;  // nominal
  Figure<Ratio> efficiency;          // sustained share of nominal for large transfers
  Figure<Duration> latency;
  FigureTable transfers;  // by what is done over it: gather_efficiency, copy_setup ...; may be empty
};

// The RoCE network: leaf switches with so many NICs each, all joined by a spine that does not block.
struct RoceNetwork {
  Figure<Count> dies_per_leaf;
  Figure<Ratio> oversubscription;  // of a leaf: bandwidth down / bandwidth up
  Figure<Duration> spine_latency;  // one hop between leaf and spine
};

enum class Fabric : unsigned char { kHccsMesh, kUnifiedBus };  // how the dies of one server reach each other

// hardware/catalogue/servers/<name>.yaml
struct Server {
  std::string name, product;
  std::string alias_of;  // 800T A3 is an alias of 800I A3; empty otherwise
  Fabric fabric = Fabric::kHccsMesh;
  int cards = 0;  // what users count: packages on A3, chips on A2
  int dies_per_card = 1;
  int max_servers = 0;                    // of one fabric; 48 on CloudMatrix384, 0 = no stated limit
  Die die;                                // the server's default unless another bin was asked for
  LinkType die_link;                      // A2: one HCCS mesh link; A3: UB port of a die, all planes
  int die_links = 1;                      // A2: 7 mesh links a die; A3: 7 planes
  std::optional<LinkType> package_link;   // A3: SIO between the two dies of a package
  Figure<Ratio> uplink_oversubscription;  // A3: L1 UB switch, bandwidth down / bandwidth up; A2: 1
  LinkType nic;                           // RoCE NIC of a die
  RoceNetwork roce;
  LinkType host_link;  // PCIe (A2) or UB to the CPUs (A3)
  FigureTable collectives;
  [[nodiscard]] int dies() const { return cards * dies_per_card; }
};

// How long kernels of one family take: t0 + (t_mem^p + t_compute^p)^(1/p).  hardware/catalogue/kernels/<core>.yaml
struct KernelFamily {
  std::string name;                 // "gemm_int8", "attention_prefill", ...
  Figure<Duration> t0;              // from launch to the first useful cycle, per launch
  Figure<Ratio> hbm_efficiency;     // of the die's HBM bandwidth, large transfers
  Figure<Ratio> matrix_efficiency;  // of the die's cube peak, large shapes; 0 = no matrix work
  Figure<Ratio> vector_efficiency;  // of the die's vector peak
  Figure<Duration> core_start;      // added to t0 by every core that gets work
  // Kernels that take rows one by one on the vector cores; 0 = the family is not of that kind.
  Figure<Duration> row_time;          // of one row on its core
  Figure<Ratio> l2_efficiency;        // of the L2 bandwidth, what rows are copied in and out with
  Figure<Bytes> block;                // what a core gets at least, where kernels cut bytes instead of rows; 0 = rows
  Figure<Bytes> l2_bytes_per_result;  // of a matrix product, between cube and vector cores
};
struct KernelTable {
  Figure<Ratio> combine_exponent;      // p
  std::vector<KernelFamily> families;  // in the order of the file
  FigureTable shared;                  // graph_kernel_gap, eager_issue, graph_launch, ...
  [[nodiscard]] const KernelFamily& family(std::string_view name) const;  // check()s that it exists
};

class Catalogue {
 public:
  // root: the folder that holds dies/, links/, servers/, kernels/. Nothing is read yet.
  explicit Catalogue(std::string root);

  // Unknown names are diagnosed with the nearest known one and the whole list. `die` empty = the server's default;
  // other bins are those that its file lists. After errors what is returned is incomplete.
  Server server(std::string_view name, std::string_view die, Diagnostics&) const;
  Die die(std::string_view name, Diagnostics&) const;
  LinkType link(std::string_view name, Diagnostics&) const;
  KernelTable kernels(std::string_view name, Diagnostics&) const;

  [[nodiscard]] std::vector<std::string> server_names() const;  // sorted; from the folder's listing
  [[nodiscard]] std::vector<std::string> die_names() const;

 private:
  std::string root_;
};

}  // namespace ascendsim
