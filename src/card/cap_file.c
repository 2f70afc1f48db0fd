/* Java Card Virtual Machine Specification §6: the CAP file. */
#include <keyfill/cap_file.h>

#include <stdlib.h>
#include <string.h>
#include <zip.h>

#define CAP_MAGIC 0xDECAFFEDu

/* Component tags (table 6-3), in the order in which a card loads them (§6.4). */
enum {
    HEADER,
    DIRECTORY,
    IMPORT,
    APPLET,
    CLASS,
    METHOD,
    STATIC_FIELD,
    EXPORT,
    CONSTANT_POOL,
    REFERENCE_LOCATION,
    COMPONENT_COUNT
};

static const struct {
    const char *name;
    uint8_t tag;
    bool required;
} components[COMPONENT_COUNT] = {
    [HEADER] = {"Header.cap", 1, true},
    [DIRECTORY] = {"Directory.cap", 2, true},
    [IMPORT] = {"Import.cap", 4, true},
    [APPLET] = {"Applet.cap", 3, false},
    [CLASS] = {"Class.cap", 6, true},
    [METHOD] = {"Method.cap", 7, true},
    [STATIC_FIELD] = {"StaticField.cap", 8, true},
    [EXPORT] = {"Export.cap", 10, false},
    [CONSTANT_POOL] = {"ConstantPool.cap", 5, true},
    [REFERENCE_LOCATION] = {"RefLocation.cap", 9, true},
};

struct kf_cap_file {
    kf_aid package_aid;
    uint8_t package_major;
    uint8_t package_minor;
    uint16_t format_version;
    size_t applet_count;
    kf_aid applets[KF_CAP_APPLETS_MAX];
    size_t import_count;
    kf_cap_import imports[KF_CAP_IMPORTS_MAX];
    kf_cap_sizes sizes;
    kf_buffer load_data;
};

/* What is read from the archive: the bytes of each component, empty where it is missing. */
typedef struct cap_components {
    kf_buffer items[COMPONENT_COUNT];
} cap_components;

static void components_clear(cap_components *read)
{
    for (size_t i = 0; i < COMPONENT_COUNT; i++)
        kf_buffer_clear(&read->items[i]);
}

static void archive_discard(zip_t **archive)
{
    if (*archive != NULL) zip_discard(*archive);
}

static kf_code open_archive(kf_view bytes, zip_t **ret_archive, kf_error *error)
{
    zip_error_t reason;
    zip_error_init(&reason);
    zip_t *archive = NULL;
    zip_source_t *source = zip_source_buffer_create(bytes.data, bytes.size, 0, &reason);
    if (source != NULL) archive = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &reason);
    if (archive == NULL) {
        kf_code code = kf_fail(
            error, KF_ERR_CAP_FILE,
            "not a readable zip archive (%s): a CAP file as the Java Card converter makes it is wanted",
            zip_error_strerror(&reason));
        if (source != NULL) zip_source_free(source);
        zip_error_fini(&reason);
        return code;
    }
    zip_error_fini(&reason);
    *ret_archive = archive;
    return KF_OK;
}

/* Index in `components` of the file's name without its folders; COMPONENT_COUNT for another file. */
static size_t component_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    size_t i = 0;
    while (i < COMPONENT_COUNT && strcmp(components[i].name, name) != 0)
        i++;
    return i;
}

/* `size` is what the directory says; the reading is bounded by it whatever the file unpacks to. */
static kf_code read_entry(zip_t *archive, zip_uint64_t index, size_t size, kf_buffer *content)
{
    zip_file_t *file = zip_fopen_index(archive, index, 0);
    if (file == NULL) return KF_ERR_CAP_FILE;
    uint8_t *output = kf_buffer_extend(content, size);
    kf_code code = output == NULL ? kf_buffer_status(content) : KF_OK;
    size_t done = 0;
    while (code == KF_OK && done < size) {
        zip_int64_t got = zip_fread(file, output + done, size - done);
        if (got <= 0)
            code = KF_ERR_CAP_FILE;
        else
            done += (size_t)got;
    }
    uint8_t further;
    /* Reading to the end also makes libzip check the CRC. */
    if (code == KF_OK && zip_fread(file, &further, 1) != 0) code = KF_ERR_CAP_FILE;
    if (zip_fclose(file) != 0 && code == KF_OK) code = KF_ERR_CAP_FILE;
    return code;
}

/* §6.1: tag, size of what follows, content. */
static kf_code check_component(size_t component, kf_view content, kf_error *error)
{
    kf_cursor cursor = kf_cursor_of(content);
    uint8_t tag;
    uint16_t size;
    if (kf_cursor_u8(&cursor, &tag) != KF_OK || kf_cursor_u16(&cursor, &size) != KF_OK)
        return kf_fail(error, KF_ERR_CAP_FILE, "%s: %zu bytes are no component", components[component].name,
                       content.size);
    if (tag != components[component].tag)
        return kf_fail(error, KF_ERR_CAP_FILE, "%s: its tag is %u instead of %u", components[component].name,
                       (unsigned)tag, (unsigned)components[component].tag);
    if (size != cursor.rest.size)
        return kf_fail(error, KF_ERR_CAP_FILE, "%s: says that %u bytes follow, %zu do",
                       components[component].name, (unsigned)size, cursor.rest.size);
    return KF_OK;
}

static kf_code read_component(zip_t *archive, zip_uint64_t index, cap_components *read, kf_error *error)
{
    zip_stat_t stat;
    if (zip_stat_index(archive, index, 0, &stat) != 0 || (stat.valid & ZIP_STAT_NAME) == 0 ||
        (stat.valid & ZIP_STAT_SIZE) == 0)
        return kf_fail(error, KF_ERR_CAP_FILE, "entry %llu of the archive cannot be read",
                       (unsigned long long)index);
    size_t component = component_of(stat.name);
    if (component == COMPONENT_COUNT) return KF_OK;
    const char *name = components[component].name;
    if (read->items[component].size > 0)
        return kf_fail(error, KF_ERR_CAP_FILE, "%s stands in the archive twice", name);
    if (stat.size > KF_CAP_COMPONENT_MAX)
        return kf_fail(error, KF_ERR_CAP_FILE, "%s has %llu bytes; %zu are the most", name,
                       (unsigned long long)stat.size, KF_CAP_COMPONENT_MAX);
    kf_code code = read_entry(archive, index, (size_t)stat.size, &read->items[component]);
    if (code == KF_ERR_CAP_FILE)
        return kf_fail(error, code, "%s cannot be unpacked: the archive is damaged", name);
    if (code != KF_OK) return kf_fail_plain(error, code);
    return check_component(component, kf_buffer_view(&read->items[component]), error);
}

static size_t component_with_tag(uint8_t tag)
{
    size_t i = 0;
    while (i < COMPONENT_COUNT && components[i].tag != tag)
        i++;
    return i;
}

/* §6.1: the components alone; those that are not loaded (Descriptor, Debug, a converter's own) are skipped.
 */
static kf_code read_stream(kf_view bytes, cap_components *read, kf_error *error)
{
    kf_cursor cursor = kf_cursor_of(bytes);
    while (!kf_cursor_at_end(&cursor)) {
        kf_view whole = cursor.rest;
        kf_view content;
        uint8_t tag;
        uint16_t size;
        if (kf_cursor_u8(&cursor, &tag) != KF_OK || kf_cursor_u16(&cursor, &size) != KF_OK ||
            kf_cursor_take(&cursor, size, &content) != KF_OK)
            return kf_fail(error, KF_ERR_CAP_FILE,
                           "the component at byte %zu is cut off: the file is not whole",
                           bytes.size - whole.size);
        size_t component = component_with_tag(tag);
        if (component == COMPONENT_COUNT) continue;
        if (read->items[component].size > 0)
            return kf_fail(error, KF_ERR_CAP_FILE, "%s stands in the file twice", components[component].name);
        kf_buffer_append(&read->items[component], kf_view_part(whole, 0, (size_t)size + 3));
        KF_TRY(kf_fail_plain(error, kf_buffer_status(&read->items[component])));
    }
    return KF_OK;
}

static kf_code read_archive(kf_view bytes, cap_components *read, kf_error *error)
{
    KF_CLEANUP(archive_discard) zip_t *archive = NULL;
    KF_TRY(open_archive(bytes, &archive, error));
    zip_int64_t count = zip_get_num_entries(archive, 0);
    if (count < 0 || count > KF_CAP_ENTRIES_MAX)
        return kf_fail(error, KF_ERR_CAP_FILE, "the archive holds %lld files; %d are the most",
                       (long long)count, KF_CAP_ENTRIES_MAX);
    for (zip_int64_t i = 0; i < count; i++)
        KF_TRY(read_component(archive, (zip_uint64_t)i, read, error));
    return KF_OK;
}

static kf_code read_components(kf_view bytes, cap_components *read, kf_error *error)
{
    if (bytes.size > KF_CAP_FILE_MAX)
        return kf_fail(error, KF_ERR_CAP_FILE, "the CAP file has %zu bytes; %zu are the most", bytes.size,
                       KF_CAP_FILE_MAX);
    if (bytes.size == 0) return kf_fail(error, KF_ERR_CAP_FILE, "the file is empty: no CAP file");
    bool stream = bytes.data[0] == components[HEADER].tag;
    KF_TRY(stream ? read_stream(bytes, read, error) : read_archive(bytes, read, error));
    for (size_t i = 0; i < COMPONENT_COUNT; i++)
        if (components[i].required && read->items[i].size == 0)
            return kf_fail(error, KF_ERR_CAP_FILE, "%s is missing: this is no CAP file", components[i].name);
    return KF_OK;
}

static kf_code take_aid(kf_cursor *cursor, kf_aid *ret_aid)
{
    uint8_t size;
    kf_view aid;
    KF_TRY(kf_cursor_u8(cursor, &size));
    KF_TRY(kf_cursor_take(cursor, size, &aid));
    return kf_aid_from_view(aid, ret_aid);
}

/* §6.4. */
static kf_code parse_header(kf_view content, kf_cap_file *cap_file, kf_error *error)
{
    kf_cursor cursor = kf_cursor_of(content);
    uint32_t magic = 0;
    uint8_t minor, major, flags;
    bool complete = kf_cursor_skip(&cursor, 3) == KF_OK && kf_cursor_u32(&cursor, &magic) == KF_OK;
    if (complete && magic != CAP_MAGIC)
        return kf_fail(error, KF_ERR_CAP_FILE, "Header.cap: its magic number is %08lX instead of DECAFFED",
                       (unsigned long)magic);
    complete = complete && kf_cursor_u8(&cursor, &minor) == KF_OK && kf_cursor_u8(&cursor, &major) == KF_OK &&
               kf_cursor_u8(&cursor, &flags) == KF_OK &&
               kf_cursor_u8(&cursor, &cap_file->package_minor) == KF_OK &&
               kf_cursor_u8(&cursor, &cap_file->package_major) == KF_OK &&
               take_aid(&cursor, &cap_file->package_aid) == KF_OK;
    if (!complete)
        return kf_fail(error, KF_ERR_CAP_FILE,
                       "Header.cap: cut off, or without a package AID of 5 to 16 bytes");
    cap_file->format_version = (uint16_t)((major << 8) | minor);
    return KF_OK;
}

/* §6.6. */
static kf_code parse_applets(kf_view content, kf_cap_file *cap_file, kf_error *error)
{
    kf_cursor cursor = kf_cursor_of(content);
    uint8_t count = 0;
    bool complete = kf_cursor_skip(&cursor, 3) == KF_OK && kf_cursor_u8(&cursor, &count) == KF_OK;
    if (count > KF_CAP_APPLETS_MAX)
        return kf_fail(error, KF_ERR_CAP_FILE, "Applet.cap: %u applets; %d are the most", (unsigned)count,
                       KF_CAP_APPLETS_MAX);
    for (size_t i = 0; complete && i < count; i++)
        complete = take_aid(&cursor, &cap_file->applets[i]) == KF_OK && kf_cursor_skip(&cursor, 2) == KF_OK;
    if (!complete || !kf_cursor_at_end(&cursor))
        return kf_fail(error, KF_ERR_CAP_FILE,
                       "Applet.cap: its length does not fit %u applets, or an AID has not 5 to "
                       "16 bytes",
                       (unsigned)count);
    cap_file->applet_count = count;
    return KF_OK;
}

/* §6.7. */
static kf_code parse_imports(kf_view content, kf_cap_file *cap_file, kf_error *error)
{
    kf_cursor cursor = kf_cursor_of(content);
    uint8_t count = 0;
    bool complete = kf_cursor_skip(&cursor, 3) == KF_OK && kf_cursor_u8(&cursor, &count) == KF_OK;
    if (count > KF_CAP_IMPORTS_MAX)
        return kf_fail(error, KF_ERR_CAP_FILE, "Import.cap: %u packages; %d are the most", (unsigned)count,
                       KF_CAP_IMPORTS_MAX);
    for (size_t i = 0; complete && i < count; i++) {
        kf_cap_import *import = &cap_file->imports[i];
        complete = kf_cursor_u8(&cursor, &import->minor) == KF_OK &&
                   kf_cursor_u8(&cursor, &import->major) == KF_OK &&
                   take_aid(&cursor, &import->package_aid) == KF_OK;
    }
    if (!complete || !kf_cursor_at_end(&cursor))
        return kf_fail(error, KF_ERR_CAP_FILE,
                       "Import.cap: its length does not fit %u packages, or an AID has not 5 to 16 bytes",
                       (unsigned)count);
    cap_file->import_count = count;
    return KF_OK;
}

/* §6.11: the image's size comes first. A converter that leaves it out has no static fields. */
static size_t static_image_size(kf_view content)
{
    kf_cursor cursor = kf_cursor_of(content);
    uint16_t size = 0;
    if (kf_cursor_skip(&cursor, 3) != KF_OK || kf_cursor_u16(&cursor, &size) != KF_OK) return 0;
    return size;
}

static kf_cap_sizes measure(const cap_components *read)
{
    static const uint8_t staying[] = {APPLET, CLASS, METHOD, EXPORT, CONSTANT_POOL};
    kf_cap_sizes sizes = {.code = read->items[METHOD].size - 3,
                          .static_fields = static_image_size(kf_buffer_view(&read->items[STATIC_FIELD]))};
    for (size_t i = 0; i < COMPONENT_COUNT; i++)
        sizes.load_data += read->items[i].size;
    sizes.on_card = sizes.static_fields;
    for (size_t i = 0; i < sizeof(staying); i++)
        sizes.on_card += read->items[staying[i]].size;
    return sizes;
}

static kf_code build(const cap_components *read, kf_cap_file *cap_file, kf_error *error)
{
    KF_TRY(parse_header(kf_buffer_view(&read->items[HEADER]), cap_file, error));
    if (read->items[APPLET].size > 0)
        KF_TRY(parse_applets(kf_buffer_view(&read->items[APPLET]), cap_file, error));
    for (size_t i = 0; i < COMPONENT_COUNT; i++)
        kf_buffer_append(&cap_file->load_data, kf_buffer_view(&read->items[i]));
    if (kf_buffer_status(&cap_file->load_data) == KF_ERR_TOO_LONG)
        return kf_fail(error, KF_ERR_CAP_FILE, "the components have more than %zu bytes together",
                       KF_CAP_LOAD_MAX);
    KF_TRY(kf_fail_plain(error, kf_buffer_status(&cap_file->load_data)));
    cap_file->sizes = measure(read);
    return parse_imports(kf_buffer_view(&read->items[IMPORT]), cap_file, error);
}

kf_code kf_cap_file_parse(kf_view archive, kf_cap_file **ret_cap_file, kf_error *error)
{
    KF_CLEANUP(components_clear) cap_components read = {0};
    KF_TRY(read_components(archive, &read, error));
    KF_CLEANUP(kf_cap_file_free) kf_cap_file *cap_file = calloc(1, sizeof(*cap_file));
    if (cap_file == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    cap_file->load_data = kf_buffer_with_limit(KF_CAP_LOAD_MAX);
    KF_TRY(build(&read, cap_file, error));
    *ret_cap_file = cap_file;
    cap_file = NULL;
    return KF_OK;
}

void kf_cap_file_free(kf_cap_file **cap_file)
{
    if (cap_file == NULL || *cap_file == NULL) return;
    kf_buffer_clear(&(*cap_file)->load_data);
    free(*cap_file);
    *cap_file = NULL;
}

kf_view kf_cap_file_package_aid(const kf_cap_file *cap_file)
{
    return kf_aid_view(&cap_file->package_aid);
}

uint8_t kf_cap_file_package_major(const kf_cap_file *cap_file)
{
    return cap_file->package_major;
}

uint8_t kf_cap_file_package_minor(const kf_cap_file *cap_file)
{
    return cap_file->package_minor;
}

uint16_t kf_cap_file_format_version(const kf_cap_file *cap_file)
{
    return cap_file->format_version;
}

size_t kf_cap_file_applet_count(const kf_cap_file *cap_file)
{
    return cap_file->applet_count;
}

kf_view kf_cap_file_applet_aid(const kf_cap_file *cap_file, size_t index)
{
    if (index >= cap_file->applet_count) return kf_view_of(NULL, 0);
    return kf_aid_view(&cap_file->applets[index]);
}

size_t kf_cap_file_import_count(const kf_cap_file *cap_file)
{
    return cap_file->import_count;
}

const kf_cap_import *kf_cap_file_import(const kf_cap_file *cap_file, size_t index)
{
    return index < cap_file->import_count ? &cap_file->imports[index] : NULL;
}

kf_cap_sizes kf_cap_file_sizes(const kf_cap_file *cap_file)
{
    return cap_file->sizes;
}

kf_view kf_cap_file_load_data(const kf_cap_file *cap_file)
{
    return kf_buffer_view(&cap_file->load_data);
}
