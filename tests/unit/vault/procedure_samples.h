/* A request and a state with every member set, for the tests of encodings. */
#ifndef KEYFILL_TESTS_PROCEDURE_SAMPLES_H
#define KEYFILL_TESTS_PROCEDURE_SAMPLES_H

#include "vault/procedure_state.h"

kf_procedure_request sample_request(void);
/* The caller clears it. */
kf_procedure_state sample_state(void);

#endif
