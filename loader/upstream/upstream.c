// Owns the queues between the loader's main thread and the upstream's threads (upstream.h), with the lock
// that guards them. Any thread of the loader.
#include "loader/upstream/upstream.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/secret.h"

#define THREADS 4
#define STOP_MS 1500u
#define UP_OWN_CNT 2

struct life {
	struct upstream *u;
	void *(*body)(void *);
};

struct upstream {
	struct upstream_options o;
	struct config config;
	char *uri, *dir;
	uint8_t *position, op[16];
	int fd;
	pthread_t thread[THREADS];
	struct life life[THREADS];
	unsigned running;
	pthread_mutex_t lock; // everything below
	pthread_cond_t over;  // a thread is at its end
	unsigned ended;
	pthread_cond_t wake;  // asks, batches, the wish, the end
	pthread_cond_t room;
	struct up_item *item, **item_tail;
	struct up_item *answer, **answer_tail;
	size_t item_bytes;
	struct up_ask *ask, **ask_tail;
	struct up_ask *index, **index_tail; // those for the index thread
	pthread_cond_t index_wake;	    // which others' asks do not wake
	struct up_batch *batch, **batch_tail;
	struct up_figures figures;
	struct up_known *known;
	size_t known_cnt, known_cap;
	struct imsi_set own[UP_OWN_CNT];
	bool loss_accepted;
	uint64_t wish, taken; // comparisons: the last that was asked for, the last that was begun
	bool ending;
};

void up_doc_free(struct up_doc **at)
{
	struct up_doc *d = *at;
	*at = NULL;
	if (!d)
		return;
	json_decref(d->json);
	if (d->text)
		secret_wipe(d->text, d->text_len);
	free(d->text);
	free(d->profile);
	free(d->said_octets);
	secret_wipe(d, sizeof(*d));
	free(d);
}

void up_batch_free(struct up_batch **at)
{
	struct up_batch *b = *at;
	*at = NULL;
	for (unsigned i = 0; b && i < b->cnt; i++)
		free(b->write[i].field);
	free(b);
}

void up_item_free(struct up_item **at)
{
	struct up_item *i = *at;
	*at = NULL;
	if (!i)
		return;
	up_doc_free(&i->doc);
	up_batch_free(&i->batch);
	free(i->text);
	free(i);
}

void up_ask_free(struct up_ask **at)
{
	struct up_ask *a = *at;
	*at = NULL;
	if (!a)
		return;
	json_decref(a->json);
	free(a);
}

static char *copy(const void *p, size_t len)
{
	char *c = calloc(1, len + 1);
	if (c && len)
		memcpy(c, p, len);
	return c;
}

static struct upstream *make(const struct upstream_options *o)
{
	struct upstream *u = calloc(1, sizeof(*u));
	pthread_condattr_t monotonic;
	if (!u)
		return NULL;
	u->config = *o->config;
	secret_wipe(u->config.store_uri, sizeof(u->config.store_uri)); // only `uri` is used
	u->uri = copy(o->uri, strlen(o->uri));
	u->dir = copy(o->dir, strlen(o->dir));
	u->position = (uint8_t *)copy(o->position.p, o->position.len);
	if (o->op.len == sizeof(u->op))
		memcpy(u->op, o->op.p, sizeof(u->op));
	u->o = (struct upstream_options){.config = &u->config,
					 .uri = u->uri,
					 .dir = u->dir,
					 .op = slice_of(u->op, o->op.len == sizeof(u->op) ? sizeof(u->op) : 0),
					 .position = slice_of(u->position, o->position.len),
					 .readers = o->readers};
	u->item_tail = &u->item;
	u->answer_tail = &u->answer;
	u->ask_tail = &u->ask;
	u->index_tail = &u->index;
	u->batch_tail = &u->batch;
	u->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&u->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&u->over, &monotonic);
	pthread_cond_init(&u->wake, &monotonic);
	pthread_cond_init(&u->room, &monotonic);
	pthread_cond_init(&u->index_wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return u;
}

static void drop(struct upstream *u)
{
	for (struct up_item *i = u->item, *next; i; i = next) {
		next = i->next;
		up_item_free(&i);
	}
	for (struct up_item *i = u->answer, *next; i; i = next) {
		next = i->next;
		up_item_free(&i);
	}
	for (struct up_ask *a = u->ask, *next; a; a = next) {
		next = a->next;
		up_ask_free(&a);
	}
	for (struct up_ask *a = u->index, *next; a; a = next) {
		next = a->next;
		up_ask_free(&a);
	}
	for (struct up_batch *b = u->batch, *next; b; b = next) {
		next = b->next;
		up_batch_free(&b);
	}
	if (u->uri)
		secret_wipe(u->uri, strlen(u->uri));
	secret_wipe(u->op, sizeof(u->op));
	free(u->known);
	for (unsigned i = 0; i < UP_OWN_CNT; i++)
		imsi_set_free(&u->own[i]);
	free(u->uri);
	free(u->dir);
	free(u->position);
	if (u->fd >= 0)
		close(u->fd);
	pthread_mutex_destroy(&u->lock);
	pthread_cond_destroy(&u->over);
	pthread_cond_destroy(&u->wake);
	pthread_cond_destroy(&u->room);
	pthread_cond_destroy(&u->index_wake);
	free(u);
}

static void *live(void *life)
{
	const struct life *l = life;
	struct upstream *u = l->u;
	l->body(u);
	pthread_mutex_lock(&u->lock);
	u->ended++;
	pthread_cond_signal(&u->over);
	pthread_mutex_unlock(&u->lock);
	return NULL;
}

int upstream_start(const struct upstream_options *o, struct upstream **out)
{
	static void *(*const body[THREADS])(void *) = {mongo_feed_main, mongo_ask_main, mongo_write_main,
						       mongo_index_main};
	struct upstream *u = make(o);
	int rc = u && u->uri && u->dir && u->position && u->fd >= 0 ? 0 : -ENOMEM;
	for (unsigned i = 0; i < THREADS && rc == 0 && !o->no_threads; i++) {
		u->life[i] = (struct life){.u = u, .body = body[i]};
		rc = -pthread_create(&u->thread[i], NULL, live, &u->life[i]);
		u->running += rc == 0;
	}
	if (rc == 0) {
		*out = u;
		return 0;
	}
	log_error("upstream_start_failed", LOG_STR("reason", err_text(rc)));
	if (u)
		upstream_stop(&u);
	return rc;
}

static struct timespec after_ms(unsigned ms)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

// At the end, a thread that waits for the network gets ten seconds. Then the process ends while it still
// waits, and all that it holds is left to it (here, where a leak checker finds it). Nothing is lost: whatever
// counts is on disk.
static struct upstream *volatile left_behind;

static bool join_all(struct upstream *u)
{
	struct timespec until = after_ms(STOP_MS);
	pthread_mutex_lock(&u->lock);
	while (u->ended < u->running && pthread_cond_timedwait(&u->over, &u->lock, &until) == 0)
		continue;
	bool all = u->ended == u->running;
	pthread_mutex_unlock(&u->lock);
	for (unsigned i = 0; all && i < u->running; i++)
		pthread_join(u->thread[i], NULL);
	return all;
}

void upstream_stop(struct upstream **at)
{
	struct upstream *u = *at;
	*at = NULL;
	if (!u)
		return;
	pthread_mutex_lock(&u->lock);
	u->ending = true;
	pthread_cond_broadcast(&u->wake);
	pthread_cond_broadcast(&u->room);
	pthread_cond_broadcast(&u->index_wake);
	pthread_mutex_unlock(&u->lock);
	if (join_all(u)) {
		drop(u);
		return;
	}
	left_behind = u; // its threads use it until the process ends
	log_warn("upstream_given_up");
}

// ---- main thread

int upstream_fd(const struct upstream *u)
{
	return u->fd;
}

struct up_item *upstream_take(struct upstream *u, bool answers)
{
	uint64_t n;
	struct up_item *list;
	if (read(u->fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		log_error("upstream_event_failed", LOG_STR("reason", err_text(errno)));
	pthread_mutex_lock(&u->lock);
	if (answers) {
		list = u->answer;
		u->answer = NULL;
		u->answer_tail = &u->answer;
	} else {
		list = u->item;
		u->item = NULL;
		u->item_tail = &u->item;
		u->item_bytes = 0;
		pthread_cond_broadcast(&u->room);
	}
	pthread_mutex_unlock(&u->lock);
	return list;
}

void upstream_ask_take(struct upstream *u, struct up_ask **at)
{
	struct up_ask *a = *at;
	*at = NULL;
	a->next = NULL;
	pthread_mutex_lock(&u->lock);
	struct up_ask ***tail = a->kind == UP_INDEX ? &u->index_tail : &u->ask_tail;
	**tail = a;
	*tail = &a->next;
	pthread_cond_broadcast(a->kind == UP_INDEX ? &u->index_wake : &u->wake);
	pthread_mutex_unlock(&u->lock);
}

void upstream_write_take(struct upstream *u, struct up_batch **at)
{
	struct up_batch *b = *at;
	*at = NULL;
	b->next = NULL;
	pthread_mutex_lock(&u->lock);
	*u->batch_tail = b;
	u->batch_tail = &b->next;
	pthread_cond_broadcast(&u->wake);
	pthread_mutex_unlock(&u->lock);
}

void upstream_figures(struct upstream *u, struct up_figures *out)
{
	pthread_mutex_lock(&u->lock);
	*out = u->figures;
	pthread_mutex_unlock(&u->lock);
}

uint64_t upstream_compare(struct upstream *u)
{
	pthread_mutex_lock(&u->lock);
	uint64_t wish = ++u->wish;
	pthread_cond_broadcast(&u->wake);
	pthread_mutex_unlock(&u->lock);
	return wish;
}

uint64_t upstream_accept_loss(struct upstream *u)
{
	pthread_mutex_lock(&u->lock);
	u->loss_accepted = true;
	uint64_t wish = ++u->wish;
	pthread_cond_broadcast(&u->wake);
	pthread_mutex_unlock(&u->lock);
	return wish;
}

// ---- the threads

void upstream_note_own(struct upstream *u, enum up_own what, const imsi_t imsi[], size_t cnt)
{
	pthread_mutex_lock(&u->lock);
	for (size_t i = 0; i < cnt; i++)
		if (imsi_set_add(&u->own[what], imsi[i]) < 0) // a comparison finds what is not noted
			u->wish++;
	pthread_mutex_unlock(&u->lock);
}

void upstream_take_own(struct upstream *u, enum up_own what, struct imsi_set *all)
{
	pthread_mutex_lock(&u->lock);
	struct imsi_set taken = u->own[what];
	u->own[what] = (struct imsi_set){0};
	pthread_mutex_unlock(&u->lock);
	const uint64_t *imsi;
	for (uint64_t at = 0; (imsi = imsi_places_next(&taken.map, &at)); at++)
		(void)imsi_set_add_unmarked(all, (imsi_t){*imsi});
	imsi_set_free(&taken);
}

bool upstream_loss_accepted(struct upstream *u)
{
	pthread_mutex_lock(&u->lock);
	bool accepted = u->loss_accepted;
	u->loss_accepted = false;
	pthread_mutex_unlock(&u->lock);
	return accepted;
}

// Notes the document of an answer. At most as many as there may be subscribers, but for those that are asked
// for again.
static void note_known(struct upstream *u, uint64_t id, imsi_t imsi)
{
	size_t cap = u->known_cap ? u->known_cap * 2 : 64;
	if (u->known_cnt == u->known_cap) {
		struct up_known *grown =
		    u->known_cnt < u->config.max_subscribers ? realloc(u->known, cap * sizeof(*grown)) : NULL;
		if (!grown)
			return;
		u->known = grown;
		u->known_cap = cap;
	}
	u->known[u->known_cnt++] = (struct up_known){.id = id, .imsi = imsi};
}

void upstream_note_known(struct upstream *u, uint64_t id, imsi_t imsi)
{
	pthread_mutex_lock(&u->lock);
	note_known(u, id, imsi);
	pthread_mutex_unlock(&u->lock);
}

struct up_known *upstream_take_known(struct upstream *u, size_t *cnt)
{
	pthread_mutex_lock(&u->lock);
	struct up_known *known = u->known;
	*cnt = u->known_cnt;
	u->known = NULL;
	u->known_cnt = u->known_cap = 0;
	pthread_mutex_unlock(&u->lock);
	return known;
}

bool upstream_give_take(struct upstream *u, struct up_item **at)
{
	struct up_item *i = *at;
	uint64_t one = 1;
	bool answer = i->kind == UP_ANSWER || i->kind == UP_WRITTEN;
	i->next = NULL;
	if (i->size == 0)
		i->size = sizeof(*i);
	pthread_mutex_lock(&u->lock);
	// an item that is larger than the bound goes alone; answers are never more than the questions
	while (!answer && !u->ending && u->item && u->item_bytes + i->size > UP_ITEMS_BYTES)
		pthread_cond_wait(&u->room, &u->lock);
	bool ending = u->ending;
	// further items are taken together with the first: one signal is enough
	bool first = answer ? !u->answer : !u->item;
	if (!ending && answer) {
		if (i->doc)
			note_known(u, i->doc->id, i->doc->imsi);
		*u->answer_tail = i;
		u->answer_tail = &i->next;
	} else if (!ending) {
		*u->item_tail = i;
		u->item_tail = &i->next;
		u->item_bytes += i->size;
	}
	pthread_mutex_unlock(&u->lock);
	if (ending) {
		up_item_free(at);
		return false;
	}
	*at = NULL;
	if (first && write(u->fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_error("upstream_event_failed", LOG_STR("reason", err_text(errno)));
	return true;
}

struct up_ask *upstream_next_ask(struct upstream *u, unsigned ms)
{
	struct timespec until = after_ms(ms);
	pthread_mutex_lock(&u->lock);
	while (!u->ask && !u->ending && ms && pthread_cond_timedwait(&u->wake, &u->lock, &until) == 0)
		continue;
	struct up_ask *a = u->ending ? NULL : u->ask;
	if (a) {
		u->ask = a->next;
		if (!u->ask)
			u->ask_tail = &u->ask;
	}
	pthread_mutex_unlock(&u->lock);
	return a;
}

struct up_ask *upstream_next_index(struct upstream *u, unsigned ms)
{
	struct timespec until = after_ms(ms);
	pthread_mutex_lock(&u->lock);
	while (!u->index && !u->ending && ms && pthread_cond_timedwait(&u->index_wake, &u->lock, &until) == 0)
		continue;
	struct up_ask *a = u->ending ? NULL : u->index;
	if (a) {
		u->index = a->next;
		if (!u->index)
			u->index_tail = &u->index;
	}
	pthread_mutex_unlock(&u->lock);
	return a;
}

void upstream_ask_back(struct upstream *u, struct up_ask *a)
{
	pthread_mutex_lock(&u->lock);
	a->next = u->ask;
	if (!u->ask)
		u->ask_tail = &a->next;
	u->ask = a;
	pthread_mutex_unlock(&u->lock);
}

struct up_batch *upstream_next_batch(struct upstream *u, unsigned ms)
{
	struct timespec until = after_ms(ms);
	pthread_mutex_lock(&u->lock);
	while (!u->batch && !u->ending && ms && pthread_cond_timedwait(&u->wake, &u->lock, &until) == 0)
		continue;
	struct up_batch *b = u->ending ? NULL : u->batch;
	if (b) {
		u->batch = b->next;
		if (!u->batch)
			u->batch_tail = &u->batch;
	}
	pthread_mutex_unlock(&u->lock);
	return b;
}

bool upstream_ending(const struct upstream *u)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&u->lock;
	pthread_mutex_lock(lock);
	bool ending = u->ending;
	pthread_mutex_unlock(lock);
	return ending;
}

bool upstream_wait(struct upstream *u, unsigned ms)
{
	struct timespec until = after_ms(ms);
	pthread_mutex_lock(&u->lock);
	while (!u->ending && u->wish == u->taken && pthread_cond_timedwait(&u->wake, &u->lock, &until) == 0)
		continue;
	bool ending = u->ending;
	pthread_mutex_unlock(&u->lock);
	return ending;
}

bool upstream_compare_wanted(struct upstream *u, uint64_t *wish)
{
	pthread_mutex_lock(&u->lock);
	bool wanted = u->wish != u->taken;
	if (wanted)
		*wish = u->taken = u->wish;
	pthread_mutex_unlock(&u->lock);
	return wanted;
}

void upstream_set(struct upstream *u, void (*fn)(struct up_figures *f, const void *arg), const void *arg)
{
	pthread_mutex_lock(&u->lock);
	fn(&u->figures, arg);
	pthread_mutex_unlock(&u->lock);
}

static void set_error(struct up_figures *f, const void *text)
{
	snprintf(f->last_error, sizeof(f->last_error), "%s", (const char *)text);
	f->last_error_ms = clock_mono_ms();
}

void upstream_error(struct upstream *u, const char *text)
{
	upstream_set(u, set_error, text);
}

const struct upstream_options *upstream_options(const struct upstream *u)
{
	return &u->o;
}
