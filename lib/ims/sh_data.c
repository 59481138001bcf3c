// See sh_data.h. Owns nothing. What releases have added stands in Extension elements, each inside the one before: `nest` opens
// as many as are needed, and none for what is absent.
#include "lib/ims/sh_data.h"
#include "lib/base/base64.h"
#include "lib/ims/fragment.h"

#define OCTETS_MAX 7     // of a value in Base64
#define AGE_MAX	   32767 // minutes

struct nest {
	struct wr *w;
	unsigned depth;
};

static void nest_to(struct nest *n, unsigned depth)
{
	for (; n->depth < depth; n->depth++)
		ims_put(n->w, "<Extension>");
}

static void nest_end(struct nest *n)
{
	for (; n->depth; n->depth--)
		ims_put(n->w, "</Extension>");
}

static void put_text(struct wr *w, const char *name, struct slice s)
{
	if (s.len)
		ims_put_element(w, name, s);
}

static void put_number(struct wr *w, const char *name, int v)
{
	if (v >= 0)
		ims_put_number(w, name, (uint32_t)v);
}

// In Base64; of the length that the standard gives it.
static void put_octets(struct wr *w, const char *name, struct slice s, uint32_t len)
{
	char text[BASE64_LEN(OCTETS_MAX)];

	if (!s.len)
		return;
	if (s.len != len || len > OCTETS_MAX) {
		w->err = true;
		return;
	}
	base64_encode(s, text);
	ims_put_element(w, name, slice_of(text, BASE64_LEN(s.len)));
}

static void begin(struct wr *w, const char *name)
{
	ims_put(w, "<");
	ims_put(w, name);
	ims_put(w, ">");
}

static void end(struct wr *w, const char *name)
{
	ims_put(w, "</");
	ims_put(w, name);
	ims_put(w, ">");
}

// ---- lists of identities

static const char *const list_names[SH_LIST_CNT] = {
	[SH_PUBLIC] = "PublicIdentifiers",
	[SH_REGISTERED] = "RegisteredIdentites", // so it is spelled in the schema
	[SH_IMPLICIT] = "ImplicitIdentities",
	[SH_ALL] = "AllIdentities",
	[SH_ALIAS] = "AliasIdentities",
};

static void put_list(struct wr *w, enum sh_list kind, const struct sh_identities *l)
{
	struct nest n = {.w = w};

	begin(w, list_names[kind]);
	for (unsigned i = 0; i < l->identity_cnt && !w->err; i++)
		ims_put_element(w, "IMSPublicIdentity", l->identities[i]);
	for (unsigned i = 0; i < l->msisdn_cnt && !w->err; i++)
		ims_put_element(w, "MSISDN", l->msisdns[i]);
	if (l->identity_type >= 0 || l->wildcarded_psi.len)
		nest_to(&n, 1);
	put_number(w, "IdentityType", l->identity_type);
	put_text(w, "WildcardedPSI", l->wildcarded_psi);
	if (l->wildcarded_impu.len)
		nest_to(&n, 2);
	put_text(w, "WildcardedIMPU", l->wildcarded_impu);
	nest_end(&n);
	end(w, list_names[kind]);
}

// ---- parts

static void put_repository(struct wr *w, const struct sh_repository *r)
{
	begin(w, "RepositoryData");
	ims_put_element(w, "ServiceIndication", r->indication);
	ims_put_number(w, "SequenceNumber", r->sequence);
	if (r->data.len) {
		begin(w, "ServiceData");
		wr_slice(w, r->data);
		end(w, "ServiceData");
	}
	end(w, "RepositoryData");
}

static void put_charging(struct wr *w, const struct sh_charging *c)
{
	begin(w, "ChargingInformation");
	put_text(w, "PrimaryEventChargingFunctionName", c->primary_event);
	put_text(w, "SecondaryEventChargingFunctionName", c->secondary_event);
	put_text(w, "PrimaryChargingCollectionFunctionName", c->primary_collection);
	put_text(w, "SecondaryChargingCollectionFunctionName", c->secondary_collection);
	end(w, "ChargingInformation");
}

static void put_ims(struct wr *w, const struct sh_ims *s)
{
	struct nest n = {.w = w};

	begin(w, "Sh-IMS-Data");
	if (s->has_scscf)
		ims_put_element(w, "SCSCFName", s->scscf);
	if (s->has_criteria) {
		begin(w, "IFCs");
		wr_slice(w, s->criteria);
		end(w, "IFCs");
	}
	put_number(w, "IMSUserState", s->user_state);
	if (s->charging)
		put_charging(w, s->charging);
	if (s->psi_activation >= 0)
		nest_to(&n, 1);
	put_number(w, "PSIActivation", s->psi_activation);
	if (s->has_stn_sr || s->srvcc >= 0)
		nest_to(&n, 4);
	if (s->has_stn_sr)
		ims_put_element(w, "STN-SR", s->stn_sr);
	put_number(w, "UE-SRVCC-Capability", s->srvcc);
	nest_end(&n);
	end(w, "Sh-IMS-Data");
}

static void put_eps(struct wr *w, const struct sh_eps_location *l)
{
	struct nest n = {.w = w};

	begin(w, "EPSLocationInformation");
	put_octets(w, "E-UTRANCellGlobalId", l->cell, 7);
	put_octets(w, "TrackingAreaId", l->tracking_area, 5);
	put_text(w, "MMEName", l->node);
	if (l->current)
		ims_put_number(w, "CurrentLocationRetrieved", 1);
	put_number(w, "AgeOfLocationInformation", l->age > AGE_MAX ? AGE_MAX : l->age);
	if (l->visited_plmn.len)
		nest_to(&n, 1);
	put_octets(w, "VisitedPLMNID", l->visited_plmn, 3);
	if (l->rat_type >= 0)
		nest_to(&n, 2);
	put_number(w, "RATtype", l->rat_type);
	nest_end(&n);
	end(w, "EPSLocationInformation");
}

static void put_tads(struct wr *w, const struct sh_tads *t)
{
	begin(w, "TADSinformation");
	put_number(w, "IMSVoiceOverPSSessionSupport", t->voice_over_ps);
	put_number(w, "RATtype", t->rat_type);
	end(w, "TADSinformation");
}

// ---- the document

static void put_extensions(struct wr *w, const struct sh_data *d)
{
	struct nest n = {.w = w};

	for (enum sh_list i = SH_REGISTERED; i < SH_LIST_CNT; i++) {
		if (!d->lists[i])
			continue;
		nest_to(&n, 1);
		put_list(w, i, d->lists[i]);
	}
	if (d->tads) {
		nest_to(&n, 3);
		put_tads(w, d->tads);
	}
	if (d->eps_state >= 0 || d->eps)
		nest_to(&n, 4);
	put_number(w, "EPSUserState", d->eps_state);
	if (d->eps)
		put_eps(w, d->eps);
	if (d->has_imsi || d->private_identity_cnt)
		nest_to(&n, 5);
	if (d->has_imsi)
		ims_put_element(w, "IMSI", d->imsi);
	for (unsigned i = 0; i < d->private_identity_cnt && !w->err; i++)
		ims_put_element(w, "IMSPrivateUserIdentity", d->private_identities[i]);
	nest_end(&n);
}

void sh_data_write(struct wr *w, const struct sh_data *d)
{
	ims_put(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Sh-Data>");
	if (d->lists[SH_PUBLIC])
		put_list(w, SH_PUBLIC, d->lists[SH_PUBLIC]);
	for (unsigned i = 0; i < d->repository_cnt && !w->err; i++)
		put_repository(w, &d->repository[i]);
	if (d->ims)
		put_ims(w, d->ims);
	put_number(w, "CSUserState", d->cs_state);
	put_number(w, "PSUserState", d->ps_state);
	put_extensions(w, d);
	ims_put(w, "</Sh-Data>");
}

struct sh_data sh_data_empty(void)
{
	return (struct sh_data){.cs_state = SH_ABSENT, .ps_state = SH_ABSENT, .eps_state = SH_ABSENT};
}

struct sh_ims sh_ims_empty(void)
{
	return (struct sh_ims){.user_state = SH_ABSENT, .psi_activation = SH_ABSENT, .srvcc = SH_ABSENT};
}
