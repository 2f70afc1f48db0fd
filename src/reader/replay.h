/* A reader that plays a recorded conversation, for tests: it takes exactly the recorded commands in their
 * order and gives the recorded responses. */
#ifndef KEYFILL_READER_REPLAY_H
#define KEYFILL_READER_REPLAY_H

#include <reader/reader.h>

typedef struct kf_replay_exchange {
    const char *command;  /* hex digits; NULL: any command */
    const char *response; /* hex digits with the status word; NULL: the card is pulled out instead */
} kf_replay_exchange;

typedef struct kf_replay {
    const char *atr; /* hex digits; NULL: there is no card */
    const kf_replay_exchange *exchanges;
    size_t count;
    /* Where set, the number of exchanges played so far is kept here. */
    size_t *played;
} kf_replay;

/* `replay` and what it points to are kept and must outlive the reader. A command that is not the recorded one
 * gives KF_ERR_READER with both in the message. */
kf_code kf_reader_open_replay(const kf_replay *replay, kf_reader **ret_reader) KF_MUST_USE;

#endif
