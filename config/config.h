// The configuration, read once by hssd from one YAML file and handed to the roles as this plain struct (no pointers,
// no secrets: files that hold secrets are named here, opened by hssd, and passed to their role as descriptors, unread).
// The options themselves are rows of options.def: name, type, range, default, reloadable, help; the manual's
// reference, --check's messages and the parser all come from them.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "apps/options_structs.def"

#define CONFIG_NAME_MAX	   256
#define CONFIG_PATH_MAX	   256
#define CONFIG_LISTEN_MAX  16
#define CONFIG_ADDRESS_MAX 7
#define CONFIG_REALM_MAX   8
#define CONFIG_PEER_MAX	   256
#define CONFIG_TLS_FILES   4
#define CONFIG_SOURCE_MAX  2
#define CONFIG_APP_MAX	   8
#define CONFIG_PARTNER_MAX 64
#define CONFIG_HOST_MAX	   64
#define CONFIG_REMEMBERED_MAX 48
#define CONFIG_CAPABILITY_MAX 16
#define CONFIG_SHARED_MAX  16
#define CONFIG_VISITED_MAX 16
#define CONFIG_REDIRECT_MAX 32

enum config_transport { TRANSPORT_TCP, TRANSPORT_SCTP, TRANSPORT_TLS };
enum config_store { STORE_SQLITE, STORE_MONGODB, STORE_CSV };
enum config_tls_verify { TLS_VERIFY_REQUIRED, TLS_VERIFY_OPTIONAL };
enum config_accept { ACCEPT_ANY, ACCEPT_LISTED };

struct config_listen {
	uint8_t transport; // enum config_transport
	uint16_t port;
	char address[CONFIG_HOST_MAX]; // IPv4 or IPv6, numeric once config_resolve has been there
	char addresses[CONFIG_ADDRESS_MAX][CONFIG_HOST_MAX]; // further ones of a multihomed SCTP endpoint
	uint32_t address_cnt;				     // of `addresses`
	bool freebind; // also while no interface has the address
};

enum config_via { VIA_ANY, VIA_TCP, VIA_SCTP, VIA_TLS };
enum config_app {
#define APP(number, folder, application) CONFIG_APP_##folder,
#include "apps/apps.def"
#undef APP
};

struct config_peer {
	char host[CONFIG_NAME_MAX]; // Origin-Host, lower case; or all that end so: "*.epc.example"
	char addresses[CONFIG_SOURCE_MAX][CONFIG_HOST_MAX]; // where it is; numeric once config_resolve has been there
	uint32_t address_cnt;
	char from[CONFIG_SOURCE_MAX][46]; // where it may come from; none: see config_peer_sources
	uint32_t from_cnt;
	uint8_t applications[CONFIG_APP_MAX]; // enum config_app; none: all
	uint32_t application_cnt;
	uint32_t max_pending; // 0: that of all peers
	uint32_t max_rate;    // requests a second; 0: no limit
	uint8_t via;	      // enum config_via: the transport that it must use
	bool connect;	      // we connect to it, at addresses[0] (SCTP: at all)
	uint16_t port;	      // there; 0: that of the transport
	bool refuse_in_aia; // refuse in the AIA what a ULA would refuse (stock Open5GS MMEs drop error ULAs)
	bool interconnect;  // other operators' requests come through it: they are checked (frontend/interconnect.h)
};

// A peer that was connected before this start, to be dialled (peers.dial_back). Not an option: hssd remembers it.
struct config_remembered {
	char host[CONFIG_NAME_MAX];
	char addresses[2][46]; // where it said that it listens, and where it came from; "": not known
	uint8_t via;	       // enum config_via
};

struct config {
	// identity
	char host[CONFIG_NAME_MAX];
	char realm[CONFIG_NAME_MAX];
	char realms[CONFIG_REALM_MAX][CONFIG_NAME_MAX]; // further realms that are ours
	uint32_t realm_cnt;
	uint32_t node_id; // 0..3, for the INDs (law 5)
	// listen
	struct config_listen listen[CONFIG_LISTEN_MAX];
	uint32_t listen_cnt;
	// tls; empty paths: none
	char tls_certificate[CONFIG_PATH_MAX];
	char tls_key[CONFIG_PATH_MAX];
	char tls_ca[CONFIG_PATH_MAX];
	char tls_crl[CONFIG_PATH_MAX]; // may be empty beside the others
	uint8_t tls_verify; // enum config_tls_verify
	// peers
	uint8_t accept; // enum config_accept
	struct config_peer peer[CONFIG_PEER_MAX];
	uint32_t peer_cnt;
	bool refuse_in_aia; // default for peers that are not listed
	char partner_realms[CONFIG_PARTNER_MAX][CONFIG_NAME_MAX]; // that may come through interconnect peers; none: any but ours
	uint32_t partner_realm_cnt;
	bool interconnect_log_only; // what these checks find is logged and counted, and served all the same
	bool dial_back;	    // peers that were connected before a start are dialled
	uint32_t watchdog_ms;	   // Tw of RFC 3539, >= 6000
	uint32_t cer_timeout_ms;   // a connection without CER is closed
	uint32_t max_message;	   // octets of one Diameter message
	uint32_t max_connections;  // of one frontend
	uint32_t max_half_open;	   // connections of one address that have not sent their CER
	uint32_t max_pending;	   // requests outstanding of one peer
	uint32_t request_timeout_ms; // a request that waited longer is answered 3004
	// processes
	uint32_t frontends;
	uint32_t workers;
	char user[64]; // run roles as; empty: as started
	bool sandbox;  // seccomp; off only where sanitizers or debuggers need it
	uint32_t silence_ms;	    // a process that gives no sign of life for so long is replaced
	uint32_t loader_silence_ms; // the same of the loader, which waits for disks
	// store
	uint8_t store; // enum config_store
	char store_uri[512];
	char store_uri_file[CONFIG_PATH_MAX]; // in place of store_uri
	char store_database[64];
	char store_collection[64];
	uint32_t store_poll_ms;	    // between two sweeps, where there are no change streams
	uint32_t store_lookup_rate; // lookups a second that misses may cause
	char store_path[CONFIG_PATH_MAX];
	char state_dir[CONFIG_PATH_MAX];
	uint32_t max_subscribers;
	uint32_t max_identities; // 0: twice max_subscribers
	// authentication and HSS-initiated requests
	uint32_t max_vectors;	  // a request gets at most this many (5)
	bool allow_xor;		  // serve subscribers with the XOR test algorithm of TS 34.108
	char op_file[CONFIG_PATH_MAX]; // per-operator OP, hex; for subscribers with neither OP nor OPc
	uint32_t hss_request_timeout_ms; // one try
	uint32_t hss_request_rate;	 // paced ones to one node, a second
	uint32_t hss_request_lifetime_s; // one that could not be delivered is dropped after this
	// ims
	char ims_domain[CONFIG_NAME_MAX]; // never empty after config_load
	bool ims_bar_imsi; // the identity that follows from the IMSI is barred where there is another one
	char ims_filter_file[CONFIG_PATH_MAX]; // filter criteria of subscribers that have none of their own
	struct config_shared {
		uint32_t id;
		char file[CONFIG_PATH_MAX];
	} ims_shared[CONFIG_SHARED_MAX]; // filter criteria that documents name by number
	uint32_t ims_shared_cnt;
	char ims_scscf[CONFIG_NAME_MAX]; // SIP URI of the S-CSCF for those who have none; empty: any
	uint32_t ims_capabilities[CONFIG_CAPABILITY_MAX]; // mandatory ones, for those who have none of their own
	uint32_t ims_capability_cnt;
	char ims_visited[CONFIG_VISITED_MAX][CONFIG_NAME_MAX]; // networks from which one may register; none: all
	uint32_t ims_visited_cnt;
	char ims_charging[4][CONFIG_NAME_MAX]; // primary and secondary ECF, primary and secondary CCF
	struct config_redirect {
		char identity[CONFIG_NAME_MAX]; // pattern: * stands for any octets
		char host[CONFIG_NAME_MAX];
	} ims_redirect[CONFIG_REDIRECT_MAX]; // whom other HSSs serve: this one is the SLF
	uint32_t ims_redirect_cnt;
	bool ims_keep_server; // a deregistration that asks for it keeps the S-CSCF's name
	// admin, metrics, log
	char admin_socket[CONFIG_PATH_MAX];
	char admin_group[64];
	char admin_readonly_socket[CONFIG_PATH_MAX]; // empty: none
	char admin_readonly_group[64];
	char metrics_address[64]; // empty: off
	uint16_t metrics_port;
	uint8_t log_level; // enum log_level
	bool log_json;
	bool log_mask_imsi;
	// the applications' own (apps/options.def)
#define APP_OPTIONS(type, member) struct type member;
#include "apps/options_structs.def"
#undef APP_OPTIONS
	// not from the file
	char file[CONFIG_PATH_MAX]; // its name, cut off
	struct config_remembered remembered[CONFIG_REMEMBERED_MAX];
	uint32_t remembered_cnt;
};

#define OPTION_CNT_MAX 176

// Where every value was found; 0: not in the file.
struct config_lines {
	uint32_t option[OPTION_CNT_MAX]; // by row of options.def
	uint32_t listen[CONFIG_LISTEN_MAX];
	uint32_t peer[CONFIG_PEER_MAX];
};

// Where and why a configuration was refused: one line an error, "FILE:LINE: KEY: expected ..., got ...".
struct config_error {
	char text[8192];
	unsigned cnt; // of errors, those included for which there was no room
	struct config_lines lines; // of what was read, for errors that are found later
};

// Reads and checks FILE. 0 and *out filled in (defaults included), or -EINVAL / negative errno and e->text. Touches
// nothing else. Unknown keys, wrong types, values out of range and contradictions are refused, all of them told.
int config_load(const char *path, struct config *out, struct config_error *e) MUST_USE;
// The same from memory (fuzzing, tests); `name` stands for the file in messages.
int config_parse(const char *text, size_t len, const char *name, struct config *out, struct config_error *e) MUST_USE;
// Adds an error that was found after the parse: "NAME:LINE: KEY: TEXT" with the line of this key ("listen[1].address").
void config_tell(struct config_error *e, const char *name, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
// Replaces the host names of listeners, of the metrics endpoint and of peers by their first address. false: one of a listener or
// of the metrics endpoint can't be resolved, and *e says which ones. A peer's that can't be resolved stays as it is: the peer is
// neither dialled there nor let in from there until a reload. Blocks for as long as the system's resolver does.
bool config_resolve(struct config *c, const char *name, struct config_error *e) MUST_USE;
// The effective configuration as YAML, secrets masked (a uri's password).
void config_print(const struct config *c, int fd);
// The same as text, to be freed. NULL: no memory.
char *config_text(const struct config *c);
// The option that fills the member of struct config at this offset, for messages.
const char *config_option_at(size_t offset);
// What differs between two configurations and can't be reloaded: the key's name, or NULL when all can.
const char *config_not_reloadable(const struct config *old, const struct config *new_);
// The next option that differs, from row *at on; *at is then the row behind it. NULL: no more. *live: a reload applies it.
const char *config_changed(const struct config *old, const struct config *fresh, unsigned *at, bool *live);
// Gives `fresh` the old value of this key, one that config_not_reloadable named.
void config_keep(const struct config *old, struct config *fresh, const char *key);
// The realm is ours (identity.realm or realms, or ims.domain; case ignored).
bool config_realm_served(const struct config *c, struct slice realm);
// Whether there is a peer that we connect to, or may have to (dial_back).
bool config_connects(const struct config *c);
// The peer's row: its own, or else that of the longest pattern that it matches; NULL when not listed.
const struct config_peer *config_peer_find(const struct config *c, struct slice host);
// Whether a host is this name (case ignored), or one that a pattern stands for: "*.epc.example".
bool config_host_matches(const char *pattern, struct slice host);
// Whether a peer's host stands for all that end like it: "*.epc.example".
bool config_peer_is_pattern(const struct config_peer *p);
