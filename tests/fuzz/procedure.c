/* Procedures of the vault against a card, or a terminal, that alters the answers: whatever they say, the
 * records name the key that the card holds, and an honest card goes on to the end afterwards. */
#include "../unit/vault/procedure_card.h"
#include "fuzz.h"

#include <string.h>

#define ALTERATIONS_MAX 16

/* One altered answer: of which message, which one of its answers, how. */
typedef struct alteration {
    uint8_t message;
    uint8_t answer;
    uint8_t way; /* 0: cut, 1: a byte changed, 2: others in its place, 3: left out */
    uint8_t where;
    uint8_t value;
    kf_view bytes;
} alteration;

typedef struct alterations {
    alteration items[ALTERATIONS_MAX];
    size_t count;
} alterations;

static test_bench bench;
static bool made;

static void remove_bench(void)
{
    if (made) bench_remove(&bench);
    made = false;
}

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    return atexit(remove_bench);
}

static void replace(kf_script_answer *answer, kf_view bytes)
{
    kf_view part = kf_view_part(bytes, 0, sizeof answer->response);
    if (part.size < 2) return;
    memcpy(answer->response, part.data, part.size);
    answer->response_size = part.size;
}

static void alter_one(const alteration *change, kf_script_answers *answers)
{
    if (answers->count == 0) return;
    kf_script_answer *answer = &answers->items[change->answer % answers->count];
    size_t where = change->where % answer->response_size;
    switch (change->way % 4) {
    case 0:
        if (where >= 2) answer->response_size = where;
        break;
    case 1: answer->response[where] ^= change->value; break;
    case 2: replace(answer, change->bytes); break;
    default: answers->count = change->answer % answers->count;
    }
}

static void alter(test_bench *altered, unsigned message, const kf_script *script, kf_script_answers *answers)
{
    const alterations *all = altered->alter_context;
    (void)script;
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i].message % 4 == message - 1) alter_one(&all->items[i], answers);
}

static void take_alterations(fuzz_input *input, alterations *all)
{
    while (all->count < ALTERATIONS_MAX && !fuzz_input_ends(input)) {
        alteration *change = &all->items[all->count++];
        change->message = fuzz_u8(input);
        change->answer = fuzz_u8(input);
        change->way = fuzz_u8(input);
        change->where = fuzz_u8(input);
        change->value = fuzz_u8(input);
        change->bytes = change->way % 4 == 2 ? fuzz_part8(input) : kf_view_of(NULL, 0);
    }
}

static void run_altered(const kf_procedure_request *request, alterations *changes)
{
    bench.alter = alter;
    bench.alter_context = changes;
    test_outcome outcome = run(&bench, request);
    outcome_clear(&outcome);
}

/* The first byte chooses what is asked, and of which card. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const kf_operation operations[] = {KF_OPERATION_FILL, KF_OPERATION_REFILL, KF_OPERATION_CLEAR,
                                              KF_OPERATION_APP_LIST};
    static const profile_choice profile = {.fields = TAG_FIELDS};
    static const card_choice card = {.parameter = NULL};
    fuzz_input input = fuzz_input_of(data, size);
    alterations changes = {.count = 0};
    uint8_t choice = fuzz_u8(&input);
    take_alterations(&input, &changes);
    if (!made) bench_make(&bench, &profile, &card);
    made = true;
    bench_set_card(&bench, &card);
    bench.has_record = false;
    bench.next_fresh = 0;
    bench.next_random = 0;
    kf_operation operation = operations[choice % 4];
    kf_procedure_request request = request_of(operation);
    if (operation != KF_OPERATION_FILL) fill_card(&bench);
    run_altered(&request, &changes);
    assert_key_is_nameable(&bench);
    return 0;
}
