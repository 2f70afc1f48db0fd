/* A certificate authority in a folder of its own, for tests. */
#ifndef TEST_WIRE_CERTIFICATES_H
#define TEST_WIRE_CERTIFICATES_H

#include "wire/pki.h"

typedef struct test_certificates {
    char folder[64];
    kf_pki_pair root;
    kf_pki_pair authority;
    kf_pki_pair foreign_root;
} test_certificates;

typedef struct test_identity {
    char certificate[128]; /* paths */
    char key[128];
} test_identity;

void test_certificates_make(test_certificates *certificates);
/* Removes the folder. */
void test_certificates_remove(test_certificates *certificates);

/* Issues, saves under ROLE-NAME, asserts. Host name localhost and address 127.0.0.1 stand in each. */
test_identity test_identity_make(test_certificates *certificates, const kf_pki_pair *issuer,
                                 kf_peer_role role, const char *name);
test_identity test_identity_make_until(test_certificates *certificates, const kf_pki_pair *issuer,
                                       kf_peer_role role, const char *name, time_t not_after);
/* What kf_pki_issue refuses to make: any URI (NULL: none) under any issuer. */
test_identity test_identity_forge(test_certificates *certificates, const kf_pki_pair *issuer, const char *uri,
                                  const char *name);
void test_path(const test_certificates *certificates, const char *name, char ret_path[128]);

#endif
