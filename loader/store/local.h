// The local database: this node's truth (law 6). It is two SQLite files in state_dir, both with a WAL and
// synchronous FULL:
//
//   journal.db   journal(seq, kind, imsi, body): the latest commits. The main thread appends to it, many
//                changes in one transaction with one fsync.
//   hss.db       the rows: documents, records, profiles, states, SQN rows ... Only the fold thread writes
//                them. It moves journal entries into rows, oldest first, and then notes how far it has come.
//
// An entry is deleted from the journal only when the rows that hold it are durable. So after any kill it is
// in one of the two files or in both, and both is as good as one: folding an entry twice changes nothing.
// Reads see the newest committed state: a key with an unfolded entry is read from the journal, all others
// from the rows. All functions belong to the main thread, except where local_priv.h says otherwise.
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

// ---- writing -------------------------------------------------------------------------------------

// Appends all entries in one transaction and gives them their numbers. 0: they are on disk; or a negative
// errno, and nothing was appended.
int local_commit(struct local *l, struct entry *entries, unsigned n) MUST_USE;
// Everything up to the last commit is in the cache: the fold thread may take it.
void local_published(struct local *l);
uint64_t local_seq(const struct local *l);    // last committed
uint64_t local_folded(const struct local *l); // all up to here is in the rows
// Is everything up to `seq` in the rows? If not, the fold thread hurries, and local_fold_fd tells when it has
// done a step.
bool local_folded_to(struct local *l, uint64_t seq);
// Is so much unfolded that a source which can pause (an import, a feed) should pause? If so, the fold thread
// hurries.
bool local_is_behind(struct local *l);
// ---- many new subscribers at once, without the journal
// Hands entries (in order of their subscribers' arrival, each subscriber's together) to the fold thread, which writes
// their rows itself: a document is then written to the disk twice instead of four times. Only for subscribers of whom
// the rows and the journal hold nothing, each once. The entries and their bodies stay as they are until
// local_bulk_landed. A kill leaves each subscriber whole or not at all. local_fold_fd tells when it is over.
void local_bulk_begin(struct local *l, struct entry *entries, unsigned n);
// Has the fold thread finished? Then *error is 0 or the negative errno of what failed, and `seq` is 1 in each
// entry that is durable, 0 in the others. `wait`: waits until it has finished.
bool local_bulk_landed(struct local *l, bool wait, int *error);

// Deletes folded entries; for quiet moments, when nothing is being committed.
void local_trim(struct local *l);
// Gives back the memory that reading all rows took for pages.
void local_give_back(struct local *l);
// Readable when the fold thread has done a step; drained by local_fold_drain.
int local_fold_fd(const struct local *l);
void local_fold_drain(struct local *l);
// Did the fold thread's last attempt fail (disk full ...)? Then the journal grows.
bool local_fold_failing(const struct local *l);

// ---- meta ----------------------------------------------------------------------------------------

// The run number of law 5, as the rows have it. At the start, before the fold thread runs.
int local_run_get(struct local *l, uint64_t *run) MUST_USE;
int local_run_set(struct local *l, uint64_t run) MUST_USE;

// ---- reading -------------------------------------------------------------------------------------

// 1: found, 0: not there, or a negative errno. Slices are valid until the next call of any local_ function.
struct local_subscriber {
	struct slice record;  // record_image
	struct slice profile; // struct cache_profile
	uint64_t profile_id;  // 0 when the profile comes from the journal
};
int local_read_subscriber(struct local *l, imsi_t imsi, struct local_subscriber *out) MUST_USE;
int local_read_document(struct local *l, imsi_t imsi, struct slice *text) MUST_USE;
// The state of one application; the merged blob that it keeps beside it (entry.h, kept[1]).
int local_read_state(struct local *l, imsi_t imsi, unsigned app, struct state_row *out) MUST_USE;
int local_read_merged(struct local *l, imsi_t imsi, unsigned app, struct slice *merged) MUST_USE;
int local_read_sqn(struct local *l, imsi_t imsi, const uint8_t fp[SQN_FP_LEN], struct sqn_row *out) MUST_USE;
// May there be an SQN row of a subscriber that is not in the cache, or of a former key? false only when a
// whole scan found none and none was left behind since. Then a new subscriber need not be looked for among
// the SQN rows.
bool local_has_left_sqn_rows(const struct local *l);
// Notes that such a row was left behind: by a change of keys, or by a subscriber that could not be published.
// (A deletion is noticed without this.)
void local_leaves_sqn_row(struct local *l);
// Is this profile in the rows, and does it stay there? Then an entry may name it by its digest alone.
bool local_has_profile(struct local *l, const uint8_t digest[16]);
int local_profile(struct local *l, uint64_t id, struct slice *body) MUST_USE;
// Asks the fold thread to delete the profiles that no subscriber names any more, when there are many more rows of them
// than `in_use`. Only while no entry is composed that is not committed, and nobody remembers ids of local_row: ids of
// deleted rows are given to others. While one cleaning goes on, asking again changes nothing.
void local_clean_profiles(struct local *l, uint64_t in_use);
// Is an entry beyond `folded` about this subscriber (its state, its document or the SQN row of `fp`)?
bool local_unfolded(struct local *l, imsi_t imsi, const uint8_t fp[SQN_FP_LEN], uint64_t folded);

// Which document of the upstream this subscriber is, and the digest of its content (0: not the upstream's any more). 0: none.
int local_read_upstream(struct local *l, imsi_t imsi, uint64_t *id, uint64_t *digest) MUST_USE;
// The subscribers whose state the upstream lacks; the feed's position (empty: none). At the start, when
// everything is folded.
int local_each_outbox(struct local *l, bool (*fn)(void *ctx, imsi_t imsi), void *ctx) MUST_USE;
int local_feed_position(struct local *l, struct slice *token) MUST_USE;

// The scan that fills the cache: the rows in order of IMSI, beginning after `after`, each with its states and
// its SQN row. It sees rows only, so the caller also asks local_unfolded, with the number that local_folded
// gave before local_scan_begin.
#define LOCAL_ROW_MAX (2 * CACHE_APP_MAX) // state rows of one subscriber: of each application its state and its data (entry.h)
struct local_row {
	imsi_t imsi;
	struct slice record;
	uint64_t profile_id;
	struct state_row state[LOCAL_ROW_MAX]; // those that there are
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
// The items of an application, in the order of their keys; at the start.
int local_each_item(struct local *l, unsigned app, bool (*fn)(void *ctx, const struct item_image *i), void *ctx) MUST_USE;
// For lists and exports: the next IMSI after `after`.
int local_next(struct local *l, imsi_t after, imsi_t *out) MUST_USE;

// Subscribers (with repetitions) whose entries local_open found in the journal: the last loader may have been
// killed before it published them.
const uint64_t *local_replayed(const struct local *l, size_t *n);
void local_replayed_free(struct local *l);

// Starts and stops the fold thread (fold.c).
int local_fold_start(struct local *l) MUST_USE;
void local_fold_stop(struct local *l);
