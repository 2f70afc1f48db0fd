#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "softcard/attach.h"

static void free_addresses(struct addrinfo **addresses)
{
    if (*addresses != NULL) freeaddrinfo(*addresses);
}

kf_code softcard_vpcd_connect(const char *address, int *ret_connection, kf_error *error)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address || colon[1] == '\0')
        return kf_fail(error, KF_ERR_USAGE, "\"%s\" is not HOST:PORT", address);
    KF_CLEANUP(kf_free_pointer) char *host = strndup(address, (size_t)(colon - address));
    if (host == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    KF_CLEANUP(free_addresses) struct addrinfo *addresses = NULL;
    int failure = getaddrinfo(host, colon + 1, &hints, &addresses);
    if (failure != 0) return kf_fail(error, KF_ERR_USAGE, "%s: %s", address, gai_strerror(failure));
    int reason = 0;
    for (const struct addrinfo *here = addresses; here != NULL; here = here->ai_next) {
        KF_CLEANUP(kf_descriptor_close)
        int connection = socket(here->ai_family, here->ai_socktype | SOCK_CLOEXEC, here->ai_protocol);
        const int yes = 1;
        if (connection >= 0 && connect(connection, here->ai_addr, here->ai_addrlen) == 0 &&
            setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == 0) {
            *ret_connection = connection;
            connection = -1;
            return KF_OK;
        }
        reason = errno;
    }
    return kf_fail(error, KF_ERR_UNREACHABLE,
                   "vpcd at %s does not take a card: %s; is pcscd running with it?", address,
                   strerror(reason));
}

void softcard_vpcd_acknowledge_quickly(int connection)
{
    const int yes = 1;
    if (setsockopt(connection, IPPROTO_TCP, TCP_QUICKACK, &yes, sizeof yes) != 0) return;
}
