// See split.h. hssctl; whatever is wrong in a document stays in it, so that the loader says what and where.
#include "admin/cli/split.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ROOM 64u // for the line before a document

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// Whether brackets are open at the end of this line.
static bool unbalanced(const char *p, const char *end)
{
	char string = 0; // the quote that ends it
	int depth = 0;

	for (; p < end; p++) {
		if (string && *p == '\\')
			p++;
		else if (string ? *p == string : *p == '"' || *p == '\'')
			string = string ? 0 : *p;
		else if (!string && (*p == '{' || *p == '['))
			depth++;
		else if (!string && (*p == '}' || *p == ']'))
			depth--;
	}
	return depth > 0;
}

// A header of CSV may begin with any of its columns.
static bool has_imsi(const char *p, const char *end)
{
	for (; end - p >= 4; p++) {
		if (strncasecmp(p, "imsi", 4) == 0)
			return true;
	}
	return false;
}

enum cli_format cli_format_of(const char *p, size_t len, bool all)
{
	const char *end = p + len, *line;

	if (len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		p += 3;
	while (p < end && is_blank(*p))
		p++;
	if (p == end)
		return all ? CLI_FORMAT_LINES : CLI_FORMAT_MORE;
	if (*p == '[')
		return CLI_FORMAT_BLOCKS;
	line = memchr(p, '\n', (size_t)(end - p));
	if (*p != '{') {
		bool csv = (*p >= '0' && *p <= '9') || *p == '"' || *p == '#' || *p == 'i' || *p == 'I';

		if (!csv && !line && !all)
			return CLI_FORMAT_MORE;
		return csv || has_imsi(p, line ? line : end) ? CLI_FORMAT_CSV : CLI_FORMAT_LINES;
	}
	if (!line || line + 1 == end)
		return all ? CLI_FORMAT_LINES : CLI_FORMAT_MORE;
	// a line that breaks off is one bad document when the next one begins a document
	return unbalanced(p, line) && line[1] != '{' ? CLI_FORMAT_BLOCKS : CLI_FORMAT_LINES;
}

void cli_split_init(struct cli_split *s)
{
	*s = (struct cli_split){.line = 1};
}

struct sink {
	char *out;
	size_t *len;
};

static void put(struct sink *k, char c)
{
	k->out[(*k->len)++] = c;
}

static void document_begin(struct cli_split *s, char c, struct sink *k)
{
	char *at = k->out + *k->len;

	s->in_document = true;
	s->in_string = s->escaped = false;
	s->depth = 0;
	s->odd = c != '{';
	s->document++;
	*k->len += (size_t)snprintf(at, ROOM, "#%llu %llu\n", (unsigned long long)s->line,
				    (unsigned long long)s->document);
}

static void document_end(struct cli_split *s, struct sink *k)
{
	s->in_document = false;
	put(k, '\n');
}

// Between documents: false when this octet begins one.
static bool between(struct cli_split *s, char c)
{
	if (is_blank(c) || c == ',')
		return true;
	if (c == '[' && s->document == 0 && !s->array)
		return s->array = true;
	if (c == ']' && s->array && !s->closed)
		return s->closed = true;
	return false;
}

static void inside(struct cli_split *s, char c, struct sink *k)
{
	if (s->in_string) {
		// no string has a line feed in it: an unlike octet keeps the document wrong, and the next one
		// is found
		put(k, c == '\n' ? '\x01' : c);
		if (c == '\n' || (c == s->quote && !s->escaped))
			s->in_string = false;
		s->escaped = c == '\\' && !s->escaped;
		return;
	}
	if (is_blank(c))
		return;
	put(k, c);
	if (c == '"' || c == '\'') { // single quotes are those of MongoDB's shells
		s->in_string = true;
		s->quote = c;
	} else if (c == '{' || c == '[') {
		s->depth++;
	} else if ((c == '}' || c == ']') && --s->depth == 0) {
		document_end(s, k);
	}
}

size_t cli_split_next(struct cli_split *s, const char *p, size_t len, char *out, size_t cap, size_t *out_len)
{
	struct sink k = {.out = out, .len = out_len};
	size_t i = 0;

	for (; i < len && *k.len + ROOM < cap; i++) {
		char c = p[i];

		// the file's first octets may say that it is UTF-8
		if (!s->in_document && s->document == 0 && !s->array && strchr("\xef\xbb\xbf", c) && c)
			continue;
		if (!s->in_document && !between(s, c))
			document_begin(s, c, &k);
		if (s->in_document && s->odd) {
			if (c == '\n' || c == ',')
				document_end(s, &k);
			else
				put(&k, c);
		} else if (s->in_document) {
			inside(s, c, &k);
		}
		s->line += c == '\n';
	}
	return i;
}

bool cli_split_unfinished(const struct cli_split *s)
{
	return s->array && !s->closed;
}
