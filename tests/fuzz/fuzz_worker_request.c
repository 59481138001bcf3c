// The body of a REQUEST frame as a hostile frontend may write it: the worker refuses it, answers it or asks
// the loader, and what it sends is a frame that its sibling takes.
#include "tests/support/worker_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct wf *start(void)
{
	struct wf *f = wf_new(16);
	snprintf(f->config.ims_domain, sizeof f->config.ims_domain, "ims.mnc001.mcc001.3gppnetwork.org");
	struct sh_server *as = &f->config.sh.server[f->config.sh.server_cnt++];
	snprintf(as->host, sizeof as->host, "as.test"); // may do all
	for (unsigned i = 0; i < SH_REFERENCE_MAX; i++)
		as->pull[as->pull_cnt++] = as->update[as->update_cnt++] = as->notify[as->notify_cnt++] = (uint8_t)i;
	wf_subscriber(f, WF_IMSI, wf_profile(f, true, true, 0, 0), 32, (1ull << 42));
	wf_subscriber(f, "001010000000002", wf_profile(f, true, false, 1 << 4, 7), 32, 32);
	return f;
}

static void forget(struct wf_queue *q)
{
	wf_queue_free(q);
	q->in = q->out = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct wf *f;
	struct ipc_hdr hdr = {.type = IPC_REQUEST, .id = 1};
	struct ipc_request *in;
	if (!f)
		f = start();
	if (size > IPC_BODY_MAX)
		return 0;
	uint8_t *body = malloc(size ? size : 1); // aligned, and ends where it ends
	CHECK(body);
	memcpy(body, data, size);
	hdr.len = (uint32_t)(sizeof hdr + size);
	if (size >= sizeof *in) {
		in = (struct ipc_request *)body;
		in->arrival_us = clock_mono_us(); // none is too old
	}
	request_arrived(&f->w, 0, &hdr, body);
	free(body);
	wf_flush(f);
	wf_run(f);
	CHECK(f->w.loader && channel_is_up(f->ld) && f->w.frontend[0] && channel_is_up(f->fe[0]));
	// half of the changes are done, nothing else is answered; then all are forgotten
	for (unsigned i = 0; i < f->asks.in; i++)
		if (f->asks.f[i].hdr.type == IPC_CHANGE && (size & 1))
			wf_change_ack(f, f->asks.f[i].hdr.id, CHANGE_DONE);
	request_frontend_lost(&f->w, 0);
	CHECK(f->stats->c[STAT_LOADER_WAITING] == 0);
	for (unsigned i = 0; i < f->answers[0].in; i++) {
		struct header h;
		header_get(f->answers[0].f[i].body, &h);
		CHECK(h.len == f->answers[0].f[i].len && !(h.flags & HEADER_R));
	}
	forget(&f->answers[0]);
	forget(&f->asks);
	return 0;
}
