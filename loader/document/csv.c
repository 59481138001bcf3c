// Owns the order of a file's columns, and reads its rows one by one (csv.h). The bytes were written by an
// operator or a script. Loader process, main thread.
#include "loader/document/csv.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "loader/document/apn.h"
#include "loader/document/new_document.h"
#include "lib/base/secret.h"

#define FIELD_MAX    64u // of a SIM vendor's list
#define OWN_CNT      8u	 // columns of a row without a header
#define FIELD_MIN    5u // the first versions of PyHSS had no RAND and no APN
#define APN_TEXT_MAX 4096u
#define SQN_LIMIT    (1ll << 48)

// The first OWN_CNT in the order in which they stand without a header.
enum column { COL_IMSI, COL_K, COL_OP, COL_AMF, COL_SQN, COL_RAND, COL_APN, COL_OPC, COL_ICCID, COL_MSISDN, COL_CNT };

static const struct {
	const char *name;
	enum column column;
} column_names[] = {{"IMSI", COL_IMSI},	  {"K", COL_K},	      {"KI", COL_K},	{"OP", COL_OP},
		    {"AMF", COL_AMF},	  {"SQN", COL_SQN},   {"RAND", COL_RAND}, {"APN", COL_APN},
		    {"OPC", COL_OPC},	  {"ICCID", COL_ICCID}, {"MSISDN", COL_MSISDN}};

struct csv {
	bool first;              // no line was looked at yet
	unsigned place[COL_CNT]; // where each column is; FIELD_MAX: nowhere
	unsigned cnt;            // columns of the header, 0: there was none
	uint8_t separator;
	char unused[256]; // names of columns that are not looked at; "": none, or told
	char apn[APN_TEXT_MAX];  // the column of `shared`
	size_t apn_len;
	json_t *shared; // a document with these APNs, without a subscriber's own members; NULL: none yet
};

struct csv *csv_new(void)
{
	struct csv *c = calloc(1, sizeof(*c));
	for (unsigned i = 0; c && i < COL_CNT; i++)
		c->place[i] = i < OWN_CNT ? i : FIELD_MAX;
	if (c) {
		c->first = true;
		c->separator = ',';
	}
	return c;
}

void csv_free(struct csv **c)
{
	if (!*c)
		return;
	json_decref((*c)->shared);
	free(*c);
	*c = NULL;
}

__attribute__((format(printf, 2, 3))) static enum csv_line bad(struct record_error *e, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return CSV_BAD;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct slice trim(struct slice s)
{
	while (s.len && is_blank(s.p[0])) {
		s.p++;
		s.len--;
	}
	while (s.len && is_blank(s.p[s.len - 1]))
		s.len--;
	return s;
}

// A tab at a line's end may be its last, empty field.
static struct slice trim_line(const struct csv *c, struct slice line)
{
	while (line.len && is_blank(line.p[0]) && line.p[0] != c->separator) {
		line.p++;
		line.len--;
	}
	while (line.len && is_blank(line.p[line.len - 1]) &&
	       (line.p[line.len - 1] != c->separator || c->separator == ' '))
		line.len--;
	return line;
}

// ---- fields

// One field; false: its quotes are wrong. *more: a comma follows it.
static bool field_next(struct rd *r, uint8_t separator, struct slice *out, bool *more)
{
	while (rd_left(r) && is_blank(*r->p) && *r->p != separator)
		r->p++;
	bool quoted = rd_left(r) && *r->p == '"';
	(void)rd_take(r, quoted);
	const uint8_t *end = rd_left(r) ? memchr(r->p, quoted ? '"' : separator, rd_left(r)) : NULL;
	*more = false;
	if (quoted && !end)
		return false;
	*out = rd_bytes(r, end ? (size_t)(end - r->p) : rd_left(r));
	if (quoted)
		(void)rd_take(r, 1);
	while (quoted && rd_left(r) && is_blank(*r->p) && *r->p != separator)
		r->p++;
	*out = trim(*out);
	*more = rd_left(r) > 0;
	return rd_left(r) == 0 || rd_u8(r) == separator;
}

// All fields; beyond FIELD_MAX they are only counted. 0: the quotes are wrong.
static unsigned fields(struct slice line, uint8_t separator, struct slice f[FIELD_MAX])
{
	struct rd r = rd_slice(line);
	struct slice one;
	unsigned n = 0;
	for (bool more = true; more; n++) {
		if (!field_next(&r, separator, &one, &more))
			return 0;
		while (separator == ' ' && rd_left(&r) && *r.p == ' ') // blanks may stand in a row
			r.p++;
		if (n < FIELD_MAX)
			f[n] = one;
	}
	return n;
}

// ---- the header

// COL_CNT: none of ours.
static enum column column_of(struct slice name)
{
	for (size_t i = 0; i < sizeof(column_names) / sizeof(column_names[0]); i++)
		if (slice_eq_nocase(name, slice_str(column_names[i].name)))
			return column_names[i].column;
	return COL_CNT;
}

static void not_used(struct csv *c, struct slice name)
{
	size_t used = strlen(c->unused);
	if (name.len && used + name.len + 3 < sizeof(c->unused))
		snprintf(c->unused + used, sizeof(c->unused) - used, "%s%.*s", used ? ", " : "", (int)name.len,
			 (const char *)name.p);
}

static enum csv_line header(struct csv *c, const struct slice *f, unsigned n, struct record_error *e)
{
	unsigned place[COL_CNT];
	for (unsigned i = 0; i < COL_CNT; i++)
		place[i] = FIELD_MAX;
	for (unsigned i = 0; i < n && i < FIELD_MAX; i++) {
		enum column col = column_of(f[i]);
		if (col == COL_CNT)
			not_used(c, f[i]);
		else if (place[col] != FIELD_MAX)
			return bad(e, "header: expected each column once, got \"%.*s\" twice",
				   (int)(f[i].len < 40 ? f[i].len : 40), (const char *)f[i].p);
		else
			place[col] = i;
	}
	if (n > FIELD_MAX || place[COL_K] == FIELD_MAX)
		return bad(e, "header: expected the columns IMSI,K,OP,AMF,SQN,RAND,APN, got %s",
			   n > FIELD_MAX ? "more" : "none for K (or Ki)");
	memcpy(c->place, place, sizeof(place));
	c->cnt = n;
	c->first = false;
	return CSV_NOTHING;
}

// Is this line a header? It is when one of its fields says IMSI, between whatever separates them.
static bool is_header(struct csv *c, struct slice line, struct slice f[FIELD_MAX], unsigned *n)
{
	static const uint8_t separators[] = {',', ';', '\t', '|', ' '};
	for (size_t s = 0; s < sizeof(separators); s++) {
		*n = fields(line, separators[s], f);
		bool imsi = false;
		for (unsigned i = 0; i < *n && i < FIELD_MAX; i++)
			imsi |= column_of(f[i]) == COL_IMSI;
		// alone in its line it may be the first of a list with another separator
		if (!imsi || (*n == 1 && s + 1 < sizeof(separators)))
			continue;
		c->separator = separators[s];
		return true;
	}
	*n = fields(line, c->separator, f);
	return false;
}

const char *csv_unused(struct csv *c)
{
	return c->unused;
}

// ---- the columns

static enum csv_line hex_wrong(const char *name, struct slice s, unsigned digits, struct record_error *e)
{
	unsigned hex = 0;
	for (uint32_t i = 0; i < s.len; i++) {
		uint8_t low = s.p[i] | 0x20;
		hex += (s.p[i] >= '0' && s.p[i] <= '9') || (low >= 'a' && low <= 'f');
	}
	return hex == s.len ? bad(e, "%s: expected %u hex digits, got %u", name, digits, hex)
			    : bad(e, "%s: expected %u hex digits, got other characters", name, digits);
}

static bool hex_good(struct slice s, unsigned digits)
{
	uint8_t bytes[16];
	bool good = hex_parse(s, bytes, digits / 2);
	secret_wipe(bytes, sizeof(bytes));
	return good;
}

static bool sqn_parse(struct slice s, int64_t *out)
{
	int64_t v = 0;
	for (uint32_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (s.p[i] - '0');
		if (v >= SQN_LIMIT)
			return false;
	}
	*out = v;
	return s.len > 0;
}

// The next name of an APN column; *rest moves behind it.
static struct slice apn_next(struct slice *rest)
{
	const uint8_t *end = rest->len ? memchr(rest->p, ';', rest->len) : NULL;
	struct slice name = slice_of(rest->p, end ? (size_t)(end - rest->p) : rest->len);
	*rest = slice_of(rest->p + name.len + (end ? 1 : 0), rest->len - name.len - (end ? 1 : 0));
	return trim(name);
}

static enum csv_line apns_check(struct slice column, struct record_error *e)
{
	unsigned n = 0;
	if (column.len > APN_TEXT_MAX)
		return bad(e, "APN: expected at most %u characters, got %u", APN_TEXT_MAX, column.len);
	while (column.len) {
		struct slice name = apn_next(&column);
		bool good = name.len <= APN_NAME_MAX;
		for (uint32_t i = 0; good && i < name.len; i++)
			good = name.p[i] > ' ' && name.p[i] < 0x7f && name.p[i] != ',';
		if (!good)
			return bad(e, "APN: expected names of up to %u printable characters, separated by ;",
				   APN_NAME_MAX);
		n += name.len > 0;
	}
	return n <= APN_LIST_MAX ? CSV_ROW
				   : bad(e, "APN: expected at most %d names, got %u", APN_LIST_MAX, n);
}

static enum csv_line check(struct csv_row *row, struct slice sqn, struct record_error *e)
{
	if (row->imsi.v == 0)
		return bad(e, "IMSI: expected 5 to 15 digits, got %s",
			   row->imsi_text.len ? "other text" : "nothing");
	if (!hex_good(row->k, 32))
		return hex_wrong("K", row->k, 32, e);
	if (row->op.len && !hex_good(row->op, 32))
		return hex_wrong("OP", row->op, 32, e);
	if (row->opc.len && !hex_good(row->opc, 32))
		return hex_wrong("OPC", row->opc, 32, e);
	if (row->amf.len && !hex_good(row->amf, 4))
		return hex_wrong("AMF", row->amf, 4, e);
	row->has_sqn = sqn.len > 0;
	if (sqn.len && !sqn_parse(sqn, &row->sqn))
		return bad(e, "SQN: expected a decimal number below 281474976710656");
	if (row->iccid.len > 22)
		return bad(e, "ICCID: expected at most 22 digits, got %u", row->iccid.len);
	msisdn_t number;
	if (row->msisdn.len && !msisdn_parse(row->msisdn, &number))
		return bad(e, "MSISDN: expected 1 to %d digits, got other text", MSISDN_MAX_DIGITS);
	return apns_check(row->apn, e);
}

enum csv_line csv_read(struct csv *c, struct slice line, struct csv_row *row, struct record_error *e)
{
	struct slice f[FIELD_MAX] = {{0}}, col[COL_CNT] = {{0}};
	bool first = c->first;
	*row = (struct csv_row){0};
	if (first && line.len >= 3 && memcmp(line.p, "\xef\xbb\xbf", 3) == 0) // as some spreadsheets begin
		line = slice_of(line.p + 3, line.len - 3);
	line = trim_line(c, line);
	if (line.len == 0)
		return CSV_NOTHING;
	bool comment = line.p[0] == '#';
	c->first = first && comment; // a header may stand behind remarks
	if (comment)
		line = trim(slice_of(line.p + 1, line.len - 1));
	unsigned n = 0;
	if (first && is_header(c, line, f, &n))
		return header(c, f, n, e);
	if (comment)
		return CSV_NOTHING;
	if (!first)
		n = fields(line, c->separator, f);
	if (n == 0)
		return bad(e, "expected fields without quotes, or each in a pair of them");
	if (n < (c->cnt && c->cnt < FIELD_MIN ? c->cnt : FIELD_MIN) || n > (c->cnt ? FIELD_MAX : OWN_CNT))
		return bad(e, "expected IMSI,K,OP,AMF,SQN,RAND,APN, got %u field%s", n, n == 1 ? "" : "s");
	for (unsigned i = 0; i < COL_CNT; i++)
		if (c->place[i] < n)
			col[i] = f[c->place[i]];
	// what a header with the seven doesn't name is still ours
	if (c->cnt == OWN_CNT - 1 && n == OWN_CNT && c->place[COL_OPC] == FIELD_MAX)
		col[COL_OPC] = f[OWN_CNT - 1];
	else if (c->cnt && n > c->cnt)
		return bad(e, "expected %u fields as in the header, got %u", c->cnt, n);
	row->imsi_text = col[COL_IMSI];
	row->k = col[COL_K];
	row->op = col[COL_OP];
	row->opc = col[COL_OPC];
	row->amf = col[COL_AMF];
	row->apn = col[COL_APN];
	row->iccid = col[COL_ICCID];
	row->msisdn = col[COL_MSISDN];
	(void)imsi_parse(row->imsi_text, &row->imsi);
	return check(row, col[COL_SQN], e);
}

// ---- the document

static json_t *text_of(struct slice s)
{
	return json_stringn((const char *)s.p, s.len);
}

// Most rows have the APNs of the row before.
static json_t *shared_document(struct csv *c, struct slice apn)
{
	if (c->shared && slice_eq(slice_of(c->apn, c->apn_len), apn))
		return c->shared;
	json_t *names = json_array();
	c->apn_len = apn.len; // bounded by apns_check
	if (apn.len)
		memcpy(c->apn, apn.p, apn.len);
	while (apn.len) {
		struct slice name = apn_next(&apn);
		if (name.len)
			json_array_append_new(names, text_of(name));
	}
	json_t *args = json_pack("{s:s,s:o}", "imsi", "", "apn", names);
	json_decref(c->shared);
	struct record_error e;
	c->shared = args ? new_document(args, &e) : NULL;
	json_decref(args);
	return c->shared;
}

json_t *csv_document(struct csv *c, const struct csv_row *row)
{
	json_t *shared = shared_document(c, row->apn);
	json_t *doc = shared ? json_copy(shared) : NULL;
	json_t *sec = json_object();
	json_object_set_new(sec, "k", text_of(row->k));
	json_object_set_new(sec, "amf", row->amf.len ? text_of(row->amf) : json_string("8000"));
	json_object_set_new(sec, "op", row->op.len && !row->opc.len ? text_of(row->op) : json_null());
	json_object_set_new(sec, "opc", row->opc.len ? text_of(row->opc) : json_null());
	if (row->has_sqn)
		json_object_set_new(sec, "sqn", json_integer(row->sqn));
	if (row->iccid.len)
		json_object_set_new(doc, "iccid", text_of(row->iccid));
	if (row->msisdn.len)
		json_object_set_new(doc, "msisdn", json_pack("[o]", text_of(row->msisdn)));
	if (json_object_set_new(doc, "security", sec) == 0 &&
	    json_object_set_new(doc, "imsi", text_of(row->imsi_text)) == 0)
		return doc;
	json_decref(doc);
	return NULL;
}
