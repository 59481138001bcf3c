// G.711: the segments of both laws, as ITU-T G.711 tables 1a to 2b have them, to 16-bit samples.
#include "lib/rtp/rtp.h"

int16_t rtp_alaw(uint8_t octet)
{
	unsigned code = octet ^ 0x55u, segment = code >> 4 & 7;
	int value = (int)((code & 0x0f) << 4) + 8;

	if (segment)
		value = (value + 0x100) << (segment - 1);
	return (int16_t)(code & 0x80 ? value : -value);
}

int16_t rtp_ulaw(uint8_t octet)
{
	unsigned code = (uint8_t)~octet;
	int value = (int)((((code & 0x0f) << 3) + 0x84) << (code >> 4 & 7)) - 0x84;

	return (int16_t)(code & 0x80 ? -value : value);
}
