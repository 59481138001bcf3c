// Makes OPc of OP (opc.h). It is the only place where the loader uses AES.
#include "loader/document/opc.h"
#include <stdlib.h>
#include "lib/auth/milenage.h"

struct opc_maker {
	struct milenage m;
};

struct opc_maker *opc_maker_new(void)
{
	struct opc_maker *m = calloc(1, sizeof(*m));
	if (m && milenage_init(&m->m))
		opc_maker_free(&m);
	return m;
}

void opc_maker_free(struct opc_maker **m)
{
	if (!*m)
		return;
	milenage_fini(&(*m)->m);
	free(*m);
	*m = NULL;
}

int opc_derive(struct opc_maker *m, const uint8_t k[16], const uint8_t op[16], uint8_t opc[16])
{
	return milenage_opc(&m->m, k, op, opc);
}
