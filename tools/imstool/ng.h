// What the two halves of `imstool ng` share: asking RTPengine, and showing what it answered.
#pragma once
#include "lib/ng/ng.h"
#include "tools/imstool/imstool.h"

enum im_ng_option {
	IN_SERVER,
	IN_TRANSPORT,
	IN_PATH,
	IN_FORMAT,
	IN_TIMEOUT,
	IN_REPEAT,
	IN_LIMIT,
	IN_CALL_ID,
	IN_FROM_TAG,
	IN_TO_TAG,
	IN_SDP,
	IN_INTERVAL,
	IN_COUNT,
};

// Asks, and tells on stderr why there is no answer. The answer is the caller's; NULL: there is none. Whether RTPengine
// says yes is up to the caller (im_ng_refused).
json_t *im_ng_ask(const struct im_args *a, struct ng_client *c, const json_t *request);
// Whether an answer is an error; then its reason goes to stderr.
bool im_ng_refused(const struct im_args *a, const json_t *answer);

// `list`: each call with its age. `query`: a call's streams. Return the exit status.
int im_ng_list(const struct im_args *a, struct ng_client *c, const json_t *request);
int im_ng_query(const struct im_args *a, struct ng_client *c, const json_t *request);
// Any other answer: its members, one a line.
void im_ng_show(const json_t *answer);
