// See msg.h; and how a request's user is found, and a decision sent to the loader (cx.h).
#include "apps/cx/msg.h"
#include "apps/cx/cx.h"
#include "lib/base/secret.h"
#include "lib/diameter/avp.h"
#include "worker/link.h"
#include "worker/worker.h"

#define VENDOR VENDOR_3GPP

void cx_features_read(const struct request *r, unsigned slot, struct cx_features *f)
{
	struct rd rd = request_avps(r);
	struct avp a, id, bits;
	uint32_t list, features;
	*f = (struct cx_features){0};
	if (!request_has(r, slot))
		return;
	while (avp_next(&rd, &a) == AVP_WALK_ONE)
		if (a.code == AVP_CODE_Supported_Features && a.vendor == VENDOR &&
		    avp_find(a.data, AVP_CODE_Feature_List_ID, VENDOR, &id) && avp_u32(id.data, &list) && list == 1 &&
		    avp_find(a.data, AVP_CODE_Feature_List, VENDOR, &bits) && avp_u32(bits.data, &features)) {
			f->asked = true;
			f->list = features & CX_FEATURES;
		}
}

void cx_features_put(struct wr *w, const struct cx_features *f)
{
	if (!f->asked)
		return;
	size_t at = avp_group_begin(w, AVP_CODE_Supported_Features, VENDOR, 0);
	avp_put_u32(w, AVP_CODE_Vendor_Id, 0, AVP_M, VENDOR);
	avp_put_u32(w, AVP_CODE_Feature_List_ID, VENDOR, 0, 1);
	avp_put_u32(w, AVP_CODE_Feature_List, VENDOR, 0, CX_FEATURES);
	avp_group_end(w, at);
}

void cx_put_text(struct wr *w, uint32_t code, struct slice text)
{
	avp_put_slice(w, code, VENDOR, AVP_M, text);
}

void cx_put_capabilities(struct wr *w, const struct ims_user *u, const struct config *config)
{
	const struct ims_capabilities *own = &u->d.capabilities;
	bool has_own = own->mandatory_cnt || own->optional_cnt || u->d.scscf.len;
	const uint32_t *mandatory = has_own ? own->mandatory : config->ims_capabilities;
	unsigned cnt = has_own ? own->mandatory_cnt : config->ims_capability_cnt;
	struct slice name = has_own ? u->d.scscf : slice_str(config->ims_scscf);
	if (cnt == 0 && name.len == 0 && !has_own)
		return;
	size_t at = avp_group_begin(w, AVP_CODE_Server_Capabilities, VENDOR, AVP_M);
	for (unsigned i = 0; i < cnt; i++)
		avp_put_u32(w, AVP_CODE_Mandatory_Capability, VENDOR, AVP_M, mandatory[i]);
	for (unsigned i = 0; has_own && i < own->optional_cnt; i++)
		avp_put_u32(w, AVP_CODE_Optional_Capability, VENDOR, AVP_M, own->optional[i]);
	if (name.len)
		cx_put_text(w, AVP_CODE_Server_Name, name);
	avp_group_end(w, at);
}

void cx_put_charging(struct wr *w, const struct ims_user *u, const struct config *config)
{
	static const uint32_t code[IMS_CHARGING_CNT] = {
		[IMS_PRIMARY_ECF] = AVP_CODE_Primary_Event_Charging_Function_Name,
		[IMS_SECONDARY_ECF] = AVP_CODE_Secondary_Event_Charging_Function_Name,
		[IMS_PRIMARY_CCF] = AVP_CODE_Primary_Charging_Collection_Function_Name,
		[IMS_SECONDARY_CCF] = AVP_CODE_Secondary_Charging_Collection_Function_Name,
	};
	bool own = false, any = false;
	for (unsigned i = 0; i < IMS_CHARGING_CNT; i++) {
		own |= u->d.charging[i].len != 0;
		any |= config->ims_charging[i][0] != 0;
	}
	if (!own && !any)
		return;
	size_t at = avp_group_begin(w, AVP_CODE_Charging_Information, VENDOR, AVP_M);
	for (unsigned i = 0; i < IMS_CHARGING_CNT; i++) {
		struct slice name = own ? u->d.charging[i] : slice_str(config->ims_charging[i]);
		if (name.len)
			cx_put_text(w, code[i], name);
	}
	avp_group_end(w, at);
}

void cx_put_associated(struct wr *w, const struct ims_user *u)
{
	if (u->d.priv_cnt < 2)
		return;
	size_t at = avp_group_begin(w, AVP_CODE_Associated_Identities, VENDOR, 0);
	for (unsigned i = 0; i < u->d.priv_cnt; i++)
		avp_put_slice(w, AVP_CODE_User_Name, 0, AVP_M, u->d.priv[i].identity);
	avp_group_end(w, at);
}

bool cx_put_user_data(struct wr *w, const struct cache *c, const struct ims_user *u, unsigned priv, uint8_t set,
		      uint32_t features)
{
	size_t at = avp_group_begin(w, AVP_CODE_User_Data, VENDOR, AVP_M);
	bool ok = cx_user_data_write(w, c, u, priv, set, features);
	avp_group_end(w, at);
	if (!w->err)
		wr_zero(w, -(wr_len(w) - at) & 3u);
	return ok && !w->err;
}

// The SIP-Auth-Data-Item of SIP Digest (RFC 2617 with qop auth): the S-CSCF gets H(A1) and makes the challenge itself.
void cx_put_digest(struct wr *w, const struct ims_private *p)
{
	char ha1[33];
	hex_text(p->ha1.p, 16, ha1);
	size_t at = avp_group_begin(w, AVP_CODE_SIP_Auth_Data_Item, VENDOR, AVP_M);
	avp_put_u32(w, AVP_CODE_SIP_Item_Number, VENDOR, AVP_M, 1);
	cx_put_text(w, AVP_CODE_SIP_Authentication_Scheme, slice_str("SIP Digest"));
	size_t in = avp_group_begin(w, AVP_CODE_SIP_Digest_Authenticate, VENDOR, 0);
	avp_put_slice(w, AVP_CODE_Digest_Realm, 0, AVP_M, p->realm);
	avp_put_slice(w, AVP_CODE_Digest_Algorithm, 0, AVP_M, slice_str("MD5"));
	avp_put_slice(w, AVP_CODE_Digest_Qop, 0, AVP_M, slice_str("auth"));
	avp_put(w, AVP_CODE_Digest_HA1, 0, AVP_M, ha1, 32);
	avp_group_end(w, in);
	avp_group_end(w, at);
	secret_wipe(ha1, sizeof ha1);
}

// ---- the user of a request

static bool unknown(struct request *r)
{
	r->rule = "unknown identity";
	request_answer(r, EXP_USER_UNKNOWN, true);
	return false;
}

// The user of one identity; NULL: there is none here.
static const struct cache_record *find(struct cx_subject *s, const struct subject *id, int *at, bool *wildcard)
{
	return ims_user_find(&s->r->w->cache, s->r->w->config, id, &s->user, at, wildcard);
}

// Another HSS serves the user (Dx): the answer names it. false: none does.
static bool redirected(struct request *r, const struct subject *id)
{
	struct slice host = ims_redirect_of(r->w->config, id);
	if (!host.len)
		return false;
	r->rule = "ims.redirect";
	request_redirect(r, host);
	return true;
}

// Not found: its subscriber may have been added a moment ago. The IMSI is what one of the identities says.
static bool look_up(struct cx_subject *s, const struct subject *priv, const struct subject *pub)
{
	struct request *r = s->r;
	imsi_t imsi = subject_imsi(priv).v ? subject_imsi(priv) : subject_imsi(pub);
	if (redirected(s->r, pub) || redirected(s->r, priv))
		return false;
	r->imsi = imsi;
	return link_look_up(r) ? false : unknown(r);
}

// The private identity is not this user's: another one's (5002), or nobody's.
static bool mismatch(struct cx_subject *s, const struct subject *priv)
{
	struct ims_user other;
	bool wildcard;
	int at;
	if (!ims_user_find(&s->r->w->cache, s->r->w->config, priv, &other, &at, &wildcard))
		return unknown(s->r);
	s->r->rule = "Public-Identity and User-Name are of different users";
	request_answer(s->r, EXP_IDENTITIES_DONT_MATCH, true);
	return false;
}

bool cx_open(struct request *r, unsigned public_slot, int user_slot, struct cx_subject *s)
{
	struct subject pub, priv;
	bool wildcard = false, has_priv = user_slot >= 0 && request_has(r, (unsigned)user_slot);
	int at;
	s->r = r;
	s->pub = s->priv = -1;
	s->wildcard = false;
	s->spelled = request_slot(r, public_slot);
	subject_none(&pub);
	subject_none(&priv);
	if (request_has(r, public_slot) && !subject_read(SUBJECT_FORM_PUBLIC, s->spelled, &pub)) {
		request_answer_bad_value(r, public_slot);
		return false;
	}
	if (has_priv && !subject_read(SUBJECT_FORM_PRIVATE, request_slot(r, (unsigned)user_slot), &priv)) {
		request_answer_bad_value(r, (unsigned)user_slot);
		return false;
	}
	bool by_public = pub.type != SUBJECT_NONE;
	s->rec = by_public || has_priv ? find(s, by_public ? &pub : &priv, &at, &wildcard) : NULL;
	if (!s->rec)
		return look_up(s, &priv, &pub);
	if (by_public) {
		s->pub = at;
		s->wildcard = wildcard;
		s->priv = has_priv ? ims_private_at(&s->user, r->w->config, &priv) : -1;
	} else {
		s->priv = at;
	}
	if (has_priv && s->priv < 0)
		return mismatch(s, &priv);
	r->imsi = s->rec->imsi;
	ims_state_of(&r->w->cache, s->rec, &s->state);
	return true;
}

int cx_also(const struct cx_subject *s, struct slice identity)
{
	struct subject id;
	return subject_read(SUBJECT_FORM_PUBLIC, identity, &id) ? ims_public_at(&s->user, s->r->w->config, &id) : -1;
}

struct cx_server cx_server_of(const struct request *r, unsigned name_slot, unsigned host_slot, unsigned realm_slot)
{
	return (struct cx_server){
		.scscf = request_slot(r, name_slot), .host = request_slot(r, host_slot), .realm = request_slot(r, realm_slot)};
}

// ---- changes

void cx_change(struct cx_subject *s, const struct cx_decision *d)
{
	uint8_t state[IMS_STATE_MAX], rows[CX_TERMINATE_MAX][CX_ROW_MAX];
	struct wr w = wr_of(state, sizeof state);
	struct link_change c = {.version = s->state.version};
	ims_state_put(&w, &d->next, s->r->w->config->store == STORE_MONGODB);
	for (unsigned i = 0; i < d->terminate_cnt; i++) {
		const struct cx_terminate *t = &d->terminate[i];
		const struct cx_row row = {.reason = (uint8_t)t->reason,
					   .set = t->set,
					   .device = t->device,
					   .time_s = d->next.time_s,
					   .user = ims_private_of(&s->user, t->device)};
		struct wr rw = wr_of(rows[i], sizeof rows[i]);
		w.err |= !cx_row_put(&rw, &row);
		c.request[c.request_cnt++] = (struct link_hss_request){
			.purpose = CX_TERMINATE, .host = t->host, .realm = t->realm, .data = wr_done(&rw)};
	}
	if (w.err) { // a name that does not fit
		request_answer(s->r, RESULT_UNABLE_TO_COMPLY, false);
		return;
	}
	c.state = wr_done(&w);
	link_change(s->r, &c);
}
