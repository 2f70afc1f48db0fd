/* A profile: what kind of card, where the key goes, where each personalisation field goes, in which order. It
 * is a YAML text; the vault reads it itself, and base keys name the digests of those they may serve.
 * docs/profiles.md describes the text. */
#ifndef KEYFILL_VAULT_PROFILE_H
#define KEYFILL_VAULT_PROFILE_H

#include <keyfill/globalplatform.h>

#include "vault/card_record.h"

#define KF_PROFILE_TEXT_MAX 16384 /* bytes */
#define KF_PROFILE_MODULES_MAX 4
#define KF_PROFILE_FIELDS_MAX 16
#define KF_FILE_PATH_MAX 8 /* bytes below MF: four file identifiers */

typedef enum kf_key_injection {
    KF_INJECT_PUT_KEY,    /* the domain is opened with its parent's keys, then PUT KEY */
    KF_INJECT_STORE_DATA, /* INSTALL [for personalization], DGI 00B9 and 8113: GP 2.3.1 11.11.4 */
    KF_INJECT_PRELOADED,  /* the card came with the domain, with keys of its maker's or without */
} kf_key_injection;

typedef enum kf_order { KF_KEY_FIRST, KF_PERSONALISATION_FIRST } kf_order;

typedef enum kf_place {
    KF_PLACE_DOMAIN_TAG,  /* tag 42, 45 or 5F50 of the security domain */
    KF_PLACE_SIM_FILE,    /* a transparent file below MF, written under ADM1 */
    KF_PLACE_APPLICATION, /* STORE DATA with a DGI to an application of the issuer domain's */
} kf_place;

typedef struct kf_domain_module {
    kf_aid load_file;
    kf_aid module;
} kf_domain_module;

typedef struct kf_profile_field {
    char name[KF_VALUE_NAME_SIZE];
    kf_place place;
    uint16_t tag; /* of the domain: 0042, 0045, 5F50; or the DGI */
    kf_aid application;
    uint8_t path[KF_FILE_PATH_MAX]; /* below MF */
    size_t path_size;
    size_t derived_size; /* 0: from the order; else so many bytes are derived per card in the vault */
    bool secret;         /* never in clear at host or terminal */
} kf_profile_field;

typedef struct kf_profile {
    char name[KF_NAME_SIZE];
    uint8_t digest[32]; /* SHA-256 of the text */
    kf_aid issuer_domain;
    uint8_t security_level; /* GP 2.3.1 E.1.3 / Amendment D: 33 = C-MAC, C-DECRYPTION, R-MAC, R-ENCRYPTION */
    kf_aid domain;          /* the instance that holds the card's key */
    size_t module_count;
    kf_domain_module modules[KF_PROFILE_MODULES_MAX]; /* tried in order */
    uint8_t privileges[3];
    size_t privileges_size; /* 1 or 3 */
    uint8_t parameters[32]; /* C9 value */
    size_t parameters_size;
    uint8_t key_version; /* on the card */
    size_t key_size;     /* bytes: 16 today */
    kf_key_injection key_injection;
    char preloaded_base_key[KF_NAME_SIZE]; /* category of the card-manager base key of a preloaded domain; ""
                                              without */
    kf_order order;
    size_t field_count;
    kf_profile_field fields[KF_PROFILE_FIELDS_MAX];
} kf_profile;

/* KF_ERR_PROFILE names the line or the value that is wrong. */
kf_code kf_profile_parse(kf_view text, kf_profile *ret_profile, kf_error *error) KF_MUST_USE;
bool kf_profile_has_place(const kf_profile *profile, kf_place place);

#endif
