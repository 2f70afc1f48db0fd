#include <keyfill/apdu.h>

#include <stdio.h>

/* ISO/IEC 7816-4 table 5 and 6, GlobalPlatform Card Specification §11.1.3 and the commands' own tables,
 * TS 102 221 §10.2.1. */
static const struct {
    uint16_t status_word;
    uint16_t mask;
    const char *meaning;
} meanings[] = {
    {0x9000, 0xFFFF, "done"},
    {0x9300, 0xFFFF, "the card's toolkit is busy; try again"},
    {0x9484, 0xFFFF, "the algorithm is not supported"},
    {0x9485, 0xFFFF, "the key check value is wrong"},
    {0x9862, 0xFFFF, "authentication error: the card expected another MAC"},
    {0x9100, 0xFF00, "done; a toolkit command waits"},
    {0x9200, 0xFFF0, "done, after retries of the memory"},
    {0x6100, 0xFF00, "done; more bytes can be fetched with GET RESPONSE"},
    {0x6200, 0xFFFF, "warning without details; the card's memory is unchanged"},
    {0x6281, 0xFFFF, "warning: part of the data may be corrupted"},
    {0x6282, 0xFFFF, "warning: the file ended before all bytes were read"},
    {0x6283, 0xFFFF, "warning: the selected file or application is deactivated or locked"},
    {0x6284, 0xFFFF, "warning: the file control information is not in the usual form"},
    {0x6285, 0xFFFF, "warning: the selected file is in the termination state"},
    {0x6310, 0xFFFF, "more data is available: ask for the next occurrence"},
    {0x6300, 0xFFFF, "authentication failed: the cryptogram or code was wrong"},
    {0x63C0, 0xFFF0, "the code was wrong, or this many tries are left"},
    {0x6400, 0xFFFF, "execution error; the card's memory is unchanged"},
    {0x6500, 0xFFFF, "execution error; the card's memory may have changed"},
    {0x6581, 0xFFFF, "memory failure: the card may be worn out or out of memory"},
    {0x6600, 0xFF00, "a security related issue"},
    {0x6700, 0xFFFF, "wrong length: the card does not take a command of this size"},
    {0x6881, 0xFFFF, "logical channels are not supported, or this one is not open"},
    {0x6882, 0xFFFF, "secure messaging is not supported"},
    {0x6883, 0xFFFF, "the last command of a chain was expected"},
    {0x6884, 0xFFFF, "command chaining is not supported"},
    {0x6981, 0xFFFF, "the command does not fit the file's structure"},
    {0x6982, 0xFFFF,
     "security status not satisfied: the channel key does not fit, the channel is closed, or a code must be "
     "verified first"},
    {0x6983, 0xFFFF, "blocked: no tries are left for this key or code"},
    {0x6984, 0xFFFF, "the referenced key or code cannot be used"},
    {0x6985, 0xFFFF,
     "conditions of use not satisfied: the card's or application's state does not allow this"},
    {0x6986, 0xFFFF, "not allowed: no file is selected"},
    {0x6987, 0xFFFF, "secure messaging data is missing"},
    {0x6988, 0xFFFF, "secure messaging data is wrong: the MAC does not verify"},
    {0x6999, 0xFFFF, "the application refuses to be selected"},
    {0x6A80, 0xFFFF, "wrong data: the card does not accept the content of the command"},
    {0x6A81, 0xFFFF, "not supported, or the card or application is locked"},
    {0x6A82, 0xFFFF, "not found: no such file or application"},
    {0x6A83, 0xFFFF, "no such record"},
    {0x6A84, 0xFFFF, "not enough memory on the card"},
    {0x6A86, 0xFFFF, "wrong parameters P1 P2"},
    {0x6A87, 0xFFFF, "the data's length does not fit P1 P2"},
    {0x6A88, 0xFFFF, "not found: no such key, data object or entry"},
    {0x6A89, 0xFFFF, "exists already"},
    {0x6A8A, 0xFFFF, "the name exists already"},
    {0x6B00, 0xFFFF, "wrong parameters: the offset lies outside the file"},
    {0x6C00, 0xFF00, "wrong Le: ask again for this many bytes"},
    {0x6D00, 0xFFFF, "the card or application does not know this command"},
    {0x6E00, 0xFFFF, "the card or application does not know this class"},
    {0x6F00, 0xFFFF, "the card gives no reason"},
    {0x6200, 0xFF00, "warning; the card's memory is unchanged"},
    {0x6300, 0xFF00, "warning; the card's memory has changed"},
    {0x6400, 0xFF00, "execution error; the card's memory is unchanged"},
    {0x6500, 0xFF00, "execution error; the card's memory may have changed"},
    {0x6800, 0xFF00, "the class byte asks for something that the card does not support"},
    {0x6900, 0xFF00, "the command is not allowed"},
    {0x6A00, 0xFF00, "wrong parameters"},
    {0x6F00, 0xFF00, "the card failed for a reason of its own"},
};

bool kf_status_word_is_normal(uint16_t status_word)
{
    unsigned sw1 = status_word >> 8;
    return status_word == 0x9000 || sw1 == 0x61 || sw1 == 0x62 || sw1 == 0x63;
}

const char *kf_status_word_explain(uint16_t status_word)
{
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
        if ((status_word & meanings[i].mask) == meanings[i].status_word) return meanings[i].meaning;
    return "not a status word of any standard that keyfill knows";
}

kf_status_word_text kf_status_word_show(uint16_t status_word)
{
    kf_status_word_text shown;
    unsigned sw = status_word;
    if ((sw & 0xFFF0u) == 0x63C0u)
        (void)snprintf(shown.text, sizeof(shown.text),
                       "%04X: the code was wrong or is asked for; %u tries left", sw, sw & 0xFu);
    else if ((sw & 0xFF00u) == 0x6100u || (sw & 0xFF00u) == 0x6C00u)
        (void)snprintf(shown.text, sizeof(shown.text), "%04X: %s (%u)", sw,
                       kf_status_word_explain(status_word), (sw & 0xFFu) == 0 ? 256u : sw & 0xFFu);
    else
        (void)snprintf(shown.text, sizeof(shown.text), "%04X: %s", sw, kf_status_word_explain(status_word));
    return shown;
}

kf_code kf_fail_status_word(kf_error *error, const char *what, uint16_t status_word)
{
    return kf_fail(error, KF_ERR_STATUS_WORD, "%s: the card answers %s", what,
                   kf_status_word_show(status_word).text);
}
