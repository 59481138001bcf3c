// The tables of a subscriber's document, of the core and of the applications (lib/document/schema.h). The
// loader and hssctl link them, since they read, check and describe documents.
#pragma once
#include "lib/document/schema.h"

enum doc_owner { DOC_OWNER_CORE, DOC_OWNER_S6A, DOC_OWNER_CX, DOC_OWNER_SWX, DOC_OWNER_CNT };

// What the rows of each table count.
enum doc_core_row {
#define MEMBER(NAME, ...) CORE_##NAME,
#include "lib/document/core.def"
#undef MEMBER
};
enum doc_s6a_row {
#define MEMBER(NAME, ...) S6A_##NAME,
#include "apps/s6a/document.def"
#undef MEMBER
};

enum doc_cx_row {
#define MEMBER(NAME, ...) CX_##NAME,
#include "apps/cx/document.def"
#undef MEMBER
};

enum doc_swx_row {
#define MEMBER(NAME, ...) SWX_##NAME,
#include "apps/swx/document.def"
#undef MEMBER
};

// All tables in one tree; made once, then read-only and shared by all threads.
const struct doc_schema *documents_schema(void);
