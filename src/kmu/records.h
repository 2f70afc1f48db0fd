/* Tables of the key management unit's front. */
#ifndef KEYFILL_KMU_RECORDS_H
#define KEYFILL_KMU_RECORDS_H

#include "store/migrations.h"

extern const kf_migrations kf_kmu_migrations;

#endif
