// The equipment register as workers look things up in it (TS 29.272 6.2, TS 22.016): white, grey and black lists of IMEIs, of
// TACs (the first eight digits), of ranges of TACs, and of IMEIs with the IMSI that uses them. One block of octets, which the
// loader makes of its items and publishes (cache_common_get). Pure; both.
//
// An IMEI counts by its 14 digits: neither the check digit nor the software version matters. The pair goes before the IMEI, the
// IMEI before the TAC, and a narrower range before a wider one.
#pragma once
#include <stdbool.h>
#include "lib/base/ident.h"
#include "lib/base/wire.h"

enum s13_color { S13_WHITE = 0, S13_BLACK = 1, S13_GREY = 2, S13_COLOR_CNT = 3 }; // as Equipment-Status (TS 29.272 7.3.51)

enum s13_kind { S13_PAIR = 1, S13_IMEI = 2, S13_TACS = 3 };
// What an item is about; ordered by kind, then a, then b.
struct s13_key {
	enum s13_kind kind;
	uint64_t a; // the 14 digits of an IMEI, or the first TAC
	uint64_t b; // S13_PAIR: imsi_t.v; S13_TACS: the last TAC
};
int s13_key_cmp(const struct s13_key *x, const struct s13_key *y);

// 14 to 16 digits are an IMEI, 8 a TAC, "TAC-TAC" a range; with `imsi` an IMEI becomes a pair. false: *expected says what is.
// *check: the IMEI has a 15th digit which is not its check digit (TS 23.003 annex B).
bool s13_key_read(struct slice text, imsi_t imsi, struct s13_key *out, bool *check, const char **expected);
// An IMEI of a message. false: not 14 to 16 digits.
bool s13_imei_read(struct slice text, uint64_t *imei);
// "35622506141324", "35622506", "35622506-35622599": at most 17 octets and the NUL.
void s13_key_text(const struct s13_key *k, char out[24]);

struct s13_item {
	struct s13_key key;
	uint8_t color;	 // enum s13_color
	uint32_t import; // in memory only: the import that it comes from; 0: none, or before the start
};
#define S13_TABLE_LEN(n) (16u + 40u * (size_t)(n)) // octets that a table of n items takes at most
// Makes the table of items in order, in `out` of S13_TABLE_LEN(n). Returns its length; 0: no memory.
size_t s13_table_make(const struct s13_item *items, size_t n, uint8_t *out);
// The colour of an equipment (`imsi` 0: not told). false: it is on no list.
bool s13_table_find(struct slice table, uint64_t imei, imsi_t imsi, enum s13_color *color);
