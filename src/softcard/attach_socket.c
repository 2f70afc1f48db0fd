#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "softcard/attach.h"

static kf_code fill_address(const char *path, struct sockaddr_un *ret_address, kf_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return kf_fail(error, KF_ERR_USAGE, "%s: a socket's path has at most %zu characters", path,
                       sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path));
    *ret_address = address;
    return KF_OK;
}

/* Whether some process still listens at `address`. */
static bool is_alive(const struct sockaddr_un *address)
{
    KF_CLEANUP(kf_descriptor_close) int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return probe >= 0 && connect(probe, (const struct sockaddr *)address, sizeof *address) == 0;
}

kf_code softcard_socket_listen(const char *path, int *ret_listener, kf_error *error)
{
    struct sockaddr_un address;
    KF_TRY(fill_address(path, &address, error));
    if (is_alive(&address))
        return kf_fail(error, KF_ERR_USAGE, "%s: another process listens there already", path);
    if (unlink(path) != 0 && errno != ENOENT)
        return kf_fail(error, KF_ERR_FILE, "%s cannot be replaced: %s", path, strerror(errno));
    KF_CLEANUP(kf_descriptor_close) int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 4) != 0)
        return kf_fail(error, KF_ERR_FILE, "%s: no socket can be made there: %s", path, strerror(errno));
    *ret_listener = listener;
    listener = -1;
    return KF_OK;
}

kf_code softcard_socket_accept(int listener, int *ret_connection)
{
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0) return KF_ERR_SYSTEM;
    *ret_connection = connection;
    return KF_OK;
}
