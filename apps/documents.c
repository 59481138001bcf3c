// See documents.h. A new application adds its .def file, its owner, and one line to `tables`.
#include "apps/documents.h"
#include <pthread.h>

enum {
	NEEDED = DOC_F_NEEDED,
	SECRET = DOC_F_SECRET,
	DROP = DOC_F_DROP,
	QUIET = DOC_F_QUIET,
	ONE = DOC_F_ONE,
	TEXT = DOC_F_TEXT,
	ALONE = DOC_F_ALONE,
	EMPTY = DOC_F_EMPTY,
	WEB = DOC_F_WEB
};

#define MEMBER(NAME, PATH, TYPE, LEAST, MOST, PART, FLAGS, HELP)                                                       \
	{.path = PATH,                                                                                                 \
	 .type = DOC_##TYPE,                                                                                           \
	 .part = DOC_PART_##PART,                                                                                      \
	 .flags = FLAGS,                                                                                               \
	 .least = LEAST,                                                                                               \
	 .most = MOST,                                                                                                 \
	 .help = HELP},
static const struct doc_member core_rows[] = {
#include "lib/document/core.def"
};
static const struct doc_member s6a_rows[] = {
#include "apps/s6a/document.def"
};
static const struct doc_member cx_rows[] = {
#include "apps/cx/document.def"
};
static const struct doc_member swx_rows[] = {
#include "apps/swx/document.def"
};
#undef MEMBER

#define ROWS(OWNER, LIST) {.owner = OWNER, .member = LIST, .cnt = sizeof(LIST) / sizeof((LIST)[0])}
static const struct doc_table core = ROWS("core", core_rows), s6a = ROWS("s6a", s6a_rows), cx = ROWS("cx", cx_rows),
			      swx = ROWS("swx", swx_rows);
static const struct doc_table *const tables[DOC_OWNER_CNT] = {[DOC_OWNER_CORE] = &core, [DOC_OWNER_S6A] = &s6a,
							      [DOC_OWNER_CX] = &cx, [DOC_OWNER_SWX] = &swx};

static struct doc_schema schema;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make(void)
{
	if (schema_init(&schema, tables, DOC_OWNER_CNT))
		bug("the tables of the document do not fit together");
}

const struct doc_schema *documents_schema(void)
{
	pthread_once(&once, make);
	return &schema;
}
