/* request_id.h - the name of a request, given by the client or made here. */
#ifndef STAGE4_GATEWAY_HTTP_REQUEST_ID_H
#define STAGE4_GATEWAY_HTTP_REQUEST_ID_H

#include "gateway/http/message.h"

/* Takes `given` when it is 1 to 64 letters, digits, '.', '_' or '-'; else makes 32 hex digits. */
void request_id_make(const char *given, char out[REQUEST_ID_SIZE]);

#endif
