/* The parts of softcard_provision: files in provision_files.c, identity and behaviour in provision.c, domains
 * and keys in provision_domains.c. */
#ifndef KEYFILL_SOFTCARD_PROVISION_PARTS_H
#define KEYFILL_SOFTCARD_PROVISION_PARTS_H

#include "softcard/blueprint.h"
#include "softcard/personalities.h"

typedef struct softcard_provisioning {
    const softcard_blueprint *blueprint;
    const softcard_kind_of_card *kind;
    softcard_state *state;
} softcard_provisioning;

/* `text`, or `otherwise` where it is NULL or empty. */
const char *softcard_text_or(const char *text, const char *otherwise);
/* Two hexadecimal digits. KF_ERR_CONFIGURATION names the member. */
kf_code softcard_read_byte(const char *text, const char *name, uint8_t *ret_byte,
                           kf_error *error) KF_MUST_USE;

/* Which protocols with which i; `own` may be NULL or leave open what the card's own lines say. */
kf_code softcard_provision_protocols(const softcard_provisioning *provisioning,
                                     const softcard_domain_blueprint *own, softcard_application *ret_domain,
                                     kf_error *error) KF_MUST_USE;
/* The issuer domain, or a supplementary one. */
kf_code softcard_provision_domain(const softcard_provisioning *provisioning,
                                  const softcard_domain_blueprint *blueprint, kf_error *error) KF_MUST_USE;
/* Contents of the files, PINs. */
kf_code softcard_provision_files(const softcard_provisioning *provisioning, kf_error *error) KF_MUST_USE;
/* The digits that the card has. */
const char *softcard_provision_iccid(const softcard_blueprint *blueprint);
/* ADM1 from a master key, where the blueprint gives one. */
kf_code softcard_provision_adm1(const softcard_provisioning *provisioning, kf_error *error) KF_MUST_USE;

#endif
