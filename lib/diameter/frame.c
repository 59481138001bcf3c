// Framing of the byte stream of one connection (frontend). The length is judged as soon as its four octets
// are there, so that a peer can make nobody allocate or wait for an impossible message.
#include "lib/diameter/frame.h"
#include "lib/diameter/header.h"

int frame_next(const uint8_t *p, size_t len, uint32_t max)
{
	if (len < 4)
		return FRAME_MORE;
	uint32_t want = be24_get(p + 1);
	if (want < DIAMETER_HEADER_LEN || want > max || want % 4)
		return FRAME_BROKEN;
	return len < want ? FRAME_MORE : (int)want;
}
