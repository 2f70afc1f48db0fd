/* Secrets that people bring: passphrases and components, from files, pipes, or typed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <keyfill/hex.h>

#include "base/file.h"
#include "cli/key.h"
#include "wire/json.h"

#define LINE_MAX_BYTES 1024

/* One byte a read, so that the next secret on the same pipe is still there. */
static kf_code read_line(int descriptor, const char *what, char *ret_line, size_t *ret_size, kf_error *error)
{
    size_t size = 0;
    for (;;) {
        char character;
        ssize_t got = read(descriptor, &character, 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return kf_fail(error, KF_ERR_FILE, "%s cannot be read: %s", what, strerror(errno));
        if (got == 0 || character == '\n') break;
        if (size == LINE_MAX_BYTES)
            return kf_fail(error, KF_ERR_TOO_LONG, "%s is longer than %d bytes", what, LINE_MAX_BYTES);
        ret_line[size++] = character;
    }
    if (size > 0 && ret_line[size - 1] == '\r') size--;
    if (size == 0) return kf_fail(error, KF_ERR_USAGE, "%s is empty", what);
    *ret_size = size;
    return KF_OK;
}

static kf_code read_typed(const char *what, char *ret_line, size_t *ret_size, kf_error *error)
{
    KF_CLEANUP(kf_descriptor_close) int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    struct termios before;
    if (terminal < 0 || tcgetattr(terminal, &before) != 0)
        return kf_fail(error, KF_ERR_USAGE, "%s: there is no terminal to type it at; give a file", what);
    struct termios silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    /* Before it asks: whoever types at once is not seen either. */
    if (tcsetattr(terminal, TCSAFLUSH, &silent) != 0)
        return kf_fail(error, KF_ERR_SYSTEM, "the terminal cannot be made silent: %s", strerror(errno));
    dprintf(terminal, "%s: ", what);
    kf_code code = read_line(terminal, what, ret_line, ret_size, error);
    if (tcsetattr(terminal, TCSAFLUSH, &before) != 0)
        code = kf_fail(error, KF_ERR_SYSTEM, "the terminal stays silent: type `stty echo`");
    dprintf(terminal, "\n");
    return code;
}

static kf_code read_from(const char *path, const char *what, char *ret_line, size_t *ret_size,
                         kf_error *error)
{
    if (path == NULL) return read_typed(what, ret_line, ret_size, error);
    if (strcmp(path, "-") == 0) return read_line(STDIN_FILENO, what, ret_line, ret_size, error);
    KF_CLEANUP(kf_descriptor_close) int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return kf_fail(error, KF_ERR_FILE, "%s: %s cannot be opened: %s", what, path, strerror(errno));
    return read_line(descriptor, what, ret_line, ret_size, error);
}

kf_code kf_cli_secret_line(const char *path, const char *what, kf_secret **ret_line, kf_error *error)
{
    char line[LINE_MAX_BYTES];
    size_t size = 0;
    kf_code code = read_from(path, what, line, &size, error);
    if (code == KF_OK) code = kf_fail_plain(error, kf_secret_new(kf_view_of(line, size), ret_line));
    kf_wipe(line, sizeof line);
    return code;
}

/* In place: the digits without the spaces between. */
static kf_code decode_digits(char *line, size_t size, const char *what, size_t wanted,
                             kf_secret **ret_component, kf_error *error)
{
    size_t digits = 0;
    for (size_t i = 0; i < size; i++)
        if (line[i] != ' ' && line[i] != '\t') line[digits++] = line[i];
    line[digits] = '\0';
    if (digits != 2 * wanted)
        return kf_fail(error, KF_ERR_KEY_SIZE, "%s has %zu hexadecimal digits, %zu are wanted", what, digits,
                       2 * wanted);
    kf_secret *component = NULL;
    kf_code code = kf_hex_decode_secret(line, &component);
    if (code == KF_ERR_HEX) return kf_fail(error, code, "%s is not hexadecimal", what);
    KF_TRY(kf_fail_plain(error, code));
    *ret_component = component;
    return KF_OK;
}

kf_code kf_cli_secret_component(const char *path, const char *what, size_t size, kf_secret **ret_component,
                                kf_error *error)
{
    char line[LINE_MAX_BYTES + 1];
    size_t length = 0;
    kf_code code = read_from(path, what, line, &length, error);
    if (code == KF_OK) code = decode_digits(line, length, what, size, ret_component, error);
    kf_wipe(line, sizeof line);
    return code;
}

static kf_code read_pin(const char *text, uint8_t *ret_public, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_code code = strlen(text) == 2 * (size_t)KF_BOX_PUBLIC_SIZE ? kf_hex_decode_append(text, &bytes)
                                                                  : kf_base64url_decode_append(text, &bytes);
    if (code != KF_OK || bytes.size != KF_BOX_PUBLIC_SIZE)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "vault_key: %.80s is no public key: %d hexadecimal digits, or base64url", text,
                       2 * KF_BOX_PUBLIC_SIZE);
    memcpy(ret_public, bytes.data, KF_BOX_PUBLIC_SIZE);
    return KF_OK;
}

kf_code kf_cli_key_box(const kf_cli *cli, uint8_t ret_public[KF_BOX_PUBLIC_SIZE], kf_error *error)
{
    KF_CLEANUP(kf_cli_config_free) kf_cli_config *config = NULL;
    KF_CLEANUP(kf_json_free) json_t *answer = NULL;
    uint8_t stated[KF_BOX_PUBLIC_SIZE];
    uint8_t pinned[KF_BOX_PUBLIC_SIZE];
    KF_TRY(kf_cli_config_load(cli, &config, error));
    kf_cli_call call = {.method = "GET", .path = "/v1/vault"};
    KF_TRY(kf_cli_call_unit(cli, &call, &answer, error));
    KF_TRY(kf_json_hex_exactly(answer, "public_key", sizeof stated, stated, error));
    if (config->vault_key == NULL) {
        (void)fprintf(stderr,
                      "keyfill: the vault's public key is taken as the unit says it: %s\n"
                      "keyfill: compare it with the file vault.pub on the unit, and put it into the "
                      "configuration as vault_key\n",
                      kf_hex_show(kf_view_of(stated, sizeof stated)).text);
        memcpy(ret_public, stated, sizeof stated);
        return KF_OK;
    }
    KF_TRY(read_pin(config->vault_key, pinned, error));
    if (memcmp(pinned, stated, sizeof stated) != 0)
        return kf_fail(error, KF_ERR_AUTHENTICATION,
                       "the unit says another public key of its vault than vault_key in the configuration: "
                       "nothing was sent; "
                       "compare with the file vault.pub on the unit");
    memcpy(ret_public, pinned, sizeof pinned);
    return KF_OK;
}
