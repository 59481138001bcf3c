// Collects what applications write into a document of the upstream (up_fields.h). More than what there is room for is a mistake of
// the application: its state is bounded.
#include "loader/upstream/up_fields.h"
#include <stdlib.h>
#include "lib/base/err.h"

static struct up_field *add(struct up_fields *f, const char *path, enum up_field_kind kind)
{
	if (f->cnt == UP_FIELDS_MAX || (kind != UP_FIELD_UPDATE && f->updates == 0))
		bug("write-back: %u fields, %u updates", f->cnt, f->updates);
	struct up_field *one = &f->field[f->cnt++];
	*one = (struct up_field){.path = path, .kind = kind};
	return one;
}

void up_update_begin(struct up_fields *f, const char *guard, uint64_t time)
{
	if (f->updates == UP_UPDATES_MAX)
		bug("write-back: more than %u updates", f->updates);
	f->updates++;
	add(f, guard, UP_FIELD_UPDATE)->n = (int64_t)time;
}

void up_set_text(struct up_fields *f, const char *path, struct slice text)
{
	if (text.len > UP_FIELD_OCTETS_MAX - f->used)
		bug("write-back: %u octets, and %u for %s", f->used, text.len, path);
	uint8_t *to = f->octets + f->used;
	if (text.len)
		memcpy(to, text.p, text.len);
	f->used += text.len;
	add(f, path, UP_FIELD_TEXT)->text = slice_of(to, text.len);
}

void up_set_int64(struct up_fields *f, const char *path, uint64_t n)
{
	add(f, path, UP_FIELD_INT64)->n = (int64_t)n;
}

void up_set_bool(struct up_fields *f, const char *path, bool yes)
{
	add(f, path, UP_FIELD_BOOL)->n = yes;
}

void up_unset(struct up_fields *f, const char *path)
{
	(void)add(f, path, UP_FIELD_UNSET);
}

struct up_field *up_fields_copy(const struct up_fields *f)
{
	size_t fields = f->cnt * sizeof(f->field[0]);
	struct up_field *copy = f->cnt ? malloc(fields + f->used) : NULL;
	if (!copy)
		return NULL;
	uint8_t *octets = (uint8_t *)copy + fields;
	memcpy(copy, f->field, fields);
	memcpy(octets, f->octets, f->used);
	for (unsigned i = 0; i < f->cnt; i++)
		if (copy[i].text.p)
			copy[i].text.p = octets + (copy[i].text.p - f->octets);
	return copy;
}
