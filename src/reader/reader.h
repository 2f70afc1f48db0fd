/* Card readers: one small table of functions a driver, one opaque type in front of them.
 *
 *     pcsc:         the first PC/SC reader that has a card in it (waiting for one where none has)
 *     pcsc:NAME     the PC/SC reader whose name is NAME, or begins with it
 *     socket:PATH   a card in software that listens on the unix stream socket PATH; no card while nobody
 * listens
 *
 * On the socket the reader speaks as vpcd does: a 2-byte big-endian length and so many bytes each way. One
 * byte is a control: 00 power off, 01 power on, 02 reset (no answer to these), 04 give the ATR (the answer is
 * the ATR in the same framing). Anything longer is a command APDU; the answer is the response APDU.
 *
 * Every call has a deadline, given in milliseconds from now; a call that is over it gives
 * KF_ERR_READER_TIMEOUT even where the driver below hangs. After that the reader answers nothing but
 * KF_ERR_READER until it is closed and opened anew. A reader is used by one thread at a time.
 */
#ifndef KEYFILL_READER_READER_H
#define KEYFILL_READER_READER_H

#include <keyfill/bytes.h>

#define KF_READER_ATR_MAX 33       /* bytes: ISO/IEC 7816-3 §8.2.1 */
#define KF_READER_RESPONSE_MAX 258 /* bytes: 256 of data and the status word */
#define KF_READER_COMMAND_MAX 262  /* bytes: a short APDU with 255 bytes of data and Le */
#define KF_READER_NAME_SIZE 256    /* with its zero */
#define KF_READERS_MAX 32

typedef struct kf_reader kf_reader;

typedef struct kf_answer_to_reset {
    uint8_t bytes[KF_READER_ATR_MAX];
    size_t size;
} kf_answer_to_reset;

typedef struct kf_card_response {
    uint8_t bytes[KF_READER_RESPONSE_MAX]; /* data, then the status word */
    size_t size;                           /* 2 to KF_READER_RESPONSE_MAX */
} kf_card_response;

typedef enum kf_disconnection { KF_CARD_LEAVE, KF_CARD_RESET, KF_CARD_UNPOWER } kf_disconnection;

typedef struct kf_reader_names {
    char items[KF_READERS_MAX][KF_READER_NAME_SIZE];
    size_t count;
} kf_reader_names;

/* The PC/SC readers of this machine. KF_ERR_NO_READER where there is none or pcscd does not run. */
kf_code kf_reader_list(unsigned timeout, kf_reader_names *ret_names, kf_error *error) KF_MUST_USE;

/* Opens by URI. KF_ERR_CONFIGURATION for a URI of another form. Needs no reader and no card to be there yet.
 */
kf_code kf_reader_open(const char *uri, kf_reader **ret_reader, kf_error *error) KF_MUST_USE;
/* Disconnects (unpowering the card) and frees; sets NULL. Fits KF_CLEANUP. */
void kf_reader_close(kf_reader **reader);

/* The reader's own name where known by now, else the URI. Valid as long as the reader. */
const char *kf_reader_name(const kf_reader *reader);

/* Returns as soon as a card is there. At the deadline KF_ERR_NO_CARD, or KF_ERR_NO_READER where no reader is
 * there. `timeout` 0 asks without waiting. */
kf_code kf_reader_wait_present(kf_reader *reader, unsigned timeout, kf_error *error) KF_MUST_USE;
/* Returns as soon as no card is there; KF_ERR_READER_TIMEOUT at the deadline. */
kf_code kf_reader_wait_absent(kf_reader *reader, unsigned timeout, kf_error *error) KF_MUST_USE;

/* Takes the card for this program alone, powers it up (a card left powered is reset) and gives its ATR. */
kf_code kf_reader_connect(kf_reader *reader, unsigned timeout, kf_answer_to_reset *ret_atr,
                          kf_error *error) KF_MUST_USE;
/* Whether a connect succeeded and no removal was seen since. */
bool kf_reader_is_connected(const kf_reader *reader);

/* Sends one command APDU (4 to KF_READER_COMMAND_MAX bytes) and gives the whole response. Where the card's
 * protocol is T=0 the command is mapped as ISO/IEC 7816-3 §12.2 says. 61xx is followed by GET RESPONSE until
 * all data is there, 6Cxx on a command without data by the same command with that Le (ISO/IEC 7816-4 §5.3.4).
 * The deadline is for all of it. KF_ERR_CARD_REMOVED once the card was pulled out or reset by others,
 * KF_ERR_NO_CARD where it was never connected, KF_ERR_APDU for a response that is too short or too long. */
kf_code kf_reader_transmit(kf_reader *reader, kf_view command, unsigned timeout,
                           kf_card_response *ret_response, kf_error *error) KF_MUST_USE;
#define KF_READER_EXTENDED_COMMAND_MAX 65544  /* bytes: an extended APDU */
#define KF_READER_EXTENDED_RESPONSE_MAX 65538 /* bytes */
/* The same for an extended command, to a card that says it takes such (kf_transport_capability_of); a short
 * one goes as by kf_reader_transmit. Appends the whole response with the status word. KF_ERR_UNSUPPORTED
 * where card and reader speak T=0, or the driver has no extended lengths. */
kf_code kf_reader_transmit_extended(kf_reader *reader, kf_view command, unsigned timeout, kf_buffer *response,
                                    kf_error *error) KF_MUST_USE;
/* The last two bytes. */
uint16_t kf_card_response_status_word(const kf_card_response *response);
/* What stands before them. */
kf_view kf_card_response_data(const kf_card_response *response);

/* Gives the card back. No effect where none is connected. */
void kf_reader_disconnect(kf_reader *reader, kf_disconnection ending);

/* What a driver provides. `transmit` exchanges exactly one TPDU or APDU: the layer above does the mapping. It
 * gives KF_ERR_APDU for an answer longer than the response holds. `state` belongs to the driver; `close`
 * frees it. */
typedef struct kf_reader_driver {
    const char *(*name)(const void *state);
    kf_code (*wait)(void *state, bool present, unsigned timeout, kf_error *error);
    kf_code (*connect)(void *state, unsigned timeout, kf_answer_to_reset *ret_atr, kf_error *error);
    kf_code (*transmit)(void *state, kf_view command, unsigned timeout, kf_card_response *ret_response,
                        kf_error *error);
    /* The same for extended commands and responses, appended; NULL: there are none. */
    kf_code (*transmit_extended)(void *state, kf_view command, unsigned timeout, kf_buffer *response,
                                 kf_error *error);
    /* Whether commands are to be mapped for T=0; asked after connect. */
    bool (*is_t0)(const void *state);
    void (*disconnect)(void *state, kf_disconnection ending);
    void (*close)(void *state);
} kf_reader_driver;

/* A reader made of a driver and its state, which it owns from here on (also after a failure). `driver` is
 * kept. */
kf_code kf_reader_new(const kf_reader_driver *driver, void *state, kf_reader **ret_reader) KF_MUST_USE;

/* The drivers' own openings. */
kf_code kf_reader_open_pcsc(const char *name, kf_reader **ret_reader, kf_error *error) KF_MUST_USE;
kf_code kf_reader_open_socket(const char *path, kf_reader **ret_reader, kf_error *error) KF_MUST_USE;

#endif
