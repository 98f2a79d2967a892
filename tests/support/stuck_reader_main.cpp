// The service in the case that the files which a SIGHUP reads are on a mount that hangs.
#include "actors/service/configuration.hpp"
#include "actors/service/serve.hpp"

#include <unistd.h>

int main() {
  const auto parsed = llm_proxy::read_settings();
  if (!parsed.faults.empty()) return 2;
  return llm_proxy::serve(parsed.values, {}, [](const llm_proxy::settings&) -> llm_proxy::configuration {
    while (true) ::pause();
  });
}
