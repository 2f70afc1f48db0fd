/* Checkers of the card's own formats: APDUs, TLV, SIM files, secure channels. */
#include "kat.h"

const kat_family kat_card_families[] = {
    {NULL, NULL},
};
