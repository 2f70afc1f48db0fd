/* Profiles and application modules, as registered at the key management unit. The vault reads profiles
 * itself; modules are named by requests and sent to the card from here, with the hash that was registered. */
#ifndef KEYFILL_KMU_PROFILES_H
#define KEYFILL_KMU_PROFILES_H

#include "kmu/kmu.h"

/* Appends the profile's text. KF_ERR_PROFILE where there is none of that name. */
kf_code kf_profile_text(kf_database *database, const char *name, kf_buffer *text,
                        kf_error *error) KF_MUST_USE;
/* Appends the module's bytes and gives its hash. KF_ERR_MODULE where there is none of that name. */
kf_code kf_module_content(kf_database *database, const char *name, kf_buffer *content,
                          uint8_t ret_digest[KF_DIGEST_SIZE], kf_error *error) KF_MUST_USE;

kf_code kf_handle_profile_list(void *context, const kf_http_request *request, kf_http_response *response,
                               kf_error *error);
kf_code kf_handle_profile_put(void *context, const kf_http_request *request, kf_http_response *response,
                              kf_error *error);
kf_code kf_handle_module_list(void *context, const kf_http_request *request, kf_http_response *response,
                              kf_error *error);
kf_code kf_handle_module_put(void *context, const kf_http_request *request, kf_http_response *response,
                             kf_error *error);
kf_code kf_handle_module_delete(void *context, const kf_http_request *request, kf_http_response *response,
                                kf_error *error);

#endif
