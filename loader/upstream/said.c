// What another node on the same upstream has written of a state, against ours (loader/app.h). Pure but for
// the look at the outbox.
#include "loader/app.h"
#include "loader/loader.h"
#include "loader/upstream/outbox.h"

enum app_whose app_whose(struct app_version ours, struct app_version theirs)
{
	if (theirs.time_s != ours.time_s)
		return theirs.time_s > ours.time_s ? APP_THEIRS : APP_OURS;
	size_t len = ours.octets.len < theirs.octets.len ? ours.octets.len : theirs.octets.len;
	int order = memcmp(ours.octets.p, theirs.octets.p, len);
	if (order == 0)
		order = ours.octets.len < theirs.octets.len ? -1 : ours.octets.len > theirs.octets.len;
	return order == 0 ? APP_SAME : order < 0 ? APP_THEIRS : APP_OURS;
}

bool app_may_restore(const struct app_document *d)
{
	return d->old && d->may_restore && d->l->outbox && !outbox_has(d->l, d->old);
}
