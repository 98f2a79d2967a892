// A head as Beast's parser reads it, to compare our parser with.
#pragma once

#include "http/wire/message.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llm_proxy {

/// Fields sorted by name; fields of one name keep their order, because Beast keeps no other order. Several
/// blanks within a value become one, because a folded line may leave more or fewer.
using plain_fields = std::vector<std::pair<std::string, std::string>>;

inline void sort_by_name(plain_fields& fields) {
  std::stable_sort(fields.begin(), fields.end(), [](const auto& a, const auto& b) {
    return std::lexicographical_compare(
        a.first.begin(), a.first.end(), b.first.begin(), b.first.end(), [](char x, char y) {
          return std::tolower(static_cast<unsigned char>(x)) < std::tolower(static_cast<unsigned char>(y));
        });
  });
}

inline std::string single_blanks(std::string_view text) {
  std::string single;
  for (const char c : text) {
    const bool blank = c == ' ' || c == '\t';
    if (blank && !single.empty() && single.back() == ' ') continue;
    single += blank ? ' ' : c;
  }
  return single;
}

inline plain_fields plain(const header_list& headers) {
  plain_fields fields;
  for (const auto field : headers) fields.emplace_back(field.name, single_blanks(field.value));
  sort_by_name(fields);
  return fields;
}

/// Parses `text`, a whole head, with Beast. Nullopt if Beast refuses it.
template <bool is_request>
struct beast_head {
  plain_fields fields;
  message_framing framing;
  std::string method;
  std::string target;
  unsigned status = 0;

  static std::optional<beast_head> read(std::string_view text) {
    namespace http = boost::beast::http;
    http::parser<is_request, http::string_body> parser;
    parser.header_limit(64 * 1024);
    parser.body_limit(boost::none);
    boost::beast::error_code ec;
    const auto used = parser.put(boost::asio::buffer(text.data(), text.size()), ec);
    if (ec || used != text.size() || !parser.is_header_done()) return std::nullopt;
    beast_head head;
    const auto& message = parser.get();
    for (const auto& field : message) {
      head.fields.emplace_back(std::string{field.name_string()},
                               single_blanks({field.value().data(), field.value().size()}));
    }
    sort_by_name(head.fields);
    head.framing.chunked = parser.chunked();
    if (const auto length = parser.content_length()) head.framing.content_length = *length;
    head.framing.keep_alive = message.keep_alive();
    if constexpr (is_request) {
      head.method = std::string{message.method_string()};
      head.target = std::string{message.target()};
    } else {
      head.status = message.result_int();
    }
    return head;
  }
};

}  // namespace llm_proxy
