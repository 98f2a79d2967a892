// Small memory blocks that an I/O thread freed, kept for its next allocations.
//
// A request allocates some 50 small objects (actors, messages, strings), and one turn of an I/O thread serves
// many requests: more than the seven blocks of a size that glibc keeps at hand for a thread. What goes past
// those costs several times as much. This is `operator new` and `operator delete` of the whole process, over
// malloc; a thread that did not begin() has malloc plain. Sanitized builds have the sanitizer's.
#pragma once

namespace llm_proxy::block_cache {

/// The calling thread keeps from now on what it frees, a bounded part of it (block_cache.cpp). To be called
/// once.
void begin();

/// Gives back to malloc what the calling thread keeps.
void clear();

/// clear(), and keeps nothing any more: before the thread ends.
void end();

}  // namespace llm_proxy::block_cache
