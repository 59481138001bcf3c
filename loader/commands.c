// The core's commands of the admin socket, a row each; applications have their own (loader/app.h). Loader process.
#include "loader/commands.h"
#include "loader/admin/audit.h"
#include "loader/admin/backup.h"
#include "loader/admin/provision.h"
#include "loader/admin/requests.h"
#include "loader/upstream/feed.h"
#include "loader/upstream/problems.h"

const struct admin_command admin_commands[] = {
    {"subscriber add", provision_add, NULL},
    {"subscriber show", provision_show, NULL},
    {"subscriber set", provision_set, NULL},
    {"subscriber bar", provision_bar, NULL},
    {"subscriber unbar", provision_unbar, NULL},
    {"subscriber delete", provision_delete, NULL},
    {"subscriber list", provision_stream, provision_list_pump},
    {"subscriber export", provision_stream, provision_export_pump},
    {"subscriber import", import_begin, NULL},
    {"subscriber problems", problems_list, problems_pump},
    {"sqn show", sqn_show, NULL},
    {"sqn set", sqn_set, NULL},
    {"sqn jump", sqn_jump, NULL},
    {"request list", requests_list, requests_pump},
    {"request retry", requests_retry, NULL},
    {"request drop", requests_drop, NULL},
    {"store status", store_status, NULL},
    {"store verify", feed_verify, NULL},
    {"store accept-loss", feed_accept_loss, NULL},
    {"store index", feed_index, NULL},
    {"backup", backup_begin, backup_pump},
    {"restore", restore_begin, NULL},
    {"audit", audit_show, audit_pump},
    {"audit note", audit_note, NULL},
    {NULL, NULL, NULL},
};
