// `hssctl request ...`: what the HSS still has to tell other nodes. Loader process, main thread.
#pragma once
#include "loader/admin/admin.h"

void requests_list(struct loader *l, struct call *c);
void requests_pump(struct loader *l, struct call *c);
void requests_retry(struct loader *l, struct call *c);
void requests_drop(struct loader *l, struct call *c);
