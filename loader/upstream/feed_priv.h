// What the two halves of feed.h share: feed.c asks questions and stores what the feed brings; feed_answer.c
// handles the answers. Loader process, main thread.
#pragma once
#include "loader/upstream/answered.h"
#include "loader/upstream/feed.h"
#include "lib/base/log.h"

// Why something was asked.
enum asked {
	ASKED_NOTHING,
	ASKED_READ_THROUGH, // a worker waits
	ASKED_CALL,	    // an operator waits
	ASKED_FIELD,	    // the outbox wants to know what the SQN field holds
	ASKED_REFRESH,	    // what the feed brought may be older than what is served
	ASKED_CHANGE,	    // an operator's change
};

struct asking {
	enum asked what;
	uint64_t number;
	imsi_t imsi;
	uint64_t deletes; // how many deletions the feed had brought when it was asked
	bool takes_over;  // ASKED_REFRESH: as in the item of the feed
	struct feed_change change;
	uint64_t call; // ASKED_CALL: its serial
};

struct feed {
	struct upstream *up;
	struct event *event;
	struct up_item *held; // taken from the feed, and waiting for the fold thread
	struct asking *asking; // by number
	unsigned asking_cnt;
	uint64_t number, deletes;
	struct read_through *read_through;
	struct answered *answered; // for these an image of the feed may be older than what is served
	struct answered *fed;	   // for these an answer may be older than what the feed brought
	unsigned refreshing;	   // questions ASKED_REFRESH without an answer: positions wait for them
	struct up_figures figures;
	uint64_t doubt; // something that the feed brought is not on disk: positions wait for this comparison. 0: none
	uint64_t changed, verify_changed; // documents that changed something
	uint64_t verify_serial; // of the call, 0: none
	uint64_t verify_wish;	// the comparison that it waits for
	uint64_t accept_serial, accept_wish, accept_deletes; // the same of `store accept-loss`
	struct log_limit limit;
};

// Asks the upstream. Takes json. NULL: too many questions wait.
struct asking *feed_ask(struct loader *l, enum asked what, enum up_ask_kind kind, imsi_t imsi, json_t *json);
void feed_forget(struct feed *m, struct asking *k); // the question is answered
struct asking *feed_asking_of(struct feed *m, uint64_t number);
// done() of documents and deletions. op.id: number of the question, or 0.
void feed_stored(struct loader *l, struct op *op, int error);
// Puts a document that can't be served on the list of problems; takes one that can be served off it.
void feed_problem(struct loader *l, imsi_t imsi, uint64_t id, const char *text);
void feed_no_problem(struct loader *l, const struct up_doc *d);
// An item of the answers' queue.
void feed_answer(struct loader *l, struct up_item *i);
