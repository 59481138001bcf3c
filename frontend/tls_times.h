// When our own certificate and the revocation lists expire, and which lists are missing. Runs in hss-frontend. Nothing is refused
// here: operators are warned before peers refuse us, or we refuse peers.
#pragma once
#include <openssl/types.h>
#include <stdbool.h>
#include "config/config.h"

struct tls_times {
	unsigned lists; // revocation lists
	unsigned late;  // of them and the certificate: in the last part of their time
	unsigned past;  // past it, or not begun
};

// What ctx has, at this moment. say: one warning for each thing that is late or past, for a certificate that
// names another host, and for an authority without a list where there are lists.
struct tls_times tls_times_of(const SSL_CTX *ctx, const struct config *config, bool say);
