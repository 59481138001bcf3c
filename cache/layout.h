// The map of the shared memory: every byte of it, and the one kind of process that writes it. There are three
// memory files, which hssd makes and seals against resizing. They hold offsets and indices, never pointers, so
// each process maps them where it likes.
//
//   records  written by the loader only; workers map it read-only and can't reopen their descriptor
//   SQN      two words for each subscriber; written by workers and the loader, by atomic operations only
//   control  no secrets; see control.h
//
// records:
//   +--------------+ 0
//   | cache_header |
//   +--------------+ imsi_index_off   2^index_bits entries: u32 = tag << slot_bits | slot + 1; 0: empty;
//   | IMSI index   |                  all ones: tombstone, only while a removal is under way.
//   |              |                  Open addressing, linear probing
//   +--------------+ msisdn_index_off the same over both MSISDNs of a record (2^msisdn_bits entries)
//   | MSISDN index |
//   +--------------+ identity_index_off   2^identity_bits entries: u64 = high bits of the hash | slot + 1
//   | identities   |                      the same for what a record is known by beside IMSI and numbers
//   +--------------+ node_off         NODE_MAX x cache_node: serving nodes, interned by host and realm
//   | nodes        |
//   +--------------+ ind_off          IND_HOST_MAX x u64: hashes of hosts that have an IND of their own
//   | IND hosts    |
//   +--------------+ record_off       slot_cnt x cache_record, 128 octets each, 64-aligned
//   | records      |
//   +--------------+ blob_off         blob_len octets: profiles and names, found by offset / 16
//   | blobs        |                  and parts, one a record at most
//   +--------------+ total_len        (sparse: memory is committed as it fills)
#pragma once
#include <assert.h>
#include <stdint.h>
#include "lib/base/ident.h"

// How a change is published (law 4). A record that an index entry names is never written again. The loader
// writes the changed copy into a free slot. It swings the IMSI index entry to the copy with one store, then
// the MSISDN entries. Then it retires the old slot. A `kill -9` of the loader between any two instructions
// leaves either the old or the new record published. Whatever is not reachable from the IMSI index is free;
// the next loader finds that out by one scan, which also repairs the MSISDN entries. Blobs and nodes are
// never changed while a reachable record names them; they are retired like slots. slot_high, sqn_high,
// node_high and blob_high are raised before anything below them is used, so the next loader knows what a
// reader might still be looking at.
//
// clang-format off
// Why readers need no lock. The argument, with E the value of control.epoch (SC: sequentially consistent):
//
//   reader  R1 SC-loads E                 loader  L1 SC-swings the entry
//           R2 SC-stores it in its word           L2 tags the old slot with E
//           R3 SC-loads entries, reads            L3 SC-raises E
//           R4 stores 0 in its word, release      L4 SC-loads every reader's word
//
// The slot is written again when each word, at L4, is 0 or greater than its tag. Take one reader's word:
//   - greater than the tag: R1 read what L3 stored, L1 comes before R3, the reader cannot find the old slot;
//   - 0: either the reader has left (R4 releases, L4 acquires: its reads are over before the slot is
//     written), or R2 comes after L4 in the SC order; then L1 < L4 < R2 < R3 and it finds the new entry. That
//     it may have loaded E at R1 long before, an old value, only holds reclaiming up until it leaves;
//   - not greater: the slot waits. A reader that never leaves stops reuse, not the service: updates take the
//     spare slots, then builder_put says -EAGAIN. hssd clears the words of dead workers.
// E never goes back (it lives in control, outside the loader): a new loader's tags are right for old readers.
// clang-format on
//
// How an index stays searchable while it changes. At no moment is there an EMPTY entry between a key's home
// and its entry, so a reader that walks from the home meets every key that stays where it is. Tombstones
// would fill the index in the end, so a removal closes its gap:
//   1. the entry becomes a tombstone;
//   2. the next entry of the run that may stand there is copied into it;
//   3. `imsi_moves` (`msisdn_moves`) is raised;
//   4. the original of the copy becomes the tombstone, and so on from 2; the last tombstone has no entry behind
//      it that needs it, and becomes EMPTY.
// A reader can miss a moving key only if it has passed the new place before the copy and reaches the old
// place after that was cleared. Then the count has risen in between (all of this is SC). So a reader that
// finds nothing, and sees another count than before, looks again. A reader that finds the key never needs to.
// A loader that is killed on the way leaves one tombstone, or one entry twice. Both are harmless to readers,
// and attaching closes the gap.
//
// MSISDN entries keep one bit of the tag for the number's place in the record (0 MSISDN, 1 A-MSISDN). They
// may lag behind the IMSI index for some instructions. So a reader that comes by MSISDN takes the IMSI from
// the record that it found, looks that up, and checks that the current record still has the number. If two
// records claim a number, it belongs to the record that claimed it last. An update that leaves the number as
// it was is no new claim.
//
// Identities (hashes of lib/base/subject.h) that do not follow from IMSI, numbers and domain have an index of
// their own. Subscribers without them have no entry in it and no other cost. An entry holds the high bits of
// the hash, and the highest of those say where its home is. So the writer knows from the entry alone where it
// may stand, and closes gaps without looking at records. Moves are counted in `identity_moves`. An entry is
// swung by one store of 64 bits, after the IMSI entry and before the old slot is retired. So what was said of
// MSISDN entries holds here, too: an entry may lag behind for some instructions, no longer, and never names a
// slot that is written again.
//
// A hash is no proof, and two records may claim one identity. So there may be several entries with the same
// bits, one for each record. A reader takes them in turn. From each record it goes by the IMSI to the current
// record. It checks that this lists the hash, and then asks its caller whether the record really owns the
// identity. The first record that does is the answer. Attaching swings, removes or adds entries until the
// index lists what the current records list.
//
// Parts: the further state of applications, and the hashes of a record's identities, are one blob that only
// this record names. It is written whole before the copy of the record that names it. It is never changed,
// and it is retired together with the slot when the next copy names another blob. So the swing of the one
// IMSI entry publishes both. A copy that leaves the parts as they are names the same blob. A reader that
// still looks at the older copy is in an epoch that is not greater than the tag which the blob gets in the
// end. Parts may hold secrets and are wiped like records before their memory is used again. Nodes and shared
// blobs that a part names are counted like those that a record names.
//
// SQN (law 5). next and limit are SEQ values. A worker that wants n vectors
//   1. loads next, then limit;
//   2. moves next to next + n by compare-and-swap, if next + n <= limit;
//   3. loads limit once more.
// If the limit still covers them at 3, the SEQs next .. next + n - 1 belong to this worker and to nobody
// else, ever: no later draw starts below them, and limit is raised only after a row that covers it is on
// disk. If not, they are skipped. When a limit is used up, or a resynchronisation goes beyond it, the worker
// asks the loader.
//
// To move next down (sqn set --force), or to give the words to another subscriber, the loader sets limit to
// 0, then next, then limit. A worker that saw the old next fails its compare-and-swap; should next have come
// round to the same value, its second look at limit stops it. A worker that saw the new next sees limit 0 or
// the new limit. Words belong to (IMSI, K). A record names them by index, workers draw between pin and unpin,
// and words are given to another subscriber only after the epochs have passed.

#define CACHE_MAGIC           0x0031305353485243ull // "CRHSS01"
#define CACHE_VERSION         3
#define NODE_MAX              65536
#define IND_HOST_MAX          1024
#define CACHE_BLOB_ALIGN      16
#define INDEX_EMPTY           0u
#define INDEX_TOMBSTONE       0xffffffffu
#define CACHE_SUBSCRIBERS_MAX (1u << 28)
#define CACHE_IDENTITIES_MAX  (1u << 30)
#define CACHE_SEQ_MAX         ((1ull << 43) - 1) // next never passes it: `next << 5` always fits in 48 bits
#define CACHE_SQN_LOW         128                // SEQs left below the limit: time to ask for a block
#define CACHE_BLOB_MAX        (256u * 1024)
#define CACHE_COMMON_MAX      (64u << 20) // octets that an application keeps once for all subscribers
#define CACHE_PARTS_MAX       (UINT16_MAX * 4u) // octets of all parts of a record, heads included
#define CACHE_PART_CNT_MAX    32
#define CACHE_IDENTITY_CNT_MAX 255 // of one record
#define CACHE_APP_MAX         8   // applications; their numbers are below it

struct cache_header {
	uint64_t magic;
	uint32_t version;
	uint32_t record_size; // sizeof(struct cache_record): a mismatch means rebuild, never guess
	uint64_t total_len;
	uint32_t slot_cnt; // max_subscribers and some spare for copies on their way
	uint32_t max_subscribers;
	uint32_t slot_bits; // 2^slot_bits > slot_cnt + 1: slot + 1 is neither 0 nor all ones
	uint32_t index_bits;
	uint32_t msisdn_bits;
	uint32_t sqn_cnt;
	uint32_t max_identities;
	uint32_t identity_bits;
	uint64_t imsi_index_off, msisdn_index_off, identity_index_off, node_off, ind_off, record_off, blob_off,
	    blob_len;
	// Above: a function of max_subscribers and max_identities (segment.h), written by hssd when it makes
	// the file. Below: written by the loader while running, read by everybody
	_Atomic uint32_t subscriber_cnt;
	_Atomic uint32_t ind_host_cnt; // entries of the IND table that are valid
	_Atomic uint32_t load_state;   // enum cache_load_state
	_Atomic uint32_t profile_cnt;
	_Atomic uint64_t load_total; // records that the local database holds, while loading
	_Atomic uint64_t blob_used;
	uint64_t sqn_run; // run number under which the SQN words were filled
	// high-water marks: what lies at or above has never been used
	_Atomic uint32_t slot_high, sqn_high, node_high;
	_Atomic uint32_t identity_cnt; // entries of the identity index
	_Atomic uint64_t blob_high; // octets
	// What an application keeps once for all subscribers: a shared blob by application number; 0: none
	_Atomic uint32_t common[CACHE_APP_MAX];
	// a line of their own: every look-up reads one of them
	_Alignas(64) _Atomic uint32_t imsi_moves;
	_Atomic uint32_t msisdn_moves;
	_Atomic uint32_t identity_moves;
};

enum cache_load_state { CACHE_EMPTY = 0, CACHE_LOADING = 1, CACHE_COMPLETE = 2 };

enum cache_alg { ALG_MILENAGE = 0, ALG_XOR = 1, ALG_TUAK = 2 };

// cache_record.flags: what of the subscription decides without the profile.
enum cache_record_flag {
	RECORD_ROAMING = 1 << 1,   // the profile says more of where it may roam
	RECORD_NO_KEY = 1 << 2,    // the document has no keys: unknown to every application that authenticates by AKA
	RECORD_NO_EPS = 1 << 3,    // no APN-Configuration: not known to the EPC
	RECORD_NO_PACKET = 1 << 4, // neither EPS nor GPRS: 5420 everywhere
	RECORD_IND_SPARE = 1 << 5, // other writers draw with `taken_ind`, and the one after it next: k = 7 stands in (law 5)
};

// A node that serves the subscriber. Which of the two is which kind of node is the application's matter.
struct cache_serving {
	uint32_t node; // node index + 1; 0 = none
	uint8_t plmn[3];
	uint8_t flags;	  // enum cache_serving_flag
	uint64_t time_us; // since 1970, and always later than before: when it was registered, or removed
};
#define CACHE_SERVING_CNT 2
enum cache_serving_flag {
	SERVING_PURGED = 1,
	SERVING_COMBINED = 2, // it announced itself as both kinds of node in one
	SERVING_HAS_DATA = 4, // it was sent the data whose mark is `data_mark`
	SERVING_GPRS_DATA = 8,   // it gets the GPRS data too
	SERVING_ONE_MSISDN = 16, // it gets no additional MSISDN
	SERVING_ELSEWHERE = 32,  // it registered at another node of ours, which tells it of changes
};

struct cache_record {
	imsi_t imsi;        // 0: never published
	msisdn_t msisdn[2]; // MSISDN and A-MSISDN; none = 0
	uint8_t k[16];
	uint8_t opc[16];
	uint16_t amf;
	uint8_t alg; // enum cache_alg
	uint8_t flags;
	uint32_t profile; // blob offset / CACHE_BLOB_ALIGN; 0 = none
	uint32_t sqn;     // index of its SQN words
	uint32_t parts;   // blob offset / CACHE_BLOB_ALIGN of a cache_parts; 0 = none
	struct cache_serving serving[CACHE_SERVING_CNT];
	uint64_t imeisv;     // value in bits 0-59, digits - 1 in bits 60-63; 0 = unknown
	uint64_t change_key; // of the last change (lib/base/change_key.h, law 9)
	uint32_t data_mark;  // of the subscription data that a node was sent last
	uint16_t version;    // of the state: another one after each change
	uint8_t taken_ind;   // with RECORD_IND_SPARE: an IND that others draw with
	uint8_t spare;
};
static_assert(sizeof(struct cache_record) == 128, "two cache lines");

struct sqn_words {
	_Atomic uint64_t next;  // the next SEQ to use
	_Atomic uint64_t limit; // first SEQ that may not be used
};
static_assert(sizeof(struct sqn_words) == 16, "");

// Before each blob; `profile` and `host` values name what follows it. Only the loader looks at it.
struct cache_blob {
	uint32_t units; // size, this header included, in CACHE_BLOB_ALIGN octets
	uint32_t owner; // the loader's private index of a profile; the next free blob of its size class
	uint64_t hash;  // of the content
};
static_assert(sizeof(struct cache_blob) == CACHE_BLOB_ALIGN, "");

// A serving node. Strings live in the blob area.
struct cache_node {
	uint64_t host_hash; // ident_hash_bytes of the Origin-Host, case folded; 0 = free entry
	uint32_t host;      // blob offset / CACHE_BLOB_ALIGN of a cache_node_name
	uint32_t spare;
};

struct cache_node_name {
	uint8_t host_len;
	uint8_t realm_len;
	char text[]; // host, realm; no NUL
};

// What subscribers share (law 7): the children of Subscription-Data that do not name the subscriber, encoded
// once. MSISDN, A-MSISDN are added by the worker. Subscribers with static addresses have a profile of their
// own.
struct cache_profile {
	uint32_t len;                // whole, header included
	uint32_t access_restriction; // Access-Restriction-Data bits
	uint32_t odb;                // Operator-Determined-Barring bits, 0 unless barred
	uint32_t flags;
	uint16_t apn_cnt;
	uint8_t subscriber_status; // 0 SERVICE_GRANTED, 1 OPERATOR_DETERMINED_BARRING
	uint8_t network_access_mode;
	uint16_t head_len; // encoded AVPs before the APN profile (status, ODB, NAM, ARD, charging, AMBR,
			   // timers ...)
	uint16_t epc_len;  // APN-Configuration-Profile, whole AVP
	uint16_t gprs_len; // GPRS-Subscription-Data, whole AVP; 0 = none
	uint16_t spare;
	uint8_t avps[]; // head, epc, gprs; each padded to 4
};

// The further state of a record, and what else it is known by. 16 octets of cache_blob, 4 here, 8 a part.
struct cache_parts {
	uint16_t quads; // the whole length in units of 4 octets, this head included
	uint8_t identity_cnt;
	uint8_t part_cnt;
	// identity_cnt x uint64_t: hashes, not aligned
	// part_cnt x (struct cache_part_head, its octets, padded to 4)
};
static_assert(sizeof(struct cache_parts) == 4, "");

struct cache_part_head {
	uint8_t app;     // the application's number
	uint8_t kind;    // the application's
	uint8_t version; // of the encoding
	uint8_t refs;    // the octets begin with (refs & 15) x uint32_t node index + 1 (0: none), then (refs >> 4)
			 // x uint32_t shared blob (0: none): the builder counts them
	uint32_t len;
};
static_assert(sizeof(struct cache_part_head) == 8, "");

// What records share beside profiles, by content: anything that an application wants to keep once.
struct cache_shared {
	uint32_t len; // this head included
	uint8_t bytes[];
};
