// What others will object to in a certificate of our own. Our own TLS takes it as it is, so without this an
// operator would hear of it from clients.
#pragma once

#include <ctime>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// Who gets to see the certificate.
enum class certificate_use { shown_to_clients, shown_to_litellm };

/// A sentence for each thing, beginning with `option`, about the certificates of `file` (PEM; our own first):
/// one that has expired or is not yet valid at `now`; and, where clients see it, that it is self-signed, or
/// that the certificate of its issuer is missing behind it (RFC 8446 §4.4.2) and not among this machine's
/// authorities either. Under which names clients know this service cannot be known here. Empty: nothing is
/// found, or the file cannot be read, which is a fault and told as such.
std::vector<std::string> certificate_warnings(std::string_view option, const std::string& file,
                                              certificate_use use, std::time_t now);

}  // namespace llm_proxy
