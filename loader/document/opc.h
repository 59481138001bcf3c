// OPc from K and OP: the one thing of Milenage that the loader needs (law 10: it holds keys anyway).
#pragma once
#include <stdint.h>
#include "lib/base/err.h"

struct opc_maker; // opaque, heap

struct opc_maker *opc_maker_new(void);
void opc_maker_free(struct opc_maker **m);
// TS 35.206 4.1. 0 or -EIO.
int opc_derive(struct opc_maker *m, const uint8_t k[16], const uint8_t op[16], uint8_t opc[16]) MUST_USE;
