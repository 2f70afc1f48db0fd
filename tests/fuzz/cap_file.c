/* CAP files: any bytes, and archives whose files hold any bytes; what the library makes of one is what the
 * simulated card reads in the load file. */
#include <keyfill/cap_file.h>

#include <string.h>

#include "fuzz.h"
#include "softcard/content.h"
#include "stored_zip.h"

#define FILES_MAX 16

/* What both sides take they read alike. */
static void want_card_agrees(const kf_cap_file *cap_file)
{
    softcard_load_file theirs;
    FUZZ_COPY(load_data, kf_cap_file_load_data(cap_file));
    if (softcard_load_file_parse(load_data.view, &theirs) != KF_OK) return;
    kf_view package = kf_cap_file_package_aid(cap_file);
    FUZZ_WANT(kf_view_equal(package, kf_view_of(theirs.aid.bytes, theirs.aid.size)));
    FUZZ_WANT(theirs.version[0] == kf_cap_file_package_major(cap_file));
    FUZZ_WANT(theirs.version[1] == kf_cap_file_package_minor(cap_file));
    FUZZ_WANT(theirs.module_count == kf_cap_file_applet_count(cap_file));
    for (size_t i = 0; i < theirs.module_count; i++)
        FUZZ_WANT(kf_view_equal(kf_cap_file_applet_aid(cap_file, i),
                                kf_view_of(theirs.modules[i].bytes, theirs.modules[i].size)));
}

static void read_cap_file(kf_view bytes)
{
    kf_cap_file *cap_file = NULL;
    kf_error error = {KF_OK, ""};
    FUZZ_COPY(copy, bytes);
    kf_code code = kf_cap_file_parse(copy.view, &cap_file, &error);
    if (code != KF_OK) {
        FUZZ_WANT(cap_file == NULL && code == KF_ERR_CAP_FILE && error.code == code &&
                  error.message[0] != '\0');
        return;
    }
    kf_view package = kf_cap_file_package_aid(cap_file);
    FUZZ_WANT(package.size >= KF_AID_MIN && package.size <= KF_AID_MAX);
    FUZZ_WANT(kf_cap_file_load_data(cap_file).size <= KF_CAP_LOAD_MAX);
    want_card_agrees(cap_file);
    kf_cap_file_free(&cap_file);
}

static void read_archive(fuzz_input *input)
{
    static const char *const names[] = {
        "p/javacard/Header.cap",      "p/javacard/Directory.cap",    "p/javacard/Import.cap",
        "p/javacard/Applet.cap",      "p/javacard/Class.cap",        "p/javacard/Method.cap",
        "p/javacard/StaticField.cap", "p/javacard/ConstantPool.cap", "p/javacard/RefLocation.cap",
        "p/javacard/Export.cap",      "p/javacard/Descriptor.cap",   "META-INF/MANIFEST.MF",
    };
    stored_file files[FILES_MAX];
    size_t count = 0;
    FUZZ_BUFFER(archive);
    while (count < FILES_MAX && !fuzz_input_ends(input)) {
        files[count].name = names[fuzz_u8(input) % (sizeof names / sizeof names[0])];
        files[count].content = fuzz_part16(input);
        count++;
    }
    stored_zip(files, count, &archive);
    read_cap_file(kf_buffer_view(&archive));
}

/* The first byte: C for files of an archive, D for a load file data block, else whatever begins so. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input input = fuzz_input_of(data, size);
    softcard_load_file load_file;
    switch (fuzz_u8(&input)) {
    case 'C': read_archive(&input); break;
    case 'D': {
        FUZZ_COPY(copy, fuzz_rest(&input));
        if (softcard_load_file_parse(copy.view, &load_file) == KF_OK) FUZZ_WANT(load_file.aid.size >= 5);
        read_cap_file(copy.view);
        break;
    }
    default: read_cap_file(kf_view_of(data, size));
    }
    return 0;
}
