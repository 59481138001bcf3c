// A new subscriber's document in the form that the WebUI of Open5GS writes: for `subscriber add` and rows of CSV.
#pragma once
#include <jansson.h>
#include "loader/document/record.h"

// `args` as those of `subscriber add`, of the right types: imsi; k, opc, op, amf, sqn, algorithm; msisdn; ambr
// ("100M/50M": down, up); apn, each "NAME[,qci=N][,arp=N][,ambr=DOWN/UP][,type=ipv4|ipv6|ipv4v6][,ipv4=A][,ipv6=A]".
// NULL: e->text says what was expected.
json_t *new_document(const json_t *args, struct record_error *e);
