#include "http/loop/turn.hpp"

#include "support/catch.hpp"

#include <memory>
#include <stdexcept>
#include <string>

namespace llm_proxy {

namespace {

struct named_task : turn_task {
  named_task(std::string& log, char name, bool fails = false) : log_{log}, name_{name}, fails_{fails} {}
  void run_turn() override {
    log_ += name_;
    if (fails_) throw std::runtime_error{"x"};
  }

  std::string& log_;
  char name_;
  bool fails_;
};

}  // namespace

TEST_CASE("turn: the tasks that are left when one throws run next, before later ones", "[unit][turn]") {
  std::string log;
  turn tasks;
  tasks.later(std::make_shared<named_task>(log, 'a'));
  tasks.later(std::make_shared<named_task>(log, 'b', true));
  tasks.later(std::make_shared<named_task>(log, 'c'));
  CHECK_THROWS(tasks.run());
  CHECK(log == "ab");
  tasks.later(std::make_shared<named_task>(log, 'd'));
  CHECK_FALSE(tasks.empty());
  tasks.run();
  CHECK(log == "abc");
  CHECK_FALSE(tasks.empty());
  tasks.run();
  CHECK(log == "abcd");
  CHECK(tasks.empty());
}

}  // namespace llm_proxy
