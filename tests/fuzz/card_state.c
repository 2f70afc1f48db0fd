/* A card's state as bytes, and a load file as it lies in one: what is read is written again as the same. */
#include <string.h>

#include "crypto/digest.h"
#include "fuzz.h"
#include "softcard/content.h"
#include "softcard/state.h"

/* Behind a state stands its SHA-256: the input goes without. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    softcard_state *state = NULL;
    FUZZ_BUFFER(bytes);
    uint8_t digest[KF_DIGEST_SIZE];
    FUZZ_WANT(kf_sha256(kf_view_of(data, size), digest) == KF_OK);
    kf_buffer_append_bytes(&bytes, data, size);
    kf_buffer_append_bytes(&bytes, digest, sizeof digest);
    FUZZ_COPY(copy, kf_buffer_view(&bytes));
    kf_code code = softcard_state_read(copy.view, &state, NULL);
    if (code != KF_OK) {
        FUZZ_WANT(state == NULL);
        return 0;
    }
    FUZZ_BUFFER(first);
    FUZZ_BUFFER(second);
    FUZZ_WANT(softcard_state_write(state, &first) == KF_OK);
    softcard_state_free(&state);
    FUZZ_WANT(softcard_state_read(kf_buffer_view(&first), &state, NULL) == KF_OK);
    FUZZ_WANT(softcard_state_write(state, &second) == KF_OK);
    FUZZ_WANT(kf_view_equal(kf_buffer_view(&first), kf_buffer_view(&second)));
    softcard_state_free(&state);
    return 0;
}
