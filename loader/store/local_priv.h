// The local database's own structures, shared by local.c (opening, commits), local_read.c (reads), fold.c, bulk.c and
// profile_clean.c (the thread that writes rows); nobody else includes this file.
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include "loader/store/local.h"
#include "loader/store/sql.h"
#include "loader/store/unfolded.h"

// One fold step reads at most so many entries and octets of the journal.
#define FOLD_CHUNK    262144
#define FOLD_BYTES    (16u << 20)
#define FOLD_KEEP     (4u << 20) // octets of the step's buffers that are kept for the next step
// Rows of one transaction, and pages of hss.db-wal at which it is copied back. Larger ones would make the journal's commits wait
// for the disk.
#define FOLD_PART     512
// A step writes each changed page once, however many of its rows change. Entries are therefore collected until there are
// FOLD_WORTH of them, or FOLD_WORTH_OCTETS, or the oldest is FOLD_WAIT_MS old, or somebody waits for the fold.
#define FOLD_WORTH        131072 // entries
#define FOLD_WORTH_OCTETS FOLD_BYTES
#define FOLD_WAIT_MS      4000
#define FOLD_NICE         10   // the fold thread's priority: below the threads that serve
#define PROFILE_SEEN  1024 // places of the direct-mapped memories of profiles below

// Statements of the reading connection to the rows.
enum read_stmt {
	READ_SUBSCRIBER,
	READ_DOCUMENT,
	READ_UPSTREAM,
	READ_STATE,
	READ_SQN,
	READ_PROFILE,
	READ_PROFILE_DIGEST,
	READ_NEXT,
	SCAN_SUBSCRIBER,
	SCAN_STATE,
	SCAN_SQN,
	READ_STMT_CNT
};

struct scratch {
	uint8_t *p; // holds keys: wiped before it is freed
	size_t cap;
};

// A profile that is certainly in the rows.
struct seen_profile {
	uint8_t digest[16];
	bool valid;
};

// The deletion of profiles that no subscriber has (profile_clean.c).
struct clean {
	uint64_t goal;	 // number of the last entry that may name a profile by its digest alone
	uint64_t in_use; // profiles, about
	// NULL: it has not begun. A bit for each id up to last_id: a subscriber names it.
	uint8_t *used;
	int64_t last_id;    // ids beyond are newer
	int64_t marked_to;  // subscribers, in their order
	bool all_marked;
	int64_t deleted_to; // ids
	uint64_t deleted;
	sqlite3_stmt *mark, *next, *del;
};

// What the fold thread works with. It belongs to the fold thread while that runs; before and after, to the
// owner of the struct local.
struct fold {
	sqlite3 *db, *journal;
	sqlite3_stmt *read, *put_doc, *put_sub, *put_state, *put_sqn, *put_ind, *put_item, *del_item, *put_request, *put_profile;
	sqlite3_stmt *get_profile, *del_doc, *del_sub, *del_state, *del_request, *set_meta;
	sqlite3_stmt *put_up, *del_up, *put_outbox, *del_outbox;
	struct entry *entry;
	uint8_t *bytes;
	size_t bytes_cap, entry_cap;
	struct {
		uint8_t digest[16];
		int64_t id;
	} profile[PROFILE_SEEN];
	int wal_fd; // of hss.db-wal, to start its writing early
	uint64_t checkpointed; // journal number at the last checkpoint
	struct clean clean; // goal and in_use: written by the main thread before it sets `cleaning`
};

// Entries that go into rows without the journal (bulk.c). Under the lock; the entries are the fold thread's from
// BULK_GIVEN to BULK_LANDED.
enum bulk_state { BULK_NONE, BULK_GIVEN, BULK_LANDED };
struct bulk_rows {
	enum bulk_state state;
	struct entry *entry;
	unsigned cnt;
	int error;
	pthread_cond_t landed;
};

struct local {
	sqlite3 *journal; // main thread: the only writer
	sqlite3 *rows;    // main thread: reads
	sqlite3_stmt *begin, *commit, *append, *trim, *by_seq;
	sqlite3_stmt *read[READ_STMT_CNT];
	uint64_t seq, trimmed;
	struct unfolded unfolded;
	struct scratch scratch; // what was read last
	struct scratch states;	// of the scan's row
	struct seen_profile seen[PROFILE_SEEN];
	uint64_t *replayed;
	size_t replayed_cnt;
	bool scan_sub, scan_state, scan_sqn; // a row is waiting in this statement
	bool scanned, left_sqn_rows;         // to the end; rows that are of no current key
	// shared with the fold thread
	_Atomic uint64_t published, folded;
	_Atomic uint64_t octets; // of the entries between the two
	_Atomic bool failing;
	_Atomic bool cleaning; // set by the main thread, cleared by the fold thread
	int fold_fd;
	pthread_t thread;
	bool thread_running;
	pthread_mutex_t lock; // for these:
	pthread_cond_t cond;
	bool stop;
	uint64_t wanted; // somebody waits for all up to here
	struct bulk_rows bulk;
	struct fold fold;
};

// Is it time for a fold step? The caller holds the lock.
static inline bool fold_is_worth(const struct local *l)
{
	uint64_t folded = atomic_load(&l->folded);
	return folded < l->wanted || atomic_load(&l->published) - folded >= FOLD_WORTH ||
	       atomic_load(&l->octets) >= FOLD_WORTH_OCTETS;
}

// Is everything folded that had to be before a deletion of profiles?
static inline bool clean_is_due(const struct local *l)
{
	return atomic_load(&l->cleaning) && atomic_load(&l->folded) >= l->fold.clean.goal;
}

int local_read_prepare(struct local *l) MUST_USE;

int fold_open(struct local *l, const struct local_options *o) MUST_USE;
void fold_close(struct local *l);
int fold_prepare(struct fold *f) MUST_USE; // the statements; harmless when they are there
// Writes the rows of one entry. -EBADMSG: the entry is broken.
int fold_apply(struct fold *f, const struct entry *e) MUST_USE;
// After a rollback or a deletion: ids of profiles that are not there.
static inline void fold_forget_profiles(struct fold *f)
{
	memset(f->profile, 0, sizeof(f->profile));
}
// Writes the entries that were given. Called by the fold thread, or by the owner of `l` while none runs.
// Returns how many they were.
unsigned bulk_step(struct local *l);
// Folds one transaction. Returns the number of entries, or a negative errno. Called by the fold thread, or by
// the owner of `l` while none runs.
int fold_step(struct local *l) MUST_USE;
// A piece of the deletion of profiles that was asked for. 1: there is more, 0: nothing to do, or it is over; a negative errno
// ends it until it is asked for again. Called like fold_step.
int clean_step(struct local *l);
void clean_end(struct local *l);
// An entry that is being folded names this profile: it stays.
void fold_mark_profile(struct fold *f, int64_t id);
