// Bodies of the internal messages. Same machine, same build: fields are native, laid out by hand without
// holes. A receiver still reads them through the bounded reader and checks what it uses as an index: siblings
// are semi-trusted. Frame: struct ipc_hdr, then the body, padded to 8 octets.
#pragma once
#include <assert.h>
#include <stdint.h>
#include "lib/base/wire.h"

#define IPC_BODY_MAX (352u << 10) // a BOOT holds the whole configuration

enum ipc_type {
	IPC_NONE = 0,
#define IPC(id, from, to, min, max) IPC_##id,
#include "lib/ipc/messages.def"
#undef IPC
	IPC_TYPE_CNT
};

// The processes, in the order of enum role (cache/control.h; supervisor/role.c proves it).
enum ipc_side {
	IPC_SIDE_HSSD,
	IPC_SIDE_FRONTEND,
	IPC_SIDE_WORKER,
	IPC_SIDE_LOADER,
	IPC_SIDE_ADMIN,
	IPC_SIDE_ANY,
	IPC_SIDE_NONE
};

struct ipc_hdr {
	uint32_t len;  // header and body, without padding
	uint16_t type; // enum ipc_type
	uint16_t
	    flags;   // BOOT, EDGE, RELOAD: how many descriptors come with the frame; others: 0 or the message's own
	uint64_t id; // what the answer to this message carries back
};
static_assert(sizeof(struct ipc_hdr) == 16, "");

// REQUEST: this, then slot_cnt x struct avp_slot (12 octets each), then the message's bytes.
struct ipc_request {
	uint32_t conn;       // the frontend's connection
	uint32_t generation; // of that connection number
	uint64_t arrival_us; // monotonic
	uint64_t host_hash;  // Origin-Host of the request (not of the peer: relays), case folded
	uint64_t imsi;       // imsi_t.v of the subject, or of what its user could be: then it must be checked
	uint64_t msisdn;     // the same as msisdn_t.v; both are 0 when there is none
	uint64_t subject;    // struct subject's hash, 0 for none
	uint32_t msg_len;
	uint16_t command; // enum command_id
	uint16_t slot_cnt;
	uint32_t peer_flags; // enum ipc_peer_flag
	uint8_t subject_type; // enum subject_type
	uint8_t subject_slot; // which of the slots holds it (the group, when it is inside of one)
	uint16_t spare;
};
static_assert(sizeof(struct ipc_request) == 64, "");

// The worker that a subject's requests go to if it is there. It keeps them in order; correctness never
// depends on it (law 3).
static inline unsigned ipc_worker_of(uint64_t hash, unsigned worker_cnt)
{
	return (unsigned)(((hash >> 32) * worker_cnt) >> 32);
}

enum ipc_peer_flag {
	IPC_PEER_REFUSE_IN_AIA = 1, // configured for this peer
	IPC_PEER_INTERCONNECT = 2,  // other operators' requests come through it
	IPC_PEER_LOG_ONLY = 4,	    // what is found wrong with them is logged, and served all the same
};

// ANSWER: the whole Diameter message, and behind it, in at most IPC_RULE_MAX octets of text, the rule by which the request was
// refused (nothing: there is none); hdr.id is that of the REQUEST.
#define IPC_RULE_MAX 127

// HSS_REQUEST: this, then the message; the frontend sets Hop-by-Hop. hdr.id is the worker's.
struct ipc_hss_request {
	uint32_t conn;
	uint32_t generation;
	uint32_t timeout_ms;
	uint32_t spare;
	// message
};

enum ipc_hss_status { HSS_ANSWERED = 0, HSS_NOT_SENT = 1, HSS_TIMEOUT = 2, HSS_LOST = 3 };
// HSS_ANSWER: how it ended.
struct ipc_hss_answer {
	uint32_t status;       // enum ipc_hss_status
	uint32_t result;       // Result-Code or Experimental-Result-Code
	uint32_t experimental; // 1: result is an experimental one
	uint32_t msg_len;
	// message, when answered
};

// CHANGE: the state of one application for one subscriber, as the worker decided it from the version that it saw. Sent
// again after a loader restart; recognised by its key. Behind it, in this order: the state, the two kept blobs, the
// HSS-initiated requests that must follow.
struct ipc_change {
	uint64_t imsi;
	uint64_t key;	   // of the request that asks for it (change_key.h)
	uint32_t options;  // enum change_option
	uint32_t kept_len[2];
	uint16_t version;  // of the state that the worker saw
	uint16_t state_len;
	uint16_t request_cnt;
	uint8_t app;	   // number of apps/apps.def
	uint8_t spare[5];
};
static_assert(sizeof(struct ipc_change) == 40, "");
enum change_option {
	CHANGE_REPEATED = 1, // the T flag was set
	CHANGE_KEPT_0 = 2,   // kept[0] takes the place of what was kept there; otherwise that stays
	CHANGE_KEPT_1 = 4,   // the same of kept[1]
	CHANGE_MERGE_1 = 8,  // kept[1] is merged with what was kept there (the application's `merge`)
};
struct ipc_change_request {
	uint8_t purpose; // the application's
	uint8_t host_len, realm_len, data_len;
	// host, realm, data
};

enum change_status {
	CHANGE_DONE = 0,
	CHANGE_UNKNOWN_USER = 1,
	CHANGE_CONFLICT = 2,  // the state is not of that version any more: decide again
	CHANGE_REFUSED = 3,   // could not be made durable: 5012
	CHANGE_DUPLICATE = 4, // was done before; the current state counts
	CHANGE_BUSY = 5,      // the journal is full: 3004
};
// CHANGE_ACK: uint64_t enum change_status

struct ipc_sqn_block {
	uint64_t imsi;
	uint32_t index; // of the SQN words
	uint32_t spare;
	uint64_t at_least; // limit must reach this SEQ at least (resynchronisation); 0: one more block
};
// SQN_BLOCK_ACK: uint64_t 1 = raised, 0 = refused (disk, or the end of the SEQ space), 2 = words are not the
// subscriber's any more

// IND_HOST: uint64_t host_hash, then the host's text. ACK: uint64_t place, or UINT64_MAX: hashed

struct ipc_read_through {
	uint64_t imsi;
	uint64_t msisdn;
};
enum read_through_status { READ_THROUGH_FOUND = 0, READ_THROUGH_UNKNOWN = 1, READ_THROUGH_BUSY = 2 };
// READ_THROUGH_ACK: uint64_t enum read_through_status

// HSS_SEND: a stored HSS-initiated request that is due; hdr.id is its row. Body: this, then host, realm, data.
struct ipc_hss_send {
	uint64_t imsi;
	uint64_t created_us; // wall clock
	uint32_t tries;	     // 0: first; otherwise the T flag is set
	uint8_t app;	     // number of apps/apps.def
	uint8_t purpose;     // the application's
	uint8_t host_len, realm_len;
	uint8_t data_len;
	uint8_t spare[7];
};
static_assert(sizeof(struct ipc_hss_send) == 32, "");
enum hss_sent_status {
	HSS_SENT_DONE = 0,
	HSS_SENT_LATER = 1,  // sent, and it must be repeated some time
	HSS_SENT_UNSENT = 2, // there was no way to send it
	HSS_SENT_LOST = 3,   // sent, and the connection is in doubt or gone: another way, at once
	HSS_SENT_STALE = 4,  // events have overtaken it: it was not sent, and never will be
};
// HSS_SENT: how it went. hdr.id of HSS_SEND. Body: this, then what the application took from the answer, at most
// HSS_TOLD_MAX octets.
struct ipc_hss_sent {
	uint64_t imsi;
	uint32_t status; // enum hss_sent_status
	uint32_t result; // result code, when answered
	uint32_t memo;	 // what the application noted when it composed the request
	uint32_t experimental; // 1: the result is an Experimental-Result-Code
};
#define HSS_TOLD_MAX 4096

// EDGE: which role instance is at the other end of the descriptor.
struct ipc_edge {
	uint32_t role; // enum role
	uint32_t index;
};

// BOOT: this, then struct config. Descriptors, in order: those named by fd_mask bits, ascending, then
// listeners.
enum boot_fd {
	BOOT_FD_CONTROL = 1,
	BOOT_FD_RECORDS = 2,
	BOOT_FD_SQN = 4,
	BOOT_FD_STATE_DIR = 8,
	BOOT_FD_OP_FILE = 16,
	BOOT_FD_TLS_CERTIFICATE = 32,
	BOOT_FD_TLS_KEY = 64,
	BOOT_FD_TLS_CA = 128,
	BOOT_FD_TLS_CRL = 256,
	BOOT_FD_URI_FILE = 512,
};
struct ipc_boot {
	uint32_t role;
	uint32_t index;
	uint32_t fd_mask;
	uint32_t listener_cnt;
	uint32_t config_size; // sizeof(struct config): the other executable must be of the same build
	uint32_t frontend_cnt;
	uint32_t worker_cnt;
	uint32_t spare;
};

// RELOAD: uint64_t sizeof(struct config), then the new struct config. To frontends with TLS, the descriptors of its three
// files beside it, in the order of enum boot_fd.
// LOG_LEVEL: uint32_t enum log_level.
