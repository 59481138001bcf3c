// Cx messages: from slots to values, and from values to AVPs. No decisions here.
#pragma once
#include "apps/cx/user_data.h"
#include "lib/auth/vectors.h"
#include "worker/request.h"

#define CX_FEATURES (CX_SHARED_CRITERIA | CX_RESTORATION)

struct cx_features {
	bool asked;
	uint32_t list; // both sides have
};
void cx_features_read(const struct request *r, unsigned slot, struct cx_features *f);
void cx_features_put(struct wr *w, const struct cx_features *f);

// Server-Capabilities: those of the user, or of the configuration; nothing when any S-CSCF will do.
void cx_put_capabilities(struct wr *w, const struct ims_user *u, const struct config *config);
void cx_put_charging(struct wr *w, const struct ims_user *u, const struct config *config);
// Associated-Identities, when the subscription has several private ones.
void cx_put_associated(struct wr *w, const struct ims_user *u);
void cx_put_text(struct wr *w, uint32_t code, struct slice text);
#define CX_CAPABILITIES_ROOM (IMS_CAPABILITIES_MAX * 2 * 16 + 300)
#define CX_CHARGING_ROOM     (4 * 272 + 16)
#define CX_ASSOCIATED_ROOM   (IMS_PRIVATES_MAX * 268 + 16)

// User-Data of an implicit registration set for one private identity (TS 29.228 annex B), as an AVP. false: it does not
// fit, or there is no such set.
bool cx_put_user_data(struct wr *w, const struct cache *c, const struct ims_user *u, unsigned priv, uint8_t set,
		      uint32_t features);
void cx_put_digest(struct wr *w, const struct ims_private *p);
