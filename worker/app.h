// What a worker knows of an application: one row of the table that main.c hands to worker_init. The worker
// never names an application. The handlers of an application use request.h, link.h, aka.h and hss_request.h.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct request;
struct worker;
struct wr;
struct hss_request;
struct hss_answer;

#define WORKER_APP_MAX 16 // numbers of applications are below it

struct worker_command {
	unsigned command; // enum command_id of a request
	// Runs from its top each time the loader has replied (request.h); answers, or makes the request wait.
	void (*handler)(struct request *r);
};

struct worker_app {
	const char *name;	     // of its folder
	unsigned number;	     // of apps/apps.def: below WORKER_APP_MAX
	uint32_t application;	     // Application-Id of its messages, vendor 3GPP
	const struct worker_command *commands;
	unsigned command_cnt;
	// Composes an HSS-initiated request from the state of this moment: the AVPs after the common ones
	// (hss_request.h says which). It may set q->memo. false: events have overtaken it, and it must not be sent at all.
	bool (*compose)(struct hss_request *q, struct wr *m);
	// The node has answered: writes what the loader is to know of the answer, at most HSS_TOLD_MAX octets
	// (loader/app.h, answered). NULL: nothing but the result.
	void (*ended)(const struct hss_request *q, const struct hss_answer *a, struct wr *told);
};
