/* `keyfill gp sim`: the files of a SIM or USIM. */
#include <stdio.h>
#include <string.h>

#include <keyfill/card_data.h>
#include <keyfill/hex.h>

#include "cli/client.h"
#include "cli/gp.h"
#include "cli/gp_sim.h"
#include "cli/key.h"
#include "wire/json.h"

#define CHUNK 255        /* bytes of READ and UPDATE BINARY */
#define OFFSET_MAX 32767 /* of READ BINARY */
#define RECORDS_MAX 254
#define NAMES_OF_USIM 7 /* bytes of an AID: RID and application (TS 101 220 annex E) */

static const uint8_t usim[NAMES_OF_USIM] = {0xA0, 0x00, 0x00, 0x00, 0x87, 0x10, 0x02};

/* Data of a GET RESPONSE kind are put together by the reader. */
static kf_code ask(kf_gp_session *session, const char *label, const kf_buffer *apdu, kf_buffer *data,
                   kf_error *error)
{
    const kf_gp_message message = {.label = label, .command = kf_buffer_view(apdu)};
    return kf_gp_send_expecting_success(session, &message, data, error);
}

/* -- codes -- */

typedef struct sim_code {
    const char *name;
    uint8_t reference;
    kf_gp_secret_option secret;
    kf_gp_option file;
} sim_code;

static const sim_code codes[] = {{"PIN1", KF_SIM_PIN1, KF_GP_PIN, KF_GP_PIN_FILE},
                                 {"ADM1", KF_SIM_ADM1, KF_GP_ADM, KF_GP_ADM_FILE}};

static kf_code ask_tries(kf_gp_session *session, const sim_code *which, uint16_t *ret_status_word,
                         kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    char label[48];
    (void)snprintf(label, sizeof label, "VERIFY %s (tries left)", which->name);
    KF_TRY(kf_fail_plain(error, kf_sim_verify_tries(which->reference, &apdu)));
    const kf_gp_message message = {.label = label, .command = kf_buffer_view(&apdu)};
    return kf_gp_send(session, &message, NULL, ret_status_word, error);
}

/* Digits as they are typed; 16 hexadecimal digits are 8 bytes. */
static kf_code decode_code(const sim_code *which, kf_view text, kf_buffer *bytes, kf_error *error)
{
    if (text.size == (size_t)2 * KF_SIM_SECRET_SIZE && kf_gp_append_digits(text, bytes) == KF_OK &&
        bytes->size == KF_SIM_SECRET_SIZE)
        return KF_OK;
    kf_buffer_truncate(bytes, 0);
    if (text.size == 0 || text.size > KF_SIM_SECRET_SIZE)
        return kf_fail(
            error, KF_ERR_USAGE,
            "%s of %zu characters: up to 8 digits are wanted, or 16 in hexadecimal; nothing was sent",
            which->name, text.size);
    kf_buffer_append(bytes, text);
    return kf_fail_plain(error, kf_buffer_status(bytes));
}

static kf_code send_code(kf_gp_session *session, const sim_code *which, kf_view secret, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    uint16_t status_word = 0;
    char label[32];
    (void)snprintf(label, sizeof label, "VERIFY %s", which->name);
    KF_TRY(kf_fail_plain(error, kf_sim_verify(which->reference, secret, &apdu)));
    const kf_gp_message message = {.label = label, .command = kf_buffer_view(&apdu)};
    KF_TRY(kf_gp_send(session, &message, NULL, &status_word, error));
    kf_sim_tries tries = kf_sim_tries_of(status_word);
    if (tries.verified) return KF_OK;
    if (tries.blocked)
        return kf_fail(error, KF_ERR_STATE, "%s was wrong, and is blocked now: no tries are left",
                       which->name);
    if (tries.told)
        return kf_fail(error, KF_ERR_STATE, "%s was wrong: %u tries are left; it was tried once and no more",
                       which->name, tries.left);
    return kf_fail_status_word(error, label, status_word);
}

/* Never more than one try; the tries left are asked first, and the last one is not used unless forced. */
static kf_code verify(kf_gp_session *session, const sim_code *which, kf_error *error)
{
    const kf_gp_options *options = session->options;
    KF_CLEANUP(kf_secret_free) kf_secret *line = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    const kf_secret *typed = options->secrets[which->secret];
    const char *path = options->values[which->file];
    uint16_t status_word = 0;
    if (typed != NULL && path != NULL) return kf_fail(error, KF_ERR_USAGE, "%s is given twice", which->name);
    if (typed == NULL && path == NULL) return KF_OK;
    if (typed == NULL) KF_TRY(kf_cli_secret_line(path, which->name, &line, error));
    KF_TRY(decode_code(which, kf_secret_expose(typed != NULL ? typed : line), &bytes, error));
    KF_TRY(ask_tries(session, which, &status_word, error));
    KF_TRY(kf_sim_verify_permitted(which->name, status_word, options->values[KF_GP_FORCE] != NULL, error));
    kf_sim_tries tries = kf_sim_tries_of(status_word);
    if (tries.told) (void)fprintf(stderr, "%s: %u tries are left\n", which->name, tries.left);
    return send_code(session, which, kf_buffer_view(&bytes), error);
}

/* -- files -- */

/* Of EF.DIR, unless it was given. */
static kf_code find_usim(kf_gp_session *session, kf_aid *ret_aid, kf_error *error)
{
    static const uint16_t directory[] = {KF_FILE_DIR};
    KF_TRY(kf_gp_option_aid(session->options, KF_GP_APPLICATION, ret_aid, error));
    if (ret_aid->size > 0) return KF_OK;
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer fcp = KF_BUFFER_INIT;
    kf_sim_file file;
    KF_TRY(kf_fail_plain(error, kf_sim_select_path(directory, 1, &apdu)));
    KF_TRY(ask(session, "SELECT EF.DIR", &apdu, &fcp, error));
    KF_TRY(kf_fail_plain(error, kf_sim_file_parse(kf_buffer_view(&fcp), &file)));
    for (size_t i = 1; i <= file.record_count && i <= RECORDS_MAX; i++) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer read = KF_BUFFER_INIT;
        KF_CLEANUP(kf_buffer_clear) kf_buffer record = KF_BUFFER_INIT;
        kf_application_template application;
        KF_TRY(kf_fail_plain(error, kf_sim_read_record((uint8_t)i, file.record_size, &read)));
        KF_TRY(ask(session, "READ RECORD EF.DIR", &read, &record, error));
        kf_cursor cursor = kf_cursor_of(kf_buffer_view(&record));
        if (kf_application_next(&cursor, &application) != KF_OK || application.aid.size < sizeof usim)
            continue;
        if (memcmp(application.aid.data, usim, sizeof usim) != 0) continue;
        return kf_fail_plain(error, kf_aid_from_view(application.aid, ret_aid));
    }
    return kf_fail(error, KF_ERR_NOT_FOUND, "EF.DIR names no USIM; give --application");
}

static kf_code select_in_application(kf_gp_session *session, const kf_gp_sim_path *path, kf_buffer *fcp,
                                     kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer select = KF_BUFFER_INIT;
    kf_aid aid;
    KF_TRY(find_usim(session, &aid, error));
    KF_TRY(kf_fail_plain(error, kf_sim_select_application(kf_aid_view(&aid), &select)));
    KF_TRY(ask(session, "SELECT USIM", &select, fcp, error));
    for (size_t i = 1; i < path->count; i++) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
        kf_buffer_truncate(fcp, 0);
        KF_TRY(kf_fail_plain(error, kf_sim_select_file(path->identifiers[i], &apdu)));
        KF_TRY(ask(session, "SELECT file", &apdu, fcp, error));
    }
    return KF_OK;
}

static kf_code select_file(kf_gp_session *session, const kf_gp_sim_path *path, kf_buffer *fcp,
                           kf_sim_file *ret_file, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    if (path->count > 0 && path->identifiers[0] == KF_FILE_ADF) {
        KF_TRY(select_in_application(session, path, fcp, error));
    } else {
        KF_TRY(kf_fail_plain(error, kf_sim_select_path(path->identifiers, path->count, &apdu)));
        KF_TRY(ask(session, "SELECT file", &apdu, fcp, error));
    }
    if (kf_sim_file_parse(kf_buffer_view(fcp), ret_file) == KF_OK) return KF_OK;
    return kf_fail(error, KF_ERR_CARD_DATA, "SELECT: the card's answer %s is no file control parameters",
                   kf_hex_show(kf_buffer_view(fcp)).text);
}

static bool has_records(const kf_sim_file *file)
{
    return file->structure == KF_SIM_LINEAR_FIXED || file->structure == KF_SIM_CYCLIC;
}

static kf_code read_bytes(kf_gp_session *session, size_t offset, size_t size, kf_buffer *content,
                          kf_error *error)
{
    for (size_t done = 0; done < size; done += CHUNK) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
        size_t part = size - done < CHUNK ? size - done : CHUNK;
        KF_TRY(kf_fail_plain(error, kf_sim_read_binary((uint16_t)(offset + done), part, &apdu)));
        KF_TRY(ask(session, "READ BINARY", &apdu, content, error));
    }
    return KF_OK;
}

static kf_code read_one_record(kf_gp_session *session, unsigned long number, const kf_sim_file *file,
                               kf_buffer *content, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    KF_TRY(kf_fail_plain(error, kf_sim_read_record((uint8_t)number, file->record_size, &apdu)));
    return ask(session, "READ RECORD", &apdu, content, error);
}

/* -- read, show -- */

static const char *structure_text(kf_sim_structure structure)
{
    switch (structure) {
    case KF_SIM_DIRECTORY: return "directory";
    case KF_SIM_TRANSPARENT: return "transparent";
    case KF_SIM_LINEAR_FIXED: return "linear fixed";
    case KF_SIM_CYCLIC: return "cyclic";
    case KF_SIM_OTHER: break;
    }
    return "other";
}

static kf_code add_content(const kf_gp_sim_form *form, kf_view content, size_t record, json_t *rows)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    json_t *row = json_object();
    KF_TRY(kf_json_append(rows, row));
    if (record > 0) KF_TRY(kf_json_set_integer(row, "record", (int64_t)record));
    KF_TRY(kf_json_set_hex(row, "content", content));
    /* What is not of that form is shown by its bytes alone. */
    if (form == NULL || form->decode == NULL || form->decode(content, &text) != KF_OK) return KF_OK;
    const char *shown = kf_buffer_text(&text);
    return kf_json_set_text(row, "value", shown == NULL ? "" : shown);
}

static kf_code read_file(kf_gp_session *session, const kf_gp_sim_path *path, const kf_sim_file *file,
                         json_t *rows, kf_error *error)
{
    const kf_gp_options *options = session->options;
    const kf_gp_sim_form *form = kf_gp_sim_form_of(path);
    unsigned long record = 0;
    unsigned long offset = 0;
    KF_TRY(kf_gp_option_number(options, KF_GP_RECORD, RECORDS_MAX, &record, error));
    KF_TRY(kf_gp_option_number(options, KF_GP_OFFSET, OFFSET_MAX, &offset, error));
    if (file->structure == KF_SIM_TRANSPARENT) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer content = KF_BUFFER_INIT;
        if (offset >= file->size && offset > 0)
            return kf_fail(error, KF_ERR_USAGE, "--offset %lu: the file has %zu bytes", offset, file->size);
        KF_TRY(read_bytes(session, offset, file->size - offset, &content, error));
        return kf_fail_plain(error,
                             add_content(offset == 0 ? form : NULL, kf_buffer_view(&content), 0, rows));
    }
    if (!has_records(file)) return KF_OK;
    if (record > file->record_count)
        return kf_fail(error, KF_ERR_USAGE, "--record %lu: the file has %zu records", record,
                       file->record_count);
    for (size_t i = record > 0 ? record : 1; i <= (record > 0 ? record : file->record_count); i++) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer content = KF_BUFFER_INIT;
        KF_TRY(read_one_record(session, i, file, &content, error));
        KF_TRY(kf_fail_plain(error, add_content(form, kf_buffer_view(&content), i, rows)));
    }
    return KF_OK;
}

static void print_rows(const json_t *rows)
{
    size_t index;
    const json_t *row;
    json_array_foreach(rows, index, row)
    {
        const json_t *record = json_object_get(row, "record");
        if (record != NULL) printf("%" JSON_INTEGER_FORMAT "  ", json_integer_value(record));
        printf("%s", kf_cli_text(row, "content"));
        if (kf_cli_text(row, "value")[0] != '\0') printf("  %s", kf_cli_text(row, "value"));
        printf("\n");
    }
}

static kf_code open_sim(const kf_gp_options *options, kf_gp_session *session, kf_error *error)
{
    KF_TRY(kf_gp_session_open(options, KF_GP_CONNECT, session, error));
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        KF_TRY(verify(session, &codes[i], error));
    return KF_OK;
}

static kf_code run_read(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_gp_usage usage = {
        .groups = KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_SIM | KF_GP_OPTIONS_SIM_FILE,
        .arguments = "FILE",
        .words_min = 1,
        .words_max = 1,
        .about = "Reads a file: identifiers such as 7F20/6F07, or a name such as iccid."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    KF_CLEANUP(kf_json_free) json_t *report = json_object();
    KF_CLEANUP(kf_buffer_clear) kf_buffer fcp = KF_BUFFER_INIT;
    kf_gp_sim_path path;
    kf_sim_file file;
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    KF_TRY(kf_gp_sim_path_parse(kf_gp_word(&options, 0), &path, error));
    KF_TRY(open_sim(&options, &session, error));
    KF_TRY(select_file(&session, &path, &fcp, &file, error));
    json_t *rows = json_array();
    KF_TRY(kf_fail_plain(error, kf_json_set(report, "content", rows)));
    KF_TRY(kf_fail_plain(error, kf_json_set_text(report, "structure", structure_text(file.structure))));
    KF_TRY(kf_fail_plain(error, kf_json_set_integer(report, "size", (int64_t)file.size)));
    KF_TRY(kf_fail_plain(error, kf_json_set_integer(report, "record_size", (int64_t)file.record_size)));
    KF_TRY(kf_fail_plain(error, kf_json_set_integer(report, "records", (int64_t)file.record_count)));
    KF_TRY(kf_fail_plain(error, kf_json_set_hex(report, "fcp", kf_buffer_view(&fcp))));
    KF_TRY(read_file(&session, &path, &file, rows, error));
    if (cli->json) return kf_cli_print_json(report, error);
    if (file.structure == KF_SIM_DIRECTORY) printf("directory; FCP %s\n", kf_cli_text(report, "fcp"));
    print_rows(rows);
    return KF_OK;
}

/* A file that is not there, or not to be read, is said and does not keep the others from being shown. */
static kf_code show_file(kf_gp_session *session, const char *name, json_t *rows, kf_error *error)
{
    kf_error reason = {KF_OK, ""};
    KF_CLEANUP(kf_buffer_clear) kf_buffer fcp = KF_BUFFER_INIT;
    KF_CLEANUP(kf_json_free) json_t *contents = json_array();
    size_t index;
    json_t *content;
    kf_gp_sim_path path;
    kf_sim_file file;
    KF_TRY(kf_gp_sim_path_parse(kf_view_of_text(name), &path, error));
    kf_code code = select_file(session, &path, &fcp, &file, &reason);
    if (code == KF_OK) code = read_file(session, &path, &file, contents, &reason);
    if (code != KF_OK && code != KF_ERR_STATUS_WORD && code != KF_ERR_NOT_FOUND)
        return kf_fail(error, code, "%s", kf_error_text(&reason));
    if (code != KF_OK) {
        json_t *row = json_object();
        KF_TRY(kf_fail_plain(error, kf_json_append(rows, row)));
        KF_TRY(kf_fail_plain(error, kf_json_set_text(row, "file", name)));
        return kf_fail_plain(error, kf_json_set_text(row, "not_readable", kf_error_text(&reason)));
    }
    json_array_foreach(contents, index, content)
    {
        KF_TRY(kf_fail_plain(error, kf_json_set_text(content, "file", name)));
        KF_TRY(kf_fail_plain(error, kf_json_append(rows, json_incref(content))));
    }
    return KF_OK;
}

static kf_code run_show(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const char *const names[] = {"iccid", "imsi",          "msisdn",    "spn",
                                        "acc",   "plmn-selector", "home-plmn", "forbidden-plmn"};
    static const char *const columns[] = {"file", "record", "value", "content", "not_readable", NULL};
    static const kf_gp_usage usage = {.groups = KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_SIM,
                                      .about = "Shows the files that name the card and its networks, and how "
                                               "many tries its codes have left."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    KF_CLEANUP(kf_json_free) json_t *report = json_object();
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    KF_TRY(open_sim(&options, &session, error));
    json_t *rows = json_array();
    json_t *tries = json_object();
    kf_code code = kf_json_set(report, "files", rows);
    KF_TRY(kf_fail_plain(error, kf_json_set(report, "tries", tries)));
    KF_TRY(kf_fail_plain(error, code));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        KF_TRY(show_file(&session, names[i], rows, error));
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        uint16_t status_word = 0;
        KF_TRY(ask_tries(&session, &codes[i], &status_word, error));
        KF_TRY(kf_fail_plain(error,
                             kf_json_set_text(tries, codes[i].name, kf_status_word_show(status_word).text)));
    }
    if (cli->json) return kf_cli_print_json(report, error);
    kf_cli_print_table(rows, columns);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        printf("%s: %s\n", codes[i].name, kf_cli_text(tries, codes[i].name));
    return KF_OK;
}

/* -- update -- */

typedef struct change {
    kf_sim_file file;
    unsigned long record; /* 0: a file without records */
    unsigned long offset;
    kf_buffer content;
} change;

static void change_clear(change *planned)
{
    kf_buffer_clear(&planned->content);
}

static kf_code read_content(const kf_gp_options *options, const kf_gp_sim_path *path, change *planned,
                            kf_error *error)
{
    kf_view word = kf_gp_word(options, 1);
    size_t size = has_records(&planned->file) ? planned->file.record_size : planned->file.size;
    if (options->values[KF_GP_AS_TEXT] == NULL) {
        if (kf_gp_append_digits(word, &planned->content) != KF_OK || planned->content.size == 0)
            return kf_fail(
                error, KF_ERR_USAGE,
                "the new content is not hexadecimal digits, two a byte (--text says it otherwise)");
        return KF_OK;
    }
    const kf_gp_sim_form *form = kf_gp_sim_form_of(path);
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    kf_buffer_append(&text, word);
    const char *shown = kf_buffer_text(&text);
    if (shown == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    if (form == NULL || form->encode == NULL)
        return kf_fail(error, KF_ERR_USAGE,
                       "--text: that file's form is not known here; iccid, imsi, msisdn and spn are");
    if (form->encode(shown, size, &planned->content) == KF_OK) return KF_OK;
    return kf_fail(error, KF_ERR_USAGE, "'%.40s' is no content for %s of %zu bytes", shown, form->name, size);
}

static kf_code plan_change(kf_gp_session *session, const kf_gp_sim_path *path, change *planned,
                           kf_error *error)
{
    const kf_gp_options *options = session->options;
    const kf_sim_file *file = &planned->file;
    KF_TRY(kf_gp_option_number(options, KF_GP_RECORD, RECORDS_MAX, &planned->record, error));
    KF_TRY(kf_gp_option_number(options, KF_GP_OFFSET, OFFSET_MAX, &planned->offset, error));
    if (!has_records(file) && file->structure != KF_SIM_TRANSPARENT)
        return kf_fail(error, KF_ERR_USAGE, "a %s cannot be written", structure_text(file->structure));
    if (has_records(file) != (planned->record > 0))
        return kf_fail(error, KF_ERR_USAGE,
                       has_records(file) ? "--record is needed: the file has %zu records"
                                         : "--record: the file has none, but %zu bytes",
                       has_records(file) ? file->record_count : file->size);
    KF_TRY(read_content(options, path, planned, error));
    if (has_records(file) &&
        (planned->record > file->record_count || planned->content.size != file->record_size))
        return kf_fail(error, KF_ERR_USAGE,
                       "%zu bytes for record %lu: the file has %zu records of %zu bytes; nothing was written",
                       planned->content.size, planned->record, file->record_count, file->record_size);
    if (!has_records(file) && planned->offset + planned->content.size > file->size)
        return kf_fail(error, KF_ERR_USAGE,
                       "%zu bytes from %lu on: the file has %zu bytes; nothing was written",
                       planned->content.size, planned->offset, file->size);
    return KF_OK;
}

static kf_code write_content(kf_gp_session *session, const change *planned, kf_error *error)
{
    if (planned->record > 0) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
        KF_TRY(kf_fail_plain(
            error, kf_sim_update_record((uint8_t)planned->record, kf_buffer_view(&planned->content), &apdu)));
        return ask(session, "UPDATE RECORD", &apdu, NULL, error);
    }
    for (size_t done = 0; done < planned->content.size; done += CHUNK) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
        kf_view part = kf_view_part(kf_buffer_view(&planned->content), done, CHUNK);
        KF_TRY(kf_fail_plain(error, kf_sim_update_binary((uint16_t)(planned->offset + done), part, &apdu)));
        KF_TRY(ask(session, "UPDATE BINARY", &apdu, NULL, error));
    }
    return KF_OK;
}

static kf_code check_content(kf_gp_session *session, const change *planned, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer found = KF_BUFFER_INIT;
    if (planned->file.structure == KF_SIM_CYCLIC) return KF_OK; /* what was written is record 1 then */
    KF_TRY(planned->record > 0 ? read_one_record(session, planned->record, &planned->file, &found, error)
                               : read_bytes(session, planned->offset, planned->content.size, &found, error));
    if (kf_view_equal(kf_buffer_view(&found), kf_buffer_view(&planned->content))) return KF_OK;
    return kf_fail(error, KF_ERR_CARD_DATA, "the card took the new content, but has other content when read");
}

static kf_code run_update(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_gp_usage usage = {.groups =
                                          KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_SIM | KF_GP_OPTIONS_SIM_FILE,
                                      .arguments = "FILE CONTENT",
                                      .words_min = 2,
                                      .words_max = 2,
                                      .secret_words = true,
                                      .about = "Writes a file, mostly after --adm1, and reads it back."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    KF_CLEANUP(kf_buffer_clear) kf_buffer fcp = KF_BUFFER_INIT;
    KF_CLEANUP(change_clear) change planned = {.content = KF_BUFFER_INIT};
    kf_gp_sim_path path;
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    KF_TRY(kf_gp_sim_path_parse(kf_gp_word(&options, 0), &path, error));
    KF_TRY(open_sim(&options, &session, error));
    KF_TRY(select_file(&session, &path, &fcp, &planned.file, error));
    KF_TRY(plan_change(&session, &path, &planned, error));
    KF_TRY(write_content(&session, &planned, error));
    KF_TRY(check_content(&session, &planned, error));
    char text[64];
    (void)snprintf(text, sizeof text, "written: %zu bytes", planned.content.size);
    return kf_gp_print(
        &options, json_pack("{s:s, s:I}", "done", "sim update", "bytes", (json_int_t)planned.content.size),
        text, error);
}

kf_code kf_gp_run_sim(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_cli_command commands[] = {
        {"show", "the files that name the card and its networks, and the tries of its codes", run_show},
        {"read", "read a file", run_read},
        {"update", "write a file", run_update},
    };
    return kf_cli_dispatch(cli, commands, sizeof commands / sizeof commands[0],
                           "Reads and writes the files of a SIM in a reader of this machine.", argc, argv,
                           error);
}
