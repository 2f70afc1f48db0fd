#include "wire/unit_config.h"

kf_code kf_unit_config_fill_in(const char *path, kf_unit_config *unit, uint32_t worker_threads,
                               kf_error *error)
{
    const kf_config_number threads = {"worker_threads", &unit->worker_threads, worker_threads,
                                      KF_UNIT_WORKER_THREADS_MAX};
    KF_TRY(kf_config_default_text(&unit->address, "127.0.0.1", error));
    KF_TRY(kf_config_default_number(path, &threads, error));
    return kf_config_default_log_level(path, &unit->log_level, error);
}

kf_code kf_unit_identify(const kf_unit_config *unit, kf_peer_role role, kf_peer *ret_self, kf_error *error)
{
    return kf_peer_of_own_file(unit->certificate, role, ret_self, error);
}

kf_code kf_unit_serve(const kf_unit_config *unit, const kf_http_server_options *options,
                      kf_http_server **ret_server, kf_error *error)
{
    kf_http_server_options whole = *options;
    whole.address = unit->address;
    whole.port = unit->port;
    whole.ca_file = unit->ca;
    whole.certificate_file = unit->certificate;
    whole.key_file = unit->private_key;
    whole.crl_file = unit->crl;
    whole.worker_threads = unit->worker_threads;
    return kf_http_server_start(&whole, ret_server, error);
}

kf_http_client_options kf_unit_client(const kf_unit_config *unit, const char *url, kf_peer_role role,
                                      const char *name)
{
    return (kf_http_client_options){.base_url = url,
                                    .ca_file = unit->ca,
                                    .certificate_file = unit->certificate,
                                    .key_file = unit->private_key,
                                    .crl_file = unit->crl,
                                    .expected_role = role,
                                    .expected_name = name};
}
