/* The file in which a card keeps its state. */
#ifndef KEYFILL_SOFTCARD_STATE_FILE_H
#define KEYFILL_SOFTCARD_STATE_FILE_H

#include "softcard/softcard.h"

typedef struct softcard_state_file {
    const char *path;
    int lock; /* held while the card runs: two programs on one state would undo each other */
} softcard_state_file;

/* KF_ERR_BUSY while another program runs this card. */
kf_code softcard_state_file_lock(softcard_state_file *file, kf_error *error) KF_MUST_USE;
void softcard_state_file_unlock(softcard_state_file *file);
kf_code softcard_state_file_read(const char *path, kf_buffer *state, kf_error *error) KF_MUST_USE;
kf_code softcard_state_file_write(const char *path, kf_view state, kf_error *error) KF_MUST_USE;

/* The file as a card's environment; randomness is the operating system's. `file` outlives the card. */
softcard_environment softcard_state_file_environment(softcard_state_file *file);

#endif
