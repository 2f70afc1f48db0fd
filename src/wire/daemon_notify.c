#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/file.h"
#include "base/log.h"
#include "wire/daemon.h"

/* sd_notify(3): a path, or a name in the abstract namespace with '@' for the zero byte. */
void kf_daemon_notify(const char *state)
{
    const char *name = getenv("NOTIFY_SOCKET");
    if (name == NULL) return;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || length < 2 || length >= sizeof address.sun_path) {
        kf_log(KF_LOG_WARNING, "NOTIFY_SOCKET is no socket's name: %.120s", name);
        return;
    }
    memcpy(address.sun_path, name, length);
    if (name[0] == '@') address.sun_path[0] = '\0';
    KF_CLEANUP(kf_descriptor_close) int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (descriptor < 0 || sendto(descriptor, state, strlen(state), MSG_NOSIGNAL,
                                 (const struct sockaddr *)(const void *)&address, size) < 0)
        kf_log(KF_LOG_WARNING, "the service manager at %.120s was not told: %m", name);
}
