// The table from commands to handlers: how a worker finds the application of a request.
#include "apps/worker_table.h"
#include "apps/s6a/s6a.h"
#include "worker/request.h"

static void (*const handlers[CMD_CNT])(struct request *) = {
	[CMD_AIR] = s6a_air,
	[CMD_ULR] = s6a_ulr,
	[CMD_PUR] = s6a_pur,
	[CMD_NOR] = s6a_nor,
};

void dispatch(struct request *r)
{
	void (*handler)(struct request *) = handlers[r->cmd->id];
	if (handler)
		handler(r);
	else
		request_refuse(r, RESULT_COMMAND_UNSUPPORTED);
}
