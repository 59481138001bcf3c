// (application, command) -> handler. Adding an application adds its rows here and one file under apps/.
#pragma once
struct request;

// Calls the request's handler; a command without one is answered 3001.
void dispatch(struct request *r);
