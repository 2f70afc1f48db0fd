#include "vault/hsm_link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

typedef union sent_rights {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(KF_HSM_CONNECTIONS_MAX * sizeof(int))];
} sent_rights;

kf_code kf_hsm_link_send(int link, const int *descriptors, size_t count)
{
    char byte = 1;
    sent_rights rights;
    if (count < 1 || count > KF_HSM_CONNECTIONS_MAX) return KF_ERR_ARGUMENT;
    memset(&rights, 0, sizeof rights);
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &rights,
                             .msg_controllen = CMSG_SPACE(count * sizeof *descriptors)};
    rights.head.cmsg_level = SOL_SOCKET;
    rights.head.cmsg_type = SCM_RIGHTS;
    rights.head.cmsg_len = CMSG_LEN(count * sizeof *descriptors);
    memcpy(CMSG_DATA(&rights.head), descriptors, count * sizeof *descriptors);
    return sendmsg(link, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ? KF_OK : KF_ERR_SYSTEM;
}

kf_code kf_hsm_link_receive(int link, int ret_descriptors[KF_HSM_CONNECTIONS_MAX], size_t *ret_count)
{
    char byte;
    sent_rights rights;
    struct iovec part = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights};
    ssize_t got;
    do {
        got = recvmsg(link, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got < 0) return KF_ERR_SYSTEM;
    *ret_count = 0;
    if (got == 0) return KF_OK;
    const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (head == NULL || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
        return KF_ERR_MALFORMED;
    *ret_count = (head->cmsg_len - CMSG_LEN(0)) / sizeof *ret_descriptors;
    memcpy(ret_descriptors, CMSG_DATA(head), *ret_count * sizeof *ret_descriptors);
    return KF_OK;
}
