// The Cx User-Data of an implicit registration set (TS 29.228 annex B): which identities and which filter criteria it
// holds. lib/ims writes the XML.
#include "apps/cx/user_data.h"

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

bool cx_user_data_write(struct wr *w, const struct cache *c, const struct cx_user *u, unsigned priv, uint8_t set,
			uint32_t features)
{
	(void)c;
	(void)features;
	text(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><IMSSubscription><PrivateID>");
	wr_slice(w, u->d.priv[priv].identity);
	text(w, "</PrivateID><ServiceProfile>");
	int first = cx_default_of(u, set);
	for (int n = first < 0 ? 0 : -1; n < (int)u->d.pub_cnt; n++) {
		int i = n < 0 ? first : n;
		if (u->d.pub[i].set != set || (n >= 0 && i == first))
			continue;
		text(w, u->d.pub[i].barred ? "<PublicIdentity><BarringIndication>1</BarringIndication><Identity>"
					   : "<PublicIdentity><BarringIndication>0</BarringIndication><Identity>");
		wr_slice(w, u->d.pub[i].identity);
		text(w, "</Identity></PublicIdentity>");
	}
	text(w, "</ServiceProfile></IMSSubscription>");
	return !w->err;
}
