/* A CAP file of one package with one applet, long enough for several LOAD commands. */
#ifndef KEYFILL_TESTS_TEST_MODULE_H
#define KEYFILL_TESTS_TEST_MODULE_H

#include <keyfill/bytes.h>

#define TEST_MODULE_PACKAGE "A00000006203010C01"
#define TEST_MODULE_APPLET "A0000000620301AA"

/* Appends the file. `package`: the AID in its header, as long as TEST_MODULE_PACKAGE. */
void test_module_bytes(const char *package, kf_buffer *bytes);

#endif
