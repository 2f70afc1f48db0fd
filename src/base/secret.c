#include <keyfill/secret.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Secrets stand in slots of a few sizes. A slab is one locked mapping of equal slots with an unmapped page on
 * each side; slabs are kept until the process ends, so that taking a slot costs no system call. */
#define SLAB_BYTES ((size_t)64 * 1024)

static const size_t slot_sizes[] = {64, 512, KF_SECRET_MAX_SIZE};
#define SLOT_CLASSES (sizeof slot_sizes / sizeof slot_sizes[0])

typedef struct free_slot {
    struct free_slot *next;
} free_slot;

struct kf_secret {
    uint8_t *bytes; /* in a slab */
    size_t size;
    size_t slot_class;
};

static pthread_mutex_t arena_lock = PTHREAD_MUTEX_INITIALIZER;
static free_slot *free_slots[SLOT_CLASSES];

static kf_code add_slab(size_t slot_class)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t whole = SLAB_BYTES + 2 * page;
    uint8_t *mapping = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) return KF_ERR_SECRET_MEMORY;
    uint8_t *slab = mapping + page;
    if (mprotect(slab, SLAB_BYTES, PROT_READ | PROT_WRITE) != 0 || mlock(slab, SLAB_BYTES) != 0 ||
        madvise(slab, SLAB_BYTES, MADV_DONTDUMP) != 0 || madvise(slab, SLAB_BYTES, MADV_WIPEONFORK) != 0) {
        munmap(mapping, whole);
        return KF_ERR_SECRET_MEMORY;
    }
    size_t slot_size = slot_sizes[slot_class];
    for (size_t offset = 0; offset + slot_size <= SLAB_BYTES; offset += slot_size) {
        free_slot *slot = (free_slot *)(void *)(slab + offset);
        slot->next = free_slots[slot_class];
        free_slots[slot_class] = slot;
    }
    return KF_OK;
}

static kf_code take_slot(size_t slot_class, uint8_t **ret_bytes)
{
    pthread_mutex_lock(&arena_lock);
    kf_code code = free_slots[slot_class] != NULL ? KF_OK : add_slab(slot_class);
    if (code == KF_OK) {
        free_slot *slot = free_slots[slot_class];
        free_slots[slot_class] = slot->next;
        slot->next = NULL;
        *ret_bytes = (uint8_t *)slot;
    }
    pthread_mutex_unlock(&arena_lock);
    return code;
}

static void give_slot(size_t slot_class, uint8_t *bytes)
{
    kf_wipe(bytes, slot_sizes[slot_class]);
    pthread_mutex_lock(&arena_lock);
    free_slot *slot = (free_slot *)(void *)bytes;
    slot->next = free_slots[slot_class];
    free_slots[slot_class] = slot;
    pthread_mutex_unlock(&arena_lock);
}

kf_code kf_secret_new_zero(size_t size, kf_secret **ret_secret)
{
    if (size == 0 || size > KF_SECRET_MAX_SIZE) return KF_ERR_ARGUMENT;
    size_t slot_class = 0;
    while (slot_sizes[slot_class] < size)
        slot_class++;
    kf_secret *secret = calloc(1, sizeof *secret);
    if (secret == NULL) return KF_ERR_MEMORY;
    kf_code code = take_slot(slot_class, &secret->bytes);
    if (code != KF_OK) {
        free(secret);
        return code;
    }
    secret->size = size;
    secret->slot_class = slot_class;
    *ret_secret = secret;
    return KF_OK;
}

kf_code kf_secret_new(kf_view bytes, kf_secret **ret_secret)
{
    kf_secret *secret = NULL;
    KF_TRY(kf_secret_new_zero(bytes.size, &secret));
    memcpy(secret->bytes, bytes.data, bytes.size);
    *ret_secret = secret;
    return KF_OK;
}

kf_code kf_secret_copy(const kf_secret *secret, kf_secret **ret_secret)
{
    return kf_secret_new(kf_secret_expose(secret), ret_secret);
}

void kf_secret_free(kf_secret **secret)
{
    if (secret == NULL || *secret == NULL) return;
    give_slot((*secret)->slot_class, (*secret)->bytes);
    free(*secret);
    *secret = NULL;
}

size_t kf_secret_size(const kf_secret *secret)
{
    return secret->size;
}

kf_view kf_secret_expose(const kf_secret *secret)
{
    return kf_view_of(secret->bytes, secret->size);
}

uint8_t *kf_secret_expose_writable(kf_secret *secret)
{
    return secret->bytes;
}

bool kf_secret_equal(const kf_secret *left, const kf_secret *right)
{
    return left->size == right->size && kf_equal_constant_time(left->bytes, right->bytes, left->size);
}

bool kf_equal_constant_time(const void *left, const void *right, size_t size)
{
    const volatile uint8_t *a = left;
    const volatile uint8_t *b = right;
    uint8_t difference = 0;
    for (size_t i = 0; i < size; i++)
        difference = (uint8_t)(difference | (a[i] ^ b[i]));
    return difference == 0;
}

void kf_wipe(void *memory, size_t size)
{
    if (size > 0) explicit_bzero(memory, size);
}

void kf_wipe_block16(uint8_t (*block)[16])
{
    kf_wipe(block, sizeof *block);
}

void kf_wipe_block32(uint8_t (*block)[32])
{
    kf_wipe(block, sizeof *block);
}

void kf_wipe_block64(uint8_t (*block)[64])
{
    kf_wipe(block, sizeof *block);
}
