/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 3986 as far as operators use it: scheme, authority, path. Percent-encoding is left as it is. */
#include "net/url.h"

bool url_authority_read(struct str authority, bool tls, struct client_target *ret_target) {
    struct str host = authority, rest = STR(""), before;
    uint64_t port = tls ? 443 : 80;
    if (authority.len > 0 && authority.ptr[0] == '[') {
        if (!str_cut(str_from_index(authority, 1), ']', &host, &rest)) return false;
        if (!str_has(host, ':')) return false;
    } else if (str_cut(authority, ':', &host, &before)) {
        rest = str_from_index(authority, host.len);
    }
    if (rest.len > 0 && (rest.ptr[0] != ':' || !str_u64(str_from_index(rest, 1), 65535, &port) || port == 0))
        return false;
    if (host.len == 0 || host.len > 255 || str_has_control(host)) return false;
    for (size_t i = 0; i < host.len; i++)
        if (host.ptr[i] == ' ' || host.ptr[i] == '/' || host.ptr[i] == '@' || host.ptr[i] == '%') return false;
    *ret_target = (struct client_target){.tls = tls, .host = host, .port = (uint16_t)port};
    return true;
}

bool url_read(struct str text, struct url *ret_url) {
    bool tls = str_starts(text, STR("https://"));
    if (!tls && !str_starts(text, STR("http://"))) return false;
    text = str_from_index(text, tls ? 8 : 7);
    size_t end = 0;
    while (end < text.len && text.ptr[end] != '/')
        end++;
    struct url url = {.authority = str_make(text.ptr, end), .path = str_from_index(text, end)};
    if (str_has_control(text) || str_has(text, ' ') || str_has(text, '?') || str_has(text, '#')) return false;
    if (!url_authority_read(url.authority, tls, &url.target)) return false;
    *ret_url = url;
    return true;
}
