#include "http/loop/reactor.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace llm_proxy {

namespace {

[[noreturn]] void fail(const char* what) {
  throw std::system_error{errno, std::generic_category(), what};
}

}  // namespace

// -- what other threads leave ------------------------------------------------------

thread_inbox::thread_inbox() : descriptor_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)} {
  if (descriptor_ < 0) fail("eventfd");
}

thread_inbox::~thread_inbox() {
  ::close(descriptor_);
}

void thread_inbox::post(std::function<void()> task) {
  bool first = false;
  {
    const std::lock_guard lock{mutex_};
    first = tasks_.empty();
    tasks_.push_back(std::move(task));
  }
  // Only the first task wakes the thread, which then finds the others too.
  const std::uint64_t one = 1;
  if (first && ::write(descriptor_, &one, sizeof(one)) < 0 && errno != EAGAIN) fail("eventfd");
}

std::vector<std::function<void()>> thread_inbox::take() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto n = ::read(descriptor_, &count, sizeof(count));
  const std::lock_guard lock{mutex_};
  return std::exchange(tasks_, {});
}

// -- sockets -------------------------------------------------------------------------

reactor::reactor() : epoll_{::epoll_create1(EPOLL_CLOEXEC)} {
  if (epoll_ < 0) fail("epoll_create1");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = inbox_.get();
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, inbox_->descriptor_, &event) != 0) fail("epoll_ctl");
}

reactor::~reactor() {
  ::close(epoll_);
}

void reactor::add(int descriptor, watcher& who) {
  epoll_event event{};
  // Watching for writability takes no further system call. It is reported when a full socket has room again.
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &who;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) != 0) fail("epoll_ctl");
}

void reactor::remove(int descriptor, watcher& who) {
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr);
  for (auto i = next_; i < count_; ++i) {
    if (events_[i].data.ptr == &who) events_[i].data.ptr = nullptr;
  }
  const auto is_of = [&who](const reminder& each) { return each.who == &who; };
  std::erase_if(again_, is_of);
  // A round may be working on telling_ and removes entries at its end, so entries are only cleared here.
  std::replace_if(telling_.begin(), telling_.end(), is_of, reminder{nullptr, {}});
}

void reactor::again(watcher& who, readiness what) {
  again_.push_back({&who, what});
}

std::size_t reactor::run_round(int timeout_ms) {
  if (next_ == count_) {
    telling_.insert(telling_.end(), again_.begin(), again_.end());
    again_.clear();
    const bool at_once = !telling_.empty() || !tasks_.empty();
    next_ = count_ = 0;
    const auto found = ::epoll_wait(epoll_, events_.data(), max_events, at_once ? 0 : timeout_ms);
    if (found > 0) count_ = static_cast<std::size_t>(found);
    woke_at_ = std::chrono::steady_clock::now();
  }
  std::size_t told = 0;
  for (; next_ < count_; ++told) tell(events_[next_++]);
  for (; !telling_.empty(); ++told) {
    const auto [who, what] = telling_.back();
    telling_.pop_back();
    if (who != nullptr) who->on_ready(what);
  }
  run_tasks();
  return told;
}

void reactor::tell(const epoll_event& event) {
  if (event.data.ptr == inbox_.get()) {
    auto tasks = inbox_->take();
    tasks_.insert(tasks_.end(), std::make_move_iterator(tasks.begin()), std::make_move_iterator(tasks.end()));
  } else if (event.data.ptr != nullptr) {
    const bool broken = (event.events & (EPOLLERR | EPOLLHUP)) != 0;
    static_cast<watcher*>(event.data.ptr)
        ->on_ready({broken || (event.events & (EPOLLIN | EPOLLRDHUP)) != 0,
                    broken || (event.events & EPOLLOUT) != 0, broken || (event.events & EPOLLRDHUP) != 0});
  }
}

void reactor::run_tasks() {
  // Those that are added meanwhile, or left behind by an exception, run in the next round.
  for (auto left = tasks_.size(); left > 0; --left) {
    const auto task = std::move(tasks_.front());
    tasks_.pop_front();
    task();
  }
}

}  // namespace llm_proxy
