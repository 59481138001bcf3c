// Sh in the loader: what its files need of each other.
#pragma once
#include "apps/sh/decision.h"
#include "loader/admin/admin.h"
#include "loader/app.h"

extern const struct admin_command sh_commands[];

// Adds what a decision changes to an operation: the state, and who must be told. false: no room.
bool sh_decide(struct loader *l, struct op *op, const struct sh_decision *d) MUST_USE;
