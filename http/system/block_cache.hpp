// Small memory blocks that an I/O thread freed, kept for its next allocations.
//
// A request allocates some 50 small objects (actors, messages, strings), and one turn of an I/O thread serves
// many requests. glibc keeps only seven blocks of each size ready for a thread; all others cost several times
// as much. Without this cache a JSON request takes 8.5 % more instructions (callgrind, 2,500 requests on one
// connection), and 9 to 11 % more CPU time at 64 connections (scripts/bench.sh requests, two runs).
//
// This file replaces `operator new` and `operator delete` of the whole process, on top of malloc. A thread
// that has not called begin() uses malloc directly. Sanitized builds use the sanitizer's operators.
#pragma once

namespace llm_proxy::block_cache {

/// From now on the calling thread keeps the blocks that it frees, up to a limit (block_cache.cpp). To be
/// called once per thread.
void begin();

/// Gives the blocks that the calling thread keeps back to malloc.
void clear();

/// Calls clear(), and from now on keeps nothing. To be called before the thread ends.
void end();

}  // namespace llm_proxy::block_cache
