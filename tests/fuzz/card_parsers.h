/* Every parser of what cards and their correspondents say, in one table: for the fuzz target card_answer and
 * for the tests that cut and flip published values. */
#ifndef KEYFILL_TESTS_FUZZ_CARD_PARSERS_H
#define KEYFILL_TESTS_FUZZ_CARD_PARSERS_H

#include "fuzz.h"

typedef struct card_parser {
    const char *name;
    fuzz_parser parse;
    size_t output_size;
} card_parser;

extern const card_parser card_parsers[];
extern const size_t card_parser_count;

#endif
