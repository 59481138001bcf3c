// How long the grammar check of one request takes: the number that every request pays in a frontend.
// Prints nanoseconds a check, the best of several rounds (other load on the machine only ever adds).
#include "lib/base/clock.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/grammar.h"
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 50
#define CHECKS 20000

static void put_text(struct wr *w, uint32_t code, const char *text)
{
	avp_put_slice(w, code, 0, AVP_M, slice_str(text));
}

static void put_requested(struct wr *w)
{
	size_t at = avp_group_begin(w, AVP_CODE_Requested_EUTRAN_Authentication_Info, VENDOR_3GPP, AVP_M);
	avp_put_u32(w, AVP_CODE_Number_Of_Requested_Vectors, VENDOR_3GPP, AVP_M, 1);
	avp_put_u32(w, AVP_CODE_Immediate_Response_Preferred, VENDOR_3GPP, AVP_M, 1);
	avp_group_end(w, at);
}

// What a real MME sends: 9 AVPs, two of them groups of two.
static void put_air(struct wr *w)
{
	header_begin(w, HEADER_R | HEADER_P, 318, APP_S6A, 1, 1);
	put_text(w, AVP_CODE_Session_Id, "mme01.epc.mnc001.mcc001.3gppnetwork.org;1567933870;1;app_s6a");
	avp_put_u32(w, AVP_CODE_Auth_Session_State, 0, AVP_M, 1);
	put_text(w, AVP_CODE_Origin_Host, "mme01.epc.mnc001.mcc001.3gppnetwork.org");
	put_text(w, AVP_CODE_Origin_Realm, "epc.mnc001.mcc001.3gppnetwork.org");
	put_text(w, AVP_CODE_Destination_Realm, "epc.mnc001.mcc001.3gppnetwork.org");
	put_text(w, AVP_CODE_User_Name, "001010000000001");
	put_requested(w);
	avp_put(w, AVP_CODE_Visited_PLMN_Id, VENDOR_3GPP, AVP_M, "\x00\xf1\x10", 3);
	size_t at = avp_group_begin(w, AVP_CODE_Vendor_Specific_Application_Id, 0, AVP_M);
	avp_put_u32(w, AVP_CODE_Vendor_Id, 0, AVP_M, VENDOR_3GPP);
	avp_put_u32(w, AVP_CODE_Auth_Application_Id, 0, AVP_M, APP_S6A);
	avp_group_end(w, at);
	header_finish(w, 0);
}

int main(void)
{
	static uint8_t msg[1024];
	struct wr w = wr_of(msg, sizeof msg);
	struct avp_slot slots[GRAMMAR_SLOTS_MAX];
	struct verdict v;
	uint64_t best = UINT64_MAX;
	unsigned good = 0;
	grammar_enable(APP_S6A);
	put_air(&w);
	uint32_t len = wr_done(&w).len;
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t from = clock_mono_us();
		for (unsigned i = 0; i < CHECKS; i++)
			good += grammar_check(grammar_find(318, APP_S6A, true), msg, len, slots, &v);
		uint64_t took = clock_mono_us() - from;
		best = took < best ? took : best;
	}
	if (good != ROUNDS * CHECKS) {
		fprintf(stderr, "the request was refused: %u\n", v.result);
		return 1;
	}
	printf("AIR of %u octets: %.0f ns a check\n", len, (double)best * 1000 / CHECKS);
	return 0;
}
