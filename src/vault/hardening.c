#include "vault/hardening.h"

#include <errno.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "crypto/signing_key.h"
#include "wire/landlock.h"
#include "wire/system_calls.h"
#include <keyfill/cipher.h>

/* The vault's memory with room for Argon2id at its default cost. */
#define LOCKED_MEMORY_NEEDED ((rlim_t)256 * 1024 * 1024)

/* CAP_IPC_LOCK lifts the limit (mlock(2)). */
static bool is_unlimited(void)
{
    const struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, data) != 0) return false;
    return (data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK)) != 0;
}

static kf_code lock_memory(kf_error *error)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 ||
        (!is_unlimited() && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < LOCKED_MEMORY_NEEDED))
        return kf_fail(error, KF_ERR_SECRET_MEMORY,
                       "the vault may not lock all its memory: give it CAP_IPC_LOCK, or raise the limit "
                       "(LimitMEMLOCK=, ulimit -l) to %llu MiB",
                       (unsigned long long)(LOCKED_MEMORY_NEEDED >> 20));
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        return kf_fail(error, KF_ERR_SECRET_MEMORY, "the vault's memory cannot be locked: %s",
                       strerror(errno));
    return KF_OK;
}

kf_code kf_vault_harden_process(bool development, kf_error *error)
{
    struct rlimit no_core = {0, 0};
    /* The leak checker traces its own process. */
    int dumpable = KF_UNDER_SANITIZER ? 1 : 0;
    if (setrlimit(RLIMIT_CORE, &no_core) != 0 || prctl(PR_SET_DUMPABLE, dumpable) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return kf_fail(error, KF_ERR_SYSTEM, "the vault cannot forbid dumps and new privileges: %s",
                       strerror(errno));
    if (KF_UNDER_SANITIZER) {
        kf_log(KF_LOG_WARNING, "built with a sanitizer: memory is not locked, system calls are not filtered");
        return KF_OK;
    }
    kf_code code = lock_memory(error);
    if (code == KF_OK || !development) return code;
    kf_log(KF_LOG_WARNING, "development: %s", error != NULL ? kf_error_text(error) : kf_code_meaning(code));
    return KF_OK;
}

static kf_code try_cipher(kf_algorithm algorithm, size_t key_size)
{
    static const uint8_t zeros[32];
    kf_cipher *cipher = NULL;
    KF_TRY(kf_cipher_new(algorithm, kf_view_of(zeros, key_size), &cipher));
    uint8_t mac[KF_BLOCK_MAX];
    kf_code code = kf_cmac(cipher, kf_view_of(zeros, sizeof zeros), mac);
    kf_cipher_free(&cipher);
    return code;
}

/* What the verification of officers' signatures loads. */
static kf_code try_signature(void)
{
    KF_CLEANUP(kf_private_key_free) kf_private_key *key = NULL;
    KF_CLEANUP(kf_public_key_free) kf_public_key *own = NULL;
    KF_CLEANUP(kf_public_key_free) kf_public_key *read = NULL;
    KF_CLEANUP(kf_buffer_clear) kf_buffer spki = KF_BUFFER_INIT;
    KF_CLEANUP(kf_buffer_clear) kf_buffer signature = KF_BUFFER_INIT;
    KF_TRY(kf_signing_key_new(&key));
    KF_TRY(kf_public_key_of(key, &own));
    KF_TRY(kf_signing_public_write(own, &spki));
    KF_TRY(kf_signing_public_read(kf_buffer_view(&spki), &read));
    KF_TRY(kf_sign(key, KF_SIGNATURE_ECDSA_SHA256, kf_buffer_view(&spki), &signature));
    return kf_signature_verify(read, KF_SIGNATURE_ECDSA_SHA256, kf_buffer_view(&spki),
                               kf_buffer_view(&signature));
}

static kf_code try_all(void)
{
    static const size_t aes_sizes[] = {16, 24, 32};
    uint8_t bytes[KF_DIGEST_SIZE];
    for (size_t i = 0; i < sizeof aes_sizes / sizeof aes_sizes[0]; i++)
        KF_TRY(try_cipher(KF_AES, aes_sizes[i]));
    KF_TRY(try_cipher(KF_TDES, 16));
    KF_TRY(try_cipher(KF_TDES, 24));
    KF_TRY(try_cipher(KF_SM4, 16));
    KF_TRY(kf_sha256(kf_view_of(bytes, 0), bytes));
    KF_TRY(kf_sm3(kf_view_of(bytes, 0), bytes));
    KF_TRY(try_signature());
    return kf_random_bytes(bytes, sizeof bytes);
}

kf_code kf_vault_warm_up(kf_error *error)
{
    return kf_fail_plain(error, try_all());
}

kf_code kf_vault_keep_files(const kf_vault_files *files, kf_error *error)
{
    if (KF_UNDER_SANITIZER) return KF_OK;
    KF_CLEANUP(kf_landlock_end) kf_landlock_rules rules = KF_LANDLOCK_RULES_NONE;
    KF_TRY(kf_landlock_begin(KF_LANDLOCK_BIND | KF_LANDLOCK_CONNECT, &rules, error));
    if (rules.descriptor < 0)
        kf_log(KF_LOG_WARNING,
               "this kernel has no Landlock: that the vault opens no file is left to its filter "
               "of system calls");
    KF_TRY(kf_landlock_allow(&rules, files->directory, KF_LANDLOCK_WRITE, error));
    KF_TRY(kf_landlock_allow(&rules, files->passphrase, KF_LANDLOCK_READ, error));
    if (files->roster != NULL) KF_TRY(kf_landlock_allow(&rules, files->roster, KF_LANDLOCK_READ, error));
    return kf_landlock_enter(&rules, error);
}

kf_code kf_vault_close_files(kf_error *error)
{
    if (KF_UNDER_SANITIZER) return KF_OK;
    KF_CLEANUP(kf_landlock_end) kf_landlock_rules rules = KF_LANDLOCK_RULES_NONE;
    KF_TRY(kf_landlock_begin(KF_LANDLOCK_BIND | KF_LANDLOCK_CONNECT, &rules, error));
    return kf_landlock_enter(&rules, error);
}

static const int allowed_calls[] = {
    /* key files and receipts, the sockets to front and helper, the log */
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fdatasync),
    SCMP_SYS(fsync),
    SCMP_SYS(poll),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendto),
    SCMP_SYS(recvmsg),
    SCMP_SYS(shutdown),
    SCMP_SYS(lseek),
    SCMP_SYS(close),
    /* memory: the heap, locked pages for secrets, what Argon2id fills */
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(mlock),
    SCMP_SYS(munlock),
    /* clocks where the kernel's page for them does not do */
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    /* nonces and keys; OpenSSL asks for the process, to know a fork; the log names it */
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    /* threads that are there: their first steps may come after the filter; waiting, stopping, the end */
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(futex),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(gettid),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

/* The C library and OpenSSL do without what these say: sizes of memory and processors, users, whether the log
 * is a terminal, files of translations. */
static const int refused_calls[] = {
    SCMP_SYS(openat),  SCMP_SYS(newfstatat), SCMP_SYS(ioctl),   SCMP_SYS(fcntl),  SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sysinfo), SCMP_SYS(getuid),     SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
};

static int add_rules(scmp_filter_ctx filter)
{
    for (size_t i = 0; i < sizeof allowed_calls / sizeof allowed_calls[0]; i++) {
        int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed_calls[i], 0);
        if (result != 0) return result;
    }
    for (size_t i = 0; i < sizeof refused_calls / sizeof refused_calls[0]; i++) {
        int result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), refused_calls[i], 0);
        if (result != 0) return result;
    }
    /* abort() */
    int result =
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A2(SCMP_CMP_EQ, SIGABRT, 0));
    if (result != 0) return result;
    /* Memory yes, code no. */
    const scmp_datum_t executable = PROT_EXEC;
    result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, executable, 0));
    if (result != 0) return result;
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, executable, 0));
}

kf_code kf_vault_close_doors(kf_error *error)
{
    if (KF_UNDER_SANITIZER) return KF_OK;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (filter == NULL) return kf_fail(error, KF_ERR_SYSTEM, "the filter of system calls cannot be made");
    /* All threads that there are. */
    int result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (result == 0) result = add_rules(filter);
    if (result == 0) result = seccomp_load(filter);
    seccomp_release(filter);
    if (result != 0)
        return kf_fail(error, KF_ERR_SYSTEM, "the filter of system calls cannot be set: %s",
                       strerror(-result));
    return KF_OK;
}
