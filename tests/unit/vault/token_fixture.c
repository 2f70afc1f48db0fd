#include "token_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

#define FIRST_DESCRIPTOR 200 /* behind those that a test has */

static void run(const char *command)
{
    int status = system(command);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_msg("%s: status %d", command, status);
}

static void write_configuration(const test_token *token)
{
    char path[128];
    char text[256];
    kf_error error;
    (void)snprintf(path, sizeof path, "%s/softhsm2.conf", token->folder);
    (void)snprintf(text, sizeof text,
                   "directories.tokendir = %s/tokens\nobjectstore.backend = file\nlog.level = ERROR\n",
                   token->folder);
    assert_int_equal(kf_file_replace(path, kf_view_of_text(text), 0600, &error), KF_OK);
    assert_int_equal(setenv("SOFTHSM2_CONF", path, 1), 0);
    (void)snprintf(path, sizeof path, "%s/tokens", token->folder);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void *run_helper(void *context)
{
    const test_token *token = context;
    kf_error error = {KF_OK, ""};
    kf_code code = kf_hsm_serve(token->token, token->first, TEST_TOKEN_CONNECTIONS, &error);
    if (code != KF_OK) (void)fprintf(stderr, "helper: %s\n", kf_error_text(&error));
    return NULL;
}

static kf_secret *secret_of(const char *text)
{
    kf_secret *secret = NULL;
    assert_int_equal(kf_secret_new(kf_view_of_text(text), &secret), KF_OK);
    return secret;
}

void test_token_start_helper(test_token *token)
{
    int ends[TEST_TOKEN_CONNECTIONS];
    kf_error error = {KF_OK, ""};
    KF_CLEANUP(kf_secret_free) kf_secret *pin = secret_of(TEST_TOKEN_PIN);
    KF_CLEANUP(kf_secret_free) kf_secret *officer_pin = secret_of(TEST_TOKEN_OFFICER_PIN);
    const kf_hsm_token_options options = {"pkcs11:token=keyfill-test", TEST_TOKEN_MODULE, pin,
                                          token->with_officer ? officer_pin : NULL};
    assert_int_equal(kf_hsm_token_new(&options, &token->token, &error), KF_OK);
    token->first = FIRST_DESCRIPTOR;
    for (int i = 0; i < TEST_TOKEN_CONNECTIONS; i++) {
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(dup2(pair[0], token->first + i), token->first + i);
        close(pair[0]);
        ends[i] = pair[1];
    }
    assert_int_equal(pthread_create(&token->helper, NULL, run_helper, token), 0);
    kf_hsm_client_connect(token->client, ends, TEST_TOKEN_CONNECTIONS);
}

void test_token_stop_helper(test_token *token)
{
    for (int i = 0; i < TEST_TOKEN_CONNECTIONS; i++)
        (void)shutdown(token->first + i, SHUT_RDWR);
    pthread_join(token->helper, NULL);
    kf_hsm_token_free(&token->token);
}

void test_token_make(test_token *token, bool with_officer)
{
    kf_error error = {KF_OK, ""};
    memset(token, 0, sizeof *token);
    token->with_officer = with_officer;
    strcpy(token->folder, "/tmp/keyfill-token.XXXXXX");
    assert_non_null(mkdtemp(token->folder));
    write_configuration(token);
    run("softhsm2-util --init-token --free --label keyfill-test --pin \"" TEST_TOKEN_PIN
        "\" --so-pin \"" TEST_TOKEN_OFFICER_PIN "\" >/dev/null");
    assert_int_equal(kf_hsm_client_new(-1, &token->client, &error), KF_OK);
    token->custody = kf_key_custody_token(token->client);
    test_token_start_helper(token);
}

void test_token_remove(test_token *token)
{
    if (token->token != NULL) test_token_stop_helper(token);
    kf_hsm_client_free(&token->client);
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf %s", token->folder);
    run(command);
}

void test_token_move(const test_token *token, bool away)
{
    char here[128];
    char there[128];
    (void)snprintf(here, sizeof here, "%s/tokens", token->folder);
    (void)snprintf(there, sizeof there, "%s/away", token->folder);
    assert_int_equal(away ? rename(here, there) : rename(there, here), 0);
}
