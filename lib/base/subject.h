// The subject of a request: the subscriber or device that it is about. An IMSI, an MSISDN, a private identity
// (the user name of an IMS subscription), a public identity (a SIP or tel URI), an IMEI, or none. Each is
// read from the octets that a peer or a document spells it with into one canonical form, so that two
// spellings of one identity have the same octets and the same hash. All roles; pure functions; nothing is
// allocated, and the time is linear in the input, of which no more than SUBJECT_INPUT_MAX octets are looked
// at.
//
// The canonical forms:
//   IMSI     its 5 to 15 digits
//   MSISDN   its 1 to 15 digits, without '+'
//   IMEI     the 14 digits of TAC and serial number: check digit and software version are left out
//   private  user@realm, the realm in lower case; or a name without a realm, as it is
//   public   sip:user@host:port and sips:... by RFC 3261 19.1.4, with what RFC 3261 10.3 asks of a
//            registrar: no parameters, no headers. Scheme and host are in lower case, the final dot of a host
//            is left out; the port stays (19.1.4: an omitted port is not the default one). Of the escapes
//            only those remain whose character may not stand there, in capitals; characters that should have
//            been escaped are. When the user is a telephone number (user=phone, or a leading '+'), its visual
//            separators and its own parameters are left out, and so is the '+': sip:+1555@host and
//            sip:1555@host;user=phone are one identity.
//            tel:N by RFC 3966: no visual separators, no '+', no parameters. phone-context stays where the
//            number is a local one that has it.
#pragma once
#include "lib/base/ident.h"

enum subject_type {
	SUBJECT_NONE,
	SUBJECT_IMSI,
	SUBJECT_MSISDN,
	SUBJECT_PRIVATE,
	SUBJECT_PUBLIC,
	SUBJECT_IMEI,
	SUBJECT_TYPE_CNT
};

// How the octets of an AVP or a document's member spell a subject.
enum subject_form {
	SUBJECT_FORM_NONE,
	SUBJECT_FORM_IMSI,    // digits
	SUBJECT_FORM_NAI,     // an IMSI, or the user name of EAP: 0, 1 or 6, IMSI, @realm (TS 23.003 14, 19)
	SUBJECT_FORM_PRIVATE, // the private identity of IMS (TS 23.003 13.3)
	SUBJECT_FORM_PUBLIC,  // the public identity of IMS (TS 23.003 13.4)
	SUBJECT_FORM_MSISDN,  // digits, '+' or not
	SUBJECT_FORM_MSISDN_TBCD, // octets of two digits each, the low half first (TS 29.329 6.3.2)
	SUBJECT_FORM_IMEI,    // 14 to 16 digits
	SUBJECT_FORM_CNT
};

#define SUBJECT_TEXT_MAX  255  // octets of the canonical form; what is longer is no identity
#define SUBJECT_INPUT_MAX 1024 // octets of a spelling, parameters and escapes included

struct subject {
	// Of the canonical octets. Of an IMSI, an MSISDN, an IMEI: ident_hash of `digits`. 0 only when there
	// is none.
	uint64_t hash;
	// Packed as an imsi_t or msisdn_t is: the number that the subject is, or that the user's part of a
	// public or private identity consists of (1 to 15 digits). 0 when there is none.
	uint64_t digits;
	uint8_t type;    // enum subject_type
	bool phone;      // `digits` were spelled as a telephone number: tel:, '+', user=phone
	uint16_t len;    // of the text
	uint16_t domain; // where the host or realm begins in the text; 0: it has none
	char text[SUBJECT_TEXT_MAX + 1]; // the canonical octets and a NUL
};

// Reads `spelling`. Returns whether it is an identity of this form; otherwise *out is SUBJECT_NONE, and its
// text is empty. Refused are: what is empty or too long, a NUL or another control character, broken UTF-8, a
// scheme other than sip, sips, tel, and what the form's grammar does not allow. SUBJECT_FORM_NAI gives an
// IMSI when it can, otherwise (pseudonyms, fast re-authentication) a private identity.
bool subject_read(enum subject_form form, struct slice spelling, struct subject *out);

// Makes *out none: SUBJECT_NONE, without digits and text.
void subject_none(struct subject *out);

// The canonical octets, and what of them follows '@' (without a port); empty when there is none.
static inline struct slice subject_text(const struct subject *s)
{
	return slice_of(s->text, s->len);
}
struct slice subject_domain(const struct subject *s);

// The IMSI, the MSISDN that the subject is; that its user's part could be, when it is a private or public
// identity (an IMSI not when it is spelled as a telephone number): the caller checks the domain. 0 when it
// cannot be one.
imsi_t subject_imsi(const struct subject *s);
msisdn_t subject_msisdn(const struct subject *s);

// The same for an IMSI and for all identities that are made of it, so that one subscriber's requests meet in
// one worker.
static inline uint64_t subject_meeting_hash(const struct subject *s)
{
	return s->digits ? ident_hash(s->digits) : s->hash;
}
