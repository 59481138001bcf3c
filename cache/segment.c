// Memory files: geometry, creation, sealing, mapping. Sparse: a page is committed when it is first touched,
// so a cache for a million subscribers that holds ten costs some hundred kilobytes. Law 4: offsets only, a
// layout version, sealed sizes.
#include "cache/segment.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cache/build.h"

#define SLOT_SPARE 65536u // copies on their way, however small the cache is
#define PAGE       4096u

static uint32_t bits_above(uint64_t v)
{
	uint32_t bits = 1;
	while ((1ull << bits) <= v)
		bits++;
	return bits;
}

static uint64_t page_up(uint64_t v)
{
	return (v + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

void segment_geometry(uint32_t max_subscribers, uint32_t max_identities, struct cache_header *h)
{
	memset(h, 0, sizeof(*h));
	h->magic = CACHE_MAGIC;
	h->version = CACHE_VERSION;
	h->record_size = sizeof(struct cache_record);
	h->max_subscribers = max_subscribers;
	h->slot_cnt = max_subscribers + max_subscribers / 64 + SLOT_SPARE;
	h->slot_bits = bits_above((uint64_t)h->slot_cnt + 1);
	// load <= 1/2 for IMSIs, and for numbers when a subscriber has one. If all have two it may come to 0.96: then a search among
	// numbers takes some ten probes and more, which are neighbours in memory. Twice the index would cost everybody 8 octets.
	h->index_bits = bits_above((uint64_t)max_subscribers * 2 - 1);
	if (h->index_bits < 10)
		h->index_bits = 10;
	h->msisdn_bits = bits_above((uint64_t)max_subscribers * 2 + max_subscribers / 11 + 1);
	if (h->msisdn_bits < h->index_bits)
		h->msisdn_bits = h->index_bits;
	uint64_t identities = max_identities ? max_identities : (uint64_t)max_subscribers * 2;
	h->max_identities = identities < CACHE_IDENTITIES_MAX ? (uint32_t)identities : CACHE_IDENTITIES_MAX;
	h->identity_bits = bits_above((uint64_t)h->max_identities * 2 - 1);
	if (h->identity_bits < 10)
		h->identity_bits = 10;
	h->sqn_cnt = h->slot_cnt;

	h->imsi_index_off = page_up(sizeof(*h));
	h->msisdn_index_off = h->imsi_index_off + page_up(4ull << h->index_bits);
	h->identity_index_off = h->msisdn_index_off + page_up(4ull << h->msisdn_bits);
	h->node_off = h->identity_index_off + page_up(8ull << h->identity_bits);
	h->ind_off = h->node_off + page_up((uint64_t)NODE_MAX * sizeof(struct cache_node));
	h->record_off = h->ind_off + page_up(IND_HOST_MAX * 8ull);
	h->blob_off = h->record_off + page_up((uint64_t)h->slot_cnt * sizeof(struct cache_record));
	h->blob_len = (64ull << 20) + page_up((uint64_t)max_subscribers << 10);
	// a blob is named by a u32 in units of CACHE_BLOB_ALIGN
	if (h->blob_len > (uint64_t)UINT32_MAX * CACHE_BLOB_ALIGN)
		h->blob_len = ((uint64_t)UINT32_MAX * CACHE_BLOB_ALIGN) & ~(uint64_t)(PAGE - 1);
	h->total_len = h->blob_off + h->blob_len;
}

uint64_t segment_sqn_len(const struct cache_header *h)
{
	return page_up((uint64_t)h->sqn_cnt * sizeof(struct sqn_words));
}

bool segment_same(const struct cache_header *a, const struct cache_header *b)
{
	return a->magic == b->magic && a->version == b->version && a->record_size == b->record_size &&
	       a->total_len == b->total_len && a->slot_cnt == b->slot_cnt &&
	       a->max_subscribers == b->max_subscribers && a->slot_bits == b->slot_bits &&
	       a->index_bits == b->index_bits && a->msisdn_bits == b->msisdn_bits &&
	       a->sqn_cnt == b->sqn_cnt && a->max_identities == b->max_identities &&
	       a->identity_bits == b->identity_bits && a->identity_index_off == b->identity_index_off &&
	       a->imsi_index_off == b->imsi_index_off &&
	       a->msisdn_index_off == b->msisdn_index_off && a->node_off == b->node_off &&
	       a->ind_off == b->ind_off && a->record_off == b->record_off && a->blob_off == b->blob_off &&
	       a->blob_len == b->blob_len;
}

int segment_create(const char *name, uint64_t len)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)len) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0 ||
	    fchmod(fd, S_IRUSR) < 0) {
		int err = errno;
		close(fd);
		return -err;
	}
	return fd;
}

void *segment_map(int fd, uint64_t len, bool writable)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return NULL;
	if ((uint64_t)st.st_size != len) {
		errno = EPROTO;
		return NULL;
	}
	void *p = mmap(NULL, len, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return NULL;
	if (madvise(p, len, MADV_DONTDUMP) < 0) {
		int err = errno;
		munmap(p, len);
		errno = err;
		return NULL;
	}
	return p;
}

void segment_bind(struct cache *c, const struct cache_header *g, const void *records, void *sqn)
{
	const uint8_t *base = records;
	c->h = records;
	c->base = base;
	c->sqn = sqn;
	c->slot_bits = g->slot_bits;
	c->slot_cnt = g->slot_cnt;
	c->sqn_cnt = g->sqn_cnt;
	c->imsi_mask = (uint32_t)((1ull << g->index_bits) - 1);
	c->msisdn_mask = (uint32_t)((1ull << g->msisdn_bits) - 1);
	c->identity_shift = 64 - g->identity_bits;
	c->identity_mask = (uint32_t)((1ull << g->identity_bits) - 1);
	c->identity_index = (const uint64_t *)(const void *)(base + g->identity_index_off);
	c->imsi_index = (const uint32_t *)(const void *)(base + g->imsi_index_off);
	c->msisdn_index = (const uint32_t *)(const void *)(base + g->msisdn_index_off);
	c->record = (const struct cache_record *)(const void *)(base + g->record_off);
	c->node = (const struct cache_node *)(const void *)(base + g->node_off);
	c->ind = (const uint64_t *)(const void *)(base + g->ind_off);
	c->blob = base + g->blob_off;
	c->blob_len = g->blob_len;
	c->total_len = g->total_len;
	c->sqn_len = segment_sqn_len(g);
}

int cache_create(uint32_t max_subscribers, uint32_t max_identities, int *records, int *records_ro, int *sqn)
{
	struct cache_header h;
	char path[32];
	int err;

	*records = *records_ro = *sqn = -1;
	if (max_subscribers == 0 || max_subscribers > CACHE_SUBSCRIBERS_MAX)
		return -EINVAL;
	segment_geometry(max_subscribers, max_identities, &h);
	*records = segment_create("hss-records", h.total_len);
	if (*records < 0) {
		err = *records;
		goto fail;
	}
	*sqn = segment_create("hss-sqn", segment_sqn_len(&h));
	if (*sqn < 0) {
		err = *sqn;
		goto fail;
	}
	// The read-only descriptor is another open file of the same memory. Its mode (0400, hssd's user) lets
	// a worker of another user open neither of them again.
	snprintf(path, sizeof(path), "/proc/self/fd/%d", *records); // lint: only opened
	*records_ro = open(path, O_RDONLY | O_CLOEXEC);
	if (*records_ro < 0) {
		err = -errno;
		goto fail;
	}
	// The layout is there from the beginning: a worker may map an empty cache before the loader has
	// started.
	if (pwrite(*records, &h, sizeof(h), 0) != (ssize_t)sizeof(h)) {
		err = -EIO;
		goto fail;
	}
	return 0;
fail:
	for (int **fd = (int *[]){records, records_ro, sqn, NULL}; *fd; fd++) {
		if (**fd >= 0)
			close(**fd);
		**fd = -1;
	}
	return err;
}
