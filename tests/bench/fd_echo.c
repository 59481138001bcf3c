// freeDiameter as reference: an extension that answers every S6a AIR and ULR with an empty success, so that
// what is measured is freeDiameter's own work for one message (parsing, dictionary, routing, threads).
// Nothing of the HSS is in it. Loaded by freeDiameterd, see tests/bench/bench.
#include <freeDiameter/extension.h>

static struct dict_object *auth_session_state;

static int add_auth_session_state(struct msg *answer)
{
	struct avp *avp;
	union avp_value value = {.u32 = 1};

	CHECK_FCT(fd_msg_avp_new(auth_session_state, 0, &avp));
	CHECK_FCT(fd_msg_avp_setvalue(avp, &value));
	CHECK_FCT(fd_msg_avp_add(answer, MSG_BRW_LAST_CHILD, avp));
	return 0;
}

static int on_request(struct msg **msg, struct avp *avp, struct session *session, void *opaque,
		      enum disp_action *action)
{
	struct msg_hdr *header;
	(void)avp;
	(void)session;
	(void)opaque;

	CHECK_FCT(fd_msg_hdr(*msg, &header));
	if (!(header->msg_flags & CMD_FLAG_REQUEST))
		return 0;
	CHECK_FCT(fd_msg_new_answer_from_req(fd_g_config->cnf_dict, msg, 0));
	CHECK_FCT(fd_msg_rescode_set(*msg, (char *)"DIAMETER_SUCCESS", NULL, NULL, 1));
	CHECK_FCT(add_auth_session_state(*msg));
	CHECK_FCT(fd_msg_send(msg, NULL, NULL));
	*action = DISP_ACT_CONT;
	return 0;
}

static int add_command(struct dict_object *app, const char *name, uint32_t code, int request,
		       struct dict_object **out)
{
	struct dict_cmd_data data = {code, (char *)name,
				     CMD_FLAG_REQUEST | CMD_FLAG_PROXIABLE | CMD_FLAG_ERROR,
				     (uint8_t)((request ? CMD_FLAG_REQUEST : 0) | CMD_FLAG_PROXIABLE)};

	CHECK_FCT(fd_dict_new(fd_g_config->cnf_dict, DICT_COMMAND, &data, app, out));
	return 0;
}

static int serve(struct dict_object *app, const char *request, const char *answer, uint32_t code)
{
	struct disp_when when = {.app = app};
	struct disp_hdl *handle;
	struct dict_object *unused;

	CHECK_FCT(add_command(app, request, code, 1, &when.command));
	CHECK_FCT(add_command(app, answer, code, 0, &unused));
	CHECK_FCT(fd_disp_register(on_request, DISP_HOW_CC, &when, NULL, &handle));
	return 0;
}

static int fd_echo_entry(char *conf)
{
	struct dict_application_data s6a = {16777251, (char *)"3GPP S6a"};
	struct dict_object *vendor, *app;
	(void)conf;

	CHECK_FCT(
	    fd_dict_search(fd_g_config->cnf_dict, DICT_VENDOR, VENDOR_BY_NAME, "3GPP", &vendor, ENOENT));
	CHECK_FCT(fd_dict_search(fd_g_config->cnf_dict, DICT_AVP, AVP_BY_NAME, "Auth-Session-State",
				 &auth_session_state, ENOENT));
	CHECK_FCT(fd_dict_new(fd_g_config->cnf_dict, DICT_APPLICATION, &s6a, vendor, &app));
	CHECK_FCT(serve(app, "Authentication-Information-Request", "Authentication-Information-Answer", 318));
	CHECK_FCT(serve(app, "Update-Location-Request", "Update-Location-Answer", 316));
	CHECK_FCT(fd_disp_app_support(app, vendor, 1, 0));
	return 0;
}

EXTENSION_ENTRY("fd_echo", fd_echo_entry);
