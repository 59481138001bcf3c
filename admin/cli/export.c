// Export: all documents as they come, as Extended JSON for mongoimport, or as rows of CSV; in constant
// memory. Documents hold keys: the file of an export is private and complete, or not there.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "admin/cli/cli.h"
#include "apps/documents.h"
#include "lib/base/secret.h"

// --- Extended JSON

// What a document came with, relaxed; int64 keeps its name, since mongoimport would make int32 of a small
// one.
static json_t *relaxed(json_t *v)
{
	const char *name, *text;
	json_t *member;
	size_t i;
	char *end;

	if (json_object_size(v) == 1) {
		text = json_string_value(json_object_get(v, "$numberInt"));
		if (text && *text)
			return json_integer(strtoll(text, NULL, 10));
		text = json_string_value(json_object_get(v, "$numberDouble"));
		if (text && *text) {
			double d = strtod(text, &end);
			json_t *real = *end ? NULL : json_real(d); // NULL: no JSON number has this value

			return real ? real : json_incref(v);
		}
	}
	json_object_foreach(v, name, member)
	{
		json_object_set_new(v, name, relaxed(member));
	}
	json_array_foreach(v, i, member)
	{
		json_array_set_new(v, i, relaxed(member));
	}
	return json_incref(v);
}

static void int64_is(json_t *object, const char *name)
{
	json_t *v = json_object_get(object, name);
	char text[32];

	if (!json_is_integer(v))
		return;
	snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	json_object_set_new(object, name, json_pack("{s:s}", "$numberLong", text));
}

// Open5GS reads some fields as int64 or not at all.
static void int64s(json_t *object, const struct doc_node *parent)
{
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value)
	{
		const struct doc_node *n = schema_child(documents_schema(), parent, slice_str(name));

		if (n && doc_member_is_int64(n->member))
			int64_is(object, name);
		else if (n && json_is_object(value))
			int64s(value, n);
	}
}

static bool mongo_row(FILE *f, json_t *doc)
{
	char *text;

	json_decref(relaxed(doc));
	int64s(doc, &documents_schema()->node[0]);
	text = json_dumps(doc, JSON_COMPACT);
	if (text)
		cli_json_row(f, text, strlen(text));
	admin_json_free(text);
	return text != NULL;
}

// --- rows of CSV

struct csv_out {
	unsigned long long opc; // rows that have OPc only
	unsigned long long odd; // that could not be written
};

// Hex digits of a key without the blanks that a document may have.
static void put_hex(FILE *f, const json_t *v)
{
	const char *text = json_string_value(v);

	for (; text && *text; text++) {
		if (*text != ' ' && *text != '\t')
			fputc(*text, f);
	}
}

// The APNs that the EPC gets: of the default slice, else of the first one; of a document of NextEPC those of
// pdn.
static const json_t *sessions_of(const json_t *doc, const char **name)
{
	const json_t *slices = json_object_get(doc, "slice"), *slice, *pick = json_array_get(slices, 0);
	size_t i;

	*name = "name";
	if (!json_is_array(slices)) {
		*name = "apn";
		return json_object_get(doc, "pdn");
	}
	json_array_foreach(slices, i, slice)
	{
		if (json_is_true(json_object_get(slice, "default_indicator"))) {
			pick = slice;
			break;
		}
	}
	return json_object_get(pick, "session");
}

// Names that a column of CSV has no way to hold.
static bool apns_fit(const json_t *sessions, const char *name)
{
	const json_t *one;
	size_t i;

	json_array_foreach(sessions, i, one)
	{
		const char *text = json_string_value(json_object_get(one, name));

		if (!text || strpbrk(text, ";\""))
			return false;
	}
	return true;
}

static bool csv_row(FILE *f, const json_t *doc, struct csv_out *out)
{
	const json_t *sec = json_object_get(doc, "security"), *one, *sessions;
	const char *imsi = json_string_value(json_object_get(doc, "imsi")), *name;
	bool opc = json_string_length(json_object_get(sec, "opc")) > 0;
	bool op = json_string_length(json_object_get(sec, "op")) > 0;
	size_t i;

	sessions = sessions_of(doc, &name);
	if (!imsi || !apns_fit(sessions, name)) {
		fprintf(stderr, "hssctl: %s: left out: an APN with a name that CSV can't hold\n",
			imsi ? imsi : "?");
		out->odd++;
		return true;
	}
	fprintf(f, "%s,", imsi);
	put_hex(f, json_object_get(sec, "k"));
	fputc(',', f);
	put_hex(f, json_object_get(sec, "op"));
	fputc(',', f);
	put_hex(f, json_object_get(sec, "amf"));
	fprintf(f, ",%" JSON_INTEGER_FORMAT ",,\"", json_integer_value(json_object_get(sec, "sqn")));
	json_array_foreach(sessions, i, one)
	{
		fprintf(f, "%s%s", i ? ";" : "", json_string_value(json_object_get(one, name)));
	}
	fputc('"', f);
	if (opc) {
		fputc(',', f);
		put_hex(f, json_object_get(sec, "opc"));
	}
	out->opc += opc && !op;
	fputc('\n', f);
	return true;
}

// --- the rows, in the format that was asked for

struct export
{
	const char *format; // NULL: as they come
	struct csv_out csv;
};

static bool export_row(FILE *f, struct export *x, const char *text, size_t len)
{
	json_t *doc;
	bool ok;

	if (!x->format) {
		cli_json_row(f, text, len);
		return true;
	}
	doc = json_loadb(text, len, 0, NULL);
	ok = doc && (strcmp(x->format, "csv") == 0 ? csv_row(f, doc, &x->csv) : mongo_row(f, doc));
	json_decref(doc);
	if (!ok)
		fputs("hssctl: a document that can't be read\n", stderr);
	return ok;
}

static int export_rows(struct cli_session *s, const struct cli_args *a, FILE *f, bool tell)
{
	struct export x = {.format = json_string_value(json_object_get(a->args, "format"))};
	unsigned long long rows = 0;
	char *text;
	size_t len;
	int rc;

	if (!cli_session_request(s, a))
		return CLI_REFUSED;
	if (x.format && strcmp(x.format, "csv") == 0)
		fputs("IMSI,K,OP,AMF,SQN,RAND,APN\n", f);
	for (;;) {
		switch (cli_session_next(s, true, &text, &len)) {
		case CLI_LINE_ROW:
			if (!export_row(f, &x, text, len))
				return CLI_REFUSED;
			rows++;
			if (ferror(f)) {
				fprintf(stderr, "hssctl: %s: %s\n", a->file, err_text(errno));
				return CLI_REFUSED;
			}
			break;
		case CLI_LINE_END:
			rc = cli_session_end(text, a->command);
			if (rc == CLI_DONE && tell)
				printf("%llu exported\n", rows - x.csv.odd);
			if (x.csv.opc)
				fprintf(
				    stderr,
				    "hssctl: %llu of them have no OP: their OPc is an eighth field, which "
				    "PyHSS does not read\n",
				    x.csv.opc);
			return rc;
		default:
			return CLI_REFUSED;
		}
	}
}

int cli_export(struct cli_session *s, const struct cli_args *a)
{
	char path[4096];
	int fd, rc;
	FILE *f;

	if (strcmp(a->file, "-") == 0) {
		rc = export_rows(s, a, stdout, false);
		return fflush(stdout) == 0 ? rc : CLI_REFUSED;
	}
	if (snprintf(path, sizeof(path), "%s.XXXXXX", a->file) >= (int)sizeof(path)) {
		fputs("hssctl: the name of the file is too long\n", stderr);
		return CLI_USAGE;
	}
	fd = mkostemp(path, O_CLOEXEC); // mode 0600
	f = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (!f) {
		fprintf(stderr, "hssctl: %s: %s\n", path, err_text(errno));
		if (fd >= 0) {
			close(fd);
			unlink(path);
		}
		return CLI_REFUSED;
	}
	rc = export_rows(s, a, f, !a->json);
	if (fflush(f) != 0 || fsync(fd) != 0) {
		fprintf(stderr, "hssctl: %s: %s\n", path, err_text(errno));
		rc = CLI_REFUSED;
	}
	fclose(f);
	if (rc == CLI_DONE && rename(path, a->file) != 0) {
		fprintf(stderr, "hssctl: %s: %s\n", a->file, err_text(errno));
		rc = CLI_REFUSED;
	}
	if (rc != CLI_DONE)
		unlink(path);
	return rc;
}
