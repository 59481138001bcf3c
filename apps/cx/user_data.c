// The Cx User-Data of an implicit registration set (TS 29.228 annex B): which identities and which filter criteria it
// holds. lib/ims writes the XML.
#include "apps/cx/msg.h"
#include "lib/diameter/avp.h"
#include "lib/diameter/dict.h"

size_t cx_user_data_room(const struct cache *c, const struct cx_user *u, uint8_t set, uint32_t features)
{
	(void)c;
	(void)set;
	(void)features;
	return 4096 + u->d.pub_cnt * 512u;
}

static void text(struct wr *w, const char *s)
{
	wr_bytes(w, s, strlen(s));
}

bool cx_put_user_data(struct wr *w, const struct cache *c, const struct cx_user *u, unsigned priv, uint8_t set,
		      uint32_t features)
{
	size_t at = avp_group_begin(w, AVP_CODE_User_Data, VENDOR_3GPP, AVP_M);
	(void)c;
	(void)features;
	text(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><IMSSubscription><PrivateID>");
	wr_slice(w, u->d.priv[priv].identity);
	text(w, "</PrivateID><ServiceProfile>");
	for (unsigned i = 0; i < u->d.pub_cnt; i++) {
		if (u->d.pub[i].set != set)
			continue;
		text(w, u->d.pub[i].barred ? "<PublicIdentity><BarringIndication>1</BarringIndication><Identity>"
					   : "<PublicIdentity><BarringIndication>0</BarringIndication><Identity>");
		wr_slice(w, u->d.pub[i].identity);
		text(w, "</Identity></PublicIdentity>");
	}
	text(w, "</ServiceProfile></IMSSubscription>");
	avp_group_end(w, at);
	if (!w->err)
		wr_zero(w, -(wr_len(w) - at) & 3u);
	return !w->err;
}
