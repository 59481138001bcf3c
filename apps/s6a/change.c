// Turns a decision about a subscriber's location into the CHANGE that makes it durable. Runs in workers.
#include "apps/s6a/location.h"
#include "apps/s6a/s6a.h"
#include "worker/link.h"
#include "worker/worker.h"

void s6a_change(struct request *r, const struct cache_record *rec, const struct s6a_decision *d,
		const struct link_change *with)
{
	uint8_t state[S6A_STATE_MAX], data[S6A_CANCEL_MAX][S6A_CANCEL_DATA_LEN];
	struct wr w = wr_of(state, sizeof state);
	struct link_change c = *with;
	s6a_state_put(&w, &d->next);
	if (w.err) { // a name that does not fit
		request_answer(r, RESULT_UNABLE_TO_COMPLY, false);
		return;
	}
	c.version = rec->version;
	c.state = wr_done(&w);
	c.request_cnt = d->cancel_cnt;
	for (unsigned i = 0; i < d->cancel_cnt; i++)
		c.request[i] = (struct link_hss_request){
			.purpose = d->cancel[i].kind == S6A_SGSN ? S6A_CANCEL_SGSN : S6A_CANCEL_MME,
			.host = d->cancel[i].host,
			.realm = d->cancel[i].realm,
			.data = s6a_cancel_data(&d->cancel[i], data[i]),
		};
	link_change(r, &c);
}
