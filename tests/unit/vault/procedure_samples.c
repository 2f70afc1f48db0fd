#include "procedure_samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

kf_procedure_request sample_request(void)
{
    kf_procedure_request request = {
        .actor = {"host:counter", "00112233445566778899aabbccddeeff"},
        .attempt = 2,
        .terminal = "till-1",
        .operation = KF_OPERATION_APP_LOAD,
        .category = "cn-north",
        .number = "8613800000001",
        .iccid = "89860012345678901234",
        .imsi = "460001234567890",
        .write_number = true,
        .personalise = KF_PERSONALISE_NEVER,
        .generation_floor = 9,
        .module = "wallet",
    };
    memset(request.module_digest, 0xDD, sizeof request.module_digest);
    assert_int_equal(kf_named_values_set(&request.personalisation, "plan", "5G-59", NULL), KF_OK);
    return request;
}

kf_procedure_state sample_state(void)
{
    kf_procedure_state state = {
        .request = sample_request(),
        .step = 3,
        .attempt = 2,
        .expires = 1800000600000,
        .script = KF_SCRIPT_SESSION,
        .session = 1,
        .first_command = 5,
        .list_pages = {1, 2, 3},
        .issuer_challenge = {1, 1, 1, 1, 1, 1, 1, 1},
        .domain_challenge = {2, 2, 2, 2, 2, 2, 2, 2},
        .session_challenge = {3, 3, 3, 3, 3, 3, 3, 3},
        .session_answer = {4, 4, 4, 4},
        .session_answer_size = 4,
        .facts = {.domain_present = true,
                  .domain_keys = KF_KEYS_FACTORY,
                  .file_channel = true,
                  .number_record_size = 28,
                  .adm_known = true,
                  .adm_tries = 9,
                  .file_sizes = {64, 17},
                  .kept = "plan"},
        .record = {.identity = "kdd:00112233445566778899", .state = KF_CARD_FILLING, .sequence = 4},
        .recorded = true,
        .round_trips = 3,
        .apdus = 11,
        .applications = kf_buffer_with_limit(KF_APPLICATION_LIST_MAX),
    };
    memset(state.profile_digest, 0xAA, sizeof state.profile_digest);
    memset(state.script_digest, 0xBB, sizeof state.script_digest);
    kf_buffer_append_text(&state.applications, "list");
    return state;
}
