// User-Data-Request (TS 29.328 6.1.1; procedures E1): an application server reads data of a user. What does not exist is no error.
#include "apps/sh/sh.h"
#include "lib/diameter/avp.h"

// The keys that the references need beside the identity. false: answered.
static bool has_keys(struct request *r, const struct sh_asked *q)
{
	struct verdict v = {0};
	if (q->references & SH_BIT(SH_REF_REPOSITORY) && q->key_cnt == 0)
		verdict_missing(&v, AVP_ID_Service_Indication);
	else if (q->references & SH_BIT(SH_REF_CRITERIA) && !request_has(r, SLOT_UDR_Server_Name))
		verdict_missing(&v, AVP_ID_Server_Name);
	else
		return true;
	request_answer_failed(r, &v);
	return false;
}

void sh_udr(struct request *r)
{
	struct sh_subject s;
	struct sh_asked q;
	struct wr w;
	if (!sh_ask(r, &q) || !sh_may(r, SH_PULL, &q) ||
	    !sh_open(r, SLOT_UDR_User_Identity, SLOT_UDR_User_Name, &q, &s) || !has_keys(r, &q))
		return;
	struct sh_query data = sh_query_of(&s, &q, request_slot(r, SLOT_UDR_Server_Name));
	request_answer_begin(r, &w, RESULT_SUCCESS, false, 512 + sh_query_room(&data));
	sh_put_features(&w, &q);
	sh_put_wildcard(&w, &s);
	sh_put_data(&w, &data);
	request_answer_end(r, &w);
}
