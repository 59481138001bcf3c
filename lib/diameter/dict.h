// The dictionary: every AVP of the applications that an HSS speaks, as rows of dict.def (code, vendor, type, flag
// rules, defining clause), and the enumerators, Result-Codes and experimental codes as rows beside them.
#pragma once
#include "lib/base/wire.h"

enum avp_type {
	AVP_T_OCTETS,   // any length
	AVP_T_UTF8,     // UTF8String: any length, well-formed UTF-8 without NUL
	AVP_T_IDENTITY, // DiameterIdentity: FQDN characters, 1..255
	AVP_T_URI,
	AVP_T_I32,
	AVP_T_U32,
	AVP_T_ENUM,
	AVP_T_TIME,
	AVP_T_I64,
	AVP_T_U64,
	AVP_T_F32,
	AVP_T_F64,
	AVP_T_ADDRESS, // 2 octets family + 4 or 16 (other families: any length >= 2)
	AVP_T_GROUPED,
	AVP_T_FILTER, // IPFilterRule, QoSFilterRule
};

// must, may, must not be set
enum avp_rule { AVP_MUST, AVP_MAY, AVP_NOT };

struct avp_def {
	const char *name; // "User-Name"
	uint32_t code;
	uint32_t vendor;
	uint8_t type; // enum avp_type
	uint8_t m;    // enum avp_rule for the M bit
	uint8_t v;    // for the V bit
	uint16_t id;  // its enum avp_id
};

// enum avp_id: AVP_ID_User_Name ... generated from dict.def, names with '-' replaced by '_'
// (leading digits get a '_': AVP_ID__3GPP_Charging_Characteristics).
enum avp_id {
	AVP_ID_NONE = 0,
#define AVP(id, name, code, vendor, type, m, v, spec) AVP_ID_##id,
#include "lib/diameter/dict.def"
#undef AVP
	AVP_ID_CNT
};

// AVP_CODE_User_Name ... the same rows as constants for code that writes AVPs.
enum avp_code {
#define AVP(id, name, code, vendor, type, m, v, spec) AVP_CODE_##id = code,
#include "lib/diameter/dict.def"
#undef AVP
};

// By code and vendor (hashed, constant time), NULL when unknown.
const struct avp_def *dict_find(uint32_t code, uint32_t vendor);
const struct avp_def *dict_by_id(enum avp_id id);

// The symbol of an enumerated value (rows of enums.def), NULL when it is not among them. A linear search: for
// printing and for rare checks, not for every request.
const char *dict_enum_name(enum avp_id id, int32_t value);

// Octets that the shortest legal value of this type has: what an example AVP of a 5005 is filled up to.
uint32_t dict_min_len(const struct avp_def *def);

enum result_code {
	RESULT_SUCCESS = 2001,
	RESULT_COMMAND_UNSUPPORTED = 3001,
	RESULT_UNABLE_TO_DELIVER = 3002,
	RESULT_REALM_NOT_SERVED = 3003,
	RESULT_TOO_BUSY = 3004,
	RESULT_LOOP_DETECTED = 3005,
	RESULT_REDIRECT_INDICATION = 3006,
	RESULT_APPLICATION_UNSUPPORTED = 3007,
	RESULT_INVALID_HDR_BITS = 3008,
	RESULT_INVALID_AVP_BITS = 3009,
	RESULT_UNKNOWN_PEER = 3010,
	RESULT_AVP_UNSUPPORTED = 5001,
	RESULT_UNKNOWN_SESSION_ID = 5002,
	RESULT_AUTHORIZATION_REJECTED = 5003,
	RESULT_INVALID_AVP_VALUE = 5004,
	RESULT_MISSING_AVP = 5005,
	RESULT_CONTRADICTING_AVPS = 5007,
	RESULT_AVP_NOT_ALLOWED = 5008,
	RESULT_AVP_OCCURS_TOO_MANY_TIMES = 5009,
	RESULT_NO_COMMON_APPLICATION = 5010,
	RESULT_UNSUPPORTED_VERSION = 5011,
	RESULT_UNABLE_TO_COMPLY = 5012,
	RESULT_INVALID_AVP_LENGTH = 5014,
	RESULT_INVALID_MESSAGE_LENGTH = 5015,
	RESULT_NO_COMMON_SECURITY = 5017,
};

// Experimental-Result-Code values of vendor 10415 that we send (TS 29.272 7.4, where nothing else is said).
enum experimental_code {
	EXP_FIRST_REGISTRATION = 2001, // TS 29.229 6.2
	EXP_SUBSEQUENT_REGISTRATION = 2002,
	EXP_UNREGISTERED_SERVICE = 2003,
	EXP_SERVER_NAME_NOT_STORED = 2004,
	EXP_AUTHENTICATION_DATA_UNAVAILABLE = 4181,
	EXP_CAMEL_SUBSCRIPTION_PRESENT = 4182,
	EXP_USER_UNKNOWN = 5001,
	EXP_IDENTITIES_DONT_MATCH = 5002, // TS 29.229 6.2, these and the next ones
	EXP_IDENTITY_NOT_REGISTERED = 5003,
	EXP_ROAMING_NOT_ALLOWED = 5004,
	EXP_IDENTITY_ALREADY_REGISTERED = 5005,
	EXP_AUTH_SCHEME_NOT_SUPPORTED = 5006,
	EXP_IN_ASSIGNMENT_TYPE = 5007,
	EXP_TOO_MUCH_DATA = 5008,
	EXP_FEATURE_UNSUPPORTED = 5011,
	EXP_USER_DATA_NOT_RECOGNIZED = 5100, // TS 29.329 6.2, these and the next ones
	EXP_OPERATION_NOT_ALLOWED = 5101,
	EXP_USER_DATA_CANNOT_BE_READ = 5102,
	EXP_USER_DATA_CANNOT_BE_MODIFIED = 5103,
	EXP_USER_DATA_CANNOT_BE_NOTIFIED = 5104,
	EXP_TRANSPARENT_DATA_OUT_OF_SYNC = 5105,
	EXP_SUBS_DATA_ABSENT = 5106,
	EXP_NO_SUBSCRIPTION_TO_DATA = 5107,
	EXP_UNKNOWN_EPS_SUBSCRIPTION = 5420,
	EXP_RAT_NOT_ALLOWED = 5421,
	EXP_EQUIPMENT_UNKNOWN = 5422,
	EXP_UNKNOWN_SERVING_NODE = 5423,
	EXP_USER_NO_NON_3GPP_SUBSCRIPTION = 5450, // TS 29.273 10.3, these and the next ones
	EXP_USER_NO_APN_SUBSCRIPTION = 5451,
	EXP_RAT_TYPE_NOT_ALLOWED = 5452,
};
