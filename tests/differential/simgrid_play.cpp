#include "tests/differential/simgrid_play.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <set>
#include <simgrid/s4u.hpp>
#include <string>
#include <vector>

namespace ascendsim {
namespace {

namespace sg = simgrid::s4u;

// What a rank does in a step.
struct Part {
  std::vector<std::pair<sg::Mailbox*, std::uint64_t>> sends;
  std::vector<sg::Mailbox*> receives;
};
using Parts = std::map<std::uint32_t, Part>;

void live(const Parts* parts) {
  int payload = 0;
  std::vector<sg::CommPtr> waiting;
  std::vector<int*> received;
  for (const auto& [step, part] : *parts) {
    received.assign(part.receives.size(), nullptr);
    waiting.clear();
    for (const auto& [mailbox, bytes] : part.sends) waiting.push_back(mailbox->put_async(&payload, bytes));
    for (std::size_t i = 0; i < part.receives.size(); ++i)
      waiting.push_back(part.receives[i]->get_async<int>(&received[i]));
    sg::Comm::wait_all(waiting);
  }
}

SimgridResult run(const FlowNetwork& network, std::span<const MessageSchedule> schedules) {
  std::vector<std::string> words{"simgrid",
                                 "--cfg=network/model:CM02",
                                 "--cfg=network/TCP-gamma:0",
                                 "--cfg=network/crosstraffic:0",
                                 "--cfg=network/latency-factor:1",
                                 "--cfg=network/bandwidth-factor:1",
                                 "--cfg=network/weight-S:0",
                                 "--cfg=contexts/stack-size:64",
                                 "--log=root.thresh:warning"};
  std::vector<char*> arguments;
  for (std::string& w : words) arguments.push_back(w.data());
  int count = static_cast<int>(arguments.size());
  sg::Engine engine(&count, arguments.data());
  auto* zone = sg::create_full_zone("fabric");
  std::vector<const sg::Link*> links;
  for (std::size_t l = 0; l < network.links().size(); ++l)
    links.push_back(zone->create_link("link" + std::to_string(l), network.links()[l].bandwidth.count())
                        ->set_latency(seconds(network.links()[l].latency))
                        ->seal());
  // A rank of a schedule is a host of its own; where schedules share devices, they share links.
  std::vector<std::vector<sg::Host*>> hosts(schedules.size());
  std::vector<std::vector<Parts>> parts(schedules.size());
  std::vector<std::vector<std::vector<sg::Mailbox*>>> inboxes(schedules.size());
  for (std::size_t s = 0; s < schedules.size(); ++s) {
    for (std::uint32_t r = 0; r < schedules[s].ranks; ++r)
      hosts[s].push_back(zone->create_host("host" + std::to_string(s) + "." + std::to_string(r), 1e9)->seal());
    parts[s].resize(schedules[s].ranks);
    inboxes[s].resize(schedules[s].ranks);
    std::set<std::pair<std::uint32_t, std::uint32_t>> known;
    for (const Message& m : schedules[s].messages) {
      auto* mailbox =
          sg::Mailbox::by_name(std::to_string(s) + ":" + std::to_string(m.from) + ">" + std::to_string(m.to));
      parts[s][m.from][m.step].sends.emplace_back(mailbox, static_cast<std::uint64_t>(m.bytes.count()));
      parts[s][m.to][m.step].receives.push_back(mailbox);
      if (!known.emplace(m.from, m.to).second) continue;
      inboxes[s][m.to].push_back(mailbox);
      std::vector<const sg::Link*> hops;
      for (const LinkIndex l : network.route(m.route)) hops.push_back(links[l]);
      zone->add_route(hosts[s][m.from]->get_netpoint(), hosts[s][m.to]->get_netpoint(), nullptr, nullptr,
                      std::vector<sg::LinkInRoute>(hops.begin(), hops.end()), false);
    }
  }
  zone->seal();
  for (std::size_t s = 0; s < schedules.size(); ++s)
    for (std::uint32_t r = 0; r < schedules[s].ranks; ++r) {
      auto actor = sg::Actor::create("rank", hosts[s][r], live, &parts[s][r]);
      for (sg::Mailbox* mailbox : inboxes[s][r]) mailbox->set_receiver(actor);
    }
  const double begin = processor_seconds();
  engine.run();
  const double took = processor_seconds() - begin;
  return {sg::Engine::get_clock(), took};
}

}  // namespace

SimgridResult simgrid_play(const FlowNetwork& network, std::span<const MessageSchedule> schedules) {
  int channel[2];
  check(pipe(channel) == 0, "no pipe to a child process");
  fflush(nullptr);  // else the child prints what is buffered again
  const pid_t child = fork();
  check(child >= 0, "no child process");
  if (child == 0) {
    close(channel[0]);
    const SimgridResult result = run(network, schedules);
    const bool written = write(channel[1], &result, sizeof result) == sizeof result;
    _exit(written ? 0 : 1);
  }
  close(channel[1]);
  SimgridResult result;
  const bool got = read(channel[0], &result, sizeof result) == sizeof result;
  close(channel[0]);
  int status = 0;
  waitpid(child, &status, 0);
  check(got && status == 0, "SimGrid did not come to an end");
  return result;
}

}  // namespace ascendsim
