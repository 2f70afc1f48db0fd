/* Two numbers of the host's pool, two cards, and the requests that give, keep, bind and release numbers, at
 * the host and at the key management unit. README.md says which source each part stands for.
 *
 * As in card_keys.pml, messages are lost, late and repeated, and every unit may stop between any two steps.
 * The host may give a request up while a message of it is still under way to the key management unit. A
 * terminal may report another card than the one that is in its reader.
 */
#define CARDS 2
#define NUMBERS 2
#define SLOTS 2

#define NONE 9 /* no card, number, or request */

#define FILL 1
#define CLEAR 2

/* The host's number.state */
#define FREE 0
#define RESERVED 1
#define KEPT 2
#define BOUND 3
#define RELEASED 4

/* kf_request_state of the host. A request that failed is one that nobody moves on any more: it is settled
 * when the host hears of the failure, or gives it up. */
#define NOBODY 0
#define OPEN 1
#define EXPIRED 2 /* given up; a message of it may still be under way */

/* The request's row at the key management unit. */
#define NO_ROW 0
#define AT_CONTACT 1
#define AT_SESSION 2
#define DONE 3
#define FAILED 4

/* Under way to the key management unit. */
#define NO_MESSAGE 0
#define BEGIN 1
#define CONTACT 2
#define COMPLETE 3 /* the session's answers; of a script that was stopped nothing moves but its own request */

/* kf_card_state */
#define BLANK 0
#define FILLING 1
#define FILLED 2
#define CLEARING 3

#ifndef HIDDEN
#define HIDDEN hidden
#endif

/* -- the host's database: numbers -- */
byte state[NUMBERS];
byte owner[NUMBERS] = NONE;      /* request */
byte reference[NUMBERS] = NONE;  /* the card as it was reported */
byte proven[NUMBERS] = NONE;     /* the card that it is bound to */
byte returns_to[NUMBERS];

/* -- the host's database: requests -- */
byte host[SLOTS];
byte operation[SLOTS];
byte number[SLOTS] = NONE;
byte reported[SLOTS] = NONE;

/* -- the key management unit's database -- */
byte row[SLOTS];
byte record[CARDS];
byte record_number[CARDS] = NONE;
byte number_card[NUMBERS] = NONE; /* its table of numbers */
bit token_fresh[SLOTS]; /* the record has the sequence of the token's, or of the result's */

/* -- terminals, messages, cards -- */
byte card[SLOTS] = NONE; /* that is in the reader */
byte message[SLOTS];
byte holds[CARDS] = NONE;   /* the number of the key on it */
byte channel[CARDS] = NONE; /* the request whose script it would take */

HIDDEN byte n, c, found;

inline check_invariants()
{
    printf("    host: %d %d, cards %d %d; records %d %d, numbers %d %d; cards hold %d %d\n", state[0], state[1], proven[0], proven[1], record[0], record[1], record_number[0], record_number[1], holds[0], holds[1]);
    assert(holds[0] == NONE || holds[0] != holds[1]);
    assert(record_number[0] == NONE || record_number[0] != record_number[1]);
    /* what a card holds is on record there, with its number */
    assert(holds[0] == NONE || holds[0] == record_number[0]);
    assert(holds[1] == NONE || holds[1] == record_number[1])
}

/* ==== the host: numbers.c ==== */

/* mark_reserved */
inline mark_reserved(r)
{
    returns_to[n] = (state[n] != RESERVED -> state[n] : (owner[n] == r -> returns_to[n] : KEPT));
    state[n] = RESERVED;
    owner[n] = r;
    reference[n] = reported[r];
    number[r] = n
}

/* kf_numbers_reserve_free: the one kept or reserved for this card, else the lowest free one. */
inline reserve_free(r)
{
    n = 0;
    do
    :: n < NUMBERS && !((state[n] == KEPT || state[n] == RESERVED) && reference[n] == reported[r]) -> n++
    :: else -> break
    od;
    if
    :: n == NUMBERS ->
        n = 0;
        do
        :: n < NUMBERS && state[n] != FREE -> n++
        :: else -> break
        od
    :: else -> skip
    fi;
    found = (n < NUMBERS);
    if
    :: found -> mark_reserved(r)
    :: else -> skip
    fi
}

/* kf_numbers_reserve_this: typed in. */
inline reserve_this(r, wanted)
{
    n = wanted;
    if
    :: state[n] == BOUND ->
        found = (reference[n] == reported[r]);
        number[r] = (found -> n : NONE)
    :: (state[n] == RESERVED || state[n] == KEPT) && owner[n] != r && reference[n] != reported[r] -> found = 0
    :: else ->
        found = 1;
        mark_reserved(r)
    fi
}

/* kf_numbers_return, _keep, _withdraw: of the number that is still reserved for this request. */
inline reserved_of(r)
{
    n = 0;
    do
    :: n < NUMBERS && !(state[n] == RESERVED && owner[n] == r) -> n++
    :: else -> break
    od
}

inline return_number(r)
{
    reserved_of(r);
    if
    :: n < NUMBERS ->
        state[n] = returns_to[n];
        owner[n] = NONE;
        reference[n] = (state[n] == KEPT -> reference[n] : NONE);
        returns_to[n] = FREE
    :: else -> skip
    fi
}

inline keep_number(r)
{
    reserved_of(r);
    if
    :: n < NUMBERS ->
        state[n] = KEPT;
        owner[n] = NONE;
        returns_to[n] = FREE
    :: else -> skip
    fi
}

inline withdraw_number(r)
{
    reserved_of(r);
    if
    :: n < NUMBERS ->
        state[n] = RELEASED;
        owner[n] = NONE;
        reference[n] = NONE;
        returns_to[n] = FREE
    :: else -> skip
    fi
}

inline release_number(which)
{
    state[which] = RELEASED;
    proven[which] = NONE;
    reference[which] = NONE;
    owner[which] = NONE;
    returns_to[which] = FREE
}

/* kf_numbers_release_card: the first that is bound to it. */
inline release_card(whose)
{
    if
    :: state[0] == BOUND && proven[0] == whose -> release_number(0)
    :: !(state[0] == BOUND && proven[0] == whose) && state[1] == BOUND && proven[1] == whose -> release_number(1)
    :: else -> skip
    fi
}

/* kf_numbers_bind, then what else was reserved goes back. */
inline bind_number(r, which, to)
{
    /* bound is only what was proven: the request's own answer says so, or the record */
    assert(row[r] == DONE || (record[to] == FILLED && record_number[to] == which));
#ifndef OTHER_STAYS_BOUND
    if
    :: state[1 - which] == BOUND && proven[1 - which] == to -> release_number(1 - which)
    :: else -> skip
    fi;
#endif
    state[which] = BOUND;
    proven[which] = to;
    owner[which] = NONE;
    returns_to[which] = FREE;
    return_number(r)
}

/* ==== the host: request_outcome.c, requests.c ==== */

inline forget(r)
{
    if
    :: owner[0] == r -> owner[0] = NONE
    :: else -> skip
    fi;
    if
    :: owner[1] == r -> owner[1] = NONE
    :: else -> skip
    fi;
    if
    :: card[r] != NONE && channel[card[r]] == r -> channel[card[r]] = NONE
    :: else -> skip
    fi;
    host[r] = NOBODY;
    operation[r] = 0;
    number[r] = NONE;
    reported[r] = NONE;
    row[r] = NO_ROW;
    token_fresh[r] = 0;
    card[r] = NONE;
    message[r] = NO_MESSAGE
}

/* With nothing of it under way, what is over is the same in all its futures. */
inline end_request(r)
{
    if
    :: message[r] == NO_MESSAGE -> forget(r)
    :: else -> host[r] = EXPIRED
    fi
}

/* kf_request_finish: what the key management unit said. */
inline host_hears(r)
{
    printf("request %d: the host hears that it is done\n", r);
    if
    :: operation[r] == FILL -> bind_number(r, number[r], card[r])
    :: else -> release_card(card[r])
    fi;
    end_request(r)
}

/* kf_request_settle: what the key management unit has on record of the card that was reported. */
inline settle(r)
{
    if
    :: operation[r] == FILL ->
        if
        :: record_number[reported[r]] == number[r] && record[reported[r]] == FILLED ->
            bind_number(r, number[r], reported[r])
        :: record_number[reported[r]] == number[r] && record[reported[r]] != FILLED -> keep_number(r)
        :: else -> return_number(r)
        fi
    :: else -> skip /* a clear has no number to settle */
    fi;
    end_request(r)
}

/* ==== the key management unit ==== */

inline other_requests_are_behind(r)
{
    if
    :: card[1 - r] == card[r] -> token_fresh[1 - r] = 0
    :: else -> skip
    fi
}

#define NUMBER_IS_TAKEN(r) \
    (operation[r] == FILL && number_card[number[r]] != NONE && number_card[number[r]] != reported[r])

/* kf_request_begin */
inline begin(r)
{
    row[r] = AT_CONTACT;
#ifdef NUMBER_BOUND_BEFORE_PROOF
    if
    :: operation[r] == FILL -> bind_number(r, number[r], reported[r])
    :: else -> skip
    fi;
#endif
    message[r] = NO_MESSAGE
}

/* kf_request_refuse: the number is another card's, or the request is refused for another reason. */
inline refuse(r)
{
    printf("request %d is refused\n", r);
    message[r] = NO_MESSAGE;
    if
    :: NUMBER_IS_TAKEN(r) -> withdraw_number(r)
    :: else -> return_number(r)
    fi;
    forget(r)
}

/* A card's cryptogram has proven which card it is; kf_card_write binds the number to it, or refuses. */
inline take_contact(r)
{
    c = card[r];
    n = number[r];
    if
    :: operation[r] == FILL && record[c] != BLANK && !(record[c] == FILLING && record_number[c] == n) ->
        row[r] = FAILED
#ifdef NUMBER_NOT_CHECKED
    :: false -> skip
#else
    :: operation[r] == FILL && (record[c] == BLANK || record[c] == FILLING && record_number[c] == n) &&
       number_card[n] != NONE && number_card[n] != c -> row[r] = FAILED
#endif
    :: operation[r] == CLEAR && record[c] == BLANK ->
        row[r] = DONE;
        token_fresh[r] = 1
    :: operation[r] == CLEAR && record[c] != BLANK ->
        record[c] = CLEARING;
        row[r] = AT_SESSION;
        other_requests_are_behind(r);
        token_fresh[r] = 1
    :: else ->
        record[c] = FILLING;
        record_number[c] = n;
        number_card[n] = c;
        row[r] = AT_SESSION;
        other_requests_are_behind(r);
        token_fresh[r] = 1
    fi;
    message[r] = NO_MESSAGE
}

inline take_session(r)
{
    c = card[r];
    if
    :: !token_fresh[r] -> row[r] = FAILED /* KF_ERR_CONFLICT */
    :: token_fresh[r] && operation[r] == FILL ->
        record[c] = FILLED;
        row[r] = DONE
    :: else ->
        record[c] = BLANK;
        number_card[record_number[c]] = NONE;
        record_number[c] = NONE;
        row[r] = DONE
    fi;
    if
    :: row[r] == DONE -> other_requests_are_behind(r)
    :: else -> skip
    fi;
    message[r] = NO_MESSAGE
}

/* ==== the card ==== */

inline act_on_card(r)
{
    holds[card[r]] = (operation[r] == FILL -> number[r] : NONE)
}

/* ==== what happens ==== */

inline ask(r, what, says, has)
{
    operation[r] = what;
    reported[r] = says;
    card[r] = has;
    host[r] = OPEN;
    message[r] = BEGIN
}

inline ask_fill(r, says, has, wanted)
{
    reported[r] = says;
    if
    :: wanted == NONE -> reserve_free(r)
    :: else -> reserve_this(r, wanted)
    fi;
    if
    :: found -> ask(r, FILL, says, has)
    :: else -> reported[r] = NONE; number[r] = NONE
    fi;
    printf("request %d: fill of card %d (reported %d), number %d\n", r, card[r], reported[r], number[r]);
    check_invariants()
}

#define READY(r) (host[r] == OPEN && message[r] == NO_MESSAGE)
#define LIVE(r) (card[r] != NONE && channel[card[r]] == r)

/* An EXPIRED request ends when what was under way has come, or is lost. */
inline came(r)
{
    message[r] = NO_MESSAGE;
    if
    :: host[r] == EXPIRED -> forget(r)
    :: else -> skip
    fi
}

active proctype world()
{
    do
#define BEGINS(r, says, has) \
    :: d_step { host[r] == NOBODY && (r == 0 || host[0] != NOBODY) -> ask_fill(r, says, has, NONE) } \
    :: d_step { host[r] == NOBODY && (r == 0 || host[0] != NOBODY) -> ask_fill(r, says, has, 1) } \
    :: d_step { host[r] == NOBODY && (r == 0 || host[0] != NOBODY) -> ask(r, CLEAR, says, has); printf("request %d: clear of card %d (reported %d)\n", r, has, says) }
#ifdef LIES
#define LYING(r) BEGINS(r, 0, 1) BEGINS(r, 1, 0)
#else
#define LYING(r)
#endif
#define REQUEST(r) \
    BEGINS(r, 0, 0) \
    BEGINS(r, 1, 1) \
    LYING(r) \
    /* the key management unit takes a message, whether the host still waits for its answer or not */ \
    :: d_step { message[r] == BEGIN && !NUMBER_IS_TAKEN(r) -> begin(r); came(r); check_invariants() } \
    :: d_step { message[r] == BEGIN && host[r] == OPEN -> refuse(r); check_invariants() } \
    :: d_step { message[r] == CONTACT -> take_contact(r); came(r); check_invariants() } \
    :: d_step { message[r] == COMPLETE -> take_session(r); came(r); check_invariants() } \
    :: d_step { message[r] != NO_MESSAGE && host[r] == EXPIRED -> came(r) } /* lost */ \
    /* the terminal, through the host */ \
    :: d_step { READY(r) && row[r] == AT_CONTACT -> channel[card[r]] = r; message[r] = CONTACT } \
    :: d_step { READY(r) && row[r] == AT_SESSION && LIVE(r) -> act_on_card(r); channel[card[r]] = NONE; message[r] = COMPLETE; check_invariants() } \
    :: d_step { READY(r) && row[r] == AT_SESSION && LIVE(r) -> act_on_card(r); channel[card[r]] = NONE; row[r] = FAILED; check_invariants() } \
    /* the host */ \
    :: d_step { host[r] == OPEN && row[r] == DONE -> host_hears(r); check_invariants() } \
    :: d_step { host[r] == OPEN -> printf("request %d: the host settles it\n", r); settle(r); check_invariants() }
    REQUEST(0)
    REQUEST(1)
    od
}

/* ==== and when nothing breaks any more? ==== */

/* A clear of a card in which nothing breaks leaves no number bound to it, and no request keeps one reserved
 * that is over: none is lost. */
inline clear_both()
{
    release_card(0);
    release_card(1);
    assert(state[0] != BOUND && state[1] != BOUND)
}

HIDDEN byte was_state[NUMBERS], was_proven[NUMBERS], was_reference[NUMBERS], was_owner[NUMBERS], was_returns[NUMBERS];

/* Tried from every such state, and taken back. */
active proctype calm()
{
    do
    :: d_step {
        host[0] == NOBODY && host[1] == NOBODY ->
        assert(state[0] != RESERVED && state[1] != RESERVED);
        n = 0;
        do
        :: n < NUMBERS ->
            was_state[n] = state[n];
            was_proven[n] = proven[n];
            was_reference[n] = reference[n];
            was_owner[n] = owner[n];
            was_returns[n] = returns_to[n];
            n++
        :: else -> break
        od;
        clear_both();
        n = 0;
        do
        :: n < NUMBERS ->
            state[n] = was_state[n];
            proven[n] = was_proven[n];
            reference[n] = was_reference[n];
            owner[n] = was_owner[n];
            returns_to[n] = was_returns[n];
            n++
        :: else -> break
        od
    }
    od
}
