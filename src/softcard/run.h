/* A card at work: the loop between its contacts, its control socket and signals. */
#ifndef KEYFILL_SOFTCARD_RUN_H
#define KEYFILL_SOFTCARD_RUN_H

#include "softcard/softcard.h"

typedef struct softcard_attachment {
    const char *vpcd;    /* HOST:PORT, or NULL */
    const char *socket;  /* a path, or NULL: exactly one of the two */
    const char *control; /* a path, or NULL */
} softcard_attachment;

/* Until SIGTERM, SIGINT or `quit`; prints `ready` when a reader can reach the card. */
kf_code softcard_run(softcard *card, const softcard_attachment *attachment, kf_error *error) KF_MUST_USE;

#endif
