// What is checked of requests that come through interconnect peers (`peers.list[].interconnect`): other operators send them,
// and their realms and hosts are what these say. Grammar, applications and directions are checked for all peers (check.h); whether
// the realm fits Visited-PLMN-Id is for the application, which learns of the peer by IPC_PEER_INTERCONNECT. Pure.
#pragma once
#include "config/config.h"
#include "lib/base/wire.h"

struct interconnect_asked {
	struct slice host, realm; // Origin-Host, Origin-Realm
	struct slice session;	  // Session-Id; empty: none
};
// NULL: nothing is wrong. Else what is, for the log, and the Result-Code. `our_realm` is one of ours, beside identity.realms.
const char *interconnect_finding(const struct config *config, struct slice our_realm, const struct interconnect_asked *q,
				 uint32_t *result);
