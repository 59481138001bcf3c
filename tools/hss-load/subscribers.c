// Subscribers of a run: see subscribers.h.
#include "tools/hss-load/subscribers.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/ident.h"
#include "lib/base/secret.h"

static int compare_rows(const void *a, const void *b)
{
	const struct hl_key_row *x = a, *y = b;
	return x->imsi < y->imsi ? -1 : x->imsi > y->imsi;
}

// One line `IMSI K OPC`; empty lines and `#` lines are skipped (then *digits stays 0).
static bool parse_row(char *line, struct hl_key_row *row, unsigned *digits)
{
	static const char blanks[] = " \t\r\n";
	char *save = NULL;
	char *imsi = strtok_r(line, blanks, &save);
	imsi_t checked;

	*digits = 0;
	if (!imsi || *imsi == '#')
		return true;
	char *k = strtok_r(NULL, blanks, &save), *opc = strtok_r(NULL, blanks, &save);
	if (!k || !opc || strtok_r(NULL, blanks, &save))
		return false;
	if (!imsi_parse(slice_str(imsi), &checked) || !hex_parse(slice_str(k), row->keys.k, 16) ||
	    !hex_parse(slice_str(opc), row->keys.opc, 16))
		return false;
	row->imsi = strtoull(imsi, NULL, 10);
	*digits = (unsigned)strlen(imsi);
	return true;
}

static bool add_row(struct hl_subscribers *s, uint64_t *room, const struct hl_key_row *row)
{
	if (s->row_count == *room) {
		uint64_t more = *room ? *room * 2 : 1024;
		struct hl_key_row *rows = realloc(s->rows, more * sizeof *rows);
		if (!rows)
			return false;
		s->rows = rows;
		*room = more;
	}
	s->rows[s->row_count++] = *row;
	return true;
}

static bool read_keys(struct hl_subscribers *s, const char *path)
{
	FILE *f = fopen(path, "re");
	char line[256];
	unsigned number = 0, digits;
	uint64_t room = 0;
	struct hl_key_row row;
	bool ok = false;

	if (!f) {
		fprintf(stderr, "hss-load: %s: %s\n", path, err_text(errno));
		return false;
	}
	while (fgets(line, sizeof line, f)) {
		number++;
		if (!parse_row(line, &row, &digits) || (digits && s->digits && digits != s->digits)) {
			fprintf(stderr,
				"hss-load: %s:%u: expected `IMSI K OPC' (32 hex digits each, IMSIs of one "
				"length)\n",
				path, number);
			goto out;
		}
		if (!digits)
			continue;
		s->digits = digits;
		if (!add_row(s, &room, &row)) {
			fprintf(stderr, "hss-load: %s: out of memory\n", path);
			goto out;
		}
	}
	if (ferror(f) || !s->row_count) {
		fprintf(stderr, "hss-load: %s: no keys in it\n", path);
		goto out;
	}
	qsort(s->rows, s->row_count, sizeof *s->rows, compare_rows);
	ok = true;
out:
	fclose(f);
	secret_wipe(line, sizeof line);
	return ok;
}

bool hl_subscribers_init(struct hl_subscribers *s, const struct hl_options *o, struct sim *sim)
{
	*s = (struct hl_subscribers){
	    .first = o->imsi_first,
	    .listed = o->imsi_digits == 0,
	    .digits = o->imsi_digits,
	    .count = o->subscribers ? o->subscribers : 1,
	    .sequential = o->sequential,
	    .keys = o->keys,
	};
	if (o->have_op)
		sim_opc(sim, o->keys.k, o->keys.opc, s->keys.opc);
	if (!o->keys_file)
		return true;
	if (!read_keys(s, o->keys_file)) {
		hl_subscribers_fini(s);
		return false;
	}
	if (s->listed && (!o->subscribers || o->subscribers > s->row_count))
		s->count = s->row_count;
	return true;
}

void hl_subscribers_fini(struct hl_subscribers *s)
{
	if (s->rows)
		secret_wipe(s->rows, s->row_count * sizeof *s->rows);
	free(s->rows);
	secret_wipe(s, sizeof *s);
}

// A bijection on 0 .. 2^bits-1: each step (xor with a shift, odd factor) can be undone, so nothing is visited
// twice.
static uint64_t scramble(uint64_t x, unsigned bits)
{
	uint64_t mask = ((uint64_t)1 << bits) - 1;
	unsigned half = bits / 2 + 1;

	for (int round = 0; round < 3; round++) {
		x = (x * 0x9e3779b97f4a7c15ull + 0x632be5ab) & mask;
		x ^= x >> half;
	}
	return x;
}

uint64_t hl_subscribers_pick(const struct hl_subscribers *s, uint64_t n)
{
	uint64_t x = n % s->count;
	unsigned bits;

	if (s->sequential || s->count < 3)
		return x;
	bits = 64u - (unsigned)__builtin_clzll(s->count - 1);
	// cycle walking: fewer than two rounds on average, since count is more than half of 2^bits
	do
		x = scramble(x, bits);
	while (x >= s->count);
	return x;
}

uint64_t hl_subscribers_imsi(const struct hl_subscribers *s, uint64_t subscriber)
{
	return s->listed ? s->rows[subscriber].imsi : s->first + subscriber;
}

const struct sim_keys *hl_subscribers_keys(const struct hl_subscribers *s, uint64_t subscriber)
{
	if (!s->rows)
		return &s->keys;
	if (s->listed)
		return &s->rows[subscriber].keys;
	struct hl_key_row want = {.imsi = s->first + subscriber};
	const struct hl_key_row *row = bsearch(&want, s->rows, s->row_count, sizeof want, compare_rows);
	return row ? &row->keys : NULL;
}
