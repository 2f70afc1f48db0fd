#include <stdio.h>
#include <string.h>

#include "wire/http_exchange.h"

static bool is_placeholder(const char *segment, size_t length)
{
    return length > 2 && segment[0] == '{' && segment[length - 1] == '}';
}

static size_t segment_length(const char *segment)
{
    return strcspn(segment, "/");
}

kf_code kf_http_routes_check(const kf_http_route *routes, size_t count, kf_error *error)
{
    if (count == 0 || count > KF_HTTP_ROUTES_MAX)
        return kf_fail(error, KF_ERR_CONFIGURATION, "%zu routes; 1 to %d can be served", count,
                       KF_HTTP_ROUTES_MAX);
    for (size_t i = 0; i < count; i++) {
        const kf_http_route *route = &routes[i];
        size_t placeholders = 0;
        for (const char *c = route->path; *c != '\0'; c++)
            placeholders += *c == '{' ? 1 : 0;
        if (route->path[0] != '/' || strlen(route->path) > KF_HTTP_PATH_MAX ||
            placeholders > KF_HTTP_PATH_PARAMETERS_MAX || route->handler == NULL || route->roles == 0)
            return kf_fail(error, KF_ERR_CONFIGURATION,
                           "route %s %s cannot be served: path, roles or handler", route->method,
                           route->path);
    }
    return KF_OK;
}

static bool pattern_fits(const char *pattern, const char *path)
{
    for (;;) {
        size_t wanted = segment_length(pattern);
        size_t given = segment_length(path);
        bool fits = is_placeholder(pattern, wanted) ? given > 0 && given <= KF_HTTP_PARAMETER_MAX
                                                    : wanted == given && memcmp(pattern, path, given) == 0;
        if (!fits) return false;
        pattern += wanted;
        path += given;
        if (*pattern == '\0' || *path == '\0') return *pattern == *path;
        pattern++;
        path++;
    }
}

/* Copies of path and pattern are cut at each slash, so that names and values become strings. */
static void cut_parameters(kf_http_exchange *exchange, const char *path)
{
    kf_http_request *request = &exchange->request;
    (void)snprintf(exchange->path, sizeof exchange->path, "%s", path);
    (void)snprintf(exchange->parameter_names, sizeof exchange->parameter_names, "%s", exchange->route->path);
    char *name = exchange->parameter_names;
    char *value = exchange->path;
    for (;;) {
        size_t name_length = segment_length(name);
        size_t value_length = segment_length(value);
        bool last = name[name_length] == '\0';
        name[name_length] = '\0';
        value[value_length] = '\0';
        if (is_placeholder(name, name_length) &&
            request->path_parameter_count < KF_HTTP_PATH_PARAMETERS_MAX) {
            name[name_length - 1] = '\0';
            request->path_parameters[request->path_parameter_count++] = (kf_http_parameter){name + 1, value};
        }
        if (last) return;
        name += name_length + 1;
        value += value_length + 1;
    }
}

void kf_http_route_find(kf_http_exchange *exchange, const char *method, const char *path)
{
    const kf_http_server_options *options = &exchange->server->options;
    if (strlen(path) > KF_HTTP_PATH_MAX) {
        (void)kf_fail(&exchange->refusal, KF_ERR_NOT_FOUND, "a path of %zu bytes; at most %d are known",
                      strlen(path), KF_HTTP_PATH_MAX);
        return;
    }
    for (size_t i = 0; i < options->route_count; i++) {
        const kf_http_route *route = &options->routes[i];
        if (!pattern_fits(route->path, path)) continue;
        if (strcmp(route->method, method) == 0) {
            exchange->route = route;
            cut_parameters(exchange, path);
            return;
        }
        size_t used = strlen(exchange->allow);
        (void)snprintf(exchange->allow + used, sizeof exchange->allow - used, "%s%s", used > 0 ? ", " : "",
                       route->method);
    }
    if (exchange->allow[0] == '\0')
        (void)kf_fail(&exchange->refusal, KF_ERR_NOT_FOUND, "there is no path %.200s", path);
    else
        (void)kf_fail(&exchange->refusal, KF_ERR_METHOD, "path %.200s does not take %.20s; it takes %s", path,
                      method, exchange->allow);
}

const char *kf_http_path_parameter(const kf_http_request *request, const char *name)
{
    for (size_t i = 0; i < request->path_parameter_count; i++)
        if (strcmp(request->path_parameters[i].name, name) == 0) return request->path_parameters[i].value;
    return "";
}

const char *kf_http_query_parameter(const kf_http_request *request, const char *name)
{
    for (size_t i = 0; i < request->query_count; i++)
        if (strcmp(request->query[i].name, name) == 0) return request->query[i].value;
    return NULL;
}
