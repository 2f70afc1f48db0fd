/* The files of a UICC (ETSI TS 102 221 chapters 8, 9 and 11; 3GPP TS 31.102 for the elementary files). */
#ifndef KEYFILL_SOFTCARD_FILE_SYSTEM_H
#define KEYFILL_SOFTCARD_FILE_SYSTEM_H

#include "softcard/apdu.h"
#include "softcard/file_table.h"

struct softcard_request;

typedef struct softcard_position {
    uint8_t directory;
    uint8_t elementary; /* SOFTCARD_NO_FILE: none */
} softcard_position;

enum { SOFTCARD_NO_FILE = 0xFF };

softcard_position softcard_position_start(void);

/* SELECT by file identifier or path (P1 other than 04). */
softcard_status softcard_file_select(struct softcard_request *request);
/* Selects the directory of the application whose AID begins with the command's data; its control parameters
 * are the answer. SW_NOT_FOUND where no application has files. */
softcard_status softcard_application_file_select(struct softcard_request *request);
/* Whether `instruction` (class 0X) is one for files. */
bool softcard_is_file_instruction(uint8_t instruction);
softcard_status softcard_file_command(struct softcard_request *request);
/* STATUS (11.1.2), class 8X. */
softcard_status softcard_file_status(struct softcard_request *request);

#endif
