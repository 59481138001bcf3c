// The core's commands of the admin socket, ended by an empty row: for admin_new.
#pragma once
#include "loader/admin/admin.h"

extern const struct admin_command admin_commands[];
