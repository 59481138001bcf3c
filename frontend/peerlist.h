// What an operator asks a frontend through hss-admin: `peer list` (one row a peer, streamed), `peer show` and
// `peer disconnect`. Runs in hss-frontend.
#pragma once

struct frontend;
struct peerlist;

// 0 or a negative errno.
int peerlist_new(struct frontend *fe);
void peerlist_free(struct frontend *fe);
// The channel to hss-admin; replaces the former one. The descriptor is taken.
void peerlist_admin_take(struct frontend *fe, int fd);
