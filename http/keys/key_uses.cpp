#include "http/keys/key_uses.hpp"

#include <algorithm>
#include <utility>

namespace llm_proxy {

void key_uses::note(const std::string& name, const key_use_ptr& use, std::int64_t now) {
  if (use->load(std::memory_order_relaxed) == now) return;
  if (use->exchange(now, std::memory_order_relaxed) == 0) {
    const std::lock_guard lock{changing_};
    // One place is reserved for `other`.
    if (listed_.size() + 1 < most_ && room_->take(bytes_of(name)))
      listed_.push_back({name, use});
    else
      use->unlisted.store(true, std::memory_order_relaxed);
  }
  if (use->unlisted.load(std::memory_order_relaxed)) others_.store(now, std::memory_order_relaxed);
}

void key_uses::keep_if(const std::function<bool(const std::string&)>& stays) {
  const std::lock_guard lock{changing_};
  std::erase_if(listed_, [&](const entry& each) {
    if (stays(each.name)) return false;
    room_->give_back(bytes_of(each.name));
    return true;
  });
}

std::vector<key_uses::last> key_uses::all() const {
  const std::lock_guard lock{changing_};
  std::vector<last> every;
  every.reserve(listed_.size() + 1);
  for (const auto& each : listed_) every.push_back({each.name, each.use->load(std::memory_order_relaxed)});
  if (const auto others = others_.load(std::memory_order_relaxed); others > 0)
    every.push_back({std::string{other_label}, others});
  return every;
}

/// Returns the size of the name's sample: the family's name, `{key="…"} `, a number and a line feed.
std::size_t key_uses::bytes_of(const std::string& name) {
  constexpr std::size_t rest = 31 + 9 + 20;
  return rest + name.size();
}

}  // namespace llm_proxy
