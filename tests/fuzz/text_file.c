#include "text_file.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

const char *text_file(kf_view text)
{
    static int descriptor = -1;
    static char path[64];
    if (descriptor < 0) {
        descriptor = memfd_create("text", MFD_CLOEXEC);
        /* The monitor takes no file that others may write. */
        FUZZ_WANT(descriptor >= 0 && fchmod(descriptor, 0600) == 0);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    }
    FUZZ_WANT(ftruncate(descriptor, 0) == 0 && lseek(descriptor, 0, SEEK_SET) == 0);
    FUZZ_WANT(kf_descriptor_write(descriptor, text) == KF_OK);
    return path;
}

void want_explained(kf_code code, const kf_error *error)
{
    if (code == KF_OK) return;
    FUZZ_WANT(code > 0);
    FUZZ_WANT(error->code == code && error->message[0] != '\0');
}
