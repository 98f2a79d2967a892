#include "http/health_check.hpp"

#include "http/upstream_address.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include <functional>
#include <optional>

namespace llm_proxy {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

/// One check, step after step; each step's handler starts the next.
class check {
 public:
  explicit check(const upstream_address& address)
      : request_(http::verb::get, address.prefix.empty() ? "/health" : address.prefix, 11),
        address_(address) {
    request_.set(http::field::host, address.host_header);
    request_.set(http::field::user_agent, "llm-proxy-health");
    request_.set(http::field::connection, "close");
  }

  /// Empty: healthy.
  std::string run(std::chrono::milliseconds timeout) {
    resolver_.async_resolve(address_.host, address_.port, [this](error_code failed, auto found) {
      if (failed) return fail("the name can't be resolved", failed);
      stream_.async_connect(found, [this](error_code refused, const auto&) {
        if (refused) return fail("no connection", refused);
        exchange();
      });
    });
    io_.run_for(timeout);
    return result_.value_or("no answer within " + std::to_string(timeout.count()) + " ms");
  }

 private:
  void exchange() {
    http::async_write(stream_, request_, [this](error_code failed, std::size_t) {
      if (failed) return fail("the request can't be sent", failed);
      http::async_read_header(stream_, buffer_, answer_, [this](error_code broken, std::size_t) {
        if (broken) return fail("no HTTP answer", broken);
        const auto status = answer_.get().result_int();
        result_ = status == 200 ? "" : "status " + std::to_string(status);
      });
    });
  }

  void fail(std::string_view what, error_code why) { result_ = std::string{what} + ": " + why.message(); }

  asio::io_context io_;
  asio::ip::tcp::resolver resolver_{io_};
  beast::tcp_stream stream_{io_};
  http::request<http::empty_body> request_;
  beast::flat_buffer buffer_;
  http::response_parser<http::empty_body> answer_;
  upstream_address address_;
  std::optional<std::string> result_;
};

}  // namespace

std::string check_health(std::string_view url, std::chrono::milliseconds timeout) {
  const auto address = parse_upstream_address(url);
  if (!address || address->tls) return "not an address of the form http://host[:port][/path]";
  return check{*address}.run(timeout);
}

}  // namespace llm_proxy
