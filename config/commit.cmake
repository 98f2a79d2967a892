# Writes OUTPUT, a header with the commit that SOURCE stands at, at each build and only when it changed. In this order:
# COMMIT (-DLLM_PROXY_COMMIT=…), git, the file COMMIT of a released source tree, nothing.
if(NOT COMMIT AND EXISTS ${SOURCE}/.git)
  # A read only: no lock on a work tree that somebody works in.
  execute_process(COMMAND git --no-optional-locks -C ${SOURCE} describe --always --dirty --tags
    OUTPUT_VARIABLE COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
endif()
if(NOT COMMIT AND EXISTS ${SOURCE}/COMMIT)
  file(STRINGS ${SOURCE}/COMMIT COMMIT LIMIT_COUNT 1)
endif()
string(REGEX REPLACE "[^A-Za-z0-9._/+-]" "" COMMIT "${COMMIT}")
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT [[
// Written by config/commit.cmake.
#pragma once

namespace llm_proxy {

/// `git describe` of the source; empty when it is unknown.
inline constexpr char built_from[] = "@COMMIT@";

}  // namespace llm_proxy
]] @ONLY)
