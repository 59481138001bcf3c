// Bodies of the internal messages. Same machine, same build: fields are native, laid out by hand without
// holes. A receiver still reads them through the bounded reader and checks what it uses as an index: siblings
// are semi-trusted. Frame: struct ipc_hdr, then the body, padded to 8 octets.
#pragma once
#include <assert.h>
#include <stdint.h>
#include "lib/base/wire.h"

#define IPC_BODY_MAX (128u << 10)

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

enum ipc_peer_flag {
	IPC_PEER_REFUSE_IN_AIA = 1, // configured for this peer
};

// ANSWER: the whole Diameter message; hdr.id is that of the REQUEST.

// OWN_REQUEST: this, then the message; the frontend sets Hop-by-Hop. hdr.id is the worker's.
struct ipc_own_request {
	uint32_t conn;
	uint32_t generation;
	uint32_t timeout_ms;
	uint32_t spare;
	// message
};

enum ipc_own_status { OWN_ANSWERED = 0, OWN_NOT_SENT = 1, OWN_TIMEOUT = 2, OWN_LOST = 3 };
struct ipc_own_answer {
	uint32_t status;       // enum ipc_own_status
	uint32_t result;       // Result-Code or Experimental-Result-Code
	uint32_t experimental; // 1: result is an experimental one
	uint32_t msg_len;
	// message, when answered
};

// CHANGE: one row of state, as the worker decided it. Idempotent by (worker, hdr.id) after a resend, and by
// dup_key.
enum change_kind { CHANGE_ULR_MME = 1, CHANGE_ULR_SGSN = 2, CHANGE_PUR = 3, CHANGE_NOR = 4 };
struct ipc_change {
	uint64_t imsi;
	uint64_t dup_key; // hash of Origin-Host and End-to-End id (law 9)
	uint64_t imeisv;  // value in bits 0-59, digits - 1 in bits 60-63 (14 or 16 digits); 0: leave
	uint32_t kind;
	uint32_t flags;  // the request's ULR-, PUR- or NOR-Flags
	uint8_t plmn[3]; // Visited-PLMN-Id
	uint8_t options; // enum change_option
	uint16_t host_len;
	uint16_t realm_len;
	uint32_t ext_len; // AVPs to keep with the state (NOR: PDN-GW; ULR: Active-APN, features), opaque
	uint32_t spare;
	// host, realm, ext
};
static_assert(sizeof(struct ipc_change) == 48, "");
enum change_option {
	CHANGE_COMBINED = 1,     // combined MME/SGSN
	CHANGE_REPEATED = 2,     // T flag was set
	CHANGE_CLEAR_SGSN = 4,   // Single-Registration-Indication: delete the SGSN's registration
	CHANGE_CANCEL_OTHER = 8, // Initial-Attach: CLR(INITIAL_ATTACH) to the other node, registration kept
};

enum change_status {
	CHANGE_DONE = 0,
	CHANGE_UNKNOWN_USER = 1,
	CHANGE_NOT_SERVING = 2, // PUR, NOR from a node that is not stored
	CHANGE_REFUSED = 3,     // could not be made durable: 5012
	CHANGE_DUPLICATE = 4,   // was done before; current state counts
	CHANGE_BUSY = 5, // the journal is full: 3004
};
// CHANGE_ACK; the CLRs that follow arrive by DELIVER, stored in the same commit.
struct ipc_change_ack {
	uint32_t status; // enum change_status
	uint32_t flags;  // PUR: enum PUA-Flags to answer
	uint64_t reserved;
};

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

// DELIVER: a CLR; hdr.id is its row. Body: this, then host, realm.
struct ipc_deliver {
	uint64_t imsi;
	uint32_t cancellation_type; // Cancellation-Type of TS 29.272 7.3.24
	uint32_t clr_flags;
	uint16_t host_len;
	uint16_t realm_len;
	uint32_t tries; // 0: first; otherwise the T flag is set
};
enum delivered_status {
	DELIVERED_DONE = 0,
	DELIVERED_LATER = 1,  // sent, and it must be repeated some time
	DELIVERED_UNSENT = 2, // there was no way to send it
	DELIVERED_LOST = 3,   // sent, and the connection is in doubt or gone: another way, at once
};
// DELIVERED: hdr.id of DELIVER; body uint64_t enum delivered_status, uint64_t result code

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
