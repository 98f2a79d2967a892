// Descriptors 0, 1 and 2 of the process.
#pragma once

namespace llm_proxy {

/// Opens those standard descriptors that are closed (`llm-proxy >&-`) on /dev/null. It must be called before
/// anything else opens a descriptor: otherwise the next one, for example a client's socket, would become
/// standard output and get the log. Returns false if /dev/null cannot be opened; then nothing else may be
/// opened.
[[nodiscard]] bool open_standard_streams();

}  // namespace llm_proxy
