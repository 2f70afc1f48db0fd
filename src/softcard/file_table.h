/* Which files a card has (ETSI TS 102 221 13, 3GPP TS 31.102 4.2 to 4.4, TS 31.103 4.2, TS 51.011 10). */
#ifndef KEYFILL_SOFTCARD_FILE_TABLE_H
#define KEYFILL_SOFTCARD_FILE_TABLE_H

#include "softcard/state.h"

/* Whose content stands in softcard_state.files. Files of one content under several directories are one file
 * (TS 31.102 4.4.2). */
enum {
    SOFTCARD_EF_ICCID = 0,
    SOFTCARD_EF_MSISDN,
    SOFTCARD_EF_OPERATOR,
    SOFTCARD_EF_IMSI,
    SOFTCARD_EF_SPN,
    SOFTCARD_EF_DIR,
    SOFTCARD_EF_PREFERRED_LANGUAGES,
    SOFTCARD_EF_SMS_PARAMETERS,
    SOFTCARD_EF_ABBREVIATED_NUMBERS,
    SOFTCARD_EF_ACCESS_CLASS,
    SOFTCARD_EF_ADMINISTRATIVE_DATA,
    SOFTCARD_EF_SIM_SERVICES,
    SOFTCARD_EF_USIM_SERVICES,
    SOFTCARD_EF_NETWORKS,
    SOFTCARD_EF_USER_NETWORKS,
    SOFTCARD_EF_OPERATOR_NETWORKS,
    SOFTCARD_EF_HOME_NETWORKS,
    SOFTCARD_EF_EQUIVALENT_HOME_NETWORKS,
    SOFTCARD_EF_FORBIDDEN_NETWORKS,
    SOFTCARD_EF_SEARCH_PERIOD,
    SOFTCARD_EF_LOCATION,
    SOFTCARD_EF_PACKET_LOCATION,
    SOFTCARD_EF_EVOLVED_LOCATION,
    SOFTCARD_EF_KEYS,
    SOFTCARD_EF_PACKET_KEYS,
    SOFTCARD_EF_CIPHERING_KEY,
    SOFTCARD_EF_PHASE,
    SOFTCARD_EF_SIM_LANGUAGES,
    SOFTCARD_EF_USIM_LANGUAGES,
    SOFTCARD_EF_ENABLED_SERVICES,
    SOFTCARD_EF_GROUP_1,
    SOFTCARD_EF_GROUP_2,
    SOFTCARD_EF_IMS_PRIVATE_IDENTITY,
    SOFTCARD_EF_IMS_DOMAIN,
    SOFTCARD_EF_IMS_PUBLIC_IDENTITY,
    SOFTCARD_EF_ISIM_SERVICES,
    SOFTCARD_EF_HYPERFRAME,
    SOFTCARD_EF_HYPERFRAME_LIMIT,
};

enum {
    SOFTCARD_ICCID_SIZE = 10,
    SOFTCARD_MSISDN_RECORD = 28,
    SOFTCARD_MSISDN_RECORDS = 2,
    SOFTCARD_OPERATOR_SIZE = 64,
    SOFTCARD_IMSI_SIZE = 9,
    SOFTCARD_SPN_SIZE = 17,
    SOFTCARD_DIR_RECORD = 38,
    SOFTCARD_DIR_RECORDS = 2,
    SOFTCARD_SERVICES_SIZE = 15,
    SOFTCARD_NETWORKS_SIZE = 40,
    SOFTCARD_IMS_IDENTITY_SIZE = 64,
};

extern const softcard_aid softcard_usim_aid;
extern const softcard_aid softcard_isim_aid;

typedef enum softcard_file_kind {
    SOFTCARD_FILE_DIRECTORY,
    SOFTCARD_FILE_TRANSPARENT,
    SOFTCARD_FILE_RECORDS
} softcard_file_kind;
typedef enum softcard_access { ALWAYS, NEEDS_PIN1, NEEDS_ADM1, NEVER } softcard_access;

typedef struct softcard_file_node {
    uint16_t identifier; /* 7FFF: an application's directory, selected by its AID */
    uint8_t parent;
    softcard_file_kind kind;
    uint8_t short_identifier; /* 0: none */
    uint8_t content;
    uint8_t size; /* of the file, or of one record */
    uint8_t records;
    softcard_access read;
    softcard_access update;
    const softcard_aid *application; /* NULL: none */
} softcard_file_node;

enum { SOFTCARD_MASTER_FILE = 0 };

extern const softcard_file_node softcard_file_nodes[];
extern const size_t softcard_file_node_count;

/* The directory of the application whose AID begins with `name` (7 bytes at least). */
bool softcard_file_find_application(kf_view name, size_t *ret_index);

#endif
