// The seam between the loader's main thread and the threads that talk to the upstream, the database that other programs use, too
// (laws 6 and 8). The main thread owns the local database and the cache, and never waits for the network. Four threads do that
// for it, each with a connection of its own:
//
//	feed    loads the documents, then follows them by a change stream or by sweeps; tells of them in the upstream's order
//	ask     looks documents up for workers and operators, and makes the operators' changes
//	write   writes locations and SQNs back, in bulk (outbox.h)
//	index   makes the index that an operator asked for, which may take minutes
//
// Main thread and threads share queues and nothing else. A struct up_item goes to the main thread; a struct up_ask or up_batch
// comes from it. The feed waits while its items fill UP_ITEMS_BYTES. The main thread never waits: it asks for less instead.
// Answers have a queue of their own, so that nobody waits behind a load; they overtake what the feed has queued.
#pragma once
#include <jansson.h>
#include "loader/document/record.h"
#include "loader/upstream/imsi_set.h"
#include "loader/upstream/up_fields.h"
#include "config/config.h"
#include "lib/base/err.h"

#define UP_ITEMS_BYTES (16u << 20) // of all items on their way to the main thread
#define UP_BATCH_MAX   1000u	   // writes of one bulk
#define UP_ERROR_MAX   200u
#define UP_TOKEN_MAX   4096u

// A document that was understood. Everything that the main thread needs, made by the thread that read it.
struct up_doc {
	json_t *json;	// owned, or NULL: the slices below point into it, or behind the text
	char *text;	// relaxed Extended JSON, as it is kept; heap
	size_t text_len;
	uint64_t id;	 // hash of _id (mongo_doc.h)
	uint64_t digest; // of the content without state (locations, SQN, bookkeeping of other programs)
	uint64_t read_us; // monotonic: it has every change that was made before. 0: its age is unknown
	struct record_image image;
	uint8_t profile_digest[16];
	struct cache_profile *profile; // heap
	// from struct subscription
	imsi_t imsi;
	bool has_sqn;
	bool sqn_int64;		// it has the type that every reader of the schema understands
	bool sqn_unusable;	// text, null inside of security ...: it can't be raised; a problem of this document
	bool flawed;   // it is served without a part that can't be: a message says which
	uint64_t sqn;
	uint64_t imeisv;
	unsigned node; // 1 + number of the node of ours that wrote last; 0: unknown
	// what it says of the applications' states, by enum doc_owner (doc_reader.said)
	struct slice said[DOC_OWNERS_MAX];
	uint8_t *said_octets; // heap: behind those slices; NULL: nothing is said
};
void up_doc_free(struct up_doc **d); // wipes the keys

enum up_kind {
	UP_DOC,	     // doc: as it is now
	UP_DELETE,   // imsi, id: no document has this IMSI any more (looked up by IMSI when the deletion was seen)
	UP_BAD,	     // imsi (0: unknown), id, text: a document that can't be served, and why
	UP_GOOD,     // id: the document that was bad is good again or gone
	UP_POSITION, // text, len: all that the upstream did before this position has been sent before this item
	UP_COMPLETE, // a load or a comparison is through: what the cache lacks now the upstream lacks. id: the wish that was
		     // known when it began (upstream_compare), and all before it; 0: none
	UP_ANSWER,   // ask, status, doc or text
	UP_WRITTEN,  // batch: its outcome
};

enum up_status {
	UP_DONE = 0,	// found, written
	UP_REFUSED = 1, // not found (lookup: no document; others: text says why)
	UP_AWAY = 2,	// the upstream can't be reached, or failed: text says why
};

struct up_item {
	struct up_item *next;
	size_t size; // against UP_ITEMS_BYTES
	enum up_kind kind;
	bool takes_over;   // UP_DOC, UP_ANSWER: read when no other document had this IMSI
	imsi_t imsi;
	uint64_t id;
	uint64_t ask; // number of the question
	enum up_status status;
	struct up_doc *doc;
	struct up_batch *batch;
	char *text; // heap, NUL-terminated; tokens: len octets of BSON
	size_t len;
};
void up_item_free(struct up_item **item);

enum up_ask_kind {
	UP_LOOKUP, // imsi: the document, as the primary has it
	UP_ADD,	   // json: a whole document; refused when the IMSI exists. Answer: the document as it is now
	UP_SET,	   // imsi, json {"$set":{...},"$unset":{...}}. Answer: the document as it is now
	UP_REMOVE, // imsi. Answer: done or not found
	UP_INDEX,   // makes the unique index on imsi (the index thread)
	UP_REPLACE, // json: a whole document; replaces an existing one (keeps its _id and unknown top-level fields), or is new
};

struct up_ask {
	struct up_ask *next;
	enum up_ask_kind kind;
	uint64_t number; // the main thread's
	imsi_t imsi;
	json_t *json; // owned
};
void up_ask_free(struct up_ask **a); // keys are inside

// What is to be written into one subscriber's document (write-back). Writing it twice has the same effect as
// writing it once.
enum up_write_what {
	UP_WRITE_STATE = 1,	// `field`: the applications' state
	UP_WRITE_SQN = 2,	// security.sqn: $max
	UP_WRITE_NORMALISE = 4, // security.sqn: where it still is `seen` (or missing), in whatever type: int64 max(seen, sqn)
};
enum up_write_result {
	UP_WRITE_OK = 0,
	UP_WRITE_REFUSED = 1, // for good: a validator, a foreign type
	UP_WRITE_AGAIN = 2,   // the outcome is unknown: write it again
	UP_WRITE_BUSY = 3,    // the server holds back this one document: write it again after a while
};

struct up_write {
	imsi_t imsi;
	uint32_t what; // enum up_write_what
	enum up_write_result result;
	uint32_t tries; // that ended as busy: it goes alone, so that nobody waits for it
	uint64_t seq;  // the main thread's: which state this is
	// UP_WRITE_STATE: one block on the heap; NULL: nothing
	struct up_field *field;
	unsigned field_cnt;
	// UP_WRITE_SQN, UP_WRITE_NORMALISE: whole SQNs, with the low five bits that the field had
	uint64_t sqn, seen;
	bool seen_missing;
};

struct up_batch {
	struct up_batch *next;
	unsigned cnt;
	enum up_status status; // UP_AWAY: nothing is known of it: all again. else `result` of each counts
	char error[UP_ERROR_MAX]; // of the first that was refused
	struct up_write write[];
};
void up_batch_free(struct up_batch **b);

enum up_state { UP_CONNECTING, UP_LOADING, UP_LIVE, UP_DOWN };
enum up_mode { UP_NONE, UP_STREAM, UP_POLL };

// What `hssctl status` and the metrics say: written by the threads, read by the main one, under the lock.
struct up_figures {
	enum up_state state;
	enum up_mode mode;
	uint64_t documents;	// that the feed knows
	uint64_t load_done, load_total; // while loading; total 0: unknown
	uint64_t load_started_ms;	// monotonic
	uint64_t live_ms;		// monotonic: when the feed was last known to be level with the upstream
	uint64_t reached_ms;		// monotonic: when the feed began to load or to follow it
	uint64_t events;		// of the change stream, or changes that sweeps found
	uint64_t sweep_ms, sweep_cpu_ms; // the last sweep: how long it took, and its CPU time
	char last_error[UP_ERROR_MAX];	// never with a password
	uint64_t last_error_ms;		// monotonic
	uint64_t held, held_of; // so many of so many went at once: they are kept until an operator accepts that
};

struct upstream;

// What the feed starts with: the rows of the local database, read by its thread through a connection of its own.
struct upstream_options {
	const struct config *config;
	const char *uri; // with credentials; copied, wiped when it was used
	const char *dir; // state_dir
	struct slice op; // per operator, or empty
	const struct doc_reader *const *readers; // of the applications (record.h); they outlive the threads
	struct slice position; // stored feed position, or empty
	bool no_threads;       // tests stand in for them
};

// Starts the threads (before the sandbox). 0 and *out, or a negative errno after a log line.
int upstream_start(const struct upstream_options *o, struct upstream **out) MUST_USE;
// Ends them: calls that wait for the network are given up, at most after a second or so.
void upstream_stop(struct upstream **u);

// ---- main thread: never wait
int upstream_fd(const struct upstream *u); // readable when items wait
// The items that wait, in order; NULL: none. The caller frees them. `answers`: only UP_ANSWER and UP_WRITTEN, which
// overtake the feed; else only the others.
struct up_item *upstream_take(struct upstream *u, bool answers);
void upstream_ask_take(struct upstream *u, struct up_ask **a);	   // takes ownership; answered by exactly one UP_ANSWER
void upstream_write_take(struct upstream *u, struct up_batch **b); // answered by exactly one UP_WRITTEN
void upstream_figures(struct upstream *u, struct up_figures *out);
// An operator confirms the loss that is held back: the next comparison removes the subscribers that are gone.
// Returns its number.
uint64_t upstream_accept_loss(struct upstream *u);
// Asks the feed for a whole comparison that begins now (store verify, doubt). Returns the number of this wish.
uint64_t upstream_compare(struct upstream *u);

// ---- the threads
// Gives an item to the main thread; waits while UP_ITEMS_BYTES are on their way. false: the end; the item is freed.
bool upstream_give_take(struct upstream *u, struct up_item **item) MUST_USE;
// The next question or batch; waits up to `ms` for one. NULL: none, or the end.
struct up_ask *upstream_next_ask(struct upstream *u, unsigned ms);
struct up_ask *upstream_next_index(struct upstream *u, unsigned ms); // UP_INDEX, which upstream_next_ask does not bring
struct up_batch *upstream_next_batch(struct upstream *u, unsigned ms);
bool upstream_ending(const struct upstream *u);
// Waits, at most `ms`, for the end (true), or until a comparison is asked for.
bool upstream_wait(struct upstream *u, unsigned ms);
bool upstream_compare_wanted(struct upstream *u, uint64_t *wish); // and takes the wish: *wish is its number, else left
// Documents that answers brought since the last call: the feed may never have seen them, and must notice when they go.
struct up_known {
	uint64_t id;
	imsi_t imsi;
};
struct up_known *upstream_take_known(struct upstream *u, size_t *cnt); // heap, the caller's; NULL: none
void upstream_note_known(struct upstream *u, uint64_t id, imsi_t imsi);
// What we did there ourselves: documents that we write to, and those that we removed. The feed must look at the first even if
// they seem unchanged (somebody may have put them back), and a loss that we made is nothing to wonder about.
enum up_own { UP_OWN_WRITE, UP_OWN_REMOVAL };
void upstream_note_own(struct upstream *u, enum up_own what, const imsi_t imsi[], size_t cnt);
// Adds to `all` what was noted since the last call.
void upstream_take_own(struct upstream *u, enum up_own what, struct imsi_set *all);
bool upstream_loss_accepted(struct upstream *u); // and takes the word
void upstream_set(struct upstream *u, void (*fn)(struct up_figures *f, const void *arg), const void *arg);
void upstream_error(struct upstream *u, const char *text); // last_error
const struct upstream_options *upstream_options(const struct upstream *u);
void upstream_ask_back(struct upstream *u, struct up_ask *a); // to the head of the queue

// The threads' bodies (mongo_feed.c, mongo_ask.c, mongo_write.c, mongo_index.c): loop until upstream_ending.
void *mongo_feed_main(void *upstream);
void *mongo_ask_main(void *upstream);
void *mongo_write_main(void *upstream);
void *mongo_index_main(void *upstream);
