/* YAML: the host's configuration. Apart from the others, whose names are its own, too. */
#include "base/log.h"
#include "host/host_config.h"
#include "text_file.h"

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    kf_log_start("fuzz", KF_LOG_ERROR);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kf_host_config *config = NULL;
    kf_error error = {KF_OK, ""};
    kf_code code = kf_host_config_load(text_file(kf_view_of(data, size)), &config, &error);
    want_explained(code, &error);
    FUZZ_WANT((code == KF_OK) == (config != NULL));
    kf_host_config_free(&config);
    return 0;
}
