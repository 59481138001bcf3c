// The dictionary's rows and its hash.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "lib/diameter/dict.h"
#include "lib/diameter/header.h"

static void test_every_row_is_found_by_code_and_vendor(void **state)
{
	(void)state;
	assert_int_equal(AVP_ID_CNT - 1, 666);
	for (int id = AVP_ID_NONE + 1; id < AVP_ID_CNT; id++) {
		const struct avp_def *def = dict_by_id((enum avp_id)id);
		assert_non_null(def);
		assert_int_equal(def->id, id);
		assert_ptr_equal(dict_find(def->code, def->vendor), def);
		assert_non_null(def->name);
		assert_true(def->code > 0);
		// The V bit is part of an AVP's identity: a vendor's AVP must have it, one of the IETF can't.
		assert_int_equal(def->v == AVP_MUST, def->vendor != 0);
	}
}

static void test_what_is_not_there_is_not_found(void **state)
{
	(void)state;
	assert_null(dict_find(1, VENDOR_3GPP));
	assert_null(dict_find(1400, 0));
	assert_null(dict_find(0, 0));
	assert_null(dict_find(0xffffffff, 0xffffffff));
	assert_null(dict_by_id(AVP_ID_NONE));
	assert_null(dict_by_id(AVP_ID_CNT));
	unsigned found = 0;
	for (uint32_t code = 0; code < 100000; code++)
		found += dict_find(code, 0) != NULL;
	assert_int_equal(found, 133);
}

static void test_rows_hold_what_their_documents_say(void **state)
{
	(void)state;
	const struct avp_def *def = dict_find(1, 0);
	assert_string_equal(def->name, "User-Name");
	assert_int_equal(def->type, AVP_T_UTF8);
	assert_int_equal(def->m, AVP_MUST);
	def = dict_find(1408, VENDOR_3GPP);
	assert_string_equal(def->name, "Requested-EUTRAN-Authentication-Info");
	assert_int_equal(def->type, AVP_T_GROUPED);
	assert_int_equal(AVP_CODE_Visited_PLMN_Id, 1407);
	assert_int_equal(AVP_CODE_User_Data, 606);
	assert_int_equal(AVP_CODE_User_Data_Sh, 702);
	assert_int_equal(AVP_CODE_SIP_Auth_Data_Item, 612);
	assert_int_equal(AVP_CODE_SIP_Auth_Data_Item_V0, 376);
	assert_int_equal(dict_by_id(AVP_ID_SIP_Authenticate_V0)->vendor, 0);
	assert_int_equal(dict_by_id(AVP_ID_Product_Name)->m, AVP_NOT);
	assert_int_equal(dict_by_id(AVP_ID__3GPP_Charging_Characteristics)->code, 13);
}

static void test_enumerators_have_names(void **state)
{
	(void)state;
	assert_string_equal(dict_enum_name(AVP_ID_Disconnect_Cause, 1), "BUSY");
	assert_non_null(dict_enum_name(AVP_ID_Cancellation_Type, 4));
	assert_null(dict_enum_name(AVP_ID_Cancellation_Type, 5));
	assert_null(dict_enum_name(AVP_ID_User_Name, 0));
}

static void test_the_shortest_value_follows_from_the_type(void **state)
{
	(void)state;
	assert_int_equal(dict_min_len(dict_by_id(AVP_ID_ULR_Flags)), 4);
	assert_int_equal(dict_min_len(dict_by_id(AVP_ID_OC_Feature_Vector)), 8);
	assert_int_equal(dict_min_len(dict_by_id(AVP_ID_Host_IP_Address)), 6);
	assert_int_equal(dict_min_len(dict_by_id(AVP_ID_User_Name)), 0);
	assert_int_equal(dict_min_len(dict_by_id(AVP_ID_Subscription_Data)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_row_is_found_by_code_and_vendor),
	    cmocka_unit_test(test_what_is_not_there_is_not_found),
	    cmocka_unit_test(test_rows_hold_what_their_documents_say),
	    cmocka_unit_test(test_enumerators_have_names),
	    cmocka_unit_test(test_the_shortest_value_follows_from_the_type),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
