/* The files of a UICC (ETSI TS 102 221 chapters 8, 9 and 11; 3GPP TS 31.102 for the elementary files). */
#ifndef KEYFILL_SOFTCARD_FILE_SYSTEM_H
#define KEYFILL_SOFTCARD_FILE_SYSTEM_H

#include "softcard/apdu.h"
#include "softcard/state.h"

struct softcard_request;

/* Whose content stands in softcard_state.files. */
enum {
    SOFTCARD_EF_ICCID = 0,
    SOFTCARD_EF_MSISDN = 1,
    SOFTCARD_EF_OPERATOR = 2,
    SOFTCARD_EF_IMSI = 3,
    SOFTCARD_EF_SPN = 4,
    SOFTCARD_EF_DIR = 5,
};

enum {
    SOFTCARD_ICCID_SIZE = 10,
    SOFTCARD_MSISDN_RECORD = 28,
    SOFTCARD_MSISDN_RECORDS = 2,
    SOFTCARD_OPERATOR_SIZE = 64,
    SOFTCARD_IMSI_SIZE = 9,
    SOFTCARD_SPN_SIZE = 17,
    SOFTCARD_DIR_RECORD = 38,
};

extern const softcard_aid softcard_usim_aid;

typedef struct softcard_position {
    uint8_t directory;
    uint8_t elementary; /* SOFTCARD_NO_FILE: none */
} softcard_position;

enum { SOFTCARD_NO_FILE = 0xFF };

softcard_position softcard_position_start(void);

/* SELECT by file identifier or path (P1 other than 04). */
softcard_status softcard_file_select(struct softcard_request *request);
/* Selects ADF.USIM; its control parameters are the answer. */
softcard_status softcard_usim_select(struct softcard_request *request);
/* Whether `instruction` (class 0X) is one for files. */
bool softcard_is_file_instruction(uint8_t instruction);
softcard_status softcard_file_command(struct softcard_request *request);
/* STATUS (11.1.2), class 8X. */
softcard_status softcard_file_status(struct softcard_request *request);

#endif
