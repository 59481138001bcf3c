// `hssctl equipment ...`: what operators see and do of the equipment register. A change is answered when it is on disk and in
// the workers' table. Loader process, main thread.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "apps/apps.h"
#include "apps/s13/loader.h"
#include "apps/s13/rows.h"
#include "lib/base/log.h"
#include "loader/admin/provision.h"
#include "loader/commit/item.h"

static const char *const color_name[S13_COLOR_CNT] = {[S13_WHITE] = "white", [S13_BLACK] = "black", [S13_GREY] = "grey"};

static struct slice text_arg(const struct call *c, const char *name)
{
	const json_t *v = json_object_get(c->args, name);
	return slice_of(json_string_value(v), json_string_length(v));
}

// args.imei and args.imsi. false: the call has been ended.
static bool key_of(struct loader *l, struct call *c, struct s13_key *key)
{
	const char *expected;
	bool check;
	imsi_t imsi = {0};
	if (json_object_get(c->args, "imsi") && !provision_imsi(l, c, &imsi))
		return false;
	if (!s13_key_read(text_arg(c, "imei"), imsi, key, &check, &expected)) {
		admin_end(l, c, ADMIN_USAGE, "imei: expected %s", expected);
		return false;
	}
	if (check)
		snprintf(c->warning, sizeof(c->warning), "the 15th digit is not the check digit of this IMEI; it is not looked at");
	return true;
}

static json_t *row_of(const struct s13_entry *e)
{
	const struct s13_key *k = &e->item.key;
	char text[24], imsi[16];
	s13_key_text(k, text);
	json_t *row = json_pack("{s:s,s:s,s:s?}", k->kind != S13_TACS ? "imei" : k->a == k->b ? "tac" : "range", text, "color",
				color_name[e->item.color], "note", e->note);
	if (k->kind == S13_PAIR) {
		imsi_text((imsi_t){k->b}, imsi);
		json_object_set_new(row, "imsi", json_string(imsi));
	}
	return row;
}

// ---- changes: into memory at once, so that the rows of a piece see each other, and out of it again if they can't be stored

#define FULL "the register is full: a larger cache.max_subscribers makes room"
#define KEY (UINT64_MAX - 13) // of operations: two changes of the register never share a batch

struct before {
	struct s13_key key;
	bool had;
	uint8_t color;
	char *note;
};
struct change {
	bool publish;
	unsigned cnt, cap;
	struct before one[];
};

static struct change *change_new(unsigned cap, bool publish)
{
	struct change *ch = calloc(1, sizeof(*ch) + cap * sizeof(ch->one[0]));
	if (ch) {
		ch->cap = cap;
		ch->publish = publish;
	}
	return ch;
}

static void change_free(struct change *ch)
{
	for (unsigned i = 0; ch && i < ch->cnt; i++)
		free(ch->one[i].note);
	free(ch);
}

static void undo(struct loader *l, const struct change *ch)
{
	struct s13_register *r = s13_register_of(l, app_s13);
	for (unsigned i = ch->cnt; i-- > 0;) {
		const struct before *b = &ch->one[i];
		const struct s13_item item = {.key = b->key, .color = b->color};
		if (!b->had)
			s13_register_remove(r, &b->key);
		else if (s13_register_put(r, &item, slice_str(b->note ? b->note : "")))
			log_error("equipment_item_lost_in_memory", LOG_INT("kind", item.key.kind)); // back at the next start
	}
}

// Notes what stands there. false: no memory.
static bool note_before(struct loader *l, struct change *ch, const struct s13_key *key)
{
	const struct s13_entry *e = s13_register_find(s13_register_of(l, app_s13), key);
	struct before *b = &ch->one[ch->cnt];
	if (ch->cnt == ch->cap)
		return false;
	*b = (struct before){.key = *key, .had = e != NULL, .color = e ? e->item.color : 0};
	b->note = e && e->note ? strdup(e->note) : NULL;
	if (e && e->note && !b->note)
		return false;
	ch->cnt++;
	return true;
}

static bool put(struct loader *l, struct change *ch, const struct s13_item *item, struct slice note)
{
	uint8_t key[S13_KEY_LEN], body[1 + S13_NOTE_MAX];
	if (!note_before(l, ch, &item->key) || s13_register_put(s13_register_of(l, app_s13), item, note))
		return false;
	item_put(l, app_s13, s13_key_octets(&item->key, key), s13_body_octets(item, note, body));
	return true;
}

static void is_stored(struct loader *l, struct op *op, int error)
{
	struct change *ch = op->ctx;
	struct call *c = admin_call(l, op->id);
	struct s13_own *own = l->own[app_s13];
	if (error)
		undo(l, ch);
	else if (!ch->publish)
		own->unpublished = own->recent = true;
	if (error == 0 && ch->publish && !s13_publish(l) && c)
		admin_end(l, c, ADMIN_REFUSED, "stored, but the cache has no room for the register: raise cache.max_subscribers");
	else
		provision_done(l, op, error);
	change_free(ch);
}

// NULL: the call has been ended.
static struct op *begin(struct loader *l, struct call *c, size_t room, unsigned cap, bool publish)
{
	struct op *op = txn_begin(l, KEY, room);
	struct change *ch = op ? change_new(cap, publish) : NULL;
	if (!ch) {
		if (op)
			txn_forget(l, op);
		admin_end(l, c, ADMIN_REFUSED, "the piece is too large");
		return NULL;
	}
	txn_claim(l, KEY);
	*op = (struct op){.done = is_stored, .id = c->serial, .ctx = ch};
	return op;
}

static void give_up(struct loader *l, struct op *op)
{
	undo(l, op->ctx);
	change_free(op->ctx);
	txn_forget(l, op);
}

static void add(struct loader *l, struct call *c, struct op *op)
{
	if (txn_add(l, op))
		return;
	undo(l, op->ctx);
	change_free(op->ctx);
	admin_end(l, c, ADMIN_REFUSED, "could not be written");
}

static bool color_of(struct loader *l, struct call *c, uint8_t *color)
{
	const char *said = json_string_value(json_object_get(c->args, "color"));
	*color = S13_BLACK;
	for (unsigned i = 0; said && i < S13_COLOR_CNT; i++)
		if (strcmp(said, color_name[i]) == 0) {
			*color = (uint8_t)i;
			return true;
		}
	if (said)
		admin_end(l, c, ADMIN_USAGE, "--color: expected white, grey or black");
	return !said;
}

static void equipment_add(struct loader *l, struct call *c)
{
	struct s13_item item = {0};
	struct slice note = text_arg(c, "note");
	char text[24];
	if (!key_of(l, c, &item.key) || !color_of(l, c, &item.color))
		return;
	if (note.len > S13_NOTE_MAX) {
		admin_end(l, c, ADMIN_USAGE, "--note: expected at most %u octets", S13_NOTE_MAX);
		return;
	}
	struct op *op = begin(l, c, 1024, 1, true);
	const struct s13_entry *rival = op ? s13_register_rival(s13_register_of(l, app_s13), &item) : NULL;
	if (rival) {
		s13_key_text(&rival->item.key, text);
		give_up(l, op);
		admin_end(l, c, ADMIN_REFUSED, "the range %s is as wide, overlaps it and is %s: nothing would say which counts", text,
			  color_name[rival->item.color]);
	} else if (op && !put(l, op->ctx, &item, note)) {
		give_up(l, op);
		admin_end(l, c, ADMIN_REFUSED, FULL);
	} else if (op) {
		add(l, c, op);
	}
}

static void equipment_delete(struct loader *l, struct call *c)
{
	struct s13_key key;
	uint8_t octets[S13_KEY_LEN];
	if (!key_of(l, c, &key))
		return;
	struct op *op = begin(l, c, 1024, 1, true);
	if (!op)
		return;
	if (!s13_register_find(s13_register_of(l, app_s13), &key) || !note_before(l, op->ctx, &key)) {
		give_up(l, op);
		admin_end(l, c, ADMIN_REFUSED, "no such entry");
		return;
	}
	s13_register_remove(s13_register_of(l, app_s13), &key);
	item_put(l, app_s13, s13_key_octets(&key, octets), (struct slice){0});
	add(l, c, op);
}

// ---- show, list

#define TACS_MAX 16u

// The ranges that a TAC is in, the narrowest first. Returns how many.
static unsigned show_tacs(struct loader *l, struct call *c, uint64_t tac)
{
	const struct s13_register *r = s13_register_of(l, app_s13);
	const struct s13_entry *found[TACS_MAX];
	const struct s13_key from = {.kind = S13_TACS};
	unsigned n = 0;
	for (const struct s13_entry *e = s13_register_next(r, &from); e && e->item.key.a <= tac;
	     e = s13_register_next(r, &e->item.key)) {
		if (e->item.key.b < tac)
			continue;
		unsigned at = n < TACS_MAX ? n++ : TACS_MAX - 1;
		for (; at && found[at - 1]->item.key.b - found[at - 1]->item.key.a > e->item.key.b - e->item.key.a; at--)
			found[at] = found[at - 1];
		found[at] = e;
	}
	for (unsigned i = 0; i < n; i++)
		admin_row_take(l, c, row_of(found[i]), false);
	return n;
}

// Everything that says something of this equipment, what counts first.
static void equipment_show(struct loader *l, struct call *c)
{
	const struct s13_register *r = s13_register_of(l, app_s13);
	struct s13_key key;
	unsigned found = 0;
	txn_commit(l);
	if (!key_of(l, c, &key))
		return;
	const struct s13_entry *e = s13_register_find(r, &key);
	if (e) {
		admin_row_take(l, c, row_of(e), false);
		found++;
	}
	if (key.kind == S13_PAIR) {
		e = s13_register_find(r, &(struct s13_key){.kind = S13_IMEI, .a = key.a});
		if (e)
			admin_row_take(l, c, row_of(e), false);
		found += e != NULL;
	}
	found += key.kind == S13_TACS ? 0 : show_tacs(l, c, key.a / 1000000);
	if (found)
		admin_end(l, c, ADMIN_OK, NULL);
	else
		admin_end(l, c, ADMIN_REFUSED, "on no list");
}

// The call's place in the list stands in line (kind), rows (a) and limit (b): calls have no memory of their own.
static void list_pump(struct loader *l, struct call *c)
{
	const struct s13_register *r = s13_register_of(l, app_s13);
	const char *color = json_string_value(json_object_get(c->args, "color"));
	struct s13_key at = {.kind = (enum s13_kind)c->line, .a = c->rows, .b = c->limit};
	for (unsigned n = 0; c->window && n < 20000; n++) {
		const struct s13_entry *e = s13_register_next(r, c->line ? &at : NULL);
		if (!e) {
			admin_end(l, c, ADMIN_OK, NULL);
			return;
		}
		at = e->item.key;
		c->line = at.kind;
		c->rows = at.a;
		c->limit = at.b;
		if (!color || strcmp(color, color_name[e->item.color]) == 0)
			admin_row_take(l, c, row_of(e), false);
	}
	if (c->window)
		admin_again(l);
}

static void equipment_list(struct loader *l, struct call *c)
{
	uint8_t color;
	if (!color_of(l, c, &color))
		return;
	txn_commit(l);
	c->started = true;
	list_pump(l, c);
}

// ---- import: rows in pieces, each an operation of its own

static void piece_error(struct loader *l, struct call *c, uint64_t line, const char *text)
{
	c->errors++;
	if (c->errors <= ADMIN_WINDOW / 2)
		admin_row_take(l, c, json_pack("{s:I,s:s}", "line", (json_int_t)line, "error", text), false);
}

// What contradicts a row: the same equipment with another color in this import, or a range. NULL: nothing does.
static const char *contradiction(struct loader *l, const struct s13_item *item, char *error, size_t room)
{
	const struct s13_register *r = s13_register_of(l, app_s13);
	const struct s13_entry *e = s13_register_find(r, &item->key), *rival = s13_register_rival(r, item);
	char text[24];
	if (e && item->import && e->item.import == item->import && e->item.color != item->color) {
		s13_key_text(&e->item.key, text);
		snprintf(error, room, "%s is %s in an earlier row", text, color_name[e->item.color]);
		return error;
	}
	if (!rival)
		return NULL;
	s13_key_text(&rival->item.key, text);
	snprintf(error, room, "the range %s is as wide, overlaps it and has another color", text);
	return error;
}

static bool take_line(struct loader *l, struct call *c, struct change *ch, const struct s13_columns *columns, struct slice line,
		      uint64_t number)
{
	struct s13_item item = {0};
	struct slice note;
	char error[160], kept[S13_NOTE_MAX + 1];
	if (!s13_row_read(columns, line, &item, kept, &note, error, sizeof error)) {
		piece_error(l, c, number, error);
		return false;
	}
	item.import = (uint32_t)json_integer_value(json_object_get(json_object_get(c->args, "rows"), "import"));
	if (contradiction(l, &item, error, sizeof error)) {
		piece_error(l, c, number, error);
		return false;
	}
	if (!put(l, ch, &item, note)) {
		piece_error(l, c, number, FULL);
		return false;
	}
	return true;
}

// args.rows: {"import": a number of this import's own, "first": the number of its first line, "lines": [texts], "columns": the
// header of CSV, or null, "last": true}.
static void equipment_import(struct loader *l, struct call *c)
{
	const json_t *rows = json_object_get(c->args, "rows"), *lines = json_object_get(rows, "lines");
	const json_t *header = json_object_get(rows, "columns");
	uint64_t first = (uint64_t)json_integer_value(json_object_get(rows, "first")), taken = 0;
	struct s13_columns columns;
	json_t *line;
	size_t i;
	if (!json_is_array(lines) || !s13_columns_read(slice_of(json_string_value(header), json_string_length(header)), &columns)) {
		admin_end(l, c, ADMIN_REFUSED, "expected JSON lines, or CSV whose header names a column imei");
		return;
	}
	struct op *op = begin(l, c, 64 + json_array_size(lines) * 320, (unsigned)json_array_size(lines),
			      json_is_true(json_object_get(rows, "last")));
	if (!op)
		return;
	json_array_foreach(lines, i, line)
	{
		struct slice text = slice_of(json_string_value(line), json_string_length(line));
		if (text.len)
			taken += take_line(l, c, op->ctx, &columns, text, first + i);
	}
	admin_row_take(l, c, json_pack("{s:I,s:I}", "rows", (json_int_t)taken, "errors", (json_int_t)c->errors), false);
	add(l, c, op);
}

const struct admin_command s13_commands[] = {
	{"equipment add", equipment_add, NULL},
	{"equipment show", equipment_show, NULL},
	{"equipment delete", equipment_delete, NULL},
	{"equipment list", equipment_list, list_pump},
	{"equipment export", equipment_list, list_pump},
	{"equipment import", equipment_import, NULL},
	{NULL, NULL, NULL},
};
