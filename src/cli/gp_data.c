/* `keyfill gp store-data`, `apdu` and `script`: data and commands as they are given. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <keyfill/hex.h>
#include <keyfill/tlv.h>

#include "base/file.h"
#include "cli/client.h"
#include "cli/gp.h"
#include "wire/json.h"

#define DATA_FILE_MAX ((size_t)256 * 1024) /* bytes of text */
#define SCRIPT_FILE_MAX ((size_t)2 * 1024 * 1024)
#define SCRIPT_LINE_MAX 140000 /* characters: an extended command */
#define INS_SELECT 0xA4

/* -- store-data -- */

static kf_code read_data(const kf_gp_options *options, kf_buffer *data, kf_error *error)
{
    const char *path = options->values[KF_GP_DATA_FILE];
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    if (path != NULL) KF_TRY(kf_file_read(path, DATA_FILE_MAX, &text, error));
    kf_buffer_append(&text, kf_gp_word(options, 0));
    if (kf_gp_append_digits(kf_buffer_view(&text), data) != KF_OK)
        return kf_fail(error, KF_ERR_USAGE,
                       "%s%.200s the data is not hexadecimal digits, two a byte; %zu characters came",
                       path == NULL ? "" : path, path == NULL ? "" : ":", text.size);
    return KF_OK;
}

static kf_code format_bits(const kf_gp_options *options, uint8_t *ret_bits, kf_error *error)
{
    const char *format = options->values[KF_GP_FORMAT];
    *ret_bits = 0;
    if (format == NULL || strcmp(format, "none") == 0) return KF_OK;
    if (strcmp(format, "dgi") == 0) *ret_bits = KF_STORE_DATA_DGI;
    if (strcmp(format, "tlv") == 0) *ret_bits = KF_STORE_DATA_BER_TLV;
    if (*ret_bits != 0) return KF_OK;
    return kf_fail(error, KF_ERR_USAGE, "--format %.20s: none, dgi or tlv", format);
}

/* "0070=5F50…" into identifier and value; the value is encrypted where that was asked. */
static kf_code decode_grouping(kf_gp_session *session, const kf_gp_grouping *grouping, kf_buffer *value,
                               uint16_t *ret_identifier, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer bytes = KF_BUFFER_INIT;
    kf_view text = kf_secret_expose(grouping->text);
    const kf_view digits = kf_view_part(text, 5, text.size);
    bool good = text.size > 5 && text.data[4] == '=' &&
                kf_gp_append_digits(kf_view_part(text, 0, 4), &bytes) == KF_OK && bytes.size == 2 &&
                kf_gp_append_digits(digits, &bytes) == KF_OK && bytes.size > 2;
    if (!good)
        return kf_fail(error, KF_ERR_USAGE,
                       "a data grouping is four hexadecimal digits, =, and its value: 0070=5F500101");
    kf_view plain = kf_view_part(kf_buffer_view(&bytes), 2, bytes.size);
    *ret_identifier = (uint16_t)((bytes.data[0] << 8) | bytes.data[1]);
    if (grouping->encrypted)
        return kf_fail_plain(error, kf_gp_encrypt_value(session->channel, plain, true, value));
    kf_buffer_append(value, plain);
    return kf_fail_plain(error, kf_buffer_status(value));
}

static kf_code build_groupings(kf_gp_session *session, kf_command_list *commands, kf_error *error)
{
    const kf_gp_options *options = session->options;
    KF_CLEANUP(kf_command_list_clear) kf_command_list values = {0};
    kf_dgi groupings[KF_GP_GROUPINGS_MAX];
    for (size_t i = 0; i < options->grouping_count; i++) {
        kf_buffer *value = kf_command_list_append(&values);
        if (value == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
        KF_TRY(decode_grouping(session, &options->groupings[i], value, &groupings[i].identifier, error));
        groupings[i].value = kf_buffer_view(value);
        groupings[i].encrypted = options->groupings[i].encrypted;
    }
    const kf_gp_store_data_plan plan = {.dgis = groupings,
                                        .dgi_count = options->grouping_count,
                                        .data_max = kf_gp_session_data_max(session),
                                        .finish = true};
    return kf_fail_plain(error, kf_gp_store_data_chained(&plan, commands));
}

static kf_code build_data(kf_gp_session *session, kf_view data, uint8_t format, kf_command_list *commands,
                          kf_error *error)
{
    if (session->options->grouping_count > 0) return build_groupings(session, commands, error);
    const kf_gp_store_data_stream stream = {
        .data = data, .options = format, .data_max = kf_gp_session_data_max(session), .finish = true};
    return kf_fail_plain(error, kf_gp_store_data_cut(&stream, commands));
}

static kf_code name_receiver(kf_gp_session *session, kf_error *error)
{
    kf_aid receiver;
    KF_TRY(kf_gp_option_aid(session->options, KF_GP_FOR, &receiver, error));
    if (receiver.size == 0) return KF_OK;
    KF_CLEANUP(kf_buffer_clear) kf_buffer apdu = KF_BUFFER_INIT;
    KF_TRY(kf_fail_plain(error, kf_gp_install_for_personalization(kf_aid_view(&receiver), &apdu)));
    const kf_gp_message message = {.label = "INSTALL [for personalization]",
                                   .command = kf_buffer_view(&apdu)};
    return kf_gp_send_expecting_success(session, &message, NULL, error);
}

kf_code kf_gp_run_store_data(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_gp_usage usage = {.groups = KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_KEYS | KF_GP_OPTIONS_DATA,
                                      .arguments = "[HEX]",
                                      .words_max = 1,
                                      .secret_words = true,
                                      .about =
                                          "Sends personalisation data to the security domain, or by --for "
                                          "to an application under it."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    KF_CLEANUP(kf_command_list_clear) kf_command_list commands = {0};
    uint8_t format = 0;
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    size_t ways =
        options.word_count + (options.values[KF_GP_DATA_FILE] != NULL) + (options.grouping_count > 0);
    if (ways != 1)
        return kf_fail(error, KF_ERR_USAGE,
                       "give the data in one way: HEX, --file, or --dgi and --encrypted-dgi");
    KF_TRY(read_data(&options, &data, error));
    if (options.grouping_count == 0 && data.size == 0)
        return kf_fail(error, KF_ERR_USAGE, "there is no data to send");
    KF_TRY(format_bits(&options, &format, error));
    KF_TRY(kf_gp_session_open(&options, KF_GP_AUTHENTICATE, &session, error));
    KF_TRY(build_data(&session, kf_buffer_view(&data), format, &commands, error));
    KF_TRY(name_receiver(&session, error));
    KF_TRY(kf_gp_send_all(&session, "STORE DATA", &commands, error));
    char text[64];
    (void)snprintf(text, sizeof text, "stored; commands sent: %zu", commands.count);
    return kf_gp_print(&options,
                       json_pack("{s:s, s:I}", "done", "store-data", "commands", (json_int_t)commands.count),
                       text, error);
}

/* -- apdu, script -- */

/* A SELECT by name ends the channel, and goes without it (§11.9). */
static void end_channel_by_select(kf_gp_session *session, kf_view command)
{
    if (command.size > 2 && command.data[0] == 0 && command.data[1] == INS_SELECT && command.data[2] == 0x04)
        kf_secure_channel_free(&session->channel);
}

static kf_code exchange(kf_gp_session *session, kf_view command, json_t *answers, uint16_t *ret_status_word,
                        kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer data = KF_BUFFER_INIT;
    end_channel_by_select(session, command);
    const kf_gp_message message = {.label = "APDU", .command = command};
    KF_TRY(kf_gp_send(session, &message, &data, ret_status_word, error));
    char status_word[5];
    (void)snprintf(status_word, sizeof status_word, "%04X", (unsigned)*ret_status_word);
    if (!session->options->cli->json) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer line = KF_BUFFER_INIT;
        kf_buffer_append_hex(&line, kf_buffer_view(&data));
        const char *shown = kf_buffer_text(&line);
        printf("%s%s%s\n", shown == NULL ? "" : shown, data.size > 0 ? " " : "",
               kf_status_word_show(*ret_status_word).text);
        return KF_OK;
    }
    json_t *answer = json_object();
    KF_TRY(kf_fail_plain(error, kf_json_append(answers, answer)));
    KF_TRY(kf_fail_plain(error, kf_json_set_hex(answer, "data", kf_buffer_view(&data))));
    KF_TRY(kf_fail_plain(error, kf_json_set_text(answer, "status_word", status_word)));
    return kf_fail_plain(error,
                         kf_json_set_text(answer, "meaning", kf_status_word_explain(*ret_status_word)));
}

static kf_code decode_command(kf_view text, kf_buffer *command, kf_error *error)
{
    kf_command parsed;
    if (kf_gp_append_digits(text, command) == KF_OK &&
        kf_command_parse(kf_buffer_view(command), &parsed) == KF_OK)
        return KF_OK;
    kf_buffer_truncate(command, 0);
    return kf_fail(
        error, KF_ERR_USAGE,
        "a command is CLA INS P1 P2, then Lc and so many bytes, then Le, in hexadecimal; this one of %zu "
        "characters is not",
        text.size);
}

static kf_code run_words(const kf_gp_options *options, json_t *answers, kf_error *error)
{
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    KF_CLEANUP(kf_command_list_clear) kf_command_list commands = {0};
    for (size_t i = 0; i < options->word_count; i++) {
        kf_buffer *command = kf_command_list_append(&commands);
        if (command == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
        if (decode_command(kf_gp_word(options, i), command, error) != KF_OK)
            return kf_error_prefix(error, "command %zu of %zu", i + 1, options->word_count);
    }
    KF_TRY(kf_gp_session_open(options, KF_GP_CONNECT, &session, error));
    for (size_t i = 0; i < commands.count; i++) {
        uint16_t status_word = 0;
        KF_TRY(exchange(&session, kf_buffer_view(&commands.items[i]), answers, &status_word, error));
    }
    return KF_OK;
}

kf_code kf_gp_run_apdu(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_gp_usage usage = {.groups = KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_KEYS,
                                      .arguments = "HEX [HEX...]",
                                      .words_min = 1,
                                      .words_max = KF_GP_WORDS_MAX,
                                      .secret_words = true,
                                      .about =
                                          "Sends commands and shows the answers, whatever they are. With "
                                          "keys, through a channel with the security domain."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_json_free) json_t *report = json_object();
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    json_t *answers = json_array();
    KF_TRY(kf_fail_plain(error, kf_json_set(report, "answers", answers)));
    KF_TRY(run_words(&options, answers, error));
    return cli->json ? kf_cli_print_json(report, error) : KF_OK;
}

bool kf_gp_status_word_fits(uint16_t status_word, const char *patterns)
{
    char shown[5];
    (void)snprintf(shown, sizeof shown, "%04X", (unsigned)status_word);
    for (const char *at = patterns; *at != '\0';) {
        size_t length = strcspn(at, ", \t");
        bool fits = length == 4;
        for (size_t i = 0; fits && i < length; i++)
            fits = at[i] == 'x' || at[i] == 'X' || toupper((unsigned char)at[i]) == shown[i];
        if (fits) return true;
        at += length;
        at += strspn(at, ", \t");
    }
    return false;
}

kf_code kf_gp_script_line(char *line, kf_buffer *command, const char **ret_patterns, kf_error *error)
{
    static const char usual[] = "9000";
    line[strcspn(line, "#\r\n")] = '\0';
    line += strspn(line, " \t");
    *ret_patterns = usual;
    if (*line == '\0') return KF_OK;
    char *sign = strchr(line, '=');
    if (sign != NULL) {
        *sign = '\0';
        *ret_patterns = sign + 1 + strspn(sign + 1, " \t");
    }
    return decode_command(kf_view_of_text(line), command, error);
}

static bool patterns_are_good(const char *patterns)
{
    size_t count = 0;
    for (const char *at = patterns; *at != '\0'; count++) {
        size_t length = strcspn(at, ", \t");
        if (length != 4 || strspn(at, "0123456789ABCDEFabcdefxX") < 4) return false;
        at += length;
        at += strspn(at, ", \t");
    }
    return count > 0;
}

static kf_code run_line(kf_gp_session *session, char *line, size_t number, json_t *answers, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer command = KF_BUFFER_INIT;
    const char *patterns = NULL;
    uint16_t status_word = 0;
    kf_code code = kf_gp_script_line(line, &command, &patterns, error);
    if (code == KF_OK && command.size == 0) return KF_OK;
    if (code == KF_OK) code = exchange(session, kf_buffer_view(&command), answers, &status_word, error);
    if (code == KF_OK && !kf_gp_status_word_fits(status_word, patterns))
        code = kf_fail_status_word(error, "the script stops", status_word);
    return code == KF_OK ? KF_OK : kf_error_prefix(error, "line %zu", number);
}

/* Takes the next line off `text`, with a zero behind it. */
static kf_code next_line(kf_view *text, size_t number, kf_buffer *line, kf_error *error)
{
    size_t size = 0;
    while (size < text->size && text->data[size] != '\n')
        size++;
    if (size > SCRIPT_LINE_MAX)
        return kf_fail(error, KF_ERR_TOO_LONG, "line %zu is longer than %d characters", number,
                       SCRIPT_LINE_MAX);
    if (size > 0 && memchr(text->data, 0, size) != NULL)
        return kf_fail(error, KF_ERR_USAGE,
                       "line %zu holds a zero byte: the file is no text; nothing was sent", number);
    kf_buffer_append(line, kf_view_part(*text, 0, size));
    kf_buffer_append_u8(line, 0);
    *text = kf_view_part(*text, size + 1, text->size);
    return kf_fail_plain(error, kf_buffer_status(line));
}

static kf_code run_script(kf_gp_session *session, kf_view text, json_t *answers, kf_error *error)
{
    size_t number = 0;
    while (text.size > 0) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer line = KF_BUFFER_INIT;
        number++;
        KF_TRY(next_line(&text, number, &line, error));
        KF_TRY(run_line(session, (char *)line.data, number, answers, error));
    }
    return KF_OK;
}

/* A line that is no command is told before the card is touched. */
static kf_code check_script(kf_view text, kf_error *error)
{
    size_t number = 0;
    while (text.size > 0) {
        KF_CLEANUP(kf_buffer_clear) kf_buffer line = KF_BUFFER_INIT;
        KF_CLEANUP(kf_buffer_clear) kf_buffer command = KF_BUFFER_INIT;
        const char *patterns = NULL;
        number++;
        KF_TRY(next_line(&text, number, &line, error));
        if (kf_gp_script_line((char *)line.data, &command, &patterns, error) != KF_OK)
            return kf_error_prefix(error, "line %zu; nothing was sent", number);
        if (!patterns_are_good(patterns))
            return kf_fail(error, KF_ERR_USAGE,
                           "line %zu; nothing was sent: behind = stand status words such as 9000,61xx, not "
                           "'%.40s'",
                           number, patterns);
    }
    return KF_OK;
}

kf_code kf_gp_run_script(kf_cli *cli, int argc, char **argv, kf_error *error)
{
    static const kf_gp_usage usage = {
        .groups = KF_GP_OPTIONS_CARD | KF_GP_OPTIONS_KEYS,
        .arguments = "FILE",
        .words_min = 1,
        .words_max = 1,
        .about =
            "Sends the commands of a file, one a line in hexadecimal, until one is not answered by 9000, or "
            "by what stands behind it: 80E60C00... = 9000,61xx. What follows # is not looked at."};
    KF_CLEANUP(kf_gp_options_clear) kf_gp_options options = {0};
    KF_CLEANUP(kf_gp_session_close) kf_gp_session session = {0};
    KF_CLEANUP(kf_json_free) json_t *report = json_object();
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    KF_TRY(kf_gp_parse(cli, &usage, argc, argv, &options, error));
    json_t *answers = json_array();
    KF_TRY(kf_fail_plain(error, kf_json_set(report, "answers", answers)));
    KF_TRY(kf_file_read(options.words[0], SCRIPT_FILE_MAX, &text, error));
    if (check_script(kf_buffer_view(&text), error) != KF_OK)
        return kf_error_prefix(error, "%.200s", options.words[0]);
    KF_TRY(kf_gp_session_open(&options, KF_GP_CONNECT, &session, error));
    KF_TRY(run_script(&session, kf_buffer_view(&text), answers, error));
    return cli->json ? kf_cli_print_json(report, error) : KF_OK;
}
