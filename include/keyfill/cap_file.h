/* CAP files: Java Card packages as a zip archive of components (Java Card VM Specification §6), or as the
 * components alone, one behind another (.ijc), read from memory. Only what a card needs to load one is looked
 * at. */
#ifndef KEYFILL_CAP_FILE_H
#define KEYFILL_CAP_FILE_H

#include <keyfill/globalplatform.h>

#define KF_CAP_FILE_MAX ((size_t)2 * 1024 * 1024) /* bytes of the archive */
#define KF_CAP_ENTRIES_MAX 256                    /* files in the archive */
#define KF_CAP_COMPONENT_MAX ((size_t)65538)      /* bytes: tag, size of two bytes, content */
#define KF_CAP_LOAD_MAX ((size_t)256 * 1024)      /* bytes of all components together */
#define KF_CAP_APPLETS_MAX 32
#define KF_CAP_IMPORTS_MAX 128

typedef struct kf_cap_file kf_cap_file;

/* Reads an archive or a component stream that lies in memory; nothing of `archive` is needed afterwards.
 * KF_ERR_CAP_FILE says what is wrong: neither of both, too many or too large files, a component missing,
 * twice, or cut off, another magic number than DECAFFED. */
kf_code kf_cap_file_parse(kf_view archive, kf_cap_file **ret_cap_file, kf_error *error) KF_MUST_USE;
void kf_cap_file_free(kf_cap_file **cap_file);

/* The package's AID: the load file AID to use. */
kf_view kf_cap_file_package_aid(const kf_cap_file *cap_file);
/* The package's version. */
uint8_t kf_cap_file_package_major(const kf_cap_file *cap_file);
uint8_t kf_cap_file_package_minor(const kf_cap_file *cap_file);
/* The format's version, as 0x0201 for 2.1. */
uint16_t kf_cap_file_format_version(const kf_cap_file *cap_file);
/* The applets' (modules') AIDs, in the file's order; none in a library. */
size_t kf_cap_file_applet_count(const kf_cap_file *cap_file);
/* The AID of applet `index`, from 0. */
kf_view kf_cap_file_applet_aid(const kf_cap_file *cap_file, size_t index);
/* A package that this one needs on the card, of this version or a later minor one. */
typedef struct kf_cap_import {
    kf_aid package_aid;
    uint8_t major;
    uint8_t minor;
} kf_cap_import;
/* The packages that this one imports, in the file's order. */
size_t kf_cap_file_import_count(const kf_cap_file *cap_file);
/* Import `index`, from 0; NULL past the last. */
const kf_cap_import *kf_cap_file_import(const kf_cap_file *cap_file, size_t index);

/* Sizes in bytes. `on_card`: what stays after linking, as far as the file tells: all but Header, Directory,
 * Import and RefLocation, with the static fields' image in place of what initialises it. */
typedef struct kf_cap_sizes {
    size_t load_data; /* what LOAD carries */
    size_t code;      /* the content of the Method component */
    size_t on_card;
    size_t static_fields; /* their image */
} kf_cap_sizes;
kf_cap_sizes kf_cap_file_sizes(const kf_cap_file *cap_file);

/* The load file data block's content: the components in the order Header, Directory, Import, Applet, Class,
 * Method, StaticField, Export, ConstantPool, RefLocation; Descriptor and Debug are left out. For kf_gp_load.
 */
kf_view kf_cap_file_load_data(const kf_cap_file *cap_file);

#endif
