// hssctl: one command, one answer, one exit status.
#include <string.h>
#include "admin/cli/cli.h"

static int show(struct cli_session *s, const struct cli_args *a)
{
	struct cli_output *o = a->json ? NULL : cli_text_new(a->command, stdout);
	int rc = CLI_REFUSED;
	bool more = (a->json || o) && cli_session_request(s, a);
	char *text;
	size_t len;

	while (more) {
		switch (cli_session_next(s, true, &text, &len)) {
		case CLI_LINE_ROW:
			if (a->json)
				cli_json_row(stdout, text, len);
			else
				cli_text_row(o, text, len);
			more = !ferror(stdout); // somebody closed the pipe: the rest is not wanted
			break;
		case CLI_LINE_END:
			rc = cli_session_end(text, a->command);
			more = false;
			break;
		default:
			more = false;
			break;
		}
	}
	cli_text_end(&o, rc == CLI_DONE);
	return fflush(stdout) == 0 ? rc : CLI_REFUSED;
}

// Commands that are more than a request and its rows.
static int run(struct cli_session *s, const struct cli_args *a)
{
	static const struct {
		const char *words;
		int (*run)(struct cli_session *s, const struct cli_args *a);
	} own[] = {
	    {"subscriber import", cli_import}, {"subscriber export", cli_export}, {"backup", cli_backup},
	    {"restore", cli_restore},	       {"config show", cli_config_show},  {"reload", cli_reload},
	    {"equipment import", cli_equipment_import}, {"equipment export", cli_export},
	    {"audit", cli_audit},	   {"top", cli_top},
	    {"alarm list", cli_alarm_list}, {"status", cli_status}, {"trace", cli_trace},
	};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (strcmp(a->command->words, own[i].words) == 0)
			return own[i].run(s, a);
	return show(s, a);
}

int main(int argc, char **argv)
{
	struct cli_session session = {.fd = -1};
	struct cli_args args;
	int rc;

	admin_json_init();
	rc = cli_args_parse(argc, argv, &args);
	if (rc != CLI_DONE) {
		fprintf(stderr, "%s%s\n",
			strncmp(args.error, "hssctl:", 7) == 0 ? "" : "hssctl: ", args.error);
		goto out;
	}
	if (args.version) {
		printf("hssctl %s\n", HSS_VERSION);
		goto out;
	}
	if (args.help || args.commands) {
		if (args.commands)
			cli_commands(stdout);
		else
			cli_help(stdout, args.command, args.noun);
		goto out;
	}
	if (args.command->flags & ADMIN_FLAG_HERE) {
		rc = cli_ims_check(&args);
		goto out;
	}
	rc = cli_session_open(&session, &args);
	if (rc != CLI_DONE)
		goto out;
	rc = run(&session, &args);
out:
	cli_session_close(&session);
	cli_args_fini(&args);
	return rc;
}
