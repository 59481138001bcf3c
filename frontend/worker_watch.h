// Which workers are silent. Runs in hss-frontend.
//
// hssd replaces a worker that hangs (stopped, spinning, swapped out) after supervision.silence_ms. Requests
// would wait for it until then. So a frontend treats a worker as silent already after one second, if another
// worker lives and
//   - its heartbeat has stood still, or
//   - it has answered none of its requests although it waits for no other process.
// The requests that it has are answered 3004. Further requests of its subscribers go to the other workers
// (law 3) until it gives a sign of life. When all workers are silent, the machine or this frontend itself was
// stopped: then nothing changes.
#pragma once
#include <stdint.h>

struct frontend;

// One look, every FRONTEND_TICK_MS.
void worker_watch_tick(struct frontend *fe, uint64_t now_ms);
