// The local database (law 6): this node's truth. Two SQLite files in state_dir, both WAL with synchronous
// FULL:
//
//   journal.db  journal(seq, kind, imsi, body): what was committed last, appended by the main thread, one
//   transaction
//               and one fsync for many changes
//   hss.db      the rows: documents, records, profiles, states, SQN rows ..., written by the fold thread
//   only, which
//               moves journal entries into them, oldest first, and then notes how far it came
//
// An entry is deleted from the journal only when the rows that hold it are durable, so any kill leaves it in
// one of the two, or in both, which is the same: folding an entry twice changes nothing. Reads see the newest
// committed state: a key that has an unfolded entry is read from the journal, others from the rows. All
// functions belong to the main thread, except where fold.h says otherwise.
#pragma once
#include "loader/store/entry.h"
#include "lib/base/err.h"

struct local; // opaque, heap

struct local_options {
	const char *dir; // state_dir, 0700
	const char *vfs; // SQLite VFS by name; NULL: the default (tests put a recording one in between)
};

// Opens or creates both files, upgrades the schema in place, folds what the journal holds. 0 and *out, or a
// negative errno after a log line that says what is wrong: -EPROTO the files are of a newer version.
int local_open(const struct local_options *options, struct local **out) MUST_USE;
void local_free(struct local **l);

// ---- writing
// --------------------------------------------------------------------------------------------------- Appends
// all entries in one transaction: 0 when they are on disk, or a negative errno and nothing was appended.
// Gives them their numbers.
int local_commit(struct local *l, struct entry *entries, unsigned n) MUST_USE;
// Everything up to the last commit is in the cache: the fold thread may take it.
void local_published(struct local *l);
uint64_t local_seq(const struct local *l);    // last committed
uint64_t local_folded(const struct local *l); // all up to here is in the rows
// Whether all up to `seq` is in the rows. If not, the fold thread hurries: local_fold_fd tells when it did a step.
bool local_folded_to(struct local *l, uint64_t seq);
// More is not folded yet than who could wait should add to (an import, a feed). It is hurried as well.
bool local_is_behind(struct local *l);
// ---- many new subscribers at once: past the journal
// Hands entries (in order of their subscribers' arrival, each subscriber's together) to the fold thread, which writes
// their rows itself: a document is then written to the disk twice instead of four times. Only for subscribers of whom
// the rows and the journal hold nothing, each once. The entries and their bodies stay as they are until
// local_bulk_landed. A kill leaves each subscriber whole or not at all. local_fold_fd tells when it is over.
void local_bulk_begin(struct local *l, struct entry *entries, unsigned n);
// Whether nothing is under way any more; 0 or the negative errno of what failed goes into *error. Then `seq` is 1 in
// each entry that is durable, 0 in others. `wait`: until it is so.
bool local_bulk_landed(struct local *l, bool wait, int *error);

// Deletes folded entries while nothing is committed.
void local_trim(struct local *l);
// Readable when the fold thread has done a step; drained by local_fold_drain.
int local_fold_fd(const struct local *l);
void local_fold_drain(struct local *l);
// The fold thread's last attempt failed (disk full ...): the journal grows.
bool local_fold_failing(const struct local *l);

// ---- meta
// ------------------------------------------------------------------------------------------------------ Run
// number of law 5 as the rows have it. At the start, before the fold thread runs.
int local_run_get(struct local *l, uint64_t *run) MUST_USE;
int local_run_set(struct local *l, uint64_t run) MUST_USE;

// ---- reading
// --------------------------------------------------------------------------------------------------- Slices
// are valid until the next call of any local_ function. 1 found, 0 not there, negative errno.
struct local_subscriber {
	struct slice record;  // record_image
	struct slice profile; // struct cache_profile
	uint64_t profile_id;  // 0 when the profile comes from the journal
};
int local_read_subscriber(struct local *l, imsi_t imsi, struct local_subscriber *out) MUST_USE;
int local_read_document(struct local *l, imsi_t imsi, struct slice *text) MUST_USE;
// The state of one application, and what it keeps beside it and merges.
int local_read_state(struct local *l, imsi_t imsi, unsigned app, struct state_row *out) MUST_USE;
int local_read_merged(struct local *l, imsi_t imsi, unsigned app, struct slice *merged) MUST_USE;
int local_read_sqn(struct local *l, imsi_t imsi, const uint8_t fp[SQN_FP_LEN], struct sqn_row *out) MUST_USE;
// Whether there may be an SQN row of somebody who is not in the cache, or of a former key. false only when a whole scan
// found none and none was left since: then one who is not in the cache need not be looked for.
bool local_has_left_sqn_rows(const struct local *l);
// Such a row is left: another key, a subscriber that could not be published (a deletion is seen without this).
void local_leaves_sqn_row(struct local *l);
// Whether this profile is in the rows, so that an entry may name it by its digest alone.
bool local_has_profile(struct local *l, const uint8_t digest[16]);
int local_profile(struct local *l, uint64_t id, struct slice *body) MUST_USE;
// Whether an entry beyond `folded` is about this subscriber (state, document or the SQN row of `fp`).
bool local_unfolded(struct local *l, imsi_t imsi, const uint8_t fp[SQN_FP_LEN], uint64_t folded);

// Which document of the upstream this subscriber is, and the digest of its content (0: not the upstream's any more). 0: none.
int local_read_upstream(struct local *l, imsi_t imsi, uint64_t *id, uint64_t *digest) MUST_USE;
// Whose state the upstream lacks; and the feed's position (empty: none). At the start, when everything is folded.
int local_each_outbox(struct local *l, bool (*fn)(void *ctx, imsi_t imsi), void *ctx) MUST_USE;
int local_feed_position(struct local *l, struct slice *token) MUST_USE;

// Rows in order of IMSI, from beyond `after`, with the state and the SQN row of each: the ordered merge that
// fills the cache. Rows only: the caller looks at local_unfolded with the number that local_folded gave
// before local_scan_begin.
#define LOCAL_APP_MAX 8 // applications with state; their numbers are below it
struct local_row {
	imsi_t imsi;
	struct slice record;
	uint64_t profile_id;
	struct state_row state[LOCAL_APP_MAX]; // of the applications that have one
	unsigned state_cnt;
	bool has_sqn;
	struct sqn_row sqn;
};
#define LOCAL_SCAN_START ((imsi_t){1ull << 63}) // smallest in the order of SQLite's signed integers
int local_scan_begin(struct local *l, imsi_t after) MUST_USE;
int local_scan_next(struct local *l, struct local_row *out) MUST_USE; // 1, 0 at the end, negative errno
void local_scan_end(struct local *l);
int local_count(struct local *l, uint64_t *subscribers) MUST_USE;

// IND hosts and HSS-initiated requests of the rows, at the start (everything is folded then). `fn` returns false to
// stop.
int local_each_ind(struct local *l, bool (*fn)(void *ctx, const struct ind_host *h), void *ctx) MUST_USE;
int local_each_hss_request(struct local *l, bool (*fn)(void *ctx, imsi_t imsi, const struct hss_request_image *o),
			   void *ctx) MUST_USE;
// A step through the subscribers for lists and exports: the next IMSI beyond `after`.
int local_next(struct local *l, imsi_t after, imsi_t *out) MUST_USE;

// Subscribers (with repetitions) whose entries local_open found in the journal: the last loader may have been
// killed before it published them.
const uint64_t *local_replayed(const struct local *l, size_t *n);
void local_replayed_free(struct local *l);

// Starts and stops the fold thread (fold.c).
int local_fold_start(struct local *l) MUST_USE;
void local_fold_stop(struct local *l);
