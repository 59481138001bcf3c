// The decisions about a subscriber's location (TS 29.272; procedures B2, B4, B7): what ULR, PUR, NOR and a
// withdrawal do to the state, and which nodes must be told. Pure functions: from a state and a request to the
// next state. Workers decide with them; so does the loader when an operator or the upstream moves a
// subscriber.
#pragma once
#include "apps/s6a/state.h"

// TS 29.272 7.3.24 and 7.3.152.
enum s6a_cancellation {
	CANCEL_MME_UPDATE = 0,
	CANCEL_SGSN_UPDATE = 1,
	CANCEL_WITHDRAWAL = 2,
	CANCEL_INITIAL_ATTACH = 4
};
enum s6a_clr_flag { CLR_S6A = 1, CLR_REATTACH = 2 };

enum s6a_pur_flag { PUR_MME = 1, PUR_SGSN = 2 }; // TS 29.272 7.3.149: UE purged in MME, in SGSN
enum s6a_pua_flag { PUA_FREEZE_M_TMSI = 1, PUA_FREEZE_P_TMSI = 2 };

#define S6A_CANCEL_MAX 3

struct s6a_decision {
	struct s6a_state next; // slices are those of the state and of the request
	struct s6a_cancel cancel[S6A_CANCEL_MAX];
	unsigned cancel_cnt;
	uint32_t pua_flags;
};

struct s6a_update {
	enum s6a_kind kind; // the role that the node takes
	struct slice host, realm;
	uint8_t plmn[3];
	uint64_t now_us; // wall clock
	uint64_t imeisv; // 0: stays as it is
	bool combined;
	bool gprs, one_msisdn; // what it gets of the data (data.h)
	bool clear_sgsn;   // Single-Registration-Indication: the SGSN's registration ends
	bool cancel_other; // Initial-Attach: the other node is told, its registration is kept
	bool sends_data;   // the answer holds the subscription data whose mark is `data_mark`
	uint32_t data_mark;
};

// A node takes over (5.2.1.1.3).
void s6a_update_location(const struct s6a_state *now, const struct s6a_update *u, struct s6a_decision *d);
// The node of this kind has taken data with this mark (IDR, DSR).
void s6a_sent_data(const struct s6a_state *now, enum s6a_kind kind, uint32_t mark, struct s6a_decision *d);
// The node `host` has purged the subscriber (5.2.1.3.3). false: it does not serve it.
bool s6a_purge(const struct s6a_state *now, struct slice host, uint32_t pur_flags, struct s6a_decision *d);
// The flags of the answer to a repeated PUR, by what the state says already.
uint32_t s6a_purged_flags(const struct s6a_state *now, struct slice host);
// A notification of the node `host` (5.2.5.1.3). false: it does not serve the subscriber.
bool s6a_notify(const struct s6a_state *now, struct slice host, uint64_t now_us, uint64_t imeisv, bool clear_sgsn,
		struct s6a_decision *d);
// An operator cancels the location, or the subscription ends: no node serves the subscriber any more.
void s6a_withdraw(const struct s6a_state *now, uint64_t now_us, uint32_t clr_flags, struct s6a_decision *d);
// The time for a change of this registration: now, but always later than the time that is there, whatever the
// clock says.
uint64_t s6a_later(const struct s6a_serving *v, uint64_t now_us);
// Is this the node of the registration? The case of its name is ignored.
bool s6a_is_serving(const struct s6a_serving *v, struct slice host);
