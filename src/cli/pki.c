/* `keyfill pki`: a private certificate authority in a folder. It holds ca.pem and ca.key,
 * terminal-authority.pem and terminal-authority.key (which signs terminals, docs/messages.md), and
 * ROLE-NAME.pem and ROLE-NAME.key of what was issued, and crl.pem, the
 * revocation lists of both authorities with the certificate of the second. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli.h"
#include "wire/pki.h"

#define PATH_SIZE 512
#define DAYS_DEFAULT 365U
#define DAYS_OF_AUTHORITY 3650U
#define DAYS_MAX 36500U
#define SECONDS_A_DAY ((time_t)86400)
#define REVOKED_MAX 64 /* certificates of one command */

enum { KEY_ROLE = 2000, KEY_NAME, KEY_DNS, KEY_IP, KEY_DAYS, KEY_NOT_AFTER };

typedef struct pki_arguments {
    const char *place_name; /* "DIR" or "FILE" */
    const char *place;
    const char *role;
    const char *name;
    const char *dns[KF_PKI_NAMES_MAX];
    size_t dns_count;
    const char *ip[KF_PKI_NAMES_MAX];
    size_t ip_count;
    unsigned days; /* 0: not given */
    const char *not_after;
    bool takes_more; /* words behind the place */
    const char *revoked[REVOKED_MAX];
    size_t revoked_count;
} pki_arguments;

static unsigned days_of(const char *text, const struct argp_state *state)
{
    char *end = NULL;
    unsigned long days = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || days == 0 || days > DAYS_MAX)
        kf_cli_usage(state, "--days %.20s: 1 to %u are possible", text, DAYS_MAX);
    return (unsigned)days;
}

static void add_name(const char **names, size_t *count, const char *name, const struct argp_state *state)
{
    if (*count == KF_PKI_NAMES_MAX)
        kf_cli_usage(state, "%.80s: a certificate takes at most %d host names and %d addresses", name,
                     KF_PKI_NAMES_MAX, KF_PKI_NAMES_MAX);
    names[(*count)++] = name;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    pki_arguments *arguments = state->input;
    switch (key) {
    case KEY_ROLE: arguments->role = argument; return 0;
    case KEY_NAME: arguments->name = argument; return 0;
    case KEY_DNS: add_name(arguments->dns, &arguments->dns_count, argument, state); return 0;
    case KEY_IP: add_name(arguments->ip, &arguments->ip_count, argument, state); return 0;
    case KEY_DAYS: arguments->days = days_of(argument, state); return 0;
    case KEY_NOT_AFTER: arguments->not_after = argument; return 0;
    case ARGP_KEY_ARG:
        if (arguments->place != NULL && arguments->takes_more) {
            if (arguments->revoked_count == REVOKED_MAX)
                kf_cli_usage(state, "%.80s: at most %d certificates are revoked at a time", argument,
                             REVOKED_MAX);
            arguments->revoked[arguments->revoked_count++] = argument;
            return 0;
        }
        if (arguments->place != NULL) kf_cli_usage(state, "'%.80s': one argument is wanted", argument);
        arguments->place = argument;
        return 0;
    case ARGP_KEY_END:
        if (arguments->place == NULL) kf_cli_usage(state, "the %s is missing", arguments->place_name);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static kf_code path_in(const char *folder, const char *name, const char *ending, char ret_path[PATH_SIZE],
                       kf_error *error)
{
    int length = snprintf(ret_path, PATH_SIZE, "%s/%s%s", folder, name, ending);
    if (length > 0 && length < PATH_SIZE) return KF_OK;
    return kf_fail(error, KF_ERR_USAGE, "folder name %.200s is too long", folder);
}

static kf_code load(const char *folder, const char *name, kf_pki_pair *pair, kf_error *error)
{
    char certificate[PATH_SIZE];
    char key[PATH_SIZE];
    KF_TRY(path_in(folder, name, ".pem", certificate, error));
    KF_TRY(path_in(folder, name, ".key", key, error));
    return kf_pki_pair_load(certificate, key, pair, error);
}

static kf_code save(const char *folder, const char *name, const kf_pki_pair *pair, kf_error *error)
{
    char certificate[PATH_SIZE];
    char key[PATH_SIZE];
    KF_TRY(path_in(folder, name, ".pem", certificate, error));
    KF_TRY(path_in(folder, name, ".key", key, error));
    KF_TRY(kf_pki_pair_save(pair, certificate, key, error));
    printf("%s\n%s\n", certificate, key);
    return KF_OK;
}

static kf_code check_empty(const char *folder, kf_error *error)
{
    static const char *const names[] = {"ca", "terminal-authority"};
    static const char *const endings[] = {".pem", ".key"};
    for (size_t i = 0; i < 4; i++) {
        char path[PATH_SIZE];
        KF_TRY(path_in(folder, names[i / 2], endings[i % 2], path, error));
        if (access(path, F_OK) == 0)
            return kf_fail(error, KF_ERR_USAGE,
                           "%s is there already; certificates issued under it would be lost: remove it, or "
                           "choose another folder",
                           path);
    }
    return KF_OK;
}

/* The certificates that one authority issued, of those that are to be revoked. */
typedef struct revoked_batch {
    kf_buffer texts[REVOKED_MAX];
    kf_view of_root[REVOKED_MAX];
    size_t of_root_count;
    kf_view of_authority[REVOKED_MAX];
    size_t of_authority_count;
} revoked_batch;

static void revoked_batch_clear(revoked_batch *batch)
{
    for (size_t i = 0; i < REVOKED_MAX; i++)
        kf_buffer_clear(&batch->texts[i]);
}

/* "host-north" is the file of that name in the folder; with a slash it is a file's own path. */
static kf_code read_revoked(const char *folder, const char *word, kf_buffer *text, kf_error *error)
{
    char path[PATH_SIZE];
    if (strchr(word, '/') != NULL) return kf_file_read(word, KF_TLS_FILE_MAX, text, error);
    KF_TRY(path_in(folder, word, ".pem", path, error));
    return kf_file_read(path, KF_TLS_FILE_MAX, text, error);
}

static kf_code sort_revoked(const pki_arguments *arguments, const kf_pki_pair *root,
                            const kf_pki_pair *authority, revoked_batch *batch, kf_error *error)
{
    for (size_t i = 0; i < arguments->revoked_count; i++) {
        KF_TRY(read_revoked(arguments->place, arguments->revoked[i], &batch->texts[i], error));
        kf_view text = kf_buffer_view(&batch->texts[i]);
        if (kf_pki_has_issued(authority, text))
            batch->of_authority[batch->of_authority_count++] = text;
        else if (kf_pki_has_issued(root, text))
            batch->of_root[batch->of_root_count++] = text;
        else
            return kf_fail(error, KF_ERR_CERTIFICATE,
                           "%s was not issued by an authority in %s: it is revoked where it was issued",
                           arguments->revoked[i], arguments->place);
    }
    return KF_OK;
}

/* Both lists are made anew, so that both are due at the same time. */
static kf_code write_lists(const pki_arguments *arguments, const kf_pki_pair *root,
                           const kf_pki_pair *authority, const revoked_batch *batch, kf_error *error)
{
    char path[PATH_SIZE];
    KF_CLEANUP(kf_buffer_clear) kf_buffer before = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer lists = KF_BUFFER_INIT;
    KF_TRY(path_in(arguments->place, "crl", ".pem", path, error));
    if (access(path, F_OK) == 0) KF_TRY(kf_file_read(path, KF_PKI_LIST_MAX, &before, error));
    kf_pki_revocation revocation = {.before = kf_buffer_view(&before),
                                    .revoked = batch->of_root,
                                    .revoked_count = batch->of_root_count,
                                    .now = time(NULL),
                                    .days = arguments->days != 0 ? arguments->days : DAYS_DEFAULT};
    KF_TRY(kf_pki_revoke(root, &revocation, &lists, error));
    revocation.revoked = batch->of_authority;
    revocation.revoked_count = batch->of_authority_count;
    KF_TRY(kf_pki_revoke(authority, &revocation, &lists, error));
    kf_buffer_append(&lists, kf_buffer_view(&authority->certificate));
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&lists)));
    KF_TRY(kf_file_replace(path, kf_buffer_view(&lists), 0644, error));
    printf("%s\n", path);
    return KF_OK;
}

static kf_code revoke_named(const pki_arguments *arguments, kf_error *error)
{
    KF_CLEANUP(kf_pki_pair_clear) kf_pki_pair root = {KF_BUFFER_INIT, NULL};
    KF_CLEANUP(kf_pki_pair_clear) kf_pki_pair authority = {KF_BUFFER_INIT, NULL};
    KF_CLEANUP(revoked_batch_clear) revoked_batch batch = {.of_root_count = 0};
    KF_TRY(load(arguments->place, "ca", &root, error));
    KF_TRY(load(arguments->place, "terminal-authority", &authority, error));
    KF_TRY(sort_revoked(arguments, &root, &authority, &batch, error));
    return write_lists(arguments, &root, &authority, &batch, error);
}

static kf_code make_authorities(const pki_arguments *arguments, kf_error *error)
{
    const char *name = arguments->name != NULL ? arguments->name : "keyfill";
    kf_pki_validity validity =
        kf_pki_validity_of_days(time(NULL), arguments->days != 0 ? arguments->days : DAYS_OF_AUTHORITY);
    kf_pki_subject subject = {.role = KF_PEER_TERMINAL_AUTHORITY, .name = name, .validity = validity};
    KF_CLEANUP(kf_pki_pair_clear) kf_pki_pair root = {KF_BUFFER_INIT, NULL};
    KF_CLEANUP(kf_pki_pair_clear) kf_pki_pair authority = {KF_BUFFER_INIT, NULL};
    KF_TRY(kf_pki_make_root(name, validity, &root, error));
    KF_TRY(kf_pki_issue(&root, &subject, &authority, error));
    if (mkdir(arguments->place, 0755) != 0 && errno != EEXIST)
        return kf_fail(error, KF_ERR_FILE, "folder %.200s cannot be made: %s", arguments->place,
                       strerror(errno));
    KF_TRY(check_empty(arguments->place, error));
    KF_TRY(save(arguments->place, "ca", &root, error));
    KF_TRY(save(arguments->place, "terminal-authority", &authority, error));
    /* Empty, so that units can name the file from the beginning. */
    const pki_arguments lists = {.place = arguments->place};
    return revoke_named(&lists, error);
}

static kf_code pki_init(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp_option options[] = {
        {"name", KEY_NAME, "NAME", 0, "name of the authority (default: keyfill)", 0},
        {"days", KEY_DAYS, "N", 0, "days of validity (default: 3650)", 0},
        {0},
    };
    static const struct argp argp = {
        options, parse, "DIR", "Makes a root and a terminal authority in the folder DIR.", NULL, NULL, NULL};
    pki_arguments arguments = {.place_name = "DIR"};
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &arguments, error));
    return make_authorities(&arguments, error);
}

static kf_code validity_of(const pki_arguments *arguments, kf_pki_validity *ret_validity, kf_error *error)
{
    kf_pki_validity validity =
        kf_pki_validity_of_days(time(NULL), arguments->days != 0 ? arguments->days : DAYS_DEFAULT);
    if (arguments->not_after != NULL) {
        struct tm end = {0};
        const char *rest = strptime(arguments->not_after, "%Y-%m-%dT%H:%M:%SZ", &end);
        if (rest == NULL || *rest != '\0')
            return kf_fail(error, KF_ERR_USAGE, "--not-after %.40s is no time; write 2031-12-31T23:59:59Z",
                           arguments->not_after);
        validity.not_after = timegm(&end);
        if (validity.not_before >= validity.not_after)
            validity.not_before = validity.not_after - SECONDS_A_DAY;
    }
    *ret_validity = validity;
    return KF_OK;
}

static kf_code issue(const pki_arguments *arguments, kf_error *error)
{
    char file[PATH_SIZE];
    kf_pki_subject subject = {.name = arguments->name,
                              .dns = arguments->dns,
                              .dns_count = arguments->dns_count,
                              .ip = arguments->ip,
                              .ip_count = arguments->ip_count};
    KF_CLEANUP(kf_pki_pair_clear) kf_pki_pair issuer = {KF_BUFFER_INIT, NULL};
    KF_CLEANUP(kf_pki_pair_clear) kf_pki_pair issued = {KF_BUFFER_INIT, NULL};
    if (arguments->role == NULL || arguments->name == NULL)
        return kf_fail(error, KF_ERR_USAGE, "--role and --name are needed: who is the certificate for?");
    KF_TRY(kf_peer_role_from_name(arguments->role, &subject.role, error));
    KF_TRY(validity_of(arguments, &subject.validity, error));
    const char *authority = subject.role == KF_PEER_TERMINAL ? "terminal-authority" : "ca";
    KF_TRY(load(arguments->place, authority, &issuer, error));
    KF_TRY(kf_pki_issue(&issuer, &subject, &issued, error));
    (void)snprintf(file, sizeof file, "%s-%s", arguments->role, arguments->name);
    return save(arguments->place, file, &issued, error);
}

static kf_code pki_issue(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp_option options[] = {
        {"role", KEY_ROLE, "ROLE", 0,
         "bkmu, kmu, host, terminal, bank, officer, auditor, administrator, issuing-server", 0},
        {"name", KEY_NAME, "NAME", 0, "name of the unit or person", 0},
        {"dns", KEY_DNS, "HOST", 0, "host name by which it is called; may be repeated", 0},
        {"ip", KEY_IP, "ADDRESS", 0, "IP address by which it is called; may be repeated", 0},
        {"days", KEY_DAYS, "N", 0, "days of validity (default: 365)", 0},
        {"not-after", KEY_NOT_AFTER, "TIME", 0, "end of validity, 2031-12-31T23:59:59Z; wins over --days", 0},
        {0},
    };
    static const struct argp argp = {
        options,
        parse,
        "DIR",
        "Issues a certificate with a new key under the authority in DIR. A file of the same "
        "role and name is replaced.",
        NULL,
        NULL,
        NULL};
    pki_arguments arguments = {.place_name = "DIR"};
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &arguments, error));
    return issue(&arguments, error);
}

static kf_code pki_revoke(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp_option options[] = {
        {"days", KEY_DAYS, "N", 0, "days until the next list is due (default: 365)", 0},
        {0},
    };
    static const struct argp argp = {
        options,
        parse,
        "DIR [ROLE-NAME|FILE...]",
        "Revokes certificates that were issued under the authorities in DIR: by role and name those that "
        "were issued last, or a certificate's file (a path with a slash). Writes the revocation lists to "
        "DIR/crl.pem: bring that file to the units, which read it again by themselves. Without "
        "certificates the lists are made anew, for when they are due.",
        NULL,
        NULL,
        NULL};
    pki_arguments arguments = {.place_name = "DIR", .takes_more = true};
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &arguments, error));
    return revoke_named(&arguments, error);
}

static kf_code pki_show(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const struct argp argp = {NULL, parse, "FILE", "Shows what the certificates in FILE say.",
                                     NULL, NULL,  NULL};
    pki_arguments arguments = {.place_name = "FILE"};
    KF_TRY(kf_cli_parse(cli, &argp, argc, argv, &arguments, error));
    KF_CLEANUP(kf_buffer_clear) kf_buffer pem = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    KF_TRY(kf_file_read(arguments.place, KF_TLS_FILE_MAX, &pem, error));
    KF_TRY(kf_pki_describe(kf_buffer_view(&pem), time(NULL), &text, error));
    const char *shown = kf_buffer_text(&text);
    if (shown == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    printf("%s", shown);
    return KF_OK;
}

kf_code kf_cli_pki(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_command commands[] = {
        {"init", "make a root and a terminal authority", pki_init},
        {"issue", "issue a certificate for a role", pki_issue},
        {"revoke", "revoke certificates: write the revocation lists", pki_revoke},
        {"show", "show a certificate", pki_show},
    };
    return kf_cli_dispatch(cli, commands, sizeof commands / sizeof commands[0],
                           "A private certificate authority for demonstrations and small installations.",
                           argc, argv, error);
}
