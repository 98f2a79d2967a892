// The connections of an acceptor that have no request, in the order in which they became idle: which one is
// closed when others wait for its place.
#pragma once

#include "http/downstream/connection.hpp"

#include <boost/intrusive/list.hpp>

namespace llm_proxy {

class idle_connections {
 public:
  /// `which` is idle from now on. It leaves by itself when it is not.
  void add(connection& which) { (which.is_used() ? used_ : never_used_).push_back(which); }

  /// Closes the one that has been idle longest; one that never had a request before all others, and none of
  /// the others unless `used_too`. Returns whether there was one.
  bool close_longest(bool used_too) { return close_first(never_used_) || (used_too && close_first(used_)); }

 private:
  using list = boost::intrusive::list<connection, boost::intrusive::base_hook<idle_hook>,
                                      boost::intrusive::constant_time_size<false>>;

  static bool close_first(list& from) {
    // A request may have come on each of them that nobody has looked at yet. Who asks tries again.
    constexpr int most_tries = 16;
    for (int i = 0; i < most_tries && !from.empty(); ++i) {
      auto& first = from.front();
      if (first.close_if_idle()) return true;
      if (first.idle_hook::is_linked()) from.splice(from.end(), from, from.iterator_to(first));
    }
    return false;
  }

  list never_used_;
  list used_;
};

}  // namespace llm_proxy
