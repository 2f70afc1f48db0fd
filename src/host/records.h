/* The host's tables. */
#ifndef KEYFILL_HOST_RECORDS_H
#define KEYFILL_HOST_RECORDS_H

#include "store/migrations.h"

extern const kf_migrations kf_host_migrations;

#endif
