// A freeDiameter extension that plays an MME against the HSS under test: AIRs and ULRs through a window, and the answer to
// every CLR. freeDiameter itself is the judge: it parses each of our answers against its own dictionary and says
// "Parsing error" when something doesn't fit. Prints one line at the end:
//   S6A_CLIENT sent=N success=N other=N clr=N
// Configuration: "requests=200 window=16 realm=R imsi=001010000000001 subscribers=50 ulr=1 wait_clr=0"
#include <freeDiameter/extension.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct {
	unsigned long requests, window, subscribers, ulr, wait_clr;
	unsigned long long imsi;
	char realm[128];
} conf = {.requests = 200, .window = 16, .subscribers = 50, .imsi = 1010000000001ull};

static struct dict_object *vendor, *application, *air, *ulr;
static sem_t window;
static atomic_ulong sent, success, other, clr_seen;
static pthread_t sender;

static struct dict_object *find_avp(const char *name)
{
	struct dict_object *found = NULL;
	if (fd_dict_search(fd_g_config->cnf_dict, DICT_AVP, AVP_BY_NAME_ALL_VENDORS, name, &found, ENOENT))
		return NULL;
	return found;
}

static struct avp *add_group(msg_or_avp *parent, const char *name)
{
	struct avp *avp = NULL;
	if (fd_msg_avp_new(find_avp(name), 0, &avp) || fd_msg_avp_add(parent, MSG_BRW_LAST_CHILD, avp))
		return NULL;
	return avp;
}

static int add_value(msg_or_avp *parent, const char *name, union avp_value *value)
{
	struct avp *avp = NULL;
	CHECK_FCT(fd_msg_avp_new(find_avp(name), 0, &avp));
	CHECK_FCT(fd_msg_avp_setvalue(avp, value));
	return fd_msg_avp_add(parent, MSG_BRW_LAST_CHILD, avp);
}

static int add_u32(msg_or_avp *parent, const char *name, uint32_t v)
{
	union avp_value value = {.u32 = v};
	return add_value(parent, name, &value);
}

static int add_bytes(msg_or_avp *parent, const char *name, const void *p, size_t len)
{
	union avp_value value;
	memset(&value, 0, sizeof value);
	value.os.data = (uint8_t *)(uintptr_t)p;
	value.os.len = len;
	return add_value(parent, name, &value);
}

static void on_answer(void *data, struct msg **msg)
{
	struct avp *avp = NULL;
	struct avp_hdr *hdr;
	uint32_t result = 0;
	(void)data;
	if (fd_msg_search_avp(*msg, find_avp("Result-Code"), &avp) == 0 && avp && fd_msg_avp_hdr(avp, &hdr) == 0 &&
	    hdr->avp_value)
		result = hdr->avp_value->u32;
	if (result == 2001)
		atomic_fetch_add(&success, 1);
	else
		atomic_fetch_add(&other, 1);
	fd_msg_free(*msg);
	*msg = NULL;
	sem_post(&window);
}

static int send_request(unsigned long n)
{
	static const uint8_t plmn[3] = {0x00, 0xf1, 0x10};
	struct msg *msg;
	struct avp *group;
	char imsi[16];
	bool is_ulr = conf.ulr && (n & 1);
	snprintf(imsi, sizeof imsi, "%015llu", conf.imsi + n / 2 % conf.subscribers);
	CHECK_FCT(fd_msg_new(is_ulr ? ulr : air, MSGFL_ALLOC_ETEID, &msg));
	CHECK_FCT(fd_msg_new_session(msg, (os0_t) "s6a", 3));
	group = add_group(msg, "Vendor-Specific-Application-Id");
	CHECK_FCT(add_u32(group, "Vendor-Id", 10415));
	CHECK_FCT(add_u32(group, "Auth-Application-Id", 16777251));
	CHECK_FCT(add_u32(msg, "Auth-Session-State", 1));
	CHECK_FCT(fd_msg_add_origin(msg, 0));
	CHECK_FCT(add_bytes(msg, "Destination-Realm", conf.realm, strlen(conf.realm)));
	CHECK_FCT(add_bytes(msg, "User-Name", imsi, strlen(imsi)));
	if (is_ulr) {
		CHECK_FCT(add_u32(msg, "RAT-Type", 1004));
		CHECK_FCT(add_u32(msg, "ULR-Flags", 0x22));
	} else {
		group = add_group(msg, "Requested-EUTRAN-Authentication-Info");
		CHECK_FCT(add_u32(group, "Number-Of-Requested-Vectors", 2));
		CHECK_FCT(add_u32(group, "Immediate-Response-Preferred", 0));
	}
	CHECK_FCT(add_bytes(msg, "Visited-PLMN-Id", plmn, sizeof plmn));
	return fd_msg_send(&msg, on_answer, NULL);
}

static bool peer_is_open(void)
{
	bool open = false;
	if (pthread_rwlock_rdlock(&fd_g_peers_rw))
		return false;
	for (struct fd_list *li = fd_g_peers.next; li != &fd_g_peers; li = li->next)
		if (fd_peer_get_state((struct peer_hdr *)li->o) == STATE_OPEN)
			open = true;
	pthread_rwlock_unlock(&fd_g_peers_rw);
	return open;
}

static void *run(void *arg)
{
	(void)arg;
	fd_log_threadname("s6a_client");
	while (!peer_is_open()) // freeDiameter tells extensions of no such event
		usleep(20000);
	for (unsigned long n = 0; n < conf.requests; n++) {
		sem_wait(&window);
		if (send_request(n))
			break;
		atomic_fetch_add(&sent, 1);
	}
	for (unsigned long n = 0; n < conf.window; n++) // every answer has come
		sem_wait(&window);
	while (atomic_load(&clr_seen) < conf.wait_clr)
		usleep(20000);
	fprintf(stderr, "S6A_CLIENT sent=%lu success=%lu other=%lu clr=%lu\n", sent, success, other, clr_seen);
	fflush(stderr);
	kill(getpid(), SIGTERM);
	return NULL;
}

static int on_clr(struct msg **msg, struct avp *avp, struct session *session, void *opaque, enum disp_action *action)
{
	struct msg_hdr *hdr;
	(void)avp;
	(void)session;
	(void)opaque;
	CHECK_FCT(fd_msg_hdr(*msg, &hdr));
	if (!(hdr->msg_flags & CMD_FLAG_REQUEST))
		return 0;
	atomic_fetch_add(&clr_seen, 1);
	CHECK_FCT(fd_msg_new_answer_from_req(fd_g_config->cnf_dict, msg, 0));
	CHECK_FCT(fd_msg_rescode_set(*msg, (char *)(uintptr_t) "DIAMETER_SUCCESS", NULL, NULL, 1));
	CHECK_FCT(add_u32(*msg, "Auth-Session-State", 1));
	*action = DISP_ACT_SEND;
	return 0;
}

static int new_command(const char *name, unsigned code, bool request, struct dict_object **out)
{
	struct dict_cmd_data data = {.cmd_code = code,
				     .cmd_name = (char *)(uintptr_t)name,
				     .cmd_flag_mask = CMD_FLAG_REQUEST | CMD_FLAG_PROXIABLE,
				     .cmd_flag_val = (request ? CMD_FLAG_REQUEST : 0) | CMD_FLAG_PROXIABLE};
	return fd_dict_new(fd_g_config->cnf_dict, DICT_COMMAND, &data, application, out);
}

// Service-Selection (RFC 5778) is in no packaged dictionary.
static int new_service_selection(void)
{
	struct dict_object *type = NULL;
	struct dict_avp_data data = {.avp_code = 493,
				     .avp_name = (char *)(uintptr_t) "Service-Selection",
				     .avp_flag_mask = AVP_FLAG_VENDOR,
				     .avp_basetype = AVP_TYPE_OCTETSTRING};
	if (find_avp("Service-Selection"))
		return 0;
	CHECK_FCT(fd_dict_search(fd_g_config->cnf_dict, DICT_TYPE, TYPE_BY_NAME, "UTF8String", &type, ENOENT));
	return fd_dict_new(fd_g_config->cnf_dict, DICT_AVP, &data, type, NULL);
}

static void read_conf(const char *text)
{
	char *copy = strdup(text), *save = NULL;
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		char *value = strchr(word, '=');
		if (!value)
			continue;
		*value++ = 0;
		if (!strcmp(word, "requests"))
			conf.requests = strtoul(value, NULL, 10);
		else if (!strcmp(word, "window"))
			conf.window = strtoul(value, NULL, 10);
		else if (!strcmp(word, "subscribers"))
			conf.subscribers = strtoul(value, NULL, 10);
		else if (!strcmp(word, "ulr"))
			conf.ulr = strtoul(value, NULL, 10);
		else if (!strcmp(word, "wait_clr"))
			conf.wait_clr = strtoul(value, NULL, 10);
		else if (!strcmp(word, "imsi"))
			conf.imsi = strtoull(value, NULL, 10);
		else if (!strcmp(word, "realm"))
			snprintf(conf.realm, sizeof conf.realm, "%s", value);
	}
	free(copy);
}

static int entry(char *text)
{
	struct dict_application_data data = {16777251, (char *)(uintptr_t) "3GPP S6a"};
	struct dict_object *answer, *clr, *cla;
	struct disp_when when;
	struct disp_hdl *handle;
	if (text)
		read_conf(text);
	CHECK_FCT(fd_dict_search(fd_g_config->cnf_dict, DICT_VENDOR, VENDOR_BY_NAME, "3GPP", &vendor, ENOENT));
	CHECK_FCT(fd_dict_new(fd_g_config->cnf_dict, DICT_APPLICATION, &data, vendor, &application));
	CHECK_FCT(new_command("Authentication-Information-Request", 318, true, &air));
	CHECK_FCT(new_command("Authentication-Information-Answer", 318, false, &answer));
	CHECK_FCT(new_command("Update-Location-Request", 316, true, &ulr));
	CHECK_FCT(new_command("Update-Location-Answer", 316, false, &answer));
	CHECK_FCT(new_command("Cancel-Location-Request", 317, true, &clr));
	CHECK_FCT(new_command("Cancel-Location-Answer", 317, false, &cla));
	CHECK_FCT(new_service_selection());
	memset(&when, 0, sizeof when);
	when.app = application;
	when.command = clr;
	CHECK_FCT(fd_disp_register(on_clr, DISP_HOW_CC, &when, NULL, &handle));
	CHECK_FCT(fd_disp_app_support(application, vendor, 1, 0));
	sem_init(&window, 0, (unsigned)conf.window);
	CHECK_POSIX(pthread_create(&sender, NULL, run, NULL));
	return 0;
}

void fd_ext_fini(void)
{
	pthread_cancel(sender);
	pthread_join(sender, NULL);
}

EXTENSION_ENTRY("s6a_client", entry, "dict_dcca_3gpp")
