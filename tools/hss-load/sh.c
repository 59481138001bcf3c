// The requests of an application server (TS 29.329), for the cases udr and sh-pur. The user is sip:IMSI@DOMAIN.
#include <string.h>
#include "tools/hss-load/message.h"

#define DATA_OCTETS 1024 // of a service, as the server stores it

enum {
	AVP_PUBLIC_IDENTITY = 601,
	AVP_USER_IDENTITY = 700,
	AVP_USER_DATA = 702,
	AVP_DATA_REFERENCE = 703,
};

enum { REPOSITORY_DATA = 0, IMS_PUBLIC_IDENTITY = 10, IMS_USER_STATE = 11 };

static void put_document(struct wr *w)
{
	static const char head[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Sh-Data><RepositoryData><ServiceIndication>hss-load"
				   "</ServiceIndication><SequenceNumber>0</SequenceNumber><ServiceData><load>",
			  tail[] = "</load></ServiceData></RepositoryData></Sh-Data>";
	char data[DATA_OCTETS - (sizeof "<load></load>" - 1)];
	uint8_t *avp = hl_open(w, AVP_USER_DATA, HL_VENDOR_3GPP, true);
	memset(data, 'x', sizeof data);
	wr_bytes(w, head, sizeof head - 1);
	wr_bytes(w, data, sizeof data);
	wr_bytes(w, tail, sizeof tail - 1);
	hl_close(w, avp);
}

void hl_sh_put(struct wr *w, struct hl_template *t, enum hl_kind kind, const struct hl_options *o)
{
	uint8_t *group = hl_open(w, AVP_USER_IDENTITY, HL_VENDOR_3GPP, true);
	hl_put_identity(w, t, AVP_PUBLIC_IDENTITY, HL_VENDOR_3GPP, "sip:", o);
	hl_close(w, group);
	if (kind == HL_KIND_UDR) {
		hl_put_u32(w, AVP_DATA_REFERENCE, HL_VENDOR_3GPP, true, IMS_PUBLIC_IDENTITY);
		hl_put_u32(w, AVP_DATA_REFERENCE, HL_VENDOR_3GPP, true, IMS_USER_STATE);
	} else {
		hl_put_u32(w, AVP_DATA_REFERENCE, HL_VENDOR_3GPP, true, REPOSITORY_DATA);
		put_document(w);
	}
}
