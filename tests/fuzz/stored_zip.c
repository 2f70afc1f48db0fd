#include "stored_zip.h"

#include <string.h>

#include "card/ota_crc.h"

static void append_little(kf_buffer *buffer, uint32_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        kf_buffer_append_u8(buffer, (uint8_t)(value >> 8 * i));
}

/* What local and central headers have alike, from "version needed" on. */
static void append_fields(kf_buffer *archive, const stored_file *file)
{
    append_little(archive, 10, 2);
    append_little(archive, 0, 2); /* flags */
    append_little(archive, 0, 2); /* stored */
    append_little(archive, 0x00210000, 4);
    append_little(archive, kf_crc32(file->content), 4);
    append_little(archive, (uint32_t)file->content.size, 4);
    append_little(archive, (uint32_t)file->content.size, 4);
    append_little(archive, (uint32_t)strlen(file->name), 2);
    append_little(archive, 0, 2); /* extra */
}

static void append_local(kf_buffer *archive, const stored_file *file)
{
    append_little(archive, 0x04034B50, 4);
    append_fields(archive, file);
    kf_buffer_append_text(archive, file->name);
    kf_buffer_append(archive, file->content);
}

static void append_central(kf_buffer *archive, const stored_file *file, uint32_t offset)
{
    append_little(archive, 0x02014B50, 4);
    append_little(archive, 10, 2);
    append_fields(archive, file);
    append_little(archive, 0, 2); /* comment */
    append_little(archive, 0, 2); /* disk */
    append_little(archive, 0, 2); /* attributes */
    append_little(archive, 0, 4);
    append_little(archive, offset, 4);
    kf_buffer_append_text(archive, file->name);
}

void stored_zip(const stored_file *files, size_t count, kf_buffer *archive)
{
    kf_buffer directory = KF_BUFFER_INIT;
    for (size_t i = 0; i < count; i++) {
        append_central(&directory, &files[i], (uint32_t)archive->size);
        append_local(archive, &files[i]);
    }
    size_t offset = archive->size;
    kf_buffer_append(archive, kf_buffer_view(&directory));
    append_little(archive, 0x06054B50, 4);
    append_little(archive, 0, 4);
    append_little(archive, (uint32_t)count, 2);
    append_little(archive, (uint32_t)count, 2);
    append_little(archive, (uint32_t)directory.size, 4);
    append_little(archive, (uint32_t)offset, 4);
    append_little(archive, 0, 2);
    kf_buffer_clear(&directory);
}
