// S6a/S6d (TS 29.272): what the HSS decides on AIR, ULR, PUR and NOR. Handlers follow worker/request.h: they run from
// their top each time the loader has replied.
#pragma once
struct request;

void s6a_air(struct request *r); // 5.2.3.1.3
void s6a_ulr(struct request *r); // 5.2.1.1.3
void s6a_pur(struct request *r); // 5.2.1.3.3
void s6a_nor(struct request *r); // 5.2.5.1.3

struct cache_record;
struct link_change;
struct s6a_decision;
// Sends the decision that was made from `rec` to the loader. `with` gives options and kept; the rest is
// filled in here.
void s6a_change(struct request *r, const struct cache_record *rec, const struct s6a_decision *d,
		const struct link_change *with);
