// The rows of request.def as constant tables, and reading a request by them (see request.h).
#include "lib/diameter/request.h"
#include "lib/diameter/avp.h"

// A place in a request: an AVP of its top level, or one inside of it.
struct place {
	uint8_t slot;
	uint8_t form;    // enum subject_form; of a number of items: 1. 0 ends the list.
	uint16_t inner;  // enum avp_id, AVP_ID_NONE: the AVP itself
};

#define REQUEST(id, sender, weight)      static const struct place subjects_##id[] = {
#define SUBJECT(id, avp, form)           {SLOT_##id##_##avp, SUBJECT_FORM_##form, AVP_ID_NONE},
#define SUBJECT_IN(id, group, avp, form) {SLOT_##id##_##group, SUBJECT_FORM_##form, AVP_ID_##avp},
#define REQUEST_END(id)                                                                                      \
	{0}                                                                                                  \
	}                                                                                                    \
	;
#include "lib/diameter/request.def"

#define REQUEST(id, sender, weight) static const struct place items_##id[] = {
#define ITEMS(id, avp)              {SLOT_##id##_##avp, 1, AVP_ID_NONE},
#define ITEMS_IN(id, group, avp)    {SLOT_##id##_##group, 1, AVP_ID_##avp},
#define REQUEST_END(id)                                                                                      \
	{0}                                                                                                  \
	}                                                                                                    \
	;
#include "lib/diameter/request.def"

enum sender { SENDER_UNKNOWN, SENDER_NODE, SENDER_HSS };

static const struct row {
	const struct place *subjects, *items;
	uint8_t sender; // enum sender
	uint8_t weight;
} rows[CMD_CNT] = {
#define REQUEST(id, sender, weight) [CMD_##id] = {subjects_##id, items_##id, SENDER_##sender, weight},
#include "lib/diameter/request.def"
};

static const struct row *row_of(const struct command *cmd)
{
	return &rows[cmd->id < CMD_CNT ? cmd->id : CMD_NONE];
}

bool request_sent_by_hss(const struct command *cmd)
{
	return row_of(cmd)->sender == SENDER_HSS;
}

unsigned request_weight(const struct command *cmd)
{
	return row_of(cmd)->weight ? row_of(cmd)->weight : 1;
}

static bool place_data(const struct place *p, const uint8_t *msg, const struct avp_slot *slots, struct slice *data)
{
	struct avp inner;
	if (slots[p->slot].cnt == 0)
		return false;
	*data = slice_of(msg + slots[p->slot].off, slots[p->slot].len);
	if (p->inner == AVP_ID_NONE)
		return true;
	const struct avp_def *def = dict_by_id(p->inner);
	if (!avp_find(*data, def->code, def->vendor, &inner))
		return false;
	*data = inner.data;
	return true;
}

int request_subject(const struct command *cmd, const uint8_t *msg, const struct avp_slot *slots, struct subject *out,
		    struct slice *spelling)
{
	const struct place *p = row_of(cmd)->subjects;
	struct slice data;
	*spelling = (struct slice){0};
	for (; p && p->form; p++) {
		if (!place_data(p, msg, slots, &data))
			continue;
		if (subject_read(p->form, data, out))
			return p->slot;
		if (spelling->len == 0)
			*spelling = data;
	}
	subject_none(out);
	return -1;
}

uint32_t request_items(const struct command *cmd, const uint8_t *msg, const struct avp_slot *slots, uint32_t max)
{
	const struct place *p = row_of(cmd)->items;
	struct slice data;
	uint64_t sum = 0;
	uint32_t cnt;
	for (; p && p->form; p++)
		if (place_data(p, msg, slots, &data) && avp_u32(data, &cnt))
			sum += cnt;
	return sum < max ? (uint32_t)sum : max;
}
