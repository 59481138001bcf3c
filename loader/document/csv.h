// Rows of PyHSS's subscribers.csv, IMSI,K,OP,AMF,SQN,RAND,APN, and the lists of SIM vendors; one subscriber a line. Loader
// process; what a file can hold ends as a row or as a message that names the column, what was expected and what was there.
//
//   IMSI   5 to 15 digits
//   K      32 hex digits; also called Ki
//   OP     32 hex digits: OP, from which OPc is made; empty: the operator's (op_file), or OPC
//   AMF    4 hex digits; empty or missing: 8000
//   SQN    decimal, 48 bits; empty or missing: from the start
//   RAND   not looked at: every vector has a fresh one
//   APN    names separated by ';'; empty or missing: internet
//   OPC    32 hex digits, OPc in place of OP; without a header an optional eighth column
//   ICCID  number of the SIM card, kept in the document; MSISDN telephone number. Both with a header only
//
// A header is a first line of which one field says IMSI (after a # or not), in any case; it puts the columns into
// another order, and its separator is that of the file: , ; | tab or blank. Columns that it calls otherwise (PIN1, ADM1
// ...) are not looked at. Other lines that begin with # and empty ones are skipped. Fields may be in double quotes and
// have blanks around them.
#pragma once
#include <jansson.h>
#include "loader/document/record.h"

struct csv; // opaque, heap: the order of the columns, and what the row before had

struct csv *csv_new(void);
void csv_free(struct csv **c);

// Slices point into the line. The document has all of it: keep neither longer than needed.
struct csv_row {
	imsi_t imsi;                                  // also of a bad row, when it could be read; else none
	struct slice imsi_text, k, op, amf, apn, opc, iccid, msisdn; // empty: not there
	bool has_sqn;
	int64_t sqn;
};

enum csv_line { CSV_ROW, CSV_NOTHING, CSV_BAD };
// The next line, without its line feed. CSV_BAD: e->text says why.
enum csv_line csv_read(struct csv *c, struct slice line, struct csv_row *row,
		       struct record_error *e) MUST_USE;
// The header's columns that are not looked at, "PIN1, ADM1"; "": none.
const char *csv_unused(struct csv *c);
// The document that `subscriber add` would make of it. A new reference; NULL: no memory.
json_t *csv_document(struct csv *c, const struct csv_row *row);
