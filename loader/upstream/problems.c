// The list of problems (problems.h). Loader process, main thread.
#include "loader/upstream/problems.h"
#include <stdio.h>
#include <stdlib.h>
#include "lib/base/log.h"

#define LOG_A_SECOND 5

struct problem {
	uint64_t serial; // a list that is being sent goes on behind the last one sent
	imsi_t imsi;
	char where[160], text[256];
};

// In order of their serials. A hash of `where` beside each, so that a flood of bad documents costs no string
// compares.
struct problems {
	uint64_t hash[PROBLEMS_MAX];
	struct problem *item[PROBLEMS_MAX];
	unsigned cnt;
	uint64_t serial;
	struct log_limit limit;
};

unsigned problems_count(const struct loader *l)
{
	return l->problems ? l->problems->cnt : 0;
}

static void tell(struct problems *p, const char *where, imsi_t imsi, const char *text)
{
	char digits[16];
	if (!log_limit_pass(&p->limit, LOG_A_SECOND))
		return;
	uint32_t suppressed = p->limit.suppressed;
	p->limit.suppressed = 0;
	if (imsi.v && imsi_text(imsi, digits))
		log_warn("subscriber_refused", LOG_STR("where", where), LOG_IMSI("imsi", digits),
			 LOG_STR("reason", text), LOG_INT("suppressed", suppressed));
	else
		log_warn("subscriber_refused", LOG_STR("where", where), LOG_STR("reason", text),
			 LOG_INT("suppressed", suppressed));
}

static struct problem *take_out(struct problems *p, unsigned i)
{
	struct problem *item = p->item[i];
	p->cnt--;
	memmove(&p->item[i], &p->item[i + 1], (p->cnt - i) * sizeof(p->item[0]));
	memmove(&p->hash[i], &p->hash[i + 1], (p->cnt - i) * sizeof(p->hash[0]));
	return item;
}

void problems_add(struct loader *l, const char *where, imsi_t imsi, const char *text)
{
	struct problems *p = l->problems;
	struct problem *item = NULL;
	if (!p && !(p = l->problems = calloc(1, sizeof(*p))))
		return;
	tell(p, where, imsi, text);
	uint64_t hash = ident_hash_bytes(slice_str(where), false);
	for (unsigned i = 0; i < p->cnt && !item; i++)
		if (p->hash[i] == hash)
			item = take_out(p, i);
	if (!item)
		item = p->cnt == PROBLEMS_MAX ? take_out(p, 0) : malloc(sizeof(*item));
	if (!item)
		return;
	item->serial = ++p->serial;
	item->imsi = imsi;
	snprintf(item->where, sizeof(item->where), "%s", where);
	snprintf(item->text, sizeof(item->text), "%s", text);
	p->item[p->cnt] = item;
	p->hash[p->cnt++] = hash;
}

void problems_clear(struct loader *l, const char *where)
{
	struct problems *p = l->problems;
	size_t len = strlen(where);
	for (unsigned i = 0; p && i < p->cnt;) {
		const char *at = p->item[i]->where;
		if (strncmp(at, where, len) == 0 && (at[len] == 0 || at[len] == ':'))
			free(take_out(p, i));
		else
			i++;
	}
}

bool problems_clear_one(struct loader *l, const char *where)
{
	struct problems *p = l->problems;
	uint64_t hash = p && p->cnt ? ident_hash_bytes(slice_str(where), false) : 0;
	for (unsigned i = 0; p && i < p->cnt; i++) {
		if (p->hash[i] != hash || strcmp(p->item[i]->where, where) != 0)
			continue;
		free(take_out(p, i));
		return true;
	}
	return false;
}

void problems_free(struct loader *l)
{
	for (unsigned i = 0; l->problems && i < l->problems->cnt; i++)
		free(l->problems->item[i]);
	free(l->problems);
	l->problems = NULL;
}

// ---- subscriber problems

// A document's own words, and a path, may be no UTF-8, or cut off within a character.
static json_t *text_of(const char *text)
{
	char plain[sizeof(((struct problem *)0)->text)];
	json_t *v = json_string(text);
	size_t n = 0;
	for (; !v && text[n]; n++)
		plain[n] = (signed char)text[n] < 0 ? '?' : text[n];
	plain[n] = 0;
	return v ? v : json_string(plain);
}

static json_t *row_of(const struct problem *item)
{
	char digits[16];
	json_t *imsi = item->imsi.v && imsi_text(item->imsi, digits) ? json_string(digits) : json_null();
	return json_pack("{s:o,s:o,s:o}", "where", text_of(item->where), "imsi", imsi, "error",
			 text_of(item->text));
}

void problems_list(struct loader *l, struct call *c)
{
	c->started = true;
	problems_pump(l, c);
}

// c->rows: serial of the last one that was sent.
void problems_pump(struct loader *l, struct call *c)
{
	const struct problems *p = l->problems;
	unsigned i = 0;
	while (p && i < p->cnt && p->item[i]->serial <= c->rows)
		i++;
	for (; p && i < p->cnt && c->window; i++) {
		c->rows = p->item[i]->serial;
		admin_row_take(l, c, row_of(p->item[i]), false);
	}
	if (!p || i == p->cnt)
		admin_end(l, c, ADMIN_OK, NULL);
}
