// What a frontend needs to speak TLS (RFC 6733 13.1, TS 33.210 6.2): its certificate, its key, and the
// authorities that it trusts. Runs in hss-frontend. Law 10: the key comes as a descriptor that hssd opened
// and did not read; it is read here once, its bytes are wiped, and it lives on inside OpenSSL only.
//
// TLS 1.2 and 1.3, forward secrecy and authenticated encryption only; no renegotiation, no tickets, no
// resumption (each connection proves who it is), no compression.
#pragma once
#include <stddef.h>
#include "frontend/tls_times.h"
#include "config/config.h"

struct ssl_ctx_st;
struct ssl_st;
struct x509_st;

// The order of the descriptors of `tls_load`.
enum tls_file { TLS_CERTIFICATE, TLS_KEY, TLS_CA, TLS_CRL };

// Once, before the sandbox: makes OpenSSL read now whatever it reads from disk.
int tls_init(void) MUST_USE;
// Reads the PEM files (from their beginning, whatever their offset is; TLS_CRL may be empty) and makes them
// what new connections use; those that exist go on, but see transport_ops.proof. The descriptors are taken.
// 0, or a negative errno and one line in the log: then nothing has changed.
int tls_load(const int fds[CONFIG_TLS_FILES], const struct config *config) MUST_USE;
void tls_fini(void);
// Called now and then: warns of whatever has expired or soon will, and says how many that are.
struct tls_times tls_watch(const struct config *config);

// Was a PEM file read to its end? That is: the last read failed for that reason alone. Clears its error.
bool tls_pem_ended(void);

// What new connections are made of; NULL when nothing was loaded. For the thread that loads.
struct ssl_ctx_st *tls_context(void);
// A session made of it, for any thread; NULL when nothing was loaded or there is no memory.
struct ssl_st *tls_session_new(void);
// Why OpenSSL's last call failed, for a log line. `verify`: the result of the certificate's check.
const char *tls_reason(long verify);
// The name in a certificate, for a log line: its first DNS name, else its subject. `cert` NULL: the
// certificate whose check failed last, or an empty name.
void tls_certificate_name(const struct x509_st *cert, char *out, size_t cap);
