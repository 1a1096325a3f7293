// Denormal numbers cost hundreds of cycles on some CPUs and mean nothing here: this flushes them in
// one thread, while an object of it lives. Knows nothing else.

#pragma once

#if defined(__SSE2__)
#include <immintrin.h>
#endif

class FlushDenormals {
#if defined(__SSE2__)
  unsigned saved_ = _mm_getcsr();

 public:
  FlushDenormals() { _mm_setcsr(saved_ | 0x8040u); }
  ~FlushDenormals() { _mm_setcsr(saved_); }
#else
 public:
  FlushDenormals() {}
#endif
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;
};
