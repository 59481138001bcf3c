// Rows of equipment that hssctl imports: JSON objects a line, or CSV with a header. PyHSS's rows are read as they are: imei, imsi,
// match_response_code (0 white, 1 black, 2 grey), regex_mode. Pure.
#pragma once
#include "apps/s13/register.h"

enum s13_column { COLUMN_IMEI, COLUMN_IMSI, COLUMN_COLOR, COLUMN_NOTE, COLUMN_REGEX, S13_COLUMN_CNT };
struct s13_columns {
	bool csv;
	char separator;
	uint8_t place[S13_COLUMN_CNT]; // 1 + place in a row; 0: there is none
};
// The header of CSV; empty: rows are JSON. false: it names no imei.
bool s13_columns_read(struct slice header, struct s13_columns *out);
// One row. `kept`, of S13_NOTE_MAX + 1 octets, holds the note. false: error says why.
bool s13_row_read(const struct s13_columns *columns, struct slice line, struct s13_item *item, char *kept, struct slice *note,
		  char *error, size_t room);
