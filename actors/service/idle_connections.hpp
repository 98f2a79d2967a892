// The connections of an acceptor that have no request, in the order in which they became idle. It picks the
// one that is closed when a client waits for a place.
#pragma once

#include "http/downstream/connection.hpp"

#include <boost/intrusive/list.hpp>

namespace llm_proxy {

class idle_connections {
 public:
  /// Adds a connection that has become idle. It removes itself when it is no longer idle.
  void add(connection& which) { (which.is_used() ? used_ : never_used_).push_back(which); }

  /// Closes the connection that has been idle longest among those that never had a request. If there is none
  /// and `used_too` is set, closes the one that has been idle longest among the others. Returns whether one
  /// was closed.
  bool close_longest(bool used_too) { return close_first(never_used_) || (used_too && close_first(used_)); }

 private:
  using list = boost::intrusive::list<connection, boost::intrusive::base_hook<idle_hook>,
                                      boost::intrusive::constant_time_size<false>>;

  static bool close_first(list& from) {
    // Each of them may have received a request that nobody has read yet, and such a connection is not closed.
    // The number of tries is limited; the caller tries again later.
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
