/* Results of every function of keyfill, and the message that explains one to a person.
 *
 * Codes are banded by the layer that finds the fault: base 1xx, crypto 2xx, card 3xx, reader 4xx, wire 5xx,
 * store 6xx, vault 7xx, units 8xx. A negative code is a fault of ours or of the machine; a positive one says
 * that the data, the card or the peer is at fault. The one table below gives the name, the exit status of a
 * program, the HTTP status of an answer, and the general meaning of each.
 */
#ifndef KEYFILL_ERROR_H
#define KEYFILL_ERROR_H

#include <stdbool.h>

#define KF_MUST_USE __attribute__((warn_unused_result))
#define KF_PRINTF(format_index, first) __attribute__((format(printf, format_index, first)))
#define KF_CLEANUP(function) __attribute__((cleanup(function)))

/* Exit statuses of the programs. */
enum {
    KF_EXIT_OK = 0,
    KF_EXIT_REFUSED = 1,     /* the request was understood and refused; nothing changed */
    KF_EXIT_USAGE = 2,       /* bad arguments, configuration or input file */
    KF_EXIT_UNREACHABLE = 3, /* a unit, database or HSM does not answer; try again later */
    KF_EXIT_CARD = 4,        /* no card or reader, or the card misbehaved */
    KF_EXIT_INTERNAL = 70,   /* a fault of keyfill or of the machine */
};

/* X(name, number, exit status, HTTP status, meaning) */
#define KF_ERROR_TABLE(X)                                                                                    \
    X(KF_OK, 0, KF_EXIT_OK, 200, "success")                                                                  \
    /* base */                                                                                               \
    X(KF_ERR_INTERNAL, -100, KF_EXIT_INTERNAL, 500, "internal error")                                        \
    X(KF_ERR_MEMORY, -101, KF_EXIT_INTERNAL, 503, "out of memory")                                           \
    X(KF_ERR_SECRET_MEMORY, -102, KF_EXIT_INTERNAL, 503, "memory for secrets cannot be locked")              \
    X(KF_ERR_SYSTEM, -103, KF_EXIT_INTERNAL, 500, "the operating system refuses a call")                     \
    X(KF_ERR_ARGUMENT, -104, KF_EXIT_INTERNAL, 500, "a function was called with an argument out of range")   \
    X(KF_ERR_TRUNCATED, 110, KF_EXIT_REFUSED, 400, "data ends too early")                                    \
    X(KF_ERR_TOO_LONG, 111, KF_EXIT_REFUSED, 413, "data is longer than allowed")                             \
    X(KF_ERR_MALFORMED, 112, KF_EXIT_REFUSED, 400, "data is not of the expected form")                       \
    X(KF_ERR_HEX, 113, KF_EXIT_USAGE, 400, "not hexadecimal")                                                \
    X(KF_ERR_FILE, 114, KF_EXIT_USAGE, 500, "a file cannot be read or written")                              \
    X(KF_ERR_CONFIGURATION, 115, KF_EXIT_USAGE, 500, "the configuration is wrong")                           \
    X(KF_ERR_USAGE, 116, KF_EXIT_USAGE, 400, "the command line is wrong")                                    \
    /* crypto */                                                                                             \
    X(KF_ERR_CRYPTO, -200, KF_EXIT_INTERNAL, 500, "the cryptographic library failed")                        \
    X(KF_ERR_KEY_SIZE, 210, KF_EXIT_REFUSED, 400, "key size does not fit the algorithm")                     \
    X(KF_ERR_AUTHENTICATION, 211, KF_EXIT_REFUSED, 422, "a MAC or seal does not verify")                     \
    X(KF_ERR_KEY_BLOCK, 212, KF_EXIT_REFUSED, 422, "not a usable key block")                                 \
    X(KF_ERR_DIVERSIFICATION, 213, KF_EXIT_REFUSED, 422, "the diversification input cannot be built")        \
    X(KF_ERR_UNSUPPORTED, 214, KF_EXIT_REFUSED, 422, "not supported")                                        \
    X(KF_ERR_CHECK_VALUE, 215, KF_EXIT_REFUSED, 422, "the key check value differs")                          \
    /* card */                                                                                               \
    X(KF_ERR_TLV, 310, KF_EXIT_CARD, 422, "malformed TLV data")                                              \
    X(KF_ERR_APDU, 311, KF_EXIT_CARD, 422, "malformed command or response")                                  \
    X(KF_ERR_STATUS_WORD, 312, KF_EXIT_CARD, 422, "the card answered with an unexpected status word")        \
    X(KF_ERR_CRYPTOGRAM, 313, KF_EXIT_CARD, 422, "the card cryptogram does not verify")                      \
    X(KF_ERR_RESPONSE_MAC, 314, KF_EXIT_CARD, 422, "the response MAC does not verify")                       \
    X(KF_ERR_CHANNEL, 315, KF_EXIT_CARD, 422, "the secure channel cannot be used")                           \
    X(KF_ERR_CARD_DATA, 316, KF_EXIT_CARD, 422, "the card holds or sent malformed data")                     \
    X(KF_ERR_CAP_FILE, 317, KF_EXIT_REFUSED, 422, "not a usable CAP file")                                   \
    X(KF_ERR_CARD_UNSUITABLE, 318, KF_EXIT_CARD, 422, "the card cannot do what the profile asks")            \
    /* reader */                                                                                             \
    X(KF_ERR_READER, 410, KF_EXIT_CARD, 503, "the reader fails")                                             \
    X(KF_ERR_NO_READER, 411, KF_EXIT_CARD, 503, "no reader")                                                 \
    X(KF_ERR_NO_CARD, 412, KF_EXIT_CARD, 409, "no card in the reader")                                       \
    X(KF_ERR_CARD_REMOVED, 413, KF_EXIT_CARD, 409, "the card was removed")                                   \
    X(KF_ERR_READER_TIMEOUT, 414, KF_EXIT_CARD, 504, "the reader or card did not answer in time")            \
    /* wire */                                                                                               \
    X(KF_ERR_UNREACHABLE, 510, KF_EXIT_UNREACHABLE, 502, "the other unit cannot be reached")                 \
    X(KF_ERR_TLS, 511, KF_EXIT_UNREACHABLE, 502, "the TLS connection was refused")                           \
    X(KF_ERR_JSON, 512, KF_EXIT_USAGE, 400, "malformed JSON")                                                \
    X(KF_ERR_FIELD, 513, KF_EXIT_USAGE, 400, "a field is missing, unknown or of the wrong form")             \
    X(KF_ERR_FORBIDDEN, 514, KF_EXIT_REFUSED, 403, "the caller's role may not do this")                      \
    X(KF_ERR_NOT_FOUND, 515, KF_EXIT_REFUSED, 404, "no such thing")                                          \
    X(KF_ERR_METHOD, 516, KF_EXIT_REFUSED, 405, "the route does not take this method")                       \
    X(KF_ERR_BODY_TOO_LARGE, 517, KF_EXIT_REFUSED, 413, "the body is larger than the route takes")           \
    X(KF_ERR_PEER, 518, KF_EXIT_UNREACHABLE, 502, "the other unit gave an answer that is not understood")    \
    X(KF_ERR_BUSY, 519, KF_EXIT_UNREACHABLE, 503, "busy; try again")                                         \
    X(KF_ERR_CERTIFICATE, 520, KF_EXIT_USAGE, 403, "a certificate cannot be used")                           \
    X(KF_ERR_TIMEOUT, 521, KF_EXIT_UNREACHABLE, 504, "the other unit did not answer in time")                \
    /* store */                                                                                              \
    X(KF_ERR_STORE, -600, KF_EXIT_UNREACHABLE, 503, "the database fails")                                    \
    X(KF_ERR_STORE_BUSY, -601, KF_EXIT_UNREACHABLE, 503, "the database is busy; try again")                  \
    X(KF_ERR_STORE_VERSION, 610, KF_EXIT_USAGE, 500, "the database has another schema version")              \
    X(KF_ERR_CONFLICT, 611, KF_EXIT_REFUSED, 409, "conflicts with what is recorded")                         \
    X(KF_ERR_AUDIT, 612, KF_EXIT_REFUSED, 500, "the audit chain is broken")                                  \
    /* vault */                                                                                              \
    X(KF_ERR_VAULT, -700, KF_EXIT_UNREACHABLE, 503, "the vault does not answer")                             \
    X(KF_ERR_UNAVAILABLE, -701, KF_EXIT_UNREACHABLE, 503, "the token with the base keys does not answer")    \
    X(KF_ERR_KEY_STORE, 710, KF_EXIT_REFUSED, 500, "the key store cannot be used")                           \
    X(KF_ERR_NO_KEY, 711, KF_EXIT_REFUSED, 404, "no such key")                                               \
    X(KF_ERR_KEY_POLICY, 712, KF_EXIT_REFUSED, 403, "the key's policy forbids this")                         \
    X(KF_ERR_TOKEN, 713, KF_EXIT_REFUSED, 409, "the sealed token is not valid here")                         \
    X(KF_ERR_RECORD, 714, KF_EXIT_REFUSED, 409, "the card record is not the vault's")                        \
    X(KF_ERR_STATE, 715, KF_EXIT_REFUSED, 409, "the card's state does not allow this")                       \
    X(KF_ERR_REVISION, 716, KF_EXIT_REFUSED, 409, "the revision is not newer")                               \
    X(KF_ERR_PROFILE, 717, KF_EXIT_USAGE, 422, "the profile is wrong or not permitted")                      \
    X(KF_ERR_RATE, 720, KF_EXIT_UNREACHABLE, 503, "the vault derives no more keys this minute")              \
    X(KF_ERR_OFFICERS, 730, KF_EXIT_REFUSED, 403, "it takes the signatures of officers of the roster")       \
    X(KF_ERR_EXPIRED, 731, KF_EXIT_REFUSED, 409, "the proposal has expired")                                 \
    X(KF_ERR_SPENT, 732, KF_EXIT_REFUSED, 409, "the proposal was acted on already")                          \
    X(KF_ERR_HELD, 733, KF_EXIT_REFUSED, 503, "an older key store or audit log was put back")                \
    /* units */                                                                                              \
    X(KF_ERR_OPERATION, 810, KF_EXIT_USAGE, 400, "no such operation")                                        \
    X(KF_ERR_CATEGORY, 811, KF_EXIT_REFUSED, 422, "no category fits")                                        \
    X(KF_ERR_NUMBER, 812, KF_EXIT_REFUSED, 422, "the number breaks the category's rule")                     \
    X(KF_ERR_NUMBER_TAKEN, 813, KF_EXIT_REFUSED, 409, "the number belongs to another card")                  \
    X(KF_ERR_NO_NUMBER, 814, KF_EXIT_REFUSED, 409, "no number is to be had")                                 \
    X(KF_ERR_MODULE, 815, KF_EXIT_REFUSED, 422, "no such module")                                            \
    X(KF_ERR_DISABLED, 816, KF_EXIT_REFUSED, 403, "the unit is disabled")                                    \
    X(KF_ERR_IN_PROGRESS, 817, KF_EXIT_REFUSED, 409, "another request works on this card")                   \
    X(KF_ERR_CODE, 818, KF_EXIT_REFUSED, 403, "the one-time code is not valid")                              \
    X(KF_ERR_QUOTA, 819, KF_EXIT_REFUSED, 429, "the day's quota is used up")

typedef enum kf_code {
#define KF_ERROR_ENUM(name, number, exit_status, http_status, meaning) name = (number),
    KF_ERROR_TABLE(KF_ERROR_ENUM)
#undef KF_ERROR_ENUM
} kf_code;

#define KF_ERROR_MESSAGE_SIZE 512 /* bytes, with the terminating zero */

/* A code with the sentence for a person: what was wrong, with which value, what to do next. Never holds a
 * secret. */
typedef struct kf_error {
    kf_code code;
    char message[KF_ERROR_MESSAGE_SIZE];
} kf_error;

/* Writes code and message into `error` (may be NULL) and returns `code`, so that `return kf_fail(...)` reads
 * well. The message is cut at KF_ERROR_MESSAGE_SIZE. */
kf_code kf_fail(kf_error *error, kf_code code, const char *format, ...) KF_PRINTF(3, 4);

/* Fills `error` with the code's general meaning if it says nothing about `code` yet; returns `code`. With
 * KF_OK it leaves `error` alone. */
kf_code kf_fail_plain(kf_error *error, kf_code code);

/* Puts "context: " before the message that is there; returns the code that is there. */
kf_code kf_error_prefix(kf_error *error, const char *format, ...) KF_PRINTF(2, 3);

/* The message, or the code's general meaning if there is none. Never NULL; valid as long as `error`. */
const char *kf_error_text(const kf_error *error);

/* From the table; for a number that is not in it those of KF_ERR_INTERNAL. Static strings. */
const char *kf_code_name(kf_code code);
const char *kf_code_meaning(kf_code code);
int kf_code_exit_status(kf_code code);
int kf_code_http_status(kf_code code);
/* The code whose table name is `name` ("KF_ERR_STATE"); KF_ERR_INTERNAL if there is none. */
kf_code kf_code_from_name(const char *name);

/* Returns from the calling function with the code, if it is not KF_OK. */
#define KF_TRY(call)                                                                                         \
    do {                                                                                                     \
        kf_code kf_try_code = (call);                                                                        \
        if (kf_try_code != KF_OK) return kf_try_code;                                                        \
    } while (0)

#endif
