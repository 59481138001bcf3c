// The states of one subscriber's write-back, as a table: what follows from an event in a state. Pure; loader
// process.
//
//	idle -> queued -> sent -> idle                     its location
//	idle -> sqn queued -> sqn sent -> idle             its SQN alone; a location takes the SQN with it
//	sent -> sent, due                                  the location changed meanwhile: queued again after the outcome
//	sent -> late -> sent                               the server holds the document back: tried again after a while
#pragma once
#include <stdbool.h>

enum outbox_state {
	OUTBOX_IDLE,
	OUTBOX_SQN_QUEUED,
	OUTBOX_QUEUED,
	OUTBOX_SQN_SENT,
	OUTBOX_SQN_SENT_DUE, // its SQN is under way, and its location waits behind it
	OUTBOX_SENT,
	OUTBOX_SENT_DUE, // its location is under way, and has changed again
	OUTBOX_SQN_LATE,
	OUTBOX_LATE,
	OUTBOX_STATE_CNT,
};

enum outbox_event {
	OUTBOX_EV_LOCATION, // there is a location to tell
	OUTBOX_EV_SQN,	    // there is an SQN to tell
	OUTBOX_EV_SEND,	    // it goes into a batch, with its location
	OUTBOX_EV_SEND_SQN, // it goes into a batch, its SQN alone
	OUTBOX_EV_NOTHING,  // its turn came, and there is nothing to tell
	OUTBOX_EV_DONE,	    // MongoDB has it, or refuses it for good
	OUTBOX_EV_AWAY,	    // it is unknown whether MongoDB has it
	OUTBOX_EV_BUSY,	    // MongoDB holds this one document back
	OUTBOX_EVENT_CNT,
};

enum outbox_action {
	OUTBOX_DO_NOTHING,
	OUTBOX_DO_QUEUE,     // behind the other locations
	OUTBOX_DO_QUEUE_SQN, // behind the other SQNs
	OUTBOX_DO_WAIT,	     // among those that are tried again later
	OUTBOX_DO_BUG,	     // this event can't come in this state
};

struct outbox_row {
	enum outbox_action action;
	enum outbox_state next;
};
struct outbox_row outbox_step(enum outbox_state state, enum outbox_event event);

// Is a write of this subscriber in a batch that has no outcome yet? Then nothing else of it is sent.
static inline bool outbox_is_sent(enum outbox_state s)
{
	return s >= OUTBOX_SQN_SENT && s <= OUTBOX_SENT_DUE;
}

// Does MongoDB still lack its newest location?
static inline bool outbox_has_location(enum outbox_state s)
{
	return s == OUTBOX_QUEUED || s == OUTBOX_SQN_SENT_DUE || s == OUTBOX_SENT || s == OUTBOX_SENT_DUE || s == OUTBOX_LATE;
}
