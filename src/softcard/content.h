/* Card content management: INSTALL, LOAD, DELETE (GlobalPlatform 9.3, 11.2, 11.5, 11.6). Load files are
 * registered, their code is not run. */
#ifndef KEYFILL_SOFTCARD_CONTENT_H
#define KEYFILL_SOFTCARD_CONTENT_H

#include <keyfill/signature.h>

#include "softcard/apdu.h"
#include "softcard/state.h"

struct softcard_request;

softcard_status softcard_install(struct softcard_request *request);
softcard_status softcard_load(struct softcard_request *request);
softcard_status softcard_delete(struct softcard_request *request);

/* The hash that has `size` bytes: SHA-1, SHA-256, SHA-384, SHA-512 (table H-9). */
bool softcard_load_file_hash_find(size_t size, kf_hash_algorithm *ret_algorithm);

/* Reads package and modules from a load file (Java Card Virtual Machine Specification 6.3, 6.5): components
 * Header and Applet. KF_ERR_CAP_FILE. */
kf_code softcard_load_file_parse(kf_view bytes, softcard_load_file *ret_load_file) KF_MUST_USE;

#endif
