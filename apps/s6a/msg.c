// Reads the AVPs of S6a requests and writes those of answers (msg.h). It owns no state and decides nothing.
#include "apps/s6a/msg.h"
#include "lib/base/log.h"
#include "lib/diameter/avp.h"
#include "worker/worker.h"

// Notes that a node insists on a feature (M bit) which this HSS lacks. It is served without the feature, as
// other HSSs do: if it were refused, its subscribers would have no service at all. The answer lists the
// features that it gets.
static void note_missing(const struct request *r, uint32_t list, uint32_t features)
{
	static struct log_limit limit;
	stat_add(r->w->stats, STAT_FEATURES_MISSING, 1);
	if (log_limit_pass(&limit, 1))
		log_info("feature_not_supported", LOG_STR("command", r->cmd->name), LOG_INT("list", list),
			 LOG_INT("features", features));
}

void s6a_features_read(const struct request *r, unsigned slot, struct s6a_features *f)
{
	*f = (struct s6a_features){0};
	if (!request_has(r, slot))
		return;
	struct rd rd = request_avps(r);
	struct avp a, id, bits, vendor;
	while (avp_next(&rd, &a) == AVP_WALK_ONE) {
		uint32_t v = 0, list = 0, features = 0;
		if (a.code != AVP_CODE_Supported_Features || a.vendor != VENDOR_3GPP)
			continue;
		// some nodes leave Vendor-Id out
		if (avp_find(a.data, AVP_CODE_Vendor_Id, 0, &vendor) && (!avp_u32(vendor.data, &v) || v != VENDOR_3GPP))
			continue;
		if (!avp_find(a.data, AVP_CODE_Feature_List_ID, VENDOR_3GPP, &id) || !avp_u32(id.data, &list) ||
		    !avp_find(a.data, AVP_CODE_Feature_List, VENDOR_3GPP, &bits) || !avp_u32(bits.data, &features))
			continue;
		f->asked = true;
		uint32_t ours = list == 1 ? S6A_FEATURES_1 : list == 2 ? S6A_FEATURES_2 : 0;
		if (list == 1 || list == 2)
			f->list[list - 1] = features;
		if ((a.flags & AVP_M) && (features & ~ours))
			note_missing(r, list, features & ~ours);
	}
}

void s6a_auth_group_read(struct slice group, bool present, struct s6a_auth_group *g)
{
	struct rd rd = rd_slice(group);
	struct avp a;
	uint32_t v;
	*g = (struct s6a_auth_group){.present = present, .wanted = 1};
	while (avp_next(&rd, &a) == AVP_WALK_ONE) {
		if (a.vendor != VENDOR_3GPP)
			continue;
		switch (a.code) {
		case AVP_CODE_Number_Of_Requested_Vectors:
			if (avp_u32(a.data, &v) && v)
				g->wanted = v;
			break;
		case AVP_CODE_Immediate_Response_Preferred:
			g->immediate = true;
			break;
		case AVP_CODE_Re_Synchronization_Info:
			g->resync = a.data;
			break;
		}
	}
}

uint64_t s6a_imeisv_read(struct slice terminal_information)
{
	struct avp imei, version;
	uint8_t text[16];
	uint64_t v = 0;
	if (!avp_find(terminal_information, AVP_CODE_IMEI, VENDOR_3GPP, &imei) ||
	    (imei.data.len != 14 && imei.data.len != 15))
		return 0;
	// 14 digits identify the equipment; a 15th is a check digit, which an IMEI-SV does not have
	memcpy(text, imei.data.p, 14);
	unsigned len = 14;
	if (avp_find(terminal_information, AVP_CODE_Software_Version, VENDOR_3GPP, &version) && version.data.len == 2) {
		memcpy(text + 14, version.data.p, 2);
		len = 16;
	}
	for (unsigned i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		v = v * 10 + (text[i] - '0');
	}
	return v | (uint64_t)(len - 1) << 60; // the count - 1, so that 16 fits into four bits
}

void s6a_keep_avp(struct wr *w, const struct avp *a)
{
	uint32_t pad = -a->whole.len & 3u;
	if (a->whole.len + pad > wr_room(w))
		return;
	wr_slice(w, a->whole);
	wr_zero(w, pad);
}

static void put_list(struct wr *w, uint32_t list, uint32_t features)
{
	size_t at = avp_group_begin(w, AVP_CODE_Supported_Features, VENDOR_3GPP, 0);
	avp_put_u32(w, AVP_CODE_Vendor_Id, 0, AVP_M, VENDOR_3GPP);
	avp_put_u32(w, AVP_CODE_Feature_List_ID, VENDOR_3GPP, 0, list);
	avp_put_u32(w, AVP_CODE_Feature_List, VENDOR_3GPP, 0, features);
	avp_group_end(w, at);
}

void s6a_features_put(struct wr *w, const struct s6a_features *f)
{
	if (!f->asked)
		return;
	put_list(w, 1, S6A_FEATURES_1);
	put_list(w, 2, S6A_FEATURES_2);
}

static void put_octets(struct wr *w, uint32_t code, const uint8_t *p, uint32_t len)
{
	avp_put(w, code, VENDOR_3GPP, AVP_M, p, len);
}

void s6a_put_eutran_vector(struct wr *w, uint32_t item, const struct eutran_vector *v)
{
	size_t at = avp_group_begin(w, AVP_CODE_E_UTRAN_Vector, VENDOR_3GPP, AVP_M);
	avp_put_u32(w, AVP_CODE_Item_Number, VENDOR_3GPP, AVP_M, item);
	put_octets(w, AVP_CODE_RAND, v->rand, sizeof v->rand);
	put_octets(w, AVP_CODE_XRES, v->xres, v->xres_len);
	put_octets(w, AVP_CODE_AUTN, v->autn, sizeof v->autn);
	put_octets(w, AVP_CODE_KASME, v->kasme, sizeof v->kasme);
	avp_group_end(w, at);
}

void s6a_put_utran_vector(struct wr *w, uint32_t item, const struct utran_vector *v)
{
	size_t at = avp_group_begin(w, AVP_CODE_UTRAN_Vector, VENDOR_3GPP, AVP_M);
	avp_put_u32(w, AVP_CODE_Item_Number, VENDOR_3GPP, AVP_M, item);
	put_octets(w, AVP_CODE_RAND, v->rand, sizeof v->rand);
	put_octets(w, AVP_CODE_XRES, v->xres, v->xres_len);
	put_octets(w, AVP_CODE_AUTN, v->autn, sizeof v->autn);
	put_octets(w, AVP_CODE_Confidentiality_Key, v->ck, sizeof v->ck);
	put_octets(w, AVP_CODE_Integrity_Key, v->ik, sizeof v->ik);
	avp_group_end(w, at);
}

void s6a_put_subscription(struct wr *w, const struct cache_record *rec, const struct cache_profile *p, bool epc,
			  bool gprs, bool additional_msisdn, const struct gateways *g)
{
	uint8_t bcd[8];
	size_t at = avp_group_begin(w, AVP_CODE_Subscription_Data, VENDOR_3GPP, AVP_M);
	if (rec->msisdn[0].v)
		put_octets(w, AVP_CODE_MSISDN, bcd, msisdn_tbcd(rec->msisdn[0], bcd));
	if (rec->msisdn[1].v && additional_msisdn)
		avp_put(w, AVP_CODE_A_MSISDN, VENDOR_3GPP, 0, bcd, msisdn_tbcd(rec->msisdn[1], bcd));
	if (p) {
		const uint8_t *avps = p->avps;
		wr_bytes(w, avps, p->head_len);
		if (epc)
			gateways_put_profile(w, p, g);
		if (gprs)
			wr_bytes(w, avps + p->head_len + p->epc_len, p->gprs_len);
	}
	avp_group_end(w, at);
}
