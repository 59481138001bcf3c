// Sh-Data: each part in its place, extensions as deep as they are needed and no deeper, the forms of "no data", bounds.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
// cmocka wants the four above
#include <cmocka.h>
#include "lib/ims/fragment.h"
#include "lib/ims/sh_data.h"
#include "lib/ims/xml.h"
#include "tests/support/guard.h"

#define ROOM 8192
#define HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Sh-Data>"
#define TAIL "</Sh-Data>"

static struct guard guard;
static struct ims_report report;

// Writes it where the guard begins behind the last octet, into every smaller room as well, and reads it as XML.
static void is(const struct sh_data *d, const char *want)
{
	size_t len = strlen(want);
	struct wr w = wr_of(guard_room(&guard, ROOM), ROOM);
	xmlDoc *doc;

	sh_data_write(&w, d);
	assert_false(w.err);
	if (!slice_eq(wr_done(&w), slice_str(want)))
		fail_msg("got  %.*s\nwant %s", (int)wr_len(&w), (const char *)w.base, want);
	doc = ims_xml_parse(wr_done(&w), NULL, &report);
	assert_non_null(doc);
	xmlFreeDoc(doc);
	for (size_t cap = 0; cap <= len; cap++) {
		w = wr_of(guard_room(&guard, cap), cap);
		sh_data_write(&w, d);
		assert_int_equal(w.err, cap < len);
	}
}

static void refused(const struct sh_data *d)
{
	struct wr w = wr_of(guard_room(&guard, ROOM), ROOM);

	sh_data_write(&w, d);
	assert_true(w.err);
}

static void test_empty(void **state)
{
	(void)state;
	struct sh_data d = sh_data_empty();
	struct sh_ims ims = sh_ims_empty();

	is(&d, HEAD TAIL);
	d.ims = &ims;
	is(&d, HEAD "<Sh-IMS-Data></Sh-IMS-Data>" TAIL);
}

// A notification tells that something is gone by a part that is there and empty.
static void test_no_data(void **state)
{
	(void)state;
	static const struct sh_identities none = {.identity_type = SH_ABSENT};
	static const struct sh_eps_location nowhere = {.age = SH_ABSENT, .rat_type = SH_ABSENT};
	static const struct sh_repository gone = {.indication = {.p = (const uint8_t *)"x", .len = 1}, .sequence = 65535};
	struct sh_data d = sh_data_empty();
	struct sh_ims ims = sh_ims_empty();

	ims.has_scscf = ims.has_criteria = ims.has_stn_sr = true;
	d.ims = &ims;
	d.lists[SH_PUBLIC] = &none;
	d.repository = &gone;
	d.repository_cnt = 1;
	d.eps = &nowhere;
	d.has_imsi = true;
	is(&d, HEAD "<PublicIdentifiers></PublicIdentifiers>"
		    "<RepositoryData><ServiceIndication>x</ServiceIndication><SequenceNumber>65535</SequenceNumber></RepositoryData>"
		    "<Sh-IMS-Data><SCSCFName></SCSCFName><IFCs></IFCs>"
		    "<Extension><Extension><Extension><Extension><STN-SR></STN-SR></Extension></Extension></Extension></Extension>"
		    "</Sh-IMS-Data>"
		    "<Extension><Extension><Extension><Extension><EPSLocationInformation></EPSLocationInformation>"
		    "<Extension><IMSI></IMSI></Extension></Extension></Extension></Extension></Extension>" TAIL);
}

static void test_lists(void **state)
{
	(void)state;
	const struct slice ids[] = {slice_str("sip:a&b@x"), slice_str("tel:+15550100001")}, numbers[] = {slice_str("15550100001")};
	const struct sh_identities all = {.identities = ids, .identity_cnt = 2, .msisdns = numbers, .msisdn_cnt = 1,
					  .identity_type = SH_ABSENT};
	const struct sh_identities wild = {.identities = ids, .identity_cnt = 1, .identity_type = 3,
					   .wildcarded_impu = slice_str("sip:!.*!@x")};
	const struct sh_identities psi = {.identity_type = 2, .wildcarded_psi = slice_str("sip:chat-!.*!@x")};
	struct sh_data d = sh_data_empty();

	d.lists[SH_PUBLIC] = &all;
	is(&d, HEAD "<PublicIdentifiers><IMSPublicIdentity>sip:a&amp;b@x</IMSPublicIdentity>"
		    "<IMSPublicIdentity>tel:+15550100001</IMSPublicIdentity><MSISDN>15550100001</MSISDN></PublicIdentifiers>" TAIL);
	d = sh_data_empty();
	d.lists[SH_REGISTERED] = &wild;
	d.lists[SH_ALIAS] = &psi;
	is(&d, HEAD "<Extension><RegisteredIdentites><IMSPublicIdentity>sip:a&amp;b@x</IMSPublicIdentity><Extension>"
		    "<IdentityType>3</IdentityType><Extension><WildcardedIMPU>sip:!.*!@x</WildcardedIMPU></Extension></Extension>"
		    "</RegisteredIdentites><AliasIdentities><Extension><IdentityType>2</IdentityType>"
		    "<WildcardedPSI>sip:chat-!.*!@x</WildcardedPSI></Extension></AliasIdentities></Extension>" TAIL);
}

static void test_all_parts(void **state)
{
	(void)state;
	const struct sh_repository kept = {.indication = slice_str("mmtel"), .sequence = 1, .data = slice_str("<a>1</a>")};
	const struct sh_charging charging = {.primary_event = slice_str("aaa://ecf"), .secondary_collection = slice_str("aaa://ccf")};
	const struct sh_eps_location eps = {.cell = slice_of("\x00\xf1\x10\x00\x00\x01\x01", 7),
					    .tracking_area = slice_of("\x00\xf1\x10\x00\x01", 5), .node = slice_str("mme.example"),
					    .current = true, .age = 40000, .visited_plmn = slice_of("\x00\xf1\x10", 3), .rat_type = 1004};
	const struct sh_tads tads = {.voice_over_ps = 1, .rat_type = SH_ABSENT};
	const struct slice private_ids[] = {slice_str("a@x"), slice_str("b@x")};
	struct sh_ims ims = {.has_scscf = true, .scscf = slice_str("sip:scscf"), .has_criteria = true,
			     .criteria = slice_str("<InitialFilterCriteria/>"), .user_state = 1, .charging = &charging,
			     .psi_activation = 1, .has_stn_sr = true, .stn_sr = slice_str("49"), .srvcc = 0};
	struct sh_data d = {.repository = &kept, .repository_cnt = 1, .ims = &ims, .cs_state = 2, .ps_state = 0, .eps_state = 4,
			    .tads = &tads, .eps = &eps, .has_imsi = true, .imsi = slice_str("001010000000001"),
			    .private_identities = private_ids, .private_identity_cnt = 2};

	is(&d, HEAD "<RepositoryData><ServiceIndication>mmtel</ServiceIndication><SequenceNumber>1</SequenceNumber>"
		    "<ServiceData><a>1</a></ServiceData></RepositoryData>"
		    "<Sh-IMS-Data><SCSCFName>sip:scscf</SCSCFName><IFCs><InitialFilterCriteria/></IFCs><IMSUserState>1</IMSUserState>"
		    "<ChargingInformation><PrimaryEventChargingFunctionName>aaa://ecf</PrimaryEventChargingFunctionName>"
		    "<SecondaryChargingCollectionFunctionName>aaa://ccf</SecondaryChargingCollectionFunctionName></ChargingInformation>"
		    "<Extension><PSIActivation>1</PSIActivation><Extension><Extension><Extension><STN-SR>49</STN-SR>"
		    "<UE-SRVCC-Capability>0</UE-SRVCC-Capability></Extension></Extension></Extension></Extension></Sh-IMS-Data>"
		    "<CSUserState>2</CSUserState><PSUserState>0</PSUserState>"
		    "<Extension><Extension><Extension><TADSinformation><IMSVoiceOverPSSessionSupport>1</IMSVoiceOverPSSessionSupport>"
		    "</TADSinformation><Extension><EPSUserState>4</EPSUserState><EPSLocationInformation>"
		    "<E-UTRANCellGlobalId>APEQAAABAQ==</E-UTRANCellGlobalId><TrackingAreaId>APEQAAE=</TrackingAreaId>"
		    "<MMEName>mme.example</MMEName><CurrentLocationRetrieved>1</CurrentLocationRetrieved>"
		    "<AgeOfLocationInformation>32767</AgeOfLocationInformation><Extension><VisitedPLMNID>APEQ</VisitedPLMNID>"
		    "<Extension><RATtype>1004</RATtype></Extension></Extension></EPSLocationInformation>"
		    "<Extension><IMSI>001010000000001</IMSI><IMSPrivateUserIdentity>a@x</IMSPrivateUserIdentity>"
		    "<IMSPrivateUserIdentity>b@x</IMSPrivateUserIdentity></Extension></Extension></Extension></Extension></Extension>" TAIL);
}

static void test_refused(void **state)
{
	(void)state;
	struct sh_eps_location eps = {.cell = slice_of("123456", 6), .age = SH_ABSENT, .rat_type = SH_ABSENT};
	struct sh_data d = sh_data_empty();

	d.eps = &eps;
	refused(&d);
	eps.cell = slice_of("12345678", 8);
	refused(&d);
	eps.cell = (struct slice){0};
	eps.node = slice_of("a\1b", 3);
	refused(&d);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_empty), cmocka_unit_test(test_no_data), cmocka_unit_test(test_lists),
	    cmocka_unit_test(test_all_parts), cmocka_unit_test(test_refused),
	};

	guard_init(&guard, ROOM);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
