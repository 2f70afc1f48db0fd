/* One card, its record, and the requests that work on it. README.md says which source each part stands for.
 *
 * Requests come without end; two are alive at a time, at one terminal or at two. What a terminal sent may
 * arrive at once, late, again, after other messages, or never: it stays in `contact` and `answers` until its
 * request is over, and a node of the key management unit may take it at any time. What it is answered is what
 * the database says of it; a terminal that does not hear the answer sends again, or not. Every unit may stop
 * between any two steps. The secure channel is taken for what it proves: a script acts only in the channel
 * that its own INITIALIZE UPDATE opened, and answers under response MACs are true of the card when given.
 *
 * A key is named by what the record knows it as, so that the states are finite: PRESENT, PENDING, PREVIOUS;
 * at each change of the record whatever holds a key is renamed.
 */

/* Keys. 0: none. */
#define PRESENT 1
#define PENDING 2
#define PREVIOUS 3
#define NEW 4     /* the vault has just chosen it */
#define UNNAMED 5 /* the record knows it no more */

/* What a contact shows of the profile's domain: not there, there without a key of its own, or a key. */
#define NOTHING 0
#define ABSENT 1
#define EMPTY 2
#define SHOWS(key) ((key) + 2)

/* kf_operation */
#define FILL 1
#define REFILL 2
#define CLEAR 3

/* kf_card_state */
#define BLANK 0
#define FILLING 1
#define FILLED 2
#define REFILLING 3
#define CLEARING 4

/* kf_session_kind */
#define CREATE 1
#define KEY 2
#define DELETE 5
#define ABSENCE 6

/* What the vault says. */
#define REFUSED 1
#define DONE 2
#define CONTINUE 3

/* A terminal with its operation. */
#define NOBODY 0
#define HAS_CONTACT 1
#define SENT_CONTACT 2
#define HAS_SESSION 3
#define SENT_SESSION 4
#define LEFT 5

/* A session's answers. */
#define COMPLETE 1 /* the whole script, under response MACs */
#define STOPPED 2  /* an unacceptable status word, or no answer */

/* Slots 0 and 1 are the requests; slot LAST settles the card when nothing breaks any more. */
#define SLOTS 3
#define LAST 2
#define OTHER(r) (1 - (r))

#ifndef HIDDEN
#define HIDDEN hidden /* no part of the state: written before it is read */
#endif

/* -- the card -- */
byte card_key;     /* what the domain holds */
bit card_domain;   /* it is installed */
byte card_channel; /* CHANNEL of the last INITIALIZE UPDATE since power came; 0: none */
#define CHANNEL(r) (2 * (r) + reading[r] + 1)
#define IN_CHANNEL(r) (card_channel == CHANNEL(r))

/* -- the database: the card's row -- */
byte record_state;
bit has_present, has_pending, has_previous;
bit pending_usable; /* its base key makes new keys; 0: it was rotated out since */
byte claim;         /* CLAIM_OF(slot); CLAIM_AT(terminal): of a request of which nothing comes any more */
bit claim_idle;
#define CLAIM_OF(r) ((r) + 1)
#define CLAIM_AT(t) ((t) + 3)

/* -- the database: requests, and what of them is in the token -- */
byte operation[SLOTS];
bit terminal[SLOTS];
byte step[SLOTS]; /* 0: there is none, or it is over */
byte answered[SLOTS]; /* reading + 1 that the attempt went on from; 0: none */
byte session[SLOTS];
bit session_pending[SLOTS]; /* the pending key opens it */
byte token_pending[SLOTS];
bit token_fresh[SLOTS];   /* the record has the sequence of the token's */
bit script_fresh[SLOTS];  /* the record has the sequence that it had when the contact's script was made */

/* -- messages that were sent -- */
byte contact[2 * SLOTS]; /* of each reading, what it showed */
byte answers[SLOTS];

/* -- terminals -- */
byte at[SLOTS];
bit reading[SLOTS]; /* the card was read a second time; TWO_READINGS: in slot 0, whether it is the older or not */

/* -- nodes: what was read and is not yet written. Of two that have read messages of one request the second
 * finds another step or attempt in the row, and gives way: a request has one that matters. -- */
byte taken[SLOTS];     /* reading + 1 of the contact; 0: none */
bit taken_fresh[SLOTS]; /* the record has the sequence that was read */

/* -- for the properties: the claim passed to another, or may have, as the rule has it -- */
bit given_way[SLOTS];
bit begun;

#ifdef SCRIPT_BEFORE_COMMIT
byte late; /* slot + 1 whose intent is still to be written */
byte late_state;
bit late_new, late_previous;
#endif

HIDDEN byte said, keys, next_state, next_pending, next_previous, next_usable, worked, i, k_present, k_pending, k_previous;

#define PRESENT_KEY (has_present -> PRESENT : 0)
#define PENDING_KEY (has_pending -> PENDING : 0)
#define PREVIOUS_KEY (has_previous -> PREVIOUS : 0)
#define NAMED \
    (card_key == 0 || card_key == PRESENT && has_present || card_key == PENDING && has_pending || \
     card_key == PREVIOUS && has_previous)
#define TRUE_RECORD \
    ((record_state != BLANK || card_key == 0) && (record_state != FILLED || card_key == PRESENT))

inline check_invariants()
{
    printf("    card: domain %d, key %d; record: state %d (0 blank, 1 filling, 2 filled, 3 refilling, 4 clearing), keys %d %d %d; claim %d\n", card_domain, card_key, record_state, has_present, has_pending, has_previous, claim);
    assert(NAMED);
    assert(TRUE_RECORD)
}

/* ==== the vault ==== */

/* kf_channel_keys beside the three keys */
#define KEYS_ABSENT 10 /* no domain that could be asked */
#define KEYS_ISSUER 11
#define KEYS_NONE 12

/* find_domain_keys */
inline find_keys(shown)
{
    if
    :: shown == ABSENT -> keys = KEYS_ABSENT
    :: shown == EMPTY -> keys = KEYS_ISSUER
    :: shown == SHOWS(PRESENT) && has_present -> keys = PRESENT
    :: shown == SHOWS(PENDING) && has_pending -> keys = PENDING
    :: shown == SHOWS(PREVIOUS) && has_previous -> keys = PREVIOUS
    :: else -> keys = KEYS_NONE
    fi
}

/* choose_key, choose_next */
inline choose_generation()
{
    next_pending = NEW;
    next_usable = 1
}

/* kf_fill_decide */
inline decide_fill()
{
    if
    :: (record_state != BLANK && record_state != FILLING) || keys == KEYS_NONE -> said = REFUSED
    :: else ->
        said = CONTINUE;
        next_state = FILLING;
        if
        :: record_state == BLANK || !has_pending ->
            choose_generation();
#ifndef GIVEN_UP_TWICE
            next_previous = 0
#endif
#ifdef PENDING_FORGOTTEN
        :: else -> choose_generation()
#else
        :: (record_state == FILLING && has_pending) && (pending_usable || keys == PENDING) -> skip
#ifndef GIVEN_UP_TWICE
        :: (record_state == FILLING && has_pending) && !(pending_usable || keys == PENDING) && has_previous && keys != PREVIOUS ->
            said = REFUSED /* clear it */
#endif
        :: else -> /* give_up_pending */
#ifndef PREVIOUS_FORGOTTEN
            next_previous = (keys == PREVIOUS -> PREVIOUS : PENDING);
#endif
            choose_generation()
#endif
        fi
    fi
}

/* kf_refill_decide */
inline decide_refill()
{
    if
    :: record_state != FILLED && record_state != REFILLING -> said = REFUSED
    :: (record_state == FILLED || record_state == REFILLING) && keys == PENDING -> said = DONE
    :: (record_state == FILLED || record_state == REFILLING) && keys == PRESENT ->
        said = CONTINUE;
        next_state = REFILLING;
        if
#ifndef PENDING_FORGOTTEN
        :: has_pending && pending_usable -> skip
#endif
        :: else -> choose_generation()
        fi
    :: else -> said = REFUSED
    fi
}

/* kf_clear_decide */
inline decide_clear()
{
    if
    :: record_state == BLANK && keys == KEYS_ABSENT -> said = DONE
    :: keys == KEYS_NONE || (keys == PREVIOUS && record_state == FILLED) ||
       (keys == KEYS_ISSUER && record_state == BLANK) -> said = REFUSED
    :: else ->
        next_state = CLEARING;
#ifdef STATUS_WORD_MOVES
        said = (keys == KEYS_ABSENT -> DONE : CONTINUE)
#else
        said = CONTINUE
#endif
    fi
}

/* take_contact: from what the contact showed to the record that is to be. */
inline decide(r, shown)
{
    next_state = record_state;
    next_pending = PENDING_KEY;
    next_previous = PREVIOUS_KEY;
    next_usable = pending_usable;
    find_keys(shown);
    if
    :: operation[r] == FILL -> decide_fill()
    :: operation[r] == REFILL -> decide_refill()
    :: else -> decide_clear()
    fi
}

/* kf_plan_sessions: the session after the contact. */
inline plan(r)
{
    session_pending[r] = (keys == PENDING);
    if
    :: operation[r] == CLEAR -> session[r] = (keys == KEYS_ABSENT -> ABSENCE : DELETE)
    :: else ->
        token_pending[r] = next_pending;
        session[r] = (operation[r] == FILL && keys == KEYS_ABSENT -> CREATE : KEY)
    fi
}

#define RENAMED(key) \
    ((key) == 0 -> 0 : ((key) == k_present -> PRESENT : ((key) == k_pending -> PENDING : ((key) == k_previous -> PREVIOUS : UNNAMED))))

/* The record has these keys now, and a new sequence: whoever read or made it before is behind. */
inline change_keys(new_present, new_pending, new_previous)
{
    k_present = new_present;
    k_pending = new_pending;
    k_previous = new_previous;
    has_present = (k_present != 0);
    has_pending = (k_pending != 0);
    has_previous = (k_previous != 0);
    card_key = RENAMED(card_key);
    i = 0;
    do
    :: i < LAST ->
        token_fresh[i] = 0;
        script_fresh[i] = 0;
        taken_fresh[i] = 0;
        token_pending[i] = RENAMED(token_pending[i]);
        if
        :: contact[2 * i] > EMPTY -> contact[2 * i] = SHOWS(RENAMED(contact[2 * i] - 2))
        :: else -> skip
        fi;
        if
        :: contact[2 * i + 1] > EMPTY -> contact[2 * i + 1] = SHOWS(RENAMED(contact[2 * i + 1] - 2))
        :: else -> skip
        fi;
        i++
    :: else -> break
    od
}

/* kf_finish. The record is still as the intent made it, or as it was read. */
inline finish(r)
{
#ifdef ENDS
    assert(operation[r] != ENDS);
#endif
    if
    :: operation[r] == CLEAR && record_state == BLANK -> skip
    :: operation[r] == CLEAR && record_state != BLANK ->
        record_state = BLANK;
        pending_usable = 0;
        change_keys(0, 0, (has_present -> PRESENT : PENDING_KEY))
    :: else ->
        record_state = FILLED;
        pending_usable = 0;
        change_keys(PENDING_KEY, 0, PRESENT_KEY)
    fi
}

/* ==== the card ==== */

/* Power off, power on, SELECT, INITIALIZE UPDATE: what it shows. */
inline read_card(r)
{
    card_channel = CHANNEL(r);
    contact[2 * r + reading[r]] = (!card_domain -> ABSENT : (card_key == 0 -> EMPTY : SHOWS(card_key)));
    printf("request %d reads the card: domain %d, key %d\n", r, card_domain, card_key)
}

/* What the one command that matters of a session does, all or nothing; `worked`: the card took it. */
inline act_on_card(r)
{
    printf("request %d: the card runs session %d (1 create, 2 key, 5 delete, 6 absence), key %d\n", r, session[r], token_pending[r]);
    worked = 1;
    if
    :: session[r] == CREATE ->
        worked = !card_domain;
        card_domain = 1
    :: session[r] == KEY ->
        if
        :: operation[r] == FILL && session_pending[r] -> skip /* it is there */
        :: else -> card_key = token_pending[r]
        fi
    :: session[r] == DELETE ->
        card_key = 0;
        card_domain = 0
    :: else -> worked = !card_domain /* ABSENCE: the list under a MAC shows a domain that was hidden */
    fi
}

/* ==== the front of the key management unit, and its database ==== */

/* kf_card_check_claim */
#define TERMINAL_OF_CLAIM (claim >= CLAIM_AT(0) -> claim - CLAIM_AT(0) : terminal[claim - 1])
#define BY_RULE(r) (TERMINAL_OF_CLAIM == terminal[r] || claim_idle)
#ifdef CLAIM_MISSING
#define MAY_CLAIM(r) true
#else
#define MAY_CLAIM(r) (claim == 0 || claim == CLAIM_OF(r) || BY_RULE(r))
#endif

inline note_rule(r)
{
    if
    :: claim == CLAIM_OF(OTHER(r)) && BY_RULE(r) -> given_way[OTHER(r)] = 1
    :: else -> skip
    fi
}

/* kf_card_take */
inline take_claim(r)
{
    note_rule(r);
    claim = CLAIM_OF(r);
    claim_idle = 0
}

inline forget_attempt(r)
{
    step[r] = 0;
    answered[r] = 0;
    session[r] = 0;
    session_pending[r] = 0;
    token_pending[r] = 0;
    token_fresh[r] = 0;
    script_fresh[r] = 0;
    answers[r] = 0;
    contact[2 * r] = NOTHING;
    contact[2 * r + 1] = NOTHING;
    taken[r] = 0;
    taken_fresh[r] = 0;
    given_way[r] = 0;
    card_channel = (IN_CHANNEL(r) -> 0 : card_channel);
    reading[r] = 0
}

/* Nothing of it comes any more. */
inline forget(r)
{
    forget_attempt(r);
    operation[r] = 0;
    at[r] = NOBODY;
    claim = (claim == CLAIM_OF(r) -> CLAIM_AT(terminal[r]) : claim);
    terminal[r] = 0
}

/* The row is done or failed; the terminal hears it, or is told the same again. */
inline end_request(r)
{
    if
    :: claim == CLAIM_OF(r) ->
        claim = 0;
        claim_idle = 0
    :: else -> skip
    fi;
    forget(r)
}

/* begin_attempt: the card is read again. */
inline begin_attempt(r)
{
    forget_attempt(r);
    step[r] = 1;
    script_fresh[r] = 1;
    at[r] = (at[r] == SENT_CONTACT -> HAS_CONTACT : LEFT)
}

inline write_intent()
{
    record_state = next_state;
    pending_usable = next_usable;
    change_keys(PRESENT_KEY, next_pending, next_previous)
}

inline send_session(r)
{
    take_claim(r);
    plan(r);
    step[r] = 2;
    answered[r] = taken[r];
    taken[r] = 0;
    taken_fresh[r] = 0
}

/* write_advance after a contact: record, row, claim and answer together. */
inline commit_contact(r, lost)
{
    decide(r, contact[2 * r + taken[r] - 1]);
    printf("request %d: the vault says %d (1 refused, 2 done, 3 continue) to what showed key %d\n", r, said, contact[2 * r + taken[r] - 1] - 2);
    if
#ifndef OLD_CONTACT_TAKEN
    :: !script_fresh[r] -> begin_attempt(r)
#define CURRENT (taken_fresh[r] && script_fresh[r])
#else
    :: !taken_fresh[r] -> end_request(r) /* KF_ERR_CONFLICT */
#define CURRENT taken_fresh[r]
#endif
    :: CURRENT && said == REFUSED -> end_request(r)
    :: CURRENT && said == DONE ->
        finish(r);
        end_request(r)
    :: CURRENT && said == CONTINUE && !MAY_CLAIM(r) ->
        taken[r] = 0; /* KF_ERR_IN_PROGRESS: it stays open */
        taken_fresh[r] = 0
    :: CURRENT && said == CONTINUE && MAY_CLAIM(r) ->
#ifdef SCRIPT_BEFORE_COMMIT
        late = r + 1;
        late_state = next_state;
        late_new = (next_pending == NEW);
        late_previous = (next_previous != 0);
        send_session(r);
        token_fresh[r] = 1
#else
        send_session(r);
        if
        :: lost -> skip
        :: else -> write_intent()
        fi;
        token_fresh[r] = 1
#endif
    fi
}

inline commit_session(r)
{
    if
    :: answers[r] == STOPPED ->
        printf("request %d failed: its script was stopped\n", r);
        end_request(r)
    :: answers[r] == COMPLETE && session[r] == CREATE ->
        take_claim(r);
        step[r] = 3;
        session[r] = KEY;
        answers[r] = 0
    :: answers[r] == COMPLETE && session[r] != CREATE && token_fresh[r] ->
        finish(r);
        end_request(r)
    :: else ->
        assert(given_way[r]); /* proven work is refused to none but who had given way */
        end_request(r)
    fi
}

#ifdef INTENT_NOT_DURABLE /* the node or its disk stops before the write is out of memory; the script has left */
#define LOSES(r) :: d_step { taken[r] != 0 -> commit_contact(r, 1); check_invariants() }
#else
#define LOSES(r)
#endif

#define CONTACT_CAME(r, w) (step[r] == 1 && contact[2 * (r) + (w)] != NOTHING)
#define ANSWERS_CAME(r) (step[r] > 1 && answers[r] != 0)
#define OTHER_ANSWERS_CAME(r) (step[r] > 1 && contact[2 * (r)] != NOTHING && contact[2 * (r) + 1] != NOTHING)

/* What is read of a contact may be old when it is written. A session's answers go by the token, whose sequence
 * the write compares: what was read before does not matter to it. */
active proctype nodes()
{
    do
#define SERVES(r) \
    :: d_step { taken[r] == 0 && CONTACT_CAME(r, 0) && MAY_CLAIM(r) -> taken[r] = 1; taken_fresh[r] = 1; note_rule(r) } \
    :: d_step { taken[r] == 0 && CONTACT_CAME(r, 1) && MAY_CLAIM(r) -> taken[r] = 2; taken_fresh[r] = 1; note_rule(r) } \
    :: d_step { taken[r] != 0 -> commit_contact(r, 0); check_invariants() } \
    LOSES(r) \
    :: d_step { taken[r] != 0 -> taken[r] = 0; taken_fresh[r] = 0 } /* the node stops */ \
    :: d_step { OTHER_ANSWERS_CAME(r) && MAY_CLAIM(r) -> begin_attempt(r) } \
    :: d_step { ANSWERS_CAME(r) && MAY_CLAIM(r) -> note_rule(r); commit_session(r); check_invariants() }
    SERVES(0)
    SERVES(1)
    od
}

/* ==== terminals ==== */

/* One operation at a time: an older one of the same terminal has ended without an answer. */
inline begin_request(r, t, what)
{
    printf("request %d begins at terminal %d: operation %d (1 fill, 2 refill, 3 clear)\n", r, t, what);
    terminal[r] = t;
    operation[r] = what;
    at[r] = HAS_CONTACT;
    step[r] = 1;
    script_fresh[r] = 1;
    if
    :: at[OTHER(r)] != NOBODY && terminal[OTHER(r)] == t ->
        at[OTHER(r)] = LEFT;
        card_channel = (IN_CHANNEL(OTHER(r)) -> 0 : card_channel)
    :: else -> skip
    fi
}

#ifdef NO_LIES
#define HIDES(r)
#else
#define HIDES(r) \
    :: d_step { at[r] == HAS_CONTACT && card_domain -> /* 6A82 has no MAC */ \
        read_card(r); \
        printf("request %d: the terminal hides the domain\n", r); \
        contact[2 * r + reading[r]] = ABSENT; \
        at[r] = SENT_CONTACT }
#endif
#ifdef TWO_READINGS
#define READS_AGAIN(r) \
    :: d_step { r == 0 && at[r] == SENT_CONTACT && !reading[r] -> reading[r] = 1; read_card(r) }
#else
#define READS_AGAIN(r)
#endif

active proctype terminals()
{
    if /* a card that was never filled, or one that was */
    :: begun = 1
    :: d_step {
        card_domain = 1;
        card_key = PRESENT;
        record_state = FILLED;
        has_present = 1;
        begun = 1
    }
    fi;
    do
#define BEGINS(r, t, what) \
    :: d_step { at[r] == NOBODY && (r == 0 || at[0] != NOBODY) -> begin_request(r, t, what) }
#define WORKS(r) \
    BEGINS(r, 0, FILL) \
    BEGINS(r, 0, REFILL) \
    BEGINS(r, 0, CLEAR) \
    BEGINS(r, 1, FILL) \
    BEGINS(r, 1, REFILL) \
    BEGINS(r, 1, CLEAR) \
    :: d_step { at[r] == HAS_CONTACT -> read_card(r); at[r] = SENT_CONTACT } \
    HIDES(r) \
    READS_AGAIN(r) \
    :: d_step { at[r] == SENT_CONTACT && step[r] == 2 && answered[r] == reading[r] + 1 -> at[r] = HAS_SESSION } \
    :: d_step { at[r] == SENT_SESSION && step[r] == 3 && answers[r] == 0 -> at[r] = HAS_SESSION } \
    :: d_step { at[r] == HAS_SESSION && IN_CHANNEL(r) -> \
        act_on_card(r); \
        answers[r] = (worked -> COMPLETE : STOPPED); \
        at[r] = SENT_SESSION; \
        check_invariants() } \
    :: d_step { at[r] == HAS_SESSION && IN_CHANNEL(r) -> /* torn behind the effect, or a status word made up */ \
        act_on_card(r); \
        answers[r] = STOPPED; \
        card_channel = 0; \
        at[r] = SENT_SESSION; \
        check_invariants() } \
    :: d_step { at[r] == HAS_SESSION -> /* torn before it, or the channel is gone */ \
        printf("request %d: its script is stopped before it has an effect\n", r); \
        answers[r] = STOPPED; \
        card_channel = (IN_CHANNEL(r) -> 0 : card_channel); \
        at[r] = SENT_SESSION } \
    :: d_step { at[r] != NOBODY -> forget(r) } /* the terminal stops; what it sent is lost */
    WORKS(0)
    WORKS(1)
    :: d_step { claim != 0 && !claim_idle -> claim_idle = 1; printf("the claim is idle\n") }
#ifndef NO_ROTATION
    :: d_step { pending_usable -> pending_usable = 0; printf("the base key is rotated\n") }
#endif
#ifdef SCRIPT_BEFORE_COMMIT
    :: d_step {
        late != 0 && token_fresh[late - 1] ->
        record_state = late_state;
        pending_usable = late_new;
        change_keys(PRESENT_KEY, (late_new -> NEW : PENDING_KEY), (late_previous -> PREVIOUS : 0));
        token_fresh[late - 1] = 1;
        late = 0
    }
    :: d_step { late != 0 -> late = 0 }
#endif
    od
}

/* ==== and when nothing breaks any more? ==== */

HIDDEN byte was_key, was_domain, was_channel, was_state, tries;

/* The operation that the record names, at any terminal; where that is refused, clear. */
inline settle()
{
    tries = 0;
    do
    :: record_state == BLANK || record_state == FILLED || tries == 3 -> break
    :: else ->
        operation[LAST] = (tries > 0 || record_state == CLEARING -> CLEAR : (record_state == FILLING -> FILL : REFILL));
        read_card(LAST);
        decide(LAST, contact[2 * LAST]);
        if
        :: said == REFUSED -> worked = 0
        :: said == DONE -> worked = 1
        :: else ->
            plan(LAST);
            act_on_card(LAST);
            if
            :: session[LAST] == CREATE ->
                session[LAST] = KEY;
                act_on_card(LAST)
            :: else -> skip
            fi
        fi;
        if
        :: worked && operation[LAST] == CLEAR -> record_state = (card_key == 0 && !card_domain -> BLANK : record_state)
        :: worked && operation[LAST] != CLEAR -> record_state = (card_key == (said == DONE -> PENDING : next_pending) -> FILLED : record_state)
        :: else -> skip
        fi;
        tries++
    od;
    assert(record_state == BLANK || record_state == FILLED);
#ifdef NO_ROTATION
    assert(tries <= 1) /* the operation itself can be completed */
#endif
}

/* Tried from every state, and taken back. */
active proctype calm()
{
    do
    :: d_step {
        record_state != BLANK && record_state != FILLED ->
        was_key = card_key;
        was_domain = card_domain;
        was_channel = card_channel;
        was_state = record_state;
        settle();
        card_key = was_key;
        card_domain = was_domain;
        card_channel = was_channel;
        record_state = was_state;
        operation[LAST] = 0;
        session[LAST] = 0;
        session_pending[LAST] = 0;
        token_pending[LAST] = 0;
        contact[2 * LAST] = NOTHING
    }
    od
}
