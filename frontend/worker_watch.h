// Which workers are silent. Runs in hss-frontend.
//
// A worker that hangs (stopped, spinning, swapped out) is replaced by hssd after supervision.silence_ms; requests would wait for
// it until then. So a worker is silent here already when for a second its heartbeat has stood still, or it has answered nothing of
// what it owes although it waits for nobody, while another worker lives: what it owes is answered 3004, and its subscribers'
// requests go to the others (law 3) until it gives a sign of life. When all of them are silent it is the machine, or we were away
// ourselves: then nothing is changed.
#pragma once
#include <stdint.h>

struct frontend;

// One look, every FRONTEND_TICK_MS.
void worker_watch_tick(struct frontend *fe, uint64_t now_ms);
