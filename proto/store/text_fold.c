#include "proto/store/text_fold.h"

#include <stddef.h>
#include <stdint.h>

/* Capitals first .. last, each `step` apart, whose small letters lie `distance` further. All of
 * them have two bytes in UTF-8, and so have their small letters. */
static const struct {
    uint16_t first, last;
    uint8_t step, distance;
} RANGES[] = {
    {0x00C0, 0x00D6, 1, 32}, {0x00D8, 0x00DE, 1, 32}, {0x0100, 0x012E, 2, 1},
    {0x0132, 0x0136, 2, 1},  {0x0139, 0x0147, 2, 1},  {0x014A, 0x0176, 2, 1},
    {0x0179, 0x017D, 2, 1},  {0x0386, 0x0386, 1, 38}, {0x0388, 0x038A, 1, 37},
    {0x038C, 0x038C, 1, 64}, {0x038E, 0x038F, 1, 63}, {0x0391, 0x03A1, 1, 32},
    {0x03A3, 0x03AB, 1, 32}, {0x03C2, 0x03C2, 1, 1},  {0x0400, 0x040F, 1, 80},
    {0x0410, 0x042F, 1, 32}, {0x0460, 0x0480, 2, 1},  {0x048A, 0x04BE, 2, 1},
    {0x04D0, 0x052E, 2, 1},
};

static unsigned fold_letter(unsigned letter)
{
    if (letter == 0x0178)
        return 0x00FF;
    for (size_t i = 0; i < sizeof RANGES / sizeof *RANGES; i++)
        if (letter >= RANGES[i].first && letter <= RANGES[i].last &&
            (letter - RANGES[i].first) % RANGES[i].step == 0)
            return letter + RANGES[i].distance;
    return letter;
}

void text_fold(char *text)
{
    unsigned char *byte = (unsigned char *)text;
    while (*byte) {
        if (*byte >= 'A' && *byte <= 'Z') {
            *byte = (unsigned char)(*byte + 32);
        } else if ((*byte & 0xE0) == 0xC0 && (byte[1] & 0xC0) == 0x80) {
            unsigned letter = fold_letter((*byte & 0x1Fu) << 6 | (byte[1] & 0x3Fu));
            byte[0] = (unsigned char)(0xC0 | letter >> 6);
            byte[1] = (unsigned char)(0x80 | (letter & 0x3F));
            byte++;
        }
        byte++;
    }
}
