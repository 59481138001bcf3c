// A new configuration for an HSS that runs: at SIGHUP, or because an operator asked hss-admin. hssd. A file with an error changes
// nothing. An option that needs a restart keeps its value. Who asked is told in lines of text:
//
//	error WHY           nothing was changed
//	live OPTION         its new value is applied
//	restart OPTION      it has a new value that a restart will apply
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "supervisor/hssd.h"

static struct {
	char text[8192];
	size_t len;
} told;

__attribute__((format(printf, 1, 2))) static void tell(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(told.text + told.len, sizeof(told.text) - told.len, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof(told.text) - told.len)
		told.len += (size_t)n;
}

static void refuse(const char *why)
{
	log_error("reload_refused", LOG_STR("why", why));
	tell("error %s\n", why);
}

// What differs; what can't be changed now keeps its value.
static void compare(const struct config *old, struct config *fresh)
{
	unsigned at = 0;
	bool live;
	const char *option;

	while ((option = config_changed(old, fresh, &at, &live))) {
		tell("%s %s\n", live ? "live" : "restart", option);
		if (live)
			continue;
		log_warn("reload_needs_restart", LOG_STR("key", option));
		config_keep(old, fresh, option);
	}
}

static void apply(struct hssd *h)
{
	static struct config fresh; // 70 KiB: not for the stack
	static struct config_error e;

	if (config_load(h->config_path, &fresh, &e) < 0) {
		refuse(e.text);
		return;
	}
	compare(&h->config, &fresh);
	if (!files_reopen(h, &fresh)) {
		told.len = 0;
		tell("error a file of tls can't be opened: the log says which one\n");
		return;
	}
	h->config = fresh;
	log_set_level(h->config.log_level);
	spawn_reload(h);
	log_info("reloaded");
}

void reload(struct hssd *h, const struct instance *asker, uint64_t id)
{
	told.len = 0;
	if (h->phase != PHASE_SERVING) {
		log_warn("reload_ignored", LOG_STR("why", "starting or stopping"));
		tell("error the HSS is starting or stopping\n");
	} else {
		notify_send("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)clock_mono_us());
		apply(h);
		notify_send("READY=1");
	}
	// behind the new configuration on the same channel, so that `config show` after it shows the new one
	if (asker && asker->ch && channel_send(asker->ch, IPC_RELOAD_TOLD, id, told.text, told.len))
		channel_flush(asker->ch);
}
