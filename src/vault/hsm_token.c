#include "vault/hsm_token.h"

#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

#define SLOTS_MAX 256
#define HANDLES_SIZE 16384 /* places; a power of two above the keys of a full store */
#define SEARCH_AGAIN_MS 5000

typedef struct known_handle {
    kf_hsm_id id;
    CK_OBJECT_HANDLE handle; /* CK_INVALID_HANDLE: free place */
} known_handle;

struct kf_hsm_token {
    P11KitUri *uri;
    char *module_path;
    kf_secret *pin;
    kf_secret *officer_pin;
    /* Held for reading while a thread uses the module, for writing while the token is opened or closed. */
    pthread_rwlock_t lock;
    CK_FUNCTION_LIST **modules; /* of p11_kit_modules_load, NULL where one module was loaded */
    CK_FUNCTION_LIST *module;   /* the token's; NULL while it is not open */
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE login; /* keeps the login alive */
    uint64_t life;           /* rises with every opening */
    kf_hsm_status status;
    kf_code lasting; /* why it is not asked again */
    kf_error lasting_error;
    uint64_t asked_ms; /* when it was last tried to be opened */
    /* The rest under `notes`, which is held for moments. */
    pthread_mutex_t notes;
    bool lost; /* some thread found it so */
    uint64_t missed_ms;
    known_handle *handles;
    size_t handle_count;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) return 0;
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static kf_code read_uri(const char *text, P11KitUri *uri, kf_error *error)
{
    int result = p11_kit_uri_parse(text, P11_KIT_URI_FOR_TOKEN | P11_KIT_URI_FOR_MODULE_WITH_VERSION, uri);
    if (result == P11_KIT_URI_OK && !p11_kit_uri_any_unrecognized(uri)) return KF_OK;
    return kf_fail(error, KF_ERR_CONFIGURATION,
                   "%s is no URI of a token: it reads pkcs11:token=NAME;serial=NUMBER", text);
}

kf_code kf_hsm_token_new(const kf_hsm_token_options *options, kf_hsm_token **ret_token, kf_error *error)
{
    kf_hsm_token *token = calloc(1, sizeof *token);
    if (token == NULL) return kf_fail_plain(error, KF_ERR_MEMORY);
    if (pthread_rwlock_init(&token->lock, NULL) != 0 || pthread_mutex_init(&token->notes, NULL) != 0) {
        free(token);
        return kf_fail_plain(error, KF_ERR_MEMORY);
    }
    token->uri = p11_kit_uri_new();
    token->handles = calloc(HANDLES_SIZE, sizeof *token->handles);
    kf_code code = token->uri != NULL && token->handles != NULL ? KF_OK : KF_ERR_MEMORY;
    if (code == KF_OK) code = read_uri(options->uri, token->uri, error);
    if (code == KF_OK) code = kf_secret_copy(options->pin, &token->pin);
    if (code == KF_OK && options->officer_pin != NULL)
        code = kf_secret_copy(options->officer_pin, &token->officer_pin);
    const char *path = options->module;
    if (code == KF_OK && path == NULL) path = p11_kit_uri_get_module_path(token->uri);
    if (code == KF_OK && path != NULL && (token->module_path = strdup(path)) == NULL) code = KF_ERR_MEMORY;
    if (code != KF_OK) {
        kf_hsm_token_free(&token);
        return kf_fail_plain(error, code);
    }
    *ret_token = token;
    return KF_OK;
}

static void close_modules(kf_hsm_token *token)
{
    if (token->modules != NULL) {
        for (size_t i = 0; token->modules[i] != NULL; i++)
            (void)token->modules[i]->C_Finalize(NULL);
        p11_kit_modules_release(token->modules);
    } else if (token->module != NULL) {
        (void)token->module->C_Finalize(NULL);
        p11_kit_module_release(token->module);
    }
    token->modules = NULL;
    token->module = NULL;
}

void kf_hsm_token_free(kf_hsm_token **token)
{
    if (*token == NULL) return;
    close_modules(*token);
    p11_kit_uri_free((*token)->uri);
    free((*token)->module_path);
    free((*token)->handles);
    kf_secret_free(&(*token)->pin);
    kf_secret_free(&(*token)->officer_pin);
    pthread_mutex_destroy(&(*token)->notes);
    pthread_rwlock_destroy(&(*token)->lock);
    free(*token);
    *token = NULL;
}

/* -- opening -- */

static kf_code unavailable(kf_error *error, const char *what, CK_RV result)
{
    return kf_fail(error, KF_ERR_UNAVAILABLE, "the token with the base keys cannot be used: %s: %s (0x%lX)",
                   what, p11_kit_strerror(result), result);
}

/* How many slots of the module hold a token that the URI fits; the last of them. */
static size_t match_slots(kf_hsm_token *token, CK_FUNCTION_LIST *module, CK_SLOT_ID *ret_slot)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    size_t matches = 0;
    if (module->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK) return 0;
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;
        if (module->C_GetTokenInfo(slots[i], &info) != CKR_OK) continue;
        if (!p11_kit_uri_match_token_info(token->uri, &info)) continue;
        *ret_slot = slots[i];
        matches++;
    }
    return matches;
}

/* PKCS#11 2.40, 5.4: only so does a module expect several threads. */
static CK_RV initialize(CK_FUNCTION_LIST *module)
{
    CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK};
    return module->C_Initialize(&arguments);
}

static kf_code load_modules(kf_hsm_token *token, kf_error *error)
{
    if (token->module_path == NULL) {
        token->modules = p11_kit_modules_load(NULL, P11_KIT_MODULE_UNMANAGED);
        if (token->modules == NULL)
            return kf_fail(error, KF_ERR_UNAVAILABLE, "the PKCS#11 modules cannot be loaded: %s",
                           p11_kit_message());
        /* One that does not start holds no token that can be found. */
        for (size_t i = 0; token->modules[i] != NULL; i++)
            (void)initialize(token->modules[i]);
        return KF_OK;
    }
    token->module = p11_kit_module_load(token->module_path, P11_KIT_MODULE_UNMANAGED);
    if (token->module == NULL)
        return kf_fail(error, KF_ERR_UNAVAILABLE, "the PKCS#11 module %s cannot be loaded: %s",
                       token->module_path, p11_kit_message());
    CK_RV result = initialize(token->module);
    if (result == CKR_OK) return KF_OK;
    p11_kit_module_release(token->module);
    token->module = NULL;
    return unavailable(error, "its module does not start", result);
}

static kf_code find_slot(kf_hsm_token *token, kf_error *error)
{
    size_t matches = 0;
    if (token->modules == NULL) matches = match_slots(token, token->module, &token->slot);
    for (size_t i = 0; token->modules != NULL && token->modules[i] != NULL; i++) {
        size_t here = match_slots(token, token->modules[i], &token->slot);
        if (here > 0) token->module = token->modules[i];
        matches += here;
    }
    if (matches == 1) return KF_OK;
    if (matches > 1)
        return kf_fail(error, KF_ERR_KEY_STORE,
                       "the URI of the token fits %zu tokens: name its serial number as well", matches);
    return kf_fail(error, KF_ERR_UNAVAILABLE, "the token with the base keys is not there");
}

/* A PIN that is tried again and again locks the token. */
static kf_code log_in(kf_hsm_token *token, CK_USER_TYPE user, const kf_secret *pin, kf_error *error)
{
    kf_view bytes = kf_secret_expose(pin);
    CK_RV result = token->module->C_Login(token->login, user, kf_hsm_input(bytes.data), bytes.size);
    if (result == CKR_OK || result == CKR_USER_ALREADY_LOGGED_IN) return KF_OK;
    if (result == CKR_PIN_INCORRECT || result == CKR_PIN_LOCKED || result == CKR_PIN_EXPIRED ||
        result == CKR_PIN_INVALID || result == CKR_PIN_LEN_RANGE || result == CKR_USER_PIN_NOT_INITIALIZED)
        return kf_fail(error, KF_ERR_KEY_STORE, "the token does not take the %s PIN: %s (0x%lX)",
                       user == CKU_SO ? "security officer's" : "user's", p11_kit_strerror(result), result);
    return unavailable(error, "no login", result);
}

static bool has_mechanism(kf_hsm_token *token, CK_MECHANISM_TYPE mechanism, CK_FLAGS flags)
{
    CK_MECHANISM_INFO info;
    return token->module->C_GetMechanismInfo(token->slot, mechanism, &info) == CKR_OK &&
           (info.flags & flags) == flags;
}

static void look_at_abilities(kf_hsm_token *token)
{
    uint32_t abilities = 0;
    CK_TOKEN_INFO info;
    if (has_mechanism(token, CKM_AES_CMAC, CKF_SIGN) && has_mechanism(token, CKM_AES_ECB, CKF_ENCRYPT))
        abilities |= KF_HSM_CAN_AES;
    if (has_mechanism(token, CKM_DES3_CMAC, CKF_SIGN) && has_mechanism(token, CKM_DES3_ECB, CKF_ENCRYPT))
        abilities |= KF_HSM_CAN_TDES;
    if (has_mechanism(token, CKM_AES_ECB_ENCRYPT_DATA, CKF_DERIVE)) abilities |= KF_HSM_CAN_AES_CHAIN;
    if (has_mechanism(token, CKM_DES3_ECB_ENCRYPT_DATA, CKF_DERIVE)) abilities |= KF_HSM_CAN_TDES_CHAIN;
    if (has_mechanism(token, CKM_AES_KEY_WRAP_PAD, CKF_WRAP | CKF_UNWRAP)) abilities |= KF_HSM_CAN_WRAP;
    if (token->officer_pin != NULL) abilities |= KF_HSM_CAN_TRUST;
    memset(&token->status, 0, sizeof token->status);
    token->status.abilities = abilities;
    if (token->module->C_GetTokenInfo(token->slot, &info) != CKR_OK) return;
    for (size_t i = 0; i < sizeof info.label; i++)
        token->status.label[i] = (char)(info.label[i] < ' ' || info.label[i] > '~' ? '?' : info.label[i]);
    for (size_t i = sizeof info.label; i > 0 && token->status.label[i - 1] == ' '; i--)
        token->status.label[i - 1] = '\0';
}

/* With the lock held for writing, after each change: some modules read what the token holds anew at the next
 * use, and are not safe with threads while they do. So that use is here. A failure shows at the next real
 * one.
 */
static void look_at_objects(kf_hsm_token *token)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof class}, {CKA_SENSITIVE, &yes, sizeof yes}};
    CK_OBJECT_HANDLE any;
    CK_ULONG count;
    if (token->module->C_FindObjectsInit(token->login, template, 2) != CKR_OK) return;
    (void)token->module->C_FindObjects(token->login, &any, 1, &count);
    (void)token->module->C_FindObjectsFinal(token->login);
}

static kf_code open_token(kf_hsm_token *token, kf_error *error)
{
    KF_TRY(load_modules(token, error));
    KF_TRY(find_slot(token, error));
    CK_RV result = token->module->C_OpenSession(token->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                                &token->login);
    if (result != CKR_OK) return unavailable(error, "no session", result);
    KF_TRY(log_in(token, CKU_USER, token->pin, error));
    look_at_abilities(token);
    look_at_objects(token);
    return KF_OK;
}

static void forget_handles(kf_hsm_token *token)
{
    memset(token->handles, 0, HANDLES_SIZE * sizeof *token->handles);
    token->handle_count = 0;
}

/* With the lock held for writing. */
static kf_code reopen(kf_hsm_token *token, kf_error *error)
{
    if (token->module != NULL && !token->lost) return KF_OK; /* another thread was faster */
    if (token->lasting != KF_OK) {
        *error = token->lasting_error;
        return token->lasting;
    }
    uint64_t now = now_ms();
    if (token->asked_ms != 0 && now - token->asked_ms < KF_HSM_REOPEN_MS)
        return kf_fail(error, KF_ERR_UNAVAILABLE, "the token with the base keys is not there");
    token->asked_ms = now;
    close_modules(token);
    forget_handles(token);
    kf_code code = open_token(token, error);
    if (code != KF_OK) {
        close_modules(token);
        if (code != KF_ERR_UNAVAILABLE) {
            token->lasting = code;
            token->lasting_error = *error;
        }
        return code;
    }
    token->lost = false;
    token->asked_ms = 0; /* the next loss is another one */
    token->life++;
    kf_log(KF_LOG_INFO, "token \"%s\" is open", token->status.label);
    return KF_OK;
}

/* -- sessions -- */

static bool is_open(kf_hsm_token *token)
{
    pthread_mutex_lock(&token->notes);
    bool open = token->module != NULL && !token->lost;
    pthread_mutex_unlock(&token->notes);
    return open;
}

static void mark_lost(kf_hsm_token *token)
{
    pthread_mutex_lock(&token->notes);
    token->lost = true;
    pthread_mutex_unlock(&token->notes);
}

static kf_code open_session(kf_hsm_session *session, kf_error *error)
{
    kf_hsm_token *token = session->token;
    session->module = token->module;
    if (session->life == token->life) return KF_OK;
    CK_RV result = token->module->C_OpenSession(token->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
                                                &session->handle);
    KF_TRY(kf_hsm_result(session, result, "no session", error));
    session->life = token->life;
    return KF_OK;
}

kf_code kf_hsm_enter(kf_hsm_session *session, kf_error *error)
{
    kf_hsm_token *token = session->token;
    kf_error own_error = {KF_OK, ""};
    pthread_rwlock_rdlock(&token->lock);
    if (!is_open(token)) {
        pthread_rwlock_unlock(&token->lock);
        pthread_rwlock_wrlock(&token->lock);
        kf_code code = reopen(token, &own_error);
        pthread_rwlock_unlock(&token->lock);
        if (code != KF_OK) return kf_fail(error, code, "%s", kf_error_text(&own_error));
        pthread_rwlock_rdlock(&token->lock);
    }
    kf_code code = is_open(token) ? open_session(session, error)
                                  : kf_fail(error, KF_ERR_UNAVAILABLE, "the token was lost again");
    if (code != KF_OK) kf_hsm_leave(session);
    return code;
}

void kf_hsm_leave(kf_hsm_session *session)
{
    session->module = NULL;
    pthread_rwlock_unlock(&session->token->lock);
}

/* The request's fault, or what the token cannot do; anything else is taken for a token that is gone. */
static bool is_refusal(CK_RV result)
{
    switch (result) {
    case CKR_ATTRIBUTE_READ_ONLY:
    case CKR_ATTRIBUTE_SENSITIVE:
    case CKR_ATTRIBUTE_TYPE_INVALID:
    case CKR_ATTRIBUTE_VALUE_INVALID:
    case CKR_ACTION_PROHIBITED:
    case CKR_DATA_INVALID:
    case CKR_DATA_LEN_RANGE:
    case CKR_FUNCTION_NOT_SUPPORTED:
    case CKR_KEY_SIZE_RANGE:
    case CKR_KEY_TYPE_INCONSISTENT:
    case CKR_KEY_FUNCTION_NOT_PERMITTED:
    case CKR_KEY_NOT_WRAPPABLE:
    case CKR_KEY_UNEXTRACTABLE:
    case CKR_MECHANISM_INVALID:
    case CKR_MECHANISM_PARAM_INVALID:
    case CKR_TEMPLATE_INCOMPLETE:
    case CKR_TEMPLATE_INCONSISTENT:
    case CKR_TOKEN_WRITE_PROTECTED:
    case CKR_UNWRAPPING_KEY_HANDLE_INVALID:
    case CKR_UNWRAPPING_KEY_SIZE_RANGE:
    case CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT:
    case CKR_WRAPPING_KEY_HANDLE_INVALID:
    case CKR_WRAPPING_KEY_SIZE_RANGE:
    case CKR_WRAPPING_KEY_TYPE_INCONSISTENT: return true;
    default: return false;
    }
}

kf_code kf_hsm_result(kf_hsm_session *session, CK_RV result, const char *what, kf_error *error)
{
    if (result == CKR_OK) return KF_OK;
    if (result == CKR_WRAPPED_KEY_INVALID || result == CKR_WRAPPED_KEY_LEN_RANGE ||
        result == CKR_ENCRYPTED_DATA_INVALID || result == CKR_ENCRYPTED_DATA_LEN_RANGE)
        return kf_fail(error, KF_ERR_AUTHENTICATION,
                       "%s: the wrapped key does not open under this transport key", what);
    if (is_refusal(result))
        return kf_fail(error, KF_ERR_UNSUPPORTED, "%s: the token refuses: %s (0x%lX)", what,
                       p11_kit_strerror(result), result);
    kf_log(KF_LOG_WARNING, "%s: %s (0x%lX)", what, p11_kit_strerror(result), result);
    bool general = result == CKR_GENERAL_ERROR || result == CKR_FUNCTION_FAILED;
    if (!general || session->failed) mark_lost(session->token);
    session->failed = general;
    return unavailable(error, what, result);
}

/* -- handles -- */

/* Where the identifier is, or the free place where it goes. Identifiers are random. */
static known_handle *place_of(kf_hsm_token *token, const kf_hsm_id *id)
{
    size_t start = (size_t)id->bytes[0] << 8 | id->bytes[1];
    for (size_t i = 0; i < HANDLES_SIZE; i++) {
        known_handle *place = &token->handles[(start + i) % HANDLES_SIZE];
        if (place->handle == CK_INVALID_HANDLE || memcmp(&place->id, id, sizeof *id) == 0) return place;
    }
    return NULL;
}

static void keep_handle(kf_hsm_token *token, const kf_hsm_id *id, CK_OBJECT_HANDLE handle)
{
    pthread_mutex_lock(&token->notes);
    if (token->handle_count >= HANDLES_SIZE / 2) forget_handles(token);
    known_handle *place = place_of(token, id);
    if (place->handle == CK_INVALID_HANDLE) token->handle_count++;
    place->id = *id;
    place->handle = handle;
    pthread_mutex_unlock(&token->notes);
}

static kf_code search(kf_hsm_session *session, const kf_hsm_id *id, CK_OBJECT_HANDLE found[2],
                      CK_ULONG *ret_count, kf_error *error)
{
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof class},
                               {CKA_TOKEN, &yes, sizeof yes},
                               {CKA_ID, kf_hsm_input(id->bytes), sizeof id->bytes}};
    const CK_FUNCTION_LIST *module = session->module;
    CK_RV result = module->C_FindObjectsInit(session->handle, template, 3);
    KF_TRY(kf_hsm_result(session, result, "searching a key", error));
    result = module->C_FindObjects(session->handle, found, 2, ret_count);
    CK_RV ended = module->C_FindObjectsFinal(session->handle);
    KF_TRY(kf_hsm_result(session, result, "searching a key", error));
    return kf_hsm_result(session, ended, "searching a key", error);
}

/* It may have been looked for in a token that is just going, so it is opened anew now and then. */
static kf_code miss(kf_hsm_token *token, const kf_hsm_id *id, kf_error *error)
{
    uint64_t now = now_ms();
    pthread_mutex_lock(&token->notes);
    if (token->missed_ms == 0 || now - token->missed_ms >= SEARCH_AGAIN_MS) {
        token->missed_ms = now;
        token->lost = true;
    }
    pthread_mutex_unlock(&token->notes);
    return kf_fail(error, KF_ERR_UNAVAILABLE,
                   "token \"%s\" holds no key with the CKA_ID %02X%02X%02X%02X…: it is another token, or the "
                   "key was removed from it",
                   token->status.label, id->bytes[0], id->bytes[1], id->bytes[2], id->bytes[3]);
}

kf_code kf_hsm_find(kf_hsm_session *session, const kf_hsm_id *id, CK_OBJECT_HANDLE *ret_handle,
                    kf_error *error)
{
    kf_hsm_token *token = session->token;
    pthread_mutex_lock(&token->notes);
    CK_OBJECT_HANDLE known = place_of(token, id)->handle;
    pthread_mutex_unlock(&token->notes);
    if (known == CK_INVALID_HANDLE) {
        CK_OBJECT_HANDLE found[2];
        CK_ULONG count = 0;
        KF_TRY(search(session, id, found, &count, error));
        if (count == 0) return miss(token, id, error);
        if (count > 1)
            return kf_fail(error, KF_ERR_KEY_STORE, "the token holds several keys with one CKA_ID");
        known = found[0];
        keep_handle(token, id, known);
    }
    *ret_handle = known;
    return KF_OK;
}

/* The places behind it would no longer be found, so all are searched again: keys are rarely destroyed. */
void kf_hsm_forget(kf_hsm_session *session, const kf_hsm_id *id)
{
    kf_hsm_token *token = session->token;
    pthread_mutex_lock(&token->notes);
    if (place_of(token, id)->handle != CK_INVALID_HANDLE) forget_handles(token);
    pthread_mutex_unlock(&token->notes);
}

void kf_hsm_describe(const kf_hsm_session *session, kf_hsm_status *ret_status)
{
    *ret_status = session->token->status;
}

/* -- security officer -- */

/* PKCS#11 2.40, 5.6: a token has one user at a time, in all sessions; handles of private objects end with
 * the login. */
static kf_code change_user(kf_hsm_session *session, CK_USER_TYPE user, const kf_secret *pin, kf_error *error)
{
    kf_hsm_token *token = session->token;
    CK_RV result = token->module->C_Logout(token->login);
    forget_handles(token);
    KF_TRY(kf_hsm_result(session, result, "no logout", error));
    kf_code code = log_in(token, user, pin, error);
    if (code != KF_OK) token->lost = true;
    /* It is not tried again: that would lock the token. */
    if (code == KF_ERR_KEY_STORE && user == CKU_SO) kf_secret_free(&token->officer_pin);
    return code;
}

/* The token, open, with the lock held for writing and this session good; `kf_hsm_leave` gives it back. */
static kf_code enter_alone(kf_hsm_session *session, kf_error *error)
{
    kf_hsm_token *token = session->token;
    KF_TRY(kf_hsm_enter(session, error)); /* opens what is closed */
    kf_hsm_leave(session);
    pthread_rwlock_wrlock(&token->lock);
    session->module = token->module;
    if (token->module != NULL && !token->lost && session->life == token->life) return KF_OK;
    kf_hsm_leave(session);
    return kf_fail(error, KF_ERR_UNAVAILABLE, "the token was lost");
}

kf_code kf_hsm_alone(kf_hsm_session *session, kf_hsm_work work, void *context, kf_error *error)
{
    KF_TRY(enter_alone(session, error));
    kf_code code = work(session, context, error);
    look_at_objects(session->token);
    kf_hsm_leave(session);
    return code;
}

kf_code kf_hsm_as_officer(kf_hsm_session *session, kf_hsm_work work, void *context, kf_error *error)
{
    kf_hsm_token *token = session->token;
    kf_error user_error = {KF_OK, ""};
    KF_TRY(enter_alone(session, error));
    kf_code code = token->officer_pin != NULL
                       ? change_user(session, CKU_SO, token->officer_pin, error)
                       : kf_fail(error, KF_ERR_UNSUPPORTED,
                                 "there is no security officer's PIN, or the token did not take it");
    if (code == KF_OK) {
        code = work(session, context, error);
        kf_code back = change_user(session, CKU_USER, token->pin, &user_error);
        if (code == KF_OK && back != KF_OK) code = kf_fail(error, back, "%s", kf_error_text(&user_error));
        look_at_objects(token);
    }
    kf_hsm_leave(session);
    return code;
}
