// Descriptors 0, 1 and 2 of the process.
#pragma once

namespace llm_proxy {

/// Opens those of the standard descriptors that are closed (`llm-proxy >&-`) on /dev/null. To be called
/// before anything else opens a descriptor: the next one, a client's socket for instance, would become
/// standard output and get the log. Returns false if /dev/null cannot be opened; then nothing may be opened.
[[nodiscard]] bool open_standard_streams();

}  // namespace llm_proxy
