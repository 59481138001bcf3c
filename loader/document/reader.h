// What an application reads in a subscriber's document: a row that loader/app.h has a place for. Documents are read by several
// threads (the feed, look-ups, the main thread), so all of it is pure: the functions touch what they are given and nothing else.
//
// For each document: `begin`, then `take` for each member of the application's table, then `end`; `profile` and `said` give what
// was read to the core, as octets. Slices borrow from the document. Loader process.
#pragma once
#include "loader/document/walk.h"

struct cache_profile;

#define SUBSCRIPTION_OF_APPS_MAX 8192u	    // octets of all applications
#define DOC_SAID_MAX		 (16u << 10) // of one application

struct doc_reader {
	unsigned owner; // enum doc_owner: whose members it takes
	size_t size;	// of its place in struct subscription
	void (*begin)(void *into);
	doc_take *take;
	// Judges what concerns more than one member. DOC_BAD: the document can't be served, doc_bad said why. NULL: nothing.
	enum doc_result (*end)(struct doc_walk *w, void *into);
	// Writes what the document says of the application's state, in a form of its own: it comes back as app_document.said.
	// Nothing written: it says nothing. NULL: no document ever does.
	void (*said)(const void *into, struct wr *out);
	// Encodes the part that subscribers share, at most `cap` octets with the header, and gives the record's flags that follow
	// from it (enum record_flag). false: it does not fit. One application has it.
	bool (*profile)(const void *into, struct cache_profile *out, size_t cap, uint8_t *flags);
};
