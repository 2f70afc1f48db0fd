#include "softcard/personalities.h"

#include <string.h>

static const char gp_issuer[] = "A000000151000000";
static const char visa_issuer[] = "A000000003000000"; /* of Open Platform, before GlobalPlatform had an RID */

/* T=1, IFSC 254, historical bytes in compact TLV: card service data, capabilities (channels, extended
 * length). */
static const char t1_old[] = "3BE800008131FE45807300110053434F";
static const char t1_extended[] = "3BD518FF8191FE1FC38073C82153";
/* T=0 alone, as SIM cards have it: historical bytes 80 31 E0 73 FE 21 … (TS 102 221 6.3.1). */
static const char t0_sim[] = "3B9E96801FC78031E073FE211B63E20104078300";

static const char gp_2_3_1[] = "020301";
static const char gp_2_2_1[] = "020201";
static const char gp_2_1_1[] = "020101";
static const char op_ready[] = "01";
static const char secured[] = "0F";

static const softcard_kind_of_card kinds[] = {
    {"usual", gp_issuer, NULL, "03", "70", "55", "01", "06", 1024 * 1024, 20, 10, false, false, gp_2_3_1,
     secured, false, false},
    /* A Java Card of today as its maker ships it. */
    {"jcop", gp_issuer, t1_extended, "03", "70", "55", "FF", "06", 160 * 1024, 4, 66, false, true, gp_2_3_1,
     op_ready, false, false},
    {"scp02-i15", visa_issuer, t1_old, "02", "70", "15", "FF", "06", 32 * 1024, 1, 10, false, false, gp_2_1_1,
     op_ready, true, false},
    {"scp02-i55", visa_issuer, t1_old, "02", "70", "55", "FF", "06", 72 * 1024, 4, 10, false, false, gp_2_1_1,
     op_ready, true, false},
    /* Both protocols, 3DES keys at first: AES keys open SCP03 as soon as they are put. */
    {"scp02-to-scp03", gp_issuer, t1_extended, "02+03", "70", "55", "FF", "06", 160 * 1024, 4, 66, false,
     true, gp_2_2_1, op_ready, false, false},
    {"scp03-i00", gp_issuer, NULL, "03", "00", "55", "01", "06", 256 * 1024, 4, 10, false, false, gp_2_2_1,
     secured, false, false},
    {"scp03-s16", gp_issuer, NULL, "03", "71", "55", "30", "06", 256 * 1024, 4, 10, false, false, gp_2_3_1,
     secured, false, false},
    {"counts-unfinished", gp_issuer, NULL, "03", "70", "55", "01", "06", 256 * 1024, 4, 10, true, false,
     gp_2_3_1, secured, false, false},
    {"sim", visa_issuer, t0_sim, "02+03", "70", "55", "20", "06", 128 * 1024, 4, 10, false, false, gp_2_2_1,
     secured, false, true},
};

kf_code softcard_kind_of_card_find(const char *name, const softcard_kind_of_card **ret_kind, kf_error *error)
{
    KF_CLEANUP(kf_buffer_clear) kf_buffer names = KF_BUFFER_INIT;
    if (name == NULL || name[0] == '\0') name = kinds[0].name;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            *ret_kind = &kinds[i];
            return KF_OK;
        }
        kf_buffer_format(&names, "%s%s", i == 0 ? "" : ", ", kinds[i].name);
    }
    const char *list = kf_buffer_text(&names);
    return kf_fail(error, KF_ERR_CONFIGURATION, "personality: \"%s\" is none of %s", name,
                   list == NULL ? "those there are" : list);
}
