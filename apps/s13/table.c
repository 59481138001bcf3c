// Makes and searches the table of the equipment register (table.h). No state.
//
// The block: three counts of four octets and four octets that are 0, then the pairs (16 octets: IMEI << 2 | colour, IMSI), the
// IMEIs (8 octets: IMEI << 2 | colour) and the TACs (12 octets: first, last, colour), each in order. Ranges of TACs may lie in
// each other; in the table they are cut into pieces that do not overlap, each with the colour of the narrowest range.
#include "apps/s13/table.h"
#include <stdlib.h>
#include <string.h>

#define TAC_DIV 1000000u // an IMEI's digits behind the TAC

int s13_key_cmp(const struct s13_key *x, const struct s13_key *y)
{
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->a != y->a)
		return x->a < y->a ? -1 : 1;
	return x->b < y->b ? -1 : x->b > y->b;
}

// ---- texts

static bool read_digits(struct slice s, uint64_t *out)
{
	*out = 0;
	for (uint32_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		*out = *out * 10 + (s.p[i] - '0');
	}
	return s.len != 0;
}

bool s13_imei_read(struct slice text, uint64_t *imei)
{
	uint64_t all;
	if (text.len < 14 || text.len > 16 || !read_digits(text, &all))
		return false;
	return read_digits(slice_of(text.p, 14), imei);
}

static unsigned check_digit(struct slice digits14)
{
	unsigned sum = 0;
	for (unsigned i = 0; i < 14; i++) {
		unsigned d = (unsigned)(digits14.p[i] - '0') * (i % 2 ? 2 : 1);
		sum += d / 10 + d % 10;
	}
	return (10 - sum % 10) % 10;
}

static bool read_tacs(struct slice text, struct s13_key *out)
{
	struct slice first = text, last = text;
	if (text.len == 17 && text.p[8] == '-') {
		first.len = 8;
		last = slice_of(text.p + 9, 8);
	}
	out->kind = S13_TACS;
	return first.len == 8 && read_digits(first, &out->a) && read_digits(last, &out->b) && out->a <= out->b;
}

bool s13_key_read(struct slice text, imsi_t imsi, struct s13_key *out, bool *check, const char **expected)
{
	*out = (struct s13_key){.kind = imsi.v ? S13_PAIR : S13_IMEI, .b = imsi.v};
	*check = false;
	if (s13_imei_read(text, &out->a)) {
		*check = text.len == 15 && check_digit(text) != (unsigned)(text.p[14] - '0');
		return true;
	}
	*expected = imsi.v ? "an IMEI of 14 to 16 digits, for an IMSI" : "an IMEI of 14 to 16 digits, a TAC of 8, or TAC-TAC";
	return !imsi.v && read_tacs(text, out);
}

static char *put_digits(char *at, uint64_t v, unsigned n)
{
	for (unsigned i = n; i-- > 0; v /= 10)
		at[i] = (char)('0' + v % 10);
	return at + n;
}

void s13_key_text(const struct s13_key *k, char out[24])
{
	char *at = put_digits(out, k->a, k->kind == S13_TACS ? 8 : 14);
	if (k->kind == S13_TACS && k->b != k->a) {
		*at++ = '-';
		at = put_digits(at, k->b, 8);
	}
	*at = 0;
}

// ---- making it

struct range {
	uint32_t first, last, color;
};

static int narrower(const void *x, const void *y)
{
	const struct range *a = x, *b = y;
	uint32_t wa = a->last - a->first, wb = b->last - b->first;
	return wa < wb ? -1 : wa > wb ? 1 : a->first < b->first ? -1 : a->first > b->first;
}

static int number_cmp(const void *x, const void *y)
{
	const uint32_t *a = x, *b = y;
	return *a < *b ? -1 : *a > *b;
}

// The place of a number that is there.
static size_t place_of(const uint32_t *points, size_t n, uint32_t v)
{
	size_t low = 0;
	while (n > 1) {
		size_t half = n / 2;
		low += points[low + half] <= v ? half : 0;
		n -= half;
	}
	return low;
}

// The first piece from `i` on that has no colour yet; what was found is remembered.
static size_t uncolored(uint32_t *next, size_t i)
{
	size_t end = i;
	while (next[end] != end)
		end = next[end];
	while (next[i] != end) {
		size_t after = next[i];
		next[i] = (uint32_t)end;
		i = after;
	}
	return end;
}

struct work {
	struct range *range;
	uint32_t *point, *next, *color;
};

static bool work_make(struct work *k, size_t n)
{
	k->range = malloc(n * sizeof *k->range);
	k->point = malloc((2 * n + 1) * sizeof *k->point);
	k->next = malloc((2 * n + 1) * sizeof *k->next);
	k->color = malloc((2 * n + 1) * sizeof *k->color);
	return k->range && k->point && k->next && k->color;
}

static void work_free(struct work *k)
{
	free(k->range);
	free(k->point);
	free(k->next);
	free(k->color);
}

// The borders of all ranges, in order, each once. Returns how many.
static size_t points_of(struct work *k, size_t n)
{
	size_t cnt = 0, out = 0;
	for (size_t i = 0; i < n; i++) {
		k->point[cnt++] = k->range[i].first;
		k->point[cnt++] = k->range[i].last + 1;
	}
	qsort(k->point, cnt, sizeof *k->point, number_cmp);
	for (size_t i = 0; i < cnt; i++)
		if (i == 0 || k->point[i] != k->point[out - 1])
			k->point[out++] = k->point[i];
	return out;
}

// Colours the pieces between the borders, the narrowest range first.
static void color_pieces(struct work *k, size_t ranges, size_t points)
{
	for (size_t i = 0; i < points; i++) {
		k->next[i] = (uint32_t)i;
		k->color[i] = S13_COLOR_CNT;
	}
	qsort(k->range, ranges, sizeof *k->range, narrower);
	for (size_t r = 0; r < ranges; r++) {
		size_t i = uncolored(k->next, place_of(k->point, points, k->range[r].first));
		for (; i + 1 < points && k->point[i] <= k->range[r].last; i = uncolored(k->next, i)) {
			k->color[i] = k->range[r].color;
			k->next[i] = (uint32_t)i + 1;
		}
	}
}

static size_t put_pieces(const struct work *k, size_t points, struct wr *w)
{
	size_t cnt = 0;
	for (size_t i = 0; i + 1 < points; i++) {
		if (k->color[i] == S13_COLOR_CNT)
			continue;
		wr_u32(w, k->point[i]);
		wr_u32(w, k->point[i + 1] - 1);
		wr_u32(w, k->color[i]);
		cnt++;
	}
	return cnt;
}

static bool put_tacs(const struct s13_item *items, size_t n, struct wr *w, uint32_t *cnt)
{
	struct work k = {0};
	bool made = n == 0 || work_make(&k, n);
	for (size_t i = 0; made && i < n; i++)
		k.range[i] = (struct range){(uint32_t)items[i].key.a, (uint32_t)items[i].key.b, items[i].color};
	if (made && n) {
		size_t points = points_of(&k, n);
		color_pieces(&k, n, points);
		*cnt = (uint32_t)put_pieces(&k, points, w);
	}
	work_free(&k);
	return made;
}

size_t s13_table_make(const struct s13_item *items, size_t n, uint8_t *out)
{
	struct wr w = wr_of(out, S13_TABLE_LEN(n));
	uint32_t cnt[3] = {0};
	wr_zero(&w, 16);
	size_t i = 0;
	for (; i < n && items[i].key.kind == S13_PAIR; i++, cnt[0]++) {
		wr_u64(&w, items[i].key.a << 2 | items[i].color);
		wr_u64(&w, items[i].key.b);
	}
	for (; i < n && items[i].key.kind == S13_IMEI; i++, cnt[1]++)
		wr_u64(&w, items[i].key.a << 2 | items[i].color);
	if (!put_tacs(items + i, n - i, &w, &cnt[2]) || w.err)
		return 0;
	for (unsigned c = 0; c < 3; c++)
		be32_put(out + 4 * c, cnt[c]);
	return wr_len(&w);
}

// ---- searching it

// The last of `n` entries of `size` octets whose first eight, without the colour, are at most `v`; -1: none.
static int64_t find8(const uint8_t *p, size_t n, size_t size, uint64_t v)
{
	size_t low = 0, high = n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (be64_get(p + mid * size) >> 2 <= v)
			low = mid + 1;
		else
			high = mid;
	}
	return (int64_t)low - 1;
}

static bool find_pair(const uint8_t *p, size_t n, uint64_t imei, uint64_t imsi, enum s13_color *color)
{
	size_t low = 0, high = n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		uint64_t a = be64_get(p + mid * 16), b = be64_get(p + mid * 16 + 8);
		if (a >> 2 == imei && b == imsi) {
			*color = (enum s13_color)(a & 3);
			return true;
		}
		if (a >> 2 < imei || (a >> 2 == imei && b < imsi))
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

static bool find_tac(const uint8_t *p, size_t n, uint32_t tac, enum s13_color *color)
{
	size_t low = 0, high = n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (be32_get(p + mid * 12) <= tac)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0 || be32_get(p + (low - 1) * 12 + 4) < tac)
		return false;
	*color = (enum s13_color)be32_get(p + (low - 1) * 12 + 8);
	return true;
}

bool s13_table_find(struct slice table, uint64_t imei, imsi_t imsi, enum s13_color *color)
{
	if (table.len < 16)
		return false;
	uint64_t pairs = be32_get(table.p), imeis = be32_get(table.p + 4), tacs = be32_get(table.p + 8);
	if (16 + pairs * 16 + imeis * 8 + tacs * 12 > table.len)
		return false;
	const uint8_t *p = table.p + 16;
	if (imsi.v && find_pair(p, pairs, imei, imsi.v, color))
		return true;
	p += pairs * 16;
	int64_t at = find8(p, imeis, 8, imei);
	if (at >= 0 && be64_get(p + at * 8) >> 2 == imei) {
		*color = (enum s13_color)(be64_get(p + at * 8) & 3);
		return true;
	}
	return find_tac(p + imeis * 8, tacs, (uint32_t)(imei / TAC_DIV), color);
}
