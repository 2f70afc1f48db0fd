/* A parser that believes a length: reads one byte behind the input where it begins with "KF", a byte and a
 * length of its whole rest. Not a target: what runs targets is wanted to find it. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volatile uint8_t sum = 0;
    if (size < 4 || data[0] != 'K' || data[1] != 'F' || data[3] == 0) return 0;
    if ((size_t)data[3] > size - 3) return 0;
    for (size_t i = 0; i < data[3]; i++)
        sum = (uint8_t)(sum + data[4 + i]);
    return 0;
}
