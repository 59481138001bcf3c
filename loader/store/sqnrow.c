// The arithmetic of SQN rows, and the fingerprint that they are keyed by (sqnrow.h). Pure; loader process;
// law 5.
#include "loader/store/sqnrow.h"
#include <errno.h>
#include <openssl/evp.h>
#include "lib/base/secret.h"

int sqn_hash_init(struct sqn_hash *h)
{
	h->md = EVP_MD_fetch(NULL, "SHA256", NULL);
	h->ctx = EVP_MD_CTX_new();
	if (h->md && h->ctx)
		return 0;
	sqn_hash_fini(h);
	return -ENOMEM;
}

void sqn_hash_fini(struct sqn_hash *h)
{
	EVP_MD_CTX_free(h->ctx);
	EVP_MD_free(h->md);
	*h = (struct sqn_hash){0};
}

int sqn_hash_digest(struct sqn_hash *h, const void *p, size_t len, uint8_t out[16])
{
	uint8_t full[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	if (!EVP_DigestInit_ex2(h->ctx, h->md, NULL) || !EVP_DigestUpdate(h->ctx, p, len) ||
	    !EVP_DigestFinal_ex(h->ctx, full, &n) || n < 16)
		return -EIO;
	memcpy(out, full, 16);
	return 0;
}

int sqn_fingerprint(struct sqn_hash *h, imsi_t imsi, const uint8_t k[16], uint8_t fp[SQN_FP_LEN])
{
	static const char label[] = "corehss-sqn";
	uint8_t text[sizeof(label) - 1 + 8 + 16];
	struct wr w = wr_of(text, sizeof(text));
	wr_bytes(&w, label, sizeof(label) - 1);
	wr_u64(&w, imsi.v);
	wr_bytes(&w, k, 16);
	int rc = sqn_hash_digest(h, text, sizeof(text), fp);
	secret_wipe(text, sizeof(text));
	return rc;
}

uint64_t sqn_row_end(const struct sqn_row *row, uint64_t run)
{
	if (row->ceiling >= CACHE_SEQ_MAX)
		return CACHE_SEQ_MAX;
	// a row from a later run than ours would mean a restored old run number: it counts from its own run
	uint64_t runs = run > row->run ? run - row->run : 0;
	if (runs > (CACHE_SEQ_MAX - row->ceiling) / SQN_BLOCK_MIN)
		return CACHE_SEQ_MAX;
	return row->ceiling + runs * SQN_BLOCK_MIN;
}

struct sqn_range sqn_row_start(const struct sqn_row *row, uint64_t run)
{
	uint64_t end = sqn_row_end(row, run);
	if (run <= row->run || end >= CACHE_SEQ_MAX)
		return (struct sqn_range){.next = end, .limit = end};
	return (struct sqn_range){.next = end - SQN_BLOCK_MIN, .limit = end};
}

bool sqn_row_continue(const struct sqn_row *old, uint64_t seq, uint64_t run, struct sqn_row *row,
		      struct sqn_range *range)
{
	// SEQ 0 is never used: a fresh USIM holds SEQ_MS = 0 and takes only greater ones (TS 33.102 C.2.2)
	uint64_t next = seq ? seq : 1;
	if (old && sqn_row_end(old, run) > next)
		next = sqn_row_end(old, run);
	if (next > CACHE_SEQ_MAX - SQN_BLOCK_MIN)
		return false;
	*range = (struct sqn_range){.next = next, .limit = next + SQN_BLOCK_MIN};
	row->ceiling = range->limit;
	row->run = run;
	return true;
}

bool sqn_block_next(uint64_t limit, uint64_t at_least, uint64_t block, uint64_t *out)
{
	uint64_t from = at_least > limit ? at_least : limit;
	if (from > CACHE_SEQ_MAX - block)
		return false;
	*out = from + block;
	return true;
}
