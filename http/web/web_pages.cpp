#include "http/web/web_pages.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>
#include <utility>
#include <zlib.h>

namespace llm_proxy {

namespace {

struct web_page {
  std::string_view path;
  std::string_view file;
  std::string_view type;
};

constexpr std::string_view html = "text/html; charset=utf-8";
constexpr std::string_view script = "text/javascript; charset=utf-8";
constexpr std::string_view style = "text/css; charset=utf-8";

constexpr std::array pages{
    web_page{"/", "ui.html", html},
    web_page{"/ui", "ui.html", html},
    web_page{"/ui/app.js", "app.js", script},
    web_page{"/ui/app.css", "app.css", style},
    web_page{"/docs", "docs.html", html},
    web_page{"/docs/docs.js", "docs.js", script},
    web_page{"/docs/docs.css", "docs.css", style},
    web_page{"/docs/swagger-ui.js", "swagger-ui.js", script},
    web_page{"/docs/swagger-ui.css", "swagger-ui.css", style},
    web_page{"/openapi.json", "openapi.json", "application/json"},
    web_page{"/favicon.ico", "favicon.svg", "image/svg+xml"},
};

/// Allows only this service's own files; images may also be data: URLs of the style sheets.
constexpr std::string_view policy =
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

/// Whether the client accepts gzip (Accept-Encoding, RFC 9110 §12.5.3): the header has `gzip`, `x-gzip` or
/// `*` without q=0.
bool takes_gzip(const request_head& request) {
  bool starred = false;
  for (const auto& [name, value] : request.headers) {
    if (!iequals(name, "accept-encoding")) continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      const auto comma = rest.find(',');
      const auto item = rest.substr(0, comma);
      rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
      const auto semicolon = item.find(';');
      const auto coding = trimmed(item.substr(0, semicolon));
      const auto weight = semicolon == std::string_view::npos ? "" : trimmed(item.substr(semicolon + 1));
      const bool refused =
          istarts_with(weight, "q=0") && weight.find_first_not_of("0.", 2) == std::string_view::npos;
      if (iequals(coding, "gzip") || iequals(coding, "x-gzip")) return !refused;
      if (coding == "*") starred = !refused;
    }
  }
  return starred;
}

/// Whether If-None-Match has this tag. It uses the weak comparison (RFC 9110 §8.8.3.2).
bool client_has(const request_head& request, const std::string& etag) {
  for (const auto& [name, value] : request.headers) {
    if (!iequals(name, "if-none-match")) continue;
    if (trimmed(value) == "*" || value.find(etag) != std::string_view::npos) return true;
  }
  return false;
}

std::string inflate_file(const web_file& file) {
  std::string text(file.size, '\0');
  z_stream stream{};
  constexpr int gzip_frame = 16 + MAX_WBITS;
  if (inflateInit2(&stream, gzip_frame) != Z_OK) return {};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(file.gzip.data()));
  stream.avail_in = static_cast<uInt>(file.gzip.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  const int how = inflate(&stream, Z_FINISH);
  inflateEnd(&stream);
  if (how != Z_STREAM_END) text.clear();
  return text;
}

/// Returns the uncompressed bytes of `file`, which is one of web_files. They are made at the first call and
/// kept. May be called from any thread.
std::string_view inflated(const web_file& file) {
  struct text_of_file {
    std::once_flag made;
    std::string text;
  };
  static const std::unique_ptr<text_of_file[]> texts{new text_of_file[web_file_count]};
  auto& entry = texts[static_cast<std::size_t>(&file - web_files)];
  std::call_once(entry.made, [&] { entry.text = inflate_file(file); });
  return entry.text;
}

const web_file* find_file(std::string_view name) {
  const auto* end = web_files + web_file_count;
  const auto* at = std::find_if(web_files, end, [&](const auto& each) { return each.name == name; });
  return at == end ? nullptr : at;
}

}  // namespace

web_answer answer_page(const request_head& request) {
  web_answer answer;
  auto& headers = answer.head.headers;
  const auto path = request.path();
  if (path == "/redoc") {
    answer.head.status = 308;
    headers.add("location", "/docs");
    return answer;
  }
  const auto page =
      std::find_if(pages.begin(), pages.end(), [&](const auto& each) { return each.path == path; });
  const auto* file = page == pages.end() ? nullptr : find_file(page->file);
  if (file == nullptr) {
    answer.head.status = 404;
    return answer;
  }
  const bool gzip = takes_gzip(request);
  // A strong tag names one representation (RFC 9110 §8.8.3.3).
  const auto etag = '"' + std::string{file->hash} + (gzip ? "-gzip\"" : "\"");
  headers.add("etag", etag);
  headers.add("cache-control", "no-cache");  // stored but revalidated, so a new version is seen at once
  headers.add("vary", "accept-encoding");
  headers.add("content-security-policy", policy);
  headers.add("x-content-type-options", "nosniff");
  headers.add("referrer-policy", "no-referrer");
  answer.length = gzip ? file->gzip.size() : file->size;
  if (client_has(request, etag)) {
    answer.head.status = 304;
    return answer;
  }
  answer.head.status = 200;
  headers.add("content-type", page->type);
  if (gzip) {
    headers.add("content-encoding", "gzip");
    answer.body = file->gzip;
  } else {
    answer.body = inflated(*file);
  }
  return answer;
}

}  // namespace llm_proxy
