/* What is on the card by AID (GlobalPlatform 6.4): applications and load files. */
#ifndef KEYFILL_SOFTCARD_REGISTRY_H
#define KEYFILL_SOFTCARD_REGISTRY_H

#include "softcard/state.h"

/* GlobalPlatform table 6-1: byte and bit of a privilege. */
enum {
    SOFTCARD_PRIVILEGE_DOMAIN = 0x80, /* first byte */
    SOFTCARD_PRIVILEGE_DELEGATED = 0x20,
    SOFTCARD_PRIVILEGE_AUTHORIZED = 0x40, /* second byte: Authorized Management */
};

extern const softcard_aid softcard_issuer_aid;
extern const softcard_aid softcard_domain_load_file;
extern const softcard_aid softcard_domain_module;
extern const softcard_aid softcard_applet_load_file;
extern const softcard_aid softcard_applet_module;

/* KF_ERR_CARD_DATA unless 5 to 16 bytes (ISO/IEC 7816-4 8.2.1.2). */
kf_code softcard_aid_of(kf_view bytes, softcard_aid *ret_aid) KF_MUST_USE;
kf_view softcard_aid_view(const softcard_aid *aid);
bool softcard_aid_equal(const softcard_aid *left, const softcard_aid *right);

softcard_application *softcard_issuer(softcard_state *state);
softcard_application *softcard_application_find(softcard_state *state, const softcard_aid *aid);
softcard_load_file *softcard_load_file_find(softcard_state *state, const softcard_aid *aid);
bool softcard_is_domain(const softcard_application *application);
bool softcard_may_manage(const softcard_application *domain);
/* The security domain whose keys serve `application`: its own if it has any, else the nearest above. */
softcard_application *softcard_key_domain(softcard_state *state, softcard_application *application);

/* NULL where the card is full. */
softcard_application *softcard_application_add(softcard_state *state);
void softcard_application_remove(softcard_state *state, softcard_application *application);
softcard_load_file *softcard_load_file_add(softcard_state *state);
void softcard_load_file_remove(softcard_state *state, softcard_load_file *load_file);

const softcard_datum *softcard_datum_find(const softcard_application *application, uint16_t tag);
/* Sets or replaces. KF_ERR_TOO_LONG past a cap, nothing changed then. */
kf_code softcard_datum_set(softcard_application *application, uint16_t tag, kf_view value) KF_MUST_USE;

#endif
