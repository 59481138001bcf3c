// Decides from the configuration, the certificate and the CER which peers are let in, and sets their limits. Runs in hss-frontend.
// A peer's row of peers.list is looked up by its Origin-Host once for each CER and reload, never for a request.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "config/config.h"
#include "lib/diameter/base.h"

struct conn;
struct frontend;
struct transport;

// 0, or the Result-Code that refuses this CER, and why (valid until the next call): 3010 not listed, another
// address, another certificate, our own name; 5017 no TLS where it is demanded; 5010 no common application.
uint32_t admission_result(const struct conn *c, const struct base_cer *cer, const char **why);
// The same for a peer that is in, after a reload: 0 when it would be let in again.
uint32_t admission_again(const struct conn *c, const char **why);
// Is this the CER of hssd, which tests whether we serve (supervisor/probe.c)? It has our own Origin-Host,
// comes from an address of ours, and carries a random token that only our processes know.
bool admission_probe(const struct conn *c, const struct base_cer *cer);
// What the configuration says about a peer that is in: limits, watchdog, flags. At its CER, and at each
// reload.
void admission_configure(struct conn *c);
// The applications that a listed peer may use, as a mask of frontend.apps.
uint64_t admission_apps(const struct frontend *fe, const struct config_peer *known);
// Counts a request of a peer that has a max_rate; false when it is above.
bool admission_rate(struct conn *c);
// Where connections of this address without a CER are counted; -1: it has none, and no limit.
int admission_bucket(const struct frontend *fe, const struct transport *transport);
// Has the address limits.max_half_open of them? Then a further one is refused, counted and logged.
bool admission_half_open_full(struct frontend *fe, const struct transport *transport, int bucket);
