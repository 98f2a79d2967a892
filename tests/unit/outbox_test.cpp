#include "http/downstream/outbox.hpp"

#include "support/catch.hpp"

#include <string>

namespace llm_proxy {

namespace {

/// Sends everything, at most `step` bytes at a time.
std::string send_all(outbox& from, std::size_t step) {
  std::string sent;
  for (auto next = from.front(); !next.empty(); next = from.front()) {
    sent += next.substr(0, step);
    from.sent(std::min(step, next.size()));
  }
  return sent;
}

}  // namespace

TEST_CASE("outbox: bytes leave in the order in which they were written, at any step", "[unit][outbox]") {
  turn writes;
  const std::string page(100, 'p');
  for (std::size_t step = 1; step <= 120; ++step) {
    outbox out{writes};
    CHECK(out.front().empty());
    out.end() += "head ";
    CHECK(out.front() == "head ");
    out.sent(2);
    out.end() += "more ";
    out.add_constant(page);
    CHECK(out.holds_constant());
    out.end() += "end";
    CHECK(out.size() == 3 + 5 + 100 + 3);
    CHECK(send_all(out, step) == "ad more " + page + "end");
    CHECK_FALSE(out.holds_constant());
    CHECK(out.size() == 0);
  }
}

TEST_CASE("outbox: what is asked for again begins with the same bytes", "[unit][outbox]") {
  turn writes;
  outbox out{writes};
  out.end() += "first";
  const std::string before{out.front()};
  out.end() += "second";
  CHECK(std::string{out.front()}.starts_with(before));
  const std::string page = "page";
  out.add_constant(page);
  CHECK(std::string{out.front()}.starts_with(before));
  CHECK(send_all(out, 3) == "firstsecondpage");
}

}  // namespace llm_proxy
