/* Keys as the command line gives them: hexadecimal, from a file, or diversified from a master key. */
#include <string.h>

#include <keyfill/hex.h>

#include "cli/gp.h"
#include "cli/key.h"

typedef struct named_method {
    const char *name;
    const char *line;
} named_method;

static const named_method methods[] = {
    {"visa2", "visa2(kdd/hex/10,role)"},
    {"emv-cps", "emv-cps(kdd/hex/10,role)"},
    {"kdf3", "kdf3(kdd/hex/10,role)"},
    {"none", "none()"},
};

void kf_gp_keys_clear(kf_gp_keys *keys)
{
    kf_secret_free(&keys->enc);
    kf_secret_free(&keys->mac);
    kf_secret_free(&keys->dek);
}

kf_key_set kf_gp_keys_view(const kf_gp_keys *keys)
{
    return (kf_key_set){.enc = keys->enc, .mac = keys->mac, .dek = keys->dek};
}

void kf_gp_key_source_clear(kf_gp_key_source *source)
{
    kf_gp_keys_clear(&source->base);
    kf_diversification_free(&source->diversification);
}

/* One key of the text, between colons. */
static kf_code decode_key(kf_view digits, kf_secret **ret_key, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer text = KF_BUFFER_INIT;
    kf_buffer_append(&text, digits);
    const char *shown = kf_buffer_text(&text);
    if (shown == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    KF_CLEANUP(kf_secret_free) kf_secret *key = NULL;
    kf_code code = kf_hex_decode_secret(shown, &key);
    if (code == KF_ERR_SECRET_MEMORY || code == KF_ERR_MEMORY) return kf_fail_plain(error, code);
    size_t size = key == NULL ? 0 : kf_secret_size(key);
    if (size != 16 && size != 24 && size != 32)
        return kf_fail(
            error, KF_ERR_USAGE,
            "a key of %zu characters: 32, 48 or 64 hexadecimal digits are wanted, or three such keys "
            "with colons between (ENC:MAC:DEK)",
            digits.size);
    *ret_key = key;
    key = NULL; /* the caller's from here on */
    return KF_OK;
}

static kf_view up_to_colon(kf_view *rest)
{
    size_t size = 0;
    while (size < rest->size && rest->data[size] != ':')
        size++;
    kf_view part = kf_view_part(*rest, 0, size);
    *rest = kf_view_part(*rest, size + 1, rest->size);
    return part;
}

static kf_code decode_keys(const kf_secret *text, kf_gp_keys *ret_keys, kf_error *error)
{
    kf_view rest = kf_secret_expose(text);
    KF_CLEANUP(kf_gp_keys_clear) kf_gp_keys keys = {0};
    KF_TRY(decode_key(up_to_colon(&rest), &keys.enc, error));
    if (rest.size == 0) {
        KF_TRY(kf_fail_plain(error, kf_secret_copy(keys.enc, &keys.mac)));
        KF_TRY(kf_fail_plain(error, kf_secret_copy(keys.enc, &keys.dek)));
    } else {
        KF_TRY(decode_key(up_to_colon(&rest), &keys.mac, error));
        KF_TRY(decode_key(up_to_colon(&rest), &keys.dek, error));
        if (rest.size > 0) return kf_fail(error, KF_ERR_USAGE, "more than three keys with colons between");
    }
    if (kf_secret_size(keys.mac) != kf_secret_size(keys.enc) ||
        kf_secret_size(keys.dek) != kf_secret_size(keys.enc))
        return kf_fail(error, KF_ERR_USAGE, "the keys ENC:MAC:DEK are not of one size");
    *ret_keys = keys;
    memset(&keys, 0, sizeof keys); /* the caller's from here on */
    return KF_OK;
}

static kf_code parse_method(const char *text, kf_diversification **ret_diversification, kf_error *error)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(methods[i].name, text) == 0) text = methods[i].line;
    return kf_diversification_parse(text, ret_diversification, error);
}

typedef struct source_options {
    kf_gp_secret_option key;
    kf_gp_secret_option master;
    kf_gp_option key_file;
    kf_gp_option master_file;
    kf_gp_option diversify;
    const char *prefix;
} source_options;

static const source_options present_source = {KF_GP_KEY,         KF_GP_MASTER,    KF_GP_KEY_FILE,
                                              KF_GP_MASTER_FILE, KF_GP_DIVERSIFY, "--"};
static const source_options fresh_source = {KF_GP_NEW_KEY,         KF_GP_NEW_MASTER,    KF_GP_NEW_KEY_FILE,
                                            KF_GP_NEW_MASTER_FILE, KF_GP_NEW_DIVERSIFY, "--new-"};

static kf_code read_text(const kf_secret *typed, const char *path, kf_gp_keys *ret_keys, kf_error *error)
{
    if (typed != NULL) return decode_keys(typed, ret_keys, error);
    KF_CLEANUP(kf_secret_free) kf_secret *line = NULL;
    KF_TRY(kf_cli_secret_line(path, "the key", &line, error));
    return decode_keys(line, ret_keys, error);
}

kf_code kf_gp_key_source_read(const kf_gp_options *options, bool fresh, kf_gp_key_source *ret_source,
                              kf_error *error)
{
    const source_options *from = fresh ? &fresh_source : &present_source;
    const kf_secret *key = options->secrets[from->key];
    const kf_secret *master = options->secrets[from->master];
    const char *key_file = options->values[from->key_file];
    const char *master_file = options->values[from->master_file];
    const char *method = options->values[from->diversify];
    int given = (key != NULL) + (master != NULL) + (key_file != NULL) + (master_file != NULL);
    if (given > 1)
        return kf_fail(error, KF_ERR_USAGE, "%skey, %skey-file, %smaster and %smaster-file: give one of them",
                       from->prefix, from->prefix, from->prefix, from->prefix);
    bool diversified = master != NULL || master_file != NULL;
    if (diversified != (method != NULL))
        return kf_fail(error, KF_ERR_USAGE, "%smaster and %sdiversify belong together", from->prefix,
                       from->prefix);
    if (given == 0) return KF_OK;
    KF_CLEANUP(kf_gp_key_source_clear) kf_gp_key_source source = {0};
    if (diversified) KF_TRY(parse_method(method, &source.diversification, error));
    KF_TRY(read_text(diversified ? master : key, diversified ? master_file : key_file, &source.base, error));
    *ret_source = source;
    memset(&source, 0, sizeof source); /* the caller's from here on */
    return KF_OK;
}

kf_code kf_gp_key_source_resolve(const kf_gp_options *options, const kf_gp_key_source *source,
                                 kf_algorithm algorithm, kf_view diversification_data, kf_gp_keys *ret_keys,
                                 kf_error *error)
{
    const kf_secret *base[3] = {source->base.enc, source->base.mac, source->base.dek};
    KF_CLEANUP(kf_gp_keys_clear) kf_gp_keys keys = {0};
    kf_secret **places[3] = {&keys.enc, &keys.mac, &keys.dek};
    kf_field fields[KF_GP_FIELDS_MAX + 1];
    kf_hex_text shown = kf_hex_show(diversification_data);
    size_t count = options->field_count;
    memcpy(fields, options->fields, sizeof options->fields);
    fields[count++] = (kf_field){.name = "kdd", .value = shown.text};
    for (int i = 0; i < 3; i++) {
        if (source->diversification == NULL)
            KF_TRY(kf_fail_plain(error, kf_secret_copy(base[i], places[i])));
        else
            KF_TRY(kf_diversify(source->diversification, algorithm, base[i],
                                (kf_fields){.items = fields, .count = count}, (kf_key_role)(KF_ROLE_ENC + i),
                                places[i], error));
    }
    *ret_keys = keys;
    memset(&keys, 0, sizeof keys); /* the caller's from here on */
    return KF_OK;
}

kf_code kf_gp_keys_describe(const kf_gp_keys *keys, kf_algorithm algorithm, kf_buffer *text)
{
    const kf_secret *each[3] = {keys->enc, keys->mac, keys->dek};
    size_t size = kf_secret_size(keys->enc);
    if (algorithm == KF_AES)
        kf_buffer_format(text, "AES-%zu, check values", 8 * size);
    else
        kf_buffer_format(text, "3DES of %zu bytes, check values", size);
    for (size_t i = 0; i < 3; i++) {
        kf_kcv kcv;
        KF_TRY(kf_kcv_compute(algorithm, each[i], KF_KCV_GLOBALPLATFORM, &kcv));
        kf_buffer_format(text, " %s", kf_kcv_show(kcv).text);
    }
    return kf_buffer_status(text);
}
