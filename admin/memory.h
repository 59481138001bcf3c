// Memory of hss-admin that leaves nothing behind (law 10).
#pragma once

// Makes libevent and jansson wipe every block that they give back. Before anything else of libevent is called.
void admin_memory_init(void);
