// A capture file of Diameter messages (pcapng), without the packets that carried them: Wireshark's exported
// PDUs, each with the addresses, the time, and a comment. So TLS and SCTP are in it in clear text, and
// nothing is made up.
#pragma once
#include <stdbool.h>
#include <stdio.h>
#include "lib/base/wire.h"

struct pcapng {
	FILE *f;
};

// Makes the file, mode 0600, in place of one that is there. false: errno.
bool pcapng_open(struct pcapng *p, const char *path);
// One message. `address`: of the peer, with its port; `in`: from it. `comment` may be empty. Written at once:
// the file is whole whenever the program ends. false: errno.
bool pcapng_put(struct pcapng *p, uint64_t time_us, bool in, const char *address, struct slice message,
		const char *comment);
// false: errno.
bool pcapng_close(struct pcapng *p);
