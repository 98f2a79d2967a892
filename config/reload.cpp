#include "config/reload.hpp"

#include "config/option_table.hpp"

#include <variant>

namespace llm_proxy {

reloaded_settings merge_reloaded(const settings& running, const settings& fresh) {
  reloaded_settings out{fresh, {}, {}};
  for (const option& o : options()) {
    std::visit(
        [&](auto place) {
          if (running.*place == fresh.*place) return;
          (o.is_live() ? out.changed : out.ignored).push_back(env_name(o));
          if (!o.is_live()) out.values.*place = running.*place;
        },
        o.place);
  }
  return out;
}

}  // namespace llm_proxy
