/* What is on the card by AID (GlobalPlatform 6.4): applications and load files. */
#ifndef KEYFILL_SOFTCARD_REGISTRY_H
#define KEYFILL_SOFTCARD_REGISTRY_H

#include "softcard/apdu.h"
#include "softcard/state.h"

/* GlobalPlatform table 11-7 to 11-9: bits of the three bytes of privileges, the first byte's highest. */
enum {
    SOFTCARD_PRIVILEGE_DOMAIN = 0x800000,
    SOFTCARD_PRIVILEGE_DAP = 0x400000,
    SOFTCARD_PRIVILEGE_DELEGATED = 0x200000,
    SOFTCARD_PRIVILEGE_CARD_LOCK = 0x100000,
    SOFTCARD_PRIVILEGE_CARD_TERMINATE = 0x080000,
    SOFTCARD_PRIVILEGE_CARD_RESET = 0x040000,
    SOFTCARD_PRIVILEGE_MANDATED_DAP = 0x010000,
    SOFTCARD_PRIVILEGE_AUTHORIZED = 0x004000,
    SOFTCARD_PRIVILEGE_TOKEN_VERIFICATION = 0x002000,
    SOFTCARD_PRIVILEGE_GLOBAL_DELETE = 0x001000,
    SOFTCARD_PRIVILEGE_GLOBAL_LOCK = 0x000800,
    SOFTCARD_PRIVILEGE_GLOBAL_REGISTRY = 0x000400,
    SOFTCARD_PRIVILEGE_FINAL_APPLICATION = 0x000200,
    SOFTCARD_PRIVILEGE_RECEIPTS = 0x000080,
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
/* Authorized Management (9.1.3.1), which the issuer's domain has: content management without tokens. */
bool softcard_may_manage(const softcard_application *domain);
/* Whether `application` has all the bits of `privileges`. */
bool softcard_has_privilege(const softcard_application *application, uint32_t privileges);
/* Privileges as INSTALL gives them, one or three bytes, into `application`; those that do not go together or
 * with its kind are refused (11.1.2). SW_OK or SW_WRONG_DATA. */
softcard_status softcard_privileges_read(kf_view field, softcard_application *application);
/* Card Reset (6.6.2.4) belongs to one application: `application` has it from now on. */
void softcard_give_card_reset(softcard_state *state, softcard_application *application);
/* The application that a reset selects: the one with Card Reset. */
softcard_application *softcard_default_application(softcard_state *state);
/* Whether `domain` is above `application`, directly or further up. */
bool softcard_is_ancestor(softcard_state *state, const softcard_application *domain,
                          const softcard_application *application);
/* Bytes that applications and load files take of the card's memory. */
size_t softcard_memory_used(const softcard_state *state);
size_t softcard_memory_free(const softcard_state *state);
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
