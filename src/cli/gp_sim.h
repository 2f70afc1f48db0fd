/* `keyfill gp sim`: the files that it knows by name, and what their content means. */
#ifndef KEYFILL_CLI_GP_SIM_H
#define KEYFILL_CLI_GP_SIM_H

#include <keyfill/sim.h>

#include "cli/cli.h"

typedef struct kf_gp_sim_path {
    uint16_t identifiers[KF_SIM_PATH_MAX]; /* without 3F00 */
    size_t count;
} kf_gp_sim_path;

/* A file's form; either function may be NULL. */
typedef struct kf_gp_sim_form {
    const char *name;
    uint16_t identifier;
    kf_code (*decode)(kf_view content, kf_buffer *text);
    /* `size`: of the file or record. */
    kf_code (*encode)(const char *text, size_t size, kf_buffer *content);
} kf_gp_sim_form;

/* "iccid", "7F20/6F07", "3F00/2FE2": KF_ERR_USAGE says what may stand there. */
kf_code kf_gp_sim_path_parse(kf_view text, kf_gp_sim_path *ret_path, kf_error *error) KF_MUST_USE;
/* NULL where the last identifier is not known. */
const kf_gp_sim_form *kf_gp_sim_form_of(const kf_gp_sim_path *path);

#endif
