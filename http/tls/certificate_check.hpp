// Finds what is wrong with a certificate of our own. OpenSSL loads an expired certificate without a word, so
// without this check an operator would learn of it from clients that fail.
#pragma once

#include <ctime>
#include <string>
#include <string_view>
#include <vector>

namespace llm_proxy {

/// To whom the certificate is shown.
enum class certificate_use { shown_to_clients, shown_to_litellm };

/// Returns one sentence, beginning with `option`, for each fault of the certificates in `file` (PEM, our own
/// first): a certificate that has expired or is not yet valid at `now`; and, for a certificate that clients
/// see, that it is self-signed, or that the file does not hold the certificate of its issuer (RFC 8446
/// §4.4.2) and this machine's authorities do not include it either. Host names are not checked: this service
/// does not know the names under which clients reach it. Returns nothing for a file that cannot be read:
/// loading it reports that as an error.
std::vector<std::string> certificate_warnings(std::string_view option, const std::string& file,
                                              certificate_use use, std::time_t now);

}  // namespace llm_proxy
