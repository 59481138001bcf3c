// Who may roam where: S6a's part of struct config (config/config.h), filled in from the rows of options.def. Plain data without
// pointers, as hssd sends it to the roles. policy.h makes a table for look-ups of it.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define ROAMING_RULE_MAX    1024
#define ROAMING_HOME_MAX    32
#define ROAMING_REALM_MAX   64
#define ROAMING_RAT_MAX	    8
#define ROAMING_NAME_MAX    24 // octets of a profile's name, with its NUL
#define ROAMING_SUFFIX_MAX  64

// The words of apps/options_words.def.
enum roaming_action { ROAMING_ALLOW, ROAMING_DENY };
enum roaming_result { ROAMING_5004, ROAMING_5012, ROAMING_5421, ROAMING_5420, ROAMING_RESULT_CNT };
enum roaming_diagnostic { ROAMING_NO_DIAGNOSTIC, ROAMING_ODB_ALL, ROAMING_ODB_HPLMN, ROAMING_ODB_VPLMN, ROAMING_DIAGNOSTIC_CNT };
enum roaming_check { ROAMING_CHECK_OFF, ROAMING_CHECK_LOG, ROAMING_CHECK_ENFORCE };
enum roaming_rat {
	ROAMING_UTRAN,
	ROAMING_GERAN,
	ROAMING_GAN,
	ROAMING_HSPA,
	ROAMING_EUTRAN,
	ROAMING_NB_IOT,
	ROAMING_LTE_M,
	ROAMING_SATELLITE,
	ROAMING_RAT_CNT
};

struct roaming_rule {
	char visited[8];		  // leading digits of MCC and MNC; "*": any
	char profile[ROAMING_NAME_MAX];	  // "": for all who have no profile
	char realm[ROAMING_SUFFIX_MAX];	  // the end of Origin-Realm; "": any
	uint8_t rats[ROAMING_RAT_MAX];	  // enum roaming_rat
	uint8_t action, result, diagnostic;
	uint32_t rat_cnt; // 0: any
};

struct s6a_options {
	char home[ROAMING_HOME_MAX][8]; // further PLMNs in which nobody roams
	uint32_t home_cnt;
	uint8_t action, result, diagnostic; // where no rule matches
	bool in_aia;			    // a denial is answered to AIRs, too
	uint8_t realm_check;		    // enum roaming_check
	struct roaming_realm {
		char realm[ROAMING_SUFFIX_MAX];
		char visited[8];
	} realm[ROAMING_REALM_MAX]; // realms that may ask for networks which their name does not tell
	uint32_t realm_cnt;
	struct roaming_rule rule[ROAMING_RULE_MAX];
	uint32_t rule_cnt;
	uint32_t rule_line[ROAMING_RULE_MAX]; // in the file
};
