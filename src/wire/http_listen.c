#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "wire/http_exchange.h"

static kf_code open_port(const struct addrinfo *where, int *ret_descriptor)
{
    int on = 1;
    KF_CLEANUP(kf_descriptor_close)
    int descriptor =
        socket(where->ai_family, where->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, where->ai_protocol);
    if (descriptor < 0) return KF_ERR_SYSTEM;
    if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) return KF_ERR_SYSTEM;
    if (bind(descriptor, where->ai_addr, where->ai_addrlen) != 0) return KF_ERR_SYSTEM;
    if (listen(descriptor, SOMAXCONN) != 0) return KF_ERR_SYSTEM;
    *ret_descriptor = descriptor;
    descriptor = -1; /* the caller's */
    return KF_OK;
}

kf_code kf_http_listen(const char *address, uint16_t port, int *ret_descriptor, kf_error *error)
{
    const char *host = address != NULL ? address : "127.0.0.1";
    char service[8];
    (void)snprintf(service, sizeof service, "%u", port);
    const struct addrinfo wanted = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                    .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int got = getaddrinfo(host, service, &wanted, &found);
    if (got != 0)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "\"%s\" is no address to listen on: %s; give an IPv4 or IPv6 address", host,
                       gai_strerror(got));
    kf_code code = open_port(found, ret_descriptor);
    int reason = errno;
    freeaddrinfo(found);
    if (code == KF_OK) return KF_OK;
    return kf_fail(error, KF_ERR_CONFIGURATION, "address %s, port %u cannot be listened on: %s", host, port,
                   strerror(reason));
}

static bool someone_listens(const struct sockaddr_un *address)
{
    KF_CLEANUP(kf_descriptor_close) int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return descriptor >= 0 && connect(descriptor, (const struct sockaddr *)address, sizeof *address) == 0;
}

kf_code kf_http_listen_local(const char *path, mode_t mode, int *ret_descriptor, kf_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return kf_fail(error, KF_ERR_CONFIGURATION,
                       "socket path %s is longer than the %zu bytes that the system allows", path,
                       sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (someone_listens(&address))
        return kf_fail(error, KF_ERR_CONFIGURATION, "socket %s is in use: another process listens on it",
                       path);
    struct stat present;
    if (lstat(path, &present) == 0 && S_ISSOCK(present.st_mode)) (void)unlink(path);
    KF_CLEANUP(kf_descriptor_close)
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* On Linux the file gets the descriptor's mode (less the umask), so it is never more open than asked. */
    if (descriptor < 0 || fchmod(descriptor, mode) != 0 ||
        bind(descriptor, (const struct sockaddr *)&address, sizeof address) != 0 || chmod(path, mode) != 0 ||
        listen(descriptor, SOMAXCONN) != 0)
        return kf_fail(error, KF_ERR_CONFIGURATION, "socket %s cannot be listened on: %s", path,
                       strerror(errno));
    *ret_descriptor = descriptor;
    descriptor = -1; /* the caller's */
    return KF_OK;
}
