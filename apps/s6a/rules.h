// Rules that several S6a/S6d procedures share: finding the subscriber, and refusing a subscription (TS 29.272 5.2.1.1.3).
#pragma once
#include "apps/s6a/msg.h"

// RAT-Type (TS 29.212 5.3.31), those that a rule names
enum rat_type {
	RAT_UTRAN = 1000,
	RAT_GERAN = 1001,
	RAT_GAN = 1002,
	RAT_HSPA_EVOLUTION = 1003,
	RAT_EUTRAN = 1004,
	RAT_EUTRAN_NB_IOT = 1005,
	RAT_LTE_M = 1007,
	RAT_EUTRAN_LEO = 1011,
	RAT_NB_IOT_LEO = 1021,
	RAT_LTE_M_LEO = 1031,
};

// Error-Diagnostic (TS 29.272 7.3.128)
enum error_diagnostic {
	DIAG_GPRS_SUBSCRIBED = 0,
	DIAG_NO_GPRS = 1,
	DIAG_ODB_ALL_APN = 2,
	DIAG_ODB_HPLMN_APN = 3,
	DIAG_ODB_VPLMN_APN = 4,
};

struct s6a_refusal {
	uint32_t result; // experimental
	bool has_diagnostic;
	uint32_t diagnostic;
};

// The subscriber of the request's User-Name. NULL: the request waits for the loader, or has been answered 5001.
const struct cache_record *s6a_find_subscriber(struct request *r);

// True when subscription, access restrictions or barring forbid service (5420, 5421, 5004), with the reason in *no.
// `s6a`: asked by an MME; otherwise by an SGSN.
bool s6a_subscription_refused(const struct request *r, const struct cache_record *rec, const uint8_t plmn[3],
			      uint32_t rat, const struct s6a_features *f, bool s6a, struct s6a_refusal *no);
void s6a_answer_refusal(struct request *r, const struct s6a_refusal *no);

// The subscriber is outside of its home network: MCC and MNC of the IMSI are not the visited network's.
bool s6a_is_roaming(imsi_t imsi, const uint8_t plmn[3]);
