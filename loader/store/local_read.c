// Reads of the local database (local.h). A read takes the row, unless the journal holds something newer. The
// ordered scan that fills the cache is here, too. Loader process, main thread.
#include <errno.h>
#include <stdlib.h>
#include "loader/store/local_priv.h"
#include "lib/base/secret.h"

int local_read_prepare(struct local *l)
{
	static const char *const sql[READ_STMT_CNT] = {
	    [READ_SUBSCRIBER] = ("SELECT s.rec, s.profile, p.body FROM subscriber s LEFT JOIN profile p"
				 " ON p.id = s.profile WHERE s.imsi = ?1"),
	    [READ_DOCUMENT] = "SELECT doc FROM document WHERE imsi = ?1",
	    [READ_UPSTREAM] = "SELECT id, digest FROM upstream WHERE imsi = ?1",
	    [READ_STATE] = "SELECT row, merged FROM app_state WHERE imsi = ?1 AND app = ?2",
	    [READ_SQN] = "SELECT ceiling, run FROM sqn WHERE imsi = ?1 AND fp = ?2",
	    [READ_PROFILE] = "SELECT body FROM profile WHERE id = ?1",
	    [READ_PROFILE_DIGEST] = "SELECT body FROM profile WHERE digest = ?1",
	    [READ_NEXT] = "SELECT imsi FROM subscriber WHERE imsi > ?1 ORDER BY imsi LIMIT 1",
	    [SCAN_SUBSCRIBER] = "SELECT imsi, profile, rec FROM subscriber WHERE imsi > ?1 ORDER BY imsi",
	    [SCAN_STATE] = "SELECT imsi, row FROM app_state WHERE imsi > ?1 ORDER BY imsi, app",
	    [SCAN_SQN] = "SELECT imsi, fp, ceiling, run FROM sqn WHERE imsi > ?1 ORDER BY imsi",
	};
	for (unsigned i = 0; i < READ_STMT_CNT; i++) {
		int rc = sql_prepare(l->rows, sql[i], &l->read[i]);
		if (rc)
			return rc;
	}
	return 0;
}

// Copies what a statement shows into a block, behind `used` octets: the statement can be reset, its read lock is gone.
static int keep_in(struct scratch *b, size_t used, struct slice *s)
{
	if (used + s->len > b->cap) {
		size_t cap = (used + s->len) * 2 + 1024;
		uint8_t *p = malloc(cap);
		if (!p)
			return -ENOMEM;
		if (used)
			memcpy(p, b->p, used);
		if (b->p)
			secret_wipe(b->p, b->cap);
		free(b->p);
		b->p = p;
		b->cap = cap;
	}
	if (s->len)
		memcpy(b->p + used, s->p, s->len);
	s->p = b->p + used;
	return 0;
}

static int keep(struct local *l, size_t used, struct slice *s)
{
	return keep_in(&l->scratch, used, s);
}

// The newest unfolded entry of a key: 1 and the entry (its body in the scratch block), 0 when the rows are
// current.
static int journal_find(struct local *l, enum unfolded_class cls, imsi_t imsi, uint64_t extra,
			struct entry *out)
{
	uint64_t seq = unfolded_find(&l->unfolded, unfolded_key(cls, imsi, extra), atomic_load(&l->folded));
	*out = (struct entry){0};
	if (seq == 0)
		return 0;
	sqlite3_bind_int64(l->by_seq, 1, (int64_t)seq);
	int step = sqlite3_step(l->by_seq);
	if (step != SQLITE_ROW) {
		sqlite3_reset(l->by_seq);
		// the note is only made after the commit, and entries are only deleted after they are folded
		return step == SQLITE_DONE ? -EUCLEAN : sql_error(step);
	}
	*out = (struct entry){.seq = seq,
			      .kind = (uint32_t)sqlite3_column_int(l->by_seq, 0),
			      .imsi = (uint64_t)sqlite3_column_int64(l->by_seq, 1),
			      .body = sql_blob(l->by_seq, 2)};
	int rc = out->imsi == imsi.v ? keep(l, 0, &out->body) : -EUCLEAN;
	sqlite3_reset(l->by_seq);
	return rc ? rc : 1;
}

// Runs a prepared point query: 1 with a row (the caller resets), 0, or an error.
static int query(sqlite3_stmt *s, uint64_t key)
{
	sqlite3_bind_int64(s, 1, (int64_t)key);
	int step = sqlite3_step(s);
	if (step == SQLITE_ROW)
		return 1;
	sqlite3_reset(s);
	return sql_error(step);
}

static int profile_by_digest(struct local *l, const uint8_t digest[16], size_t used, struct slice *body)
{
	sqlite3_stmt *s = l->read[READ_PROFILE_DIGEST];
	sqlite3_bind_blob(s, 1, digest, 16, SQLITE_STATIC);
	int step = sqlite3_step(s);
	int rc = step == SQLITE_ROW ? 1 : sql_error(step);
	if (rc == 1) {
		*body = sql_blob(s, 0);
		int kept = keep(l, used, body);
		rc = kept ? kept : 1;
	}
	sqlite3_reset(s);
	return rc;
}

static int subscriber_of_entry(struct local *l, const struct entry *e, struct local_subscriber *out)
{
	struct doc_put d;
	if (e->kind == ENTRY_DOC_DELETE)
		return 0;
	if (!entry_get_doc(e->body, &d))
		return -EUCLEAN;
	if (d.profile.len == 0) {
		struct slice body;
		size_t record_at = (size_t)(d.record.p - l->scratch.p);
		int rc = profile_by_digest(l, d.digest, e->body.len, &body);
		if (rc < 0)
			return rc;
		d.record.p = l->scratch.p + record_at; // the block may have moved
		d.profile = rc ? body : (struct slice){0};
	}
	*out = (struct local_subscriber){.record = d.record, .profile = d.profile};
	return 1;
}

int local_read_subscriber(struct local *l, imsi_t imsi, struct local_subscriber *out)
{
	struct entry e;
	*out = (struct local_subscriber){0};
	int rc = journal_find(l, UNFOLDED_DOC, imsi, 0, &e);
	if (rc)
		return rc < 0 ? rc : subscriber_of_entry(l, &e, out);
	sqlite3_stmt *s = l->read[READ_SUBSCRIBER];
	rc = query(s, imsi.v);
	if (rc <= 0)
		return rc;
	struct slice both = sql_blob(s, 0);
	uint32_t record_len = both.len;
	rc = keep(l, 0, &both);
	out->profile_id = (uint64_t)sqlite3_column_int64(s, 1);
	out->profile = sql_blob(s, 2);
	if (rc == 0)
		rc = keep(l, record_len, &out->profile);
	out->record = slice_of(l->scratch.p, record_len);
	sqlite3_reset(s);
	return rc ? rc : 1;
}

int local_read_document(struct local *l, imsi_t imsi, struct slice *text)
{
	struct entry e;
	struct doc_put d;
	*text = (struct slice){0};
	int rc = journal_find(l, UNFOLDED_DOC, imsi, 0, &e);
	if (rc < 0)
		return rc;
	if (rc == 1) {
		if (e.kind == ENTRY_DOC_DELETE)
			return 0;
		if (!entry_get_doc(e.body, &d))
			return -EUCLEAN;
		*text = d.document;
		return 1;
	}
	sqlite3_stmt *s = l->read[READ_DOCUMENT];
	rc = query(s, imsi.v);
	if (rc <= 0)
		return rc;
	*text = sql_blob(s, 0);
	rc = keep(l, 0, text);
	sqlite3_reset(s);
	return rc ? rc : 1;
}

int local_read_upstream(struct local *l, imsi_t imsi, uint64_t *id, uint64_t *digest)
{
	struct entry e;
	struct doc_put d;
	*id = *digest = 0;
	int rc = journal_find(l, UNFOLDED_DOC, imsi, 0, &e);
	bool changed_here = rc == 1;
	if (rc < 0 || (rc == 1 && e.kind == ENTRY_DOC_DELETE))
		return rc < 0 ? rc : 0;
	if (rc == 1) {
		if (!entry_get_doc(e.body, &d))
			return -EUCLEAN;
		*id = d.up_id;
		*digest = d.up_digest;
		// a document that an operator changed here is still the same one there
		if (d.has_upstream)
			return 1;
	}
	sqlite3_stmt *s = l->read[READ_UPSTREAM];
	rc = query(s, imsi.v);
	if (rc <= 0)
		return rc;
	*id = (uint64_t)sqlite3_column_int64(s, 0);
	*digest = changed_here ? 0 : (uint64_t)sqlite3_column_int64(s, 1);
	sqlite3_reset(s);
	return 1;
}

static int state_column(struct local *l, imsi_t imsi, unsigned app, int column, struct slice *out)
{
	sqlite3_stmt *s = l->read[READ_STATE];
	sqlite3_bind_int(s, 2, (int)app);
	int rc = query(s, imsi.v);
	if (rc <= 0)
		return rc;
	*out = sql_blob(s, column);
	rc = keep(l, 0, out);
	sqlite3_reset(s);
	return rc ? rc : 1;
}

// Column 0: the row, 1: what is merged.
static int read_state(struct local *l, imsi_t imsi, unsigned app, int column, struct slice *out)
{
	struct entry e;
	struct slice row;
	struct state_kept k;
	enum unfolded_class cls = column ? UNFOLDED_MERGED : UNFOLDED_STATE;
	uint64_t folded = atomic_load(&l->folded);
	uint64_t gone = unfolded_find(&l->unfolded, unfolded_key(UNFOLDED_GONE, imsi, 0), folded);
	*out = (struct slice){0};
	int rc = journal_find(l, cls, imsi, app, &e);
	if (rc < 0 || gone > e.seq)
		return rc < 0 ? rc : 0;
	if (rc == 0)
		return state_column(l, imsi, app, column, out);
	if (!entry_get_state(e.body, &row, &k))
		return -EUCLEAN;
	*out = column ? k.blob[1] : row;
	return 1;
}

int local_read_state(struct local *l, imsi_t imsi, unsigned app, struct state_row *out)
{
	struct slice row;
	*out = (struct state_row){0};
	int rc = read_state(l, imsi, app, 0, &row);
	return rc == 1 && !state_row_get(row, out) ? -EUCLEAN : rc;
}

int local_read_merged(struct local *l, imsi_t imsi, unsigned app, struct slice *merged)
{
	return read_state(l, imsi, app, 1, merged);
}

int local_read_sqn(struct local *l, imsi_t imsi, const uint8_t fp[SQN_FP_LEN], struct sqn_row *out)
{
	struct entry e;
	struct doc_put d;
	int rc = journal_find(l, UNFOLDED_SQN, imsi, be64_get(fp), &e);
	if (rc < 0)
		return rc;
	if (rc == 1) {
		bool ok = e.kind == ENTRY_DOC_PUT ? entry_get_doc(e.body, &d) && d.has_sqn
						  : entry_get_sqn(e.body, out);
		if (ok && e.kind == ENTRY_DOC_PUT)
			*out = d.sqn;
		return ok && memcmp(out->fp, fp, SQN_FP_LEN) == 0 ? 1 : -EUCLEAN;
	}
	sqlite3_stmt *s = l->read[READ_SQN];
	sqlite3_bind_blob(s, 2, fp, SQN_FP_LEN, SQLITE_STATIC);
	rc = query(s, imsi.v);
	if (rc <= 0)
		return rc;
	memcpy(out->fp, fp, SQN_FP_LEN);
	out->ceiling = (uint64_t)sqlite3_column_int64(s, 0);
	out->run = (uint64_t)sqlite3_column_int64(s, 1);
	sqlite3_reset(s);
	return 1;
}

bool local_has_left_sqn_rows(const struct local *l)
{
	return !l->scanned || l->left_sqn_rows;
}

void local_leaves_sqn_row(struct local *l)
{
	l->left_sqn_rows = true;
}

bool local_has_profile(struct local *l, const uint8_t digest[16])
{
	struct seen_profile *seen = &l->seen[be16_get(digest) & (PROFILE_SEEN - 1)];
	struct slice body;
	if (atomic_load(&l->cleaning)) // it may be deleted
		return false;
	if (seen->valid && memcmp(seen->digest, digest, 16) == 0)
		return true;
	if (profile_by_digest(l, digest, 0, &body) != 1)
		return false;
	memcpy(seen->digest, digest, 16);
	seen->valid = true;
	return true;
}

int local_profile(struct local *l, uint64_t id, struct slice *body)
{
	int rc = query(l->read[READ_PROFILE], id);
	if (rc <= 0)
		return rc;
	*body = sql_blob(l->read[READ_PROFILE], 0);
	rc = keep(l, 0, body);
	sqlite3_reset(l->read[READ_PROFILE]);
	return rc ? rc : 1;
}

bool local_unfolded(struct local *l, imsi_t imsi, const uint8_t fp[SQN_FP_LEN], uint64_t folded)
{
	const struct unfolded *u = &l->unfolded;
	if (unfolded_find(u, unfolded_key(UNFOLDED_DOC, imsi, 0), folded) ||
	    unfolded_find(u, unfolded_key(UNFOLDED_SQN, imsi, be64_get(fp)), folded))
		return true;
	for (unsigned app = 0; app < LOCAL_ROW_MAX; app++)
		if (unfolded_find(u, unfolded_key(UNFOLDED_STATE, imsi, app), folded))
			return true;
	return false;
}

// ---- scan ---------------------------------------------------------------------------------------

static int advance(sqlite3_stmt *s, bool *waiting)
{
	int step = sqlite3_step(s);
	*waiting = step == SQLITE_ROW;
	return sql_error(step);
}

int local_scan_begin(struct local *l, imsi_t after)
{
	local_scan_end(l);
	// one read transaction, so that the three see the same rows
	int rc = sql_exec(l->rows, "BEGIN");
	for (unsigned i = SCAN_SUBSCRIBER; i <= SCAN_SQN; i++)
		sqlite3_bind_int64(l->read[i], 1, (int64_t)after.v);
	if (rc == 0)
		rc = advance(l->read[SCAN_SUBSCRIBER], &l->scan_sub);
	if (rc == 0)
		rc = advance(l->read[SCAN_STATE], &l->scan_state);
	if (rc == 0)
		rc = advance(l->read[SCAN_SQN], &l->scan_sqn);
	return rc;
}

void local_scan_end(struct local *l)
{
	if (!l->rows || !l->read[SCAN_SQN])
		return;
	for (unsigned i = SCAN_SUBSCRIBER; i <= SCAN_SQN; i++)
		sqlite3_reset(l->read[i]);
	sql_rollback(l->rows);
	l->scan_sub = l->scan_state = l->scan_sqn = false;
}

// Beside the states of the row that lie in the block already: it may move.
static int keep_state(struct local *l, size_t used, struct slice *s, struct local_row *row)
{
	const uint8_t *before = l->states.p;
	int rc = keep_in(&l->states, used, s);
	if (rc == 0 && l->states.p != before)
		for (unsigned i = 0; i < row->state_cnt; i++)
			row->state[i].body.p = l->states.p + (row->state[i].body.p - before);
	return rc;
}

// The states of all applications, in a block of their own: the caller reads other things before it uses them. A row that
// this build cannot read is left out: its application starts anew.
static int scan_state(struct local *l, int64_t imsi, struct local_row *out)
{
	size_t used = 0;
	sqlite3_stmt *s = l->read[SCAN_STATE];
	int rc = 0;
	while (rc == 0 && l->scan_state && sqlite3_column_int64(s, 0) <= imsi) {
		struct slice row = sql_blob(s, 1);
		if (sqlite3_column_int64(s, 0) == imsi && out->state_cnt < LOCAL_ROW_MAX) {
			rc = keep_state(l, used, &row, out);
			used += row.len;
			if (rc == 0 && state_row_get(row, &out->state[out->state_cnt]))
				out->state_cnt++;
		}
		if (rc == 0)
			rc = advance(s, &l->scan_state);
	}
	return rc;
}

// Rows of former keys stand beside the one that counts: it is that of the record's fingerprint.
static int scan_sqn(struct local *l, int64_t imsi, struct local_row *out)
{
	sqlite3_stmt *s = l->read[SCAN_SQN];
	struct record_image image;
	bool known = record_image_get(out->record, &image);
	int rc = 0;
	out->has_sqn = false;
	l->left_sqn_rows |= !known;
	while (rc == 0 && l->scan_sqn && sqlite3_column_int64(s, 0) <= imsi) {
		struct slice fp = sql_blob(s, 1);
		if (sqlite3_column_int64(s, 0) == imsi && known &&
		    slice_eq(fp, slice_of(image.fp, SQN_FP_LEN))) {
			out->has_sqn = true;
			memcpy(out->sqn.fp, fp.p, SQN_FP_LEN);
			out->sqn.ceiling = (uint64_t)sqlite3_column_int64(s, 2);
			out->sqn.run = (uint64_t)sqlite3_column_int64(s, 3);
		} else {
			l->left_sqn_rows = true;
		}
		rc = advance(s, &l->scan_sqn);
	}
	secret_wipe(&image, sizeof(image));
	return rc;
}

int local_scan_next(struct local *l, struct local_row *out)
{
	sqlite3_stmt *s = l->read[SCAN_SUBSCRIBER];
	if (!l->scan_sub) {
		l->scanned = true;
		l->left_sqn_rows |= l->scan_sqn;
		return 0;
	}
	int64_t imsi = sqlite3_column_int64(s, 0);
	struct slice record = sql_blob(s, 2);
	*out =
	    (struct local_row){.imsi = {(uint64_t)imsi}, .profile_id = (uint64_t)sqlite3_column_int64(s, 1)};
	out->record = record;
	int rc = keep(l, 0, &out->record);
	if (rc == 0)
		rc = scan_state(l, imsi, out);
	if (rc == 0)
		rc = scan_sqn(l, imsi, out);
	if (rc == 0)
		rc = advance(s, &l->scan_sub);
	return rc ? rc : 1;
}

int local_count(struct local *l, uint64_t *subscribers)
{
	int64_t n = 0;
	int rc = sql_number(l->rows, "SELECT count(*) FROM subscriber", 0, &n);
	*subscribers = (uint64_t)n;
	return rc;
}

int local_next(struct local *l, imsi_t after, imsi_t *out)
{
	int rc = query(l->read[READ_NEXT], after.v);
	if (rc <= 0)
		return rc;
	out->v = (uint64_t)sqlite3_column_int64(l->read[READ_NEXT], 0);
	sqlite3_reset(l->read[READ_NEXT]);
	return 1;
}

int local_each_ind(struct local *l, bool (*fn)(void *ctx, const struct ind_host *h), void *ctx)
{
	sqlite3_stmt *s = NULL;
	int rc = sql_prepare(l->rows, "SELECT place, hash, host FROM ind_host ORDER BY place", &s);
	int step = SQLITE_DONE;
	while (rc == 0 && (step = sqlite3_step(s)) == SQLITE_ROW) {
		struct ind_host h = {.place = (uint32_t)sqlite3_column_int64(s, 0),
				     .hash = (uint64_t)sqlite3_column_int64(s, 1),
				     .host = sql_blob(s, 2)};
		if (!fn(ctx, &h))
			break;
	}
	sqlite3_finalize(s);
	return rc ? rc : sql_error(step);
}

int local_each_hss_request(struct local *l, bool (*fn)(void *ctx, imsi_t imsi, const struct hss_request_image *o),
			   void *ctx)
{
	sqlite3_stmt *s = NULL;
	int rc = sql_prepare(l->rows, "SELECT imsi, body FROM hss_request ORDER BY id", &s);
	int step = SQLITE_DONE;
	while (rc == 0 && (step = sqlite3_step(s)) == SQLITE_ROW) {
		struct hss_request_image o;
		imsi_t imsi = {(uint64_t)sqlite3_column_int64(s, 0)};
		if (entry_get_hss_request(sql_blob(s, 1), &o) && !fn(ctx, imsi, &o))
			break;
	}
	sqlite3_finalize(s);
	return rc ? rc : sql_error(step);
}

int local_each_item(struct local *l, unsigned app, bool (*fn)(void *ctx, const struct item_image *i), void *ctx)
{
	sqlite3_stmt *s = NULL;
	int rc = sql_prepare(l->rows, "SELECT key, body FROM app_item WHERE app = ?1 ORDER BY key", &s);
	int step = SQLITE_DONE;
	if (rc == 0)
		sqlite3_bind_int64(s, 1, app);
	while (rc == 0 && (step = sqlite3_step(s)) == SQLITE_ROW) {
		const struct item_image i = {.app = (uint8_t)app, .key = sql_blob(s, 0), .body = sql_blob(s, 1)};
		if (!fn(ctx, &i))
			break;
	}
	sqlite3_finalize(s);
	return rc ? rc : sql_error(step);
}

int local_each_outbox(struct local *l, bool (*fn)(void *ctx, imsi_t imsi), void *ctx)
{
	sqlite3_stmt *s = NULL;
	int rc = sql_prepare(l->rows, "SELECT imsi FROM outbox ORDER BY seq", &s);
	int step = SQLITE_DONE;
	while (rc == 0 && (step = sqlite3_step(s)) == SQLITE_ROW)
		if (!fn(ctx, (imsi_t){(uint64_t)sqlite3_column_int64(s, 0)}))
			break;
	sqlite3_finalize(s);
	return rc ? rc : sql_error(step);
}

int local_feed_position(struct local *l, struct slice *token)
{
	sqlite3_stmt *s = NULL;
	*token = (struct slice){0};
	int rc = sql_prepare(l->rows, "SELECT value FROM meta WHERE key = 'feed'", &s);
	int step = rc ? SQLITE_DONE : sqlite3_step(s);
	if (step == SQLITE_ROW) {
		*token = sql_blob(s, 0);
		rc = keep(l, 0, token);
	}
	sqlite3_finalize(s);
	return rc ? rc : step == SQLITE_ROW ? 1 : sql_error(step);
}
