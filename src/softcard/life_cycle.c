#include "softcard/card.h"
#include "softcard/registry.h"
#include "softcard/security_domain.h"

/* P1 of SET STATUS (table 11-85). */
enum { SCOPE_CARD = 0x80, SCOPE_APPLICATION = 0x40, SCOPE_DOMAIN_AND_ITS_OWN = 0x60 };

/* 5.1.1: forward only, but for CARD_LOCKED, which goes back to SECURED; locking and terminating are
 * privileges of their own (table 6-1). */
static softcard_status set_card_state(softcard_request *request, uint8_t wanted)
{
    const softcard_application *actor = request->application;
    softcard_application *issuer = softcard_issuer(request->card->state);
    uint8_t present = issuer->life_cycle;
    bool allowed = softcard_may_manage(actor);
    bool possible;
    switch (wanted) {
    case SOFTCARD_CARD_INITIALIZED: possible = present == SOFTCARD_CARD_OP_READY; break;
    case SOFTCARD_CARD_SECURED:
        possible = present == SOFTCARD_CARD_INITIALIZED || present == SOFTCARD_CARD_LOCKED;
        if (present == SOFTCARD_CARD_LOCKED)
            allowed = softcard_has_privilege(actor, SOFTCARD_PRIVILEGE_CARD_LOCK);
        break;
    case SOFTCARD_CARD_LOCKED:
        possible = present == SOFTCARD_CARD_SECURED;
        allowed = softcard_has_privilege(actor, SOFTCARD_PRIVILEGE_CARD_LOCK);
        break;
    case SOFTCARD_CARD_TERMINATED:
        possible = true;
        allowed = softcard_has_privilege(actor, SOFTCARD_PRIVILEGE_CARD_TERMINATE);
        break;
    default: possible = false; break;
    }
    if (!possible || !allowed) return SW_CONDITIONS;
    issuer->life_cycle = wanted;
    return SW_OK;
}

static bool may_lock(softcard_request *request, const softcard_application *target)
{
    const softcard_application *actor = request->application;
    return softcard_has_privilege(actor, SOFTCARD_PRIVILEGE_GLOBAL_LOCK) ||
           softcard_is_ancestor(request->card->state, actor, target);
}

/* 5.3.1: b8 of the state locks; without it the state from before the lock comes back. */
static void set_lock(softcard_application *target, bool lock)
{
    if (lock)
        target->life_cycle |= SOFTCARD_LOCKED;
    else
        target->life_cycle &= (uint8_t)~SOFTCARD_LOCKED;
}

/* 5.3.2.3: an application's own states end in 111 and come after SELECTABLE; a domain's is PERSONALIZED. What
 * is locked stays so. */
static bool is_forward(const softcard_application *target, uint8_t wanted)
{
    if ((target->life_cycle & SOFTCARD_LOCKED) != 0 || target->life_cycle < SOFTCARD_SELECTABLE) return false;
    if (softcard_is_domain(target)) return wanted == SOFTCARD_PERSONALIZED;
    return (wanted & SOFTCARD_SELECTABLE) == SOFTCARD_SELECTABLE;
}

static softcard_status set_application_state(softcard_request *request, softcard_application *target)
{
    uint8_t wanted = request->command.p2;
    bool locked = (target->life_cycle & SOFTCARD_LOCKED) != 0;
    bool lock = (wanted & SOFTCARD_LOCKED) != 0;
    if (target->kind == SOFTCARD_ISSUER_DOMAIN) return SW_CONDITIONS;
    if (lock || locked) {
        if (!may_lock(request, target)) return SW_CONDITIONS;
        set_lock(target, lock);
        return SW_OK;
    }
    bool unchanged = wanted == target->life_cycle || wanted == 0;
    bool governs = target == request->application || may_lock(request, target);
    if (unchanged && governs) return SW_OK;
    if (!governs || !is_forward(target, wanted)) return SW_CONDITIONS;
    target->life_cycle = wanted;
    return SW_OK;
}

/* 11.10.2.1: the domain and everything below it. */
static softcard_status set_domain_and_its_own(softcard_request *request, softcard_application *domain)
{
    softcard_state *state = request->card->state;
    bool lock = (request->command.p2 & SOFTCARD_LOCKED) != 0;
    if (!softcard_is_domain(domain) || domain->kind == SOFTCARD_ISSUER_DOMAIN || !may_lock(request, domain))
        return SW_CONDITIONS;
    for (size_t i = 0; i < state->application_count; i++)
        if (softcard_is_ancestor(state, domain, &state->applications[i]))
            set_lock(&state->applications[i], lock);
    set_lock(domain, lock);
    return SW_OK;
}

softcard_status softcard_set_status(softcard_request *request)
{
    uint8_t scope = request->command.p1;
    softcard_aid aid;
    if (scope == SCOPE_CARD) return set_card_state(request, request->command.p2);
    if (scope != SCOPE_APPLICATION && scope != SCOPE_DOMAIN_AND_ITS_OWN) return SW_WRONG_P1P2;
    if (softcard_aid_of(request->command.data, &aid) != KF_OK) return SW_WRONG_DATA;
    softcard_application *target = softcard_application_find(request->card->state, &aid);
    if (target == NULL) return SW_REFERENCE_NOT_FOUND;
    return scope == SCOPE_APPLICATION ? set_application_state(request, target)
                                      : set_domain_and_its_own(request, target);
}
