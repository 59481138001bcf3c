// Writes the rows of many new subscribers without the journal (local_bulk_begin in local.h says for whom).
// Runs in the fold thread, the only writer of rows. It sorts by IMSI, so that neighbours share a page, and
// puts whole subscribers into each transaction, so that a kill leaves each subscriber whole or not at all.
// Nothing is acknowledged before its transaction is on disk (synchronous FULL). Loader process; law 6.
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "loader/store/local_priv.h"
#include "lib/base/log.h"

#define BULK_PART 1024 // rows' entries of a transaction

void local_bulk_begin(struct local *l, struct entry *entries, unsigned n)
{
	pthread_mutex_lock(&l->lock);
	if (l->bulk.state != BULK_NONE)
		bug("a bulk is under way already");
	l->bulk.entry = entries;
	l->bulk.cnt = n;
	l->bulk.state = BULK_GIVEN;
	pthread_cond_signal(&l->cond);
	pthread_mutex_unlock(&l->lock);
}

bool local_bulk_landed(struct local *l, bool wait, int *error)
{
	if (wait && !l->thread_running)
		(void)bulk_step(l);
	pthread_mutex_lock(&l->lock);
	while (wait && l->bulk.state == BULK_GIVEN)
		pthread_cond_wait(&l->bulk.landed, &l->lock);
	bool landed = l->bulk.state != BULK_GIVEN;
	if (landed) {
		*error = l->bulk.error;
		l->bulk.state = BULK_NONE;
	}
	pthread_mutex_unlock(&l->lock);
	return landed;
}

// Sorts by subscriber. The address keeps the entries of one subscriber in order.
static int by_imsi(const void *pa, const void *pb)
{
	const struct entry *a = *(struct entry *const *)pa, *b = *(struct entry *const *)pb;
	if (a->imsi != b->imsi)
		return (int64_t)a->imsi < (int64_t)b->imsi ? -1 : 1;
	return a < b ? -1 : a > b;
}

// One transaction: some whole subscribers from *at on. Their entries are marked when they are durable.
static int write_part(struct fold *f, struct entry **order, unsigned cnt, unsigned *at)
{
	unsigned from = *at, i = from;
	int rc = sql_exec(f->db, "BEGIN IMMEDIATE");
	for (; rc == 0 && i < cnt && (i - from < BULK_PART || order[i]->imsi == order[i - 1]->imsi); i++)
		rc = fold_apply(f, order[i]);
	if (rc == 0)
		rc = sql_exec(f->db, "COMMIT");
	if (rc) {
		sql_rollback(f->db);
		fold_forget_profiles(f);
		return rc;
	}
	for (*at = i; from < i; from++)
		order[from]->seq = 1;
	return 0;
}

static int write_rows(struct local *l)
{
	struct bulk_rows *b = &l->bulk;
	struct entry **order = malloc(b->cnt * sizeof(*order));
	int rc = order ? fold_prepare(&l->fold) : -ENOMEM;
	for (unsigned i = 0; order && i < b->cnt; i++) {
		b->entry[i].seq = 0;
		order[i] = &b->entry[i];
	}
	if (order)
		qsort(order, b->cnt, sizeof(*order), by_imsi);
	for (unsigned at = 0; rc == 0 && at < b->cnt;)
		rc = write_part(&l->fold, order, b->cnt, &at);
	free(order);
	return rc;
}

unsigned bulk_step(struct local *l)
{
	pthread_mutex_lock(&l->lock);
	unsigned given = l->bulk.state == BULK_GIVEN ? l->bulk.cnt : 0;
	pthread_mutex_unlock(&l->lock);
	if (given == 0)
		return 0;
	int rc = write_rows(l);
	pthread_mutex_lock(&l->lock);
	l->bulk.error = rc;
	l->bulk.state = BULK_LANDED;
	pthread_cond_signal(&l->bulk.landed);
	pthread_mutex_unlock(&l->lock);
	uint64_t one = 1;
	if (write(l->fold_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_error("fold_notify_failed", LOG_STR("reason", err_text(errno)));
	return given;
}
