#include "http/upstream/fetch.hpp"

#include "http/loop/name_lookup.hpp"
#include "http/loop/reactor.hpp"
#include "http/tls/tls_fault.hpp"
#include "http/tls/upstream_tls.hpp"
#include "http/upstream/upstream_address.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <exception>
#include <limits>
#include <optional>

namespace llm_proxy {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

using body_handler = std::function<void(unsigned, std::string_view)>;

/// One request, step after step.
class errand {
 public:
  errand(const fetch_request& request, const upstream_address& address, const body_handler& on_body)
      : request_{request}, address_{address}, on_body_{on_body} {}

  fetch_result run() {
    try {
      const auto deadline = clock::now() + request_.connect_timeout;
      doing_ = "the name can't be resolved";
      const auto addresses = look_up(deadline);
      asio::io_context io;
      asio::co_spawn(io, go(io, addresses, deadline), [this](const std::exception_ptr& thrown) {
        if (thrown) note(thrown);
      });
      io.run();
    } catch (...) {
      note(std::current_exception());
    }
    return std::move(result_);
  }

 private:
  using clock = std::chrono::steady_clock;

  /// Looks up the host. A look-up that lasts longer than until `deadline` goes on by itself, because nothing
  /// can interrupt getaddrinfo(), and its result is dropped. Throws a boost::system::system_error.
  name_lookup_result look_up(clock::time_point deadline) const {
    using std::chrono::milliseconds;
    reactor waiting;
    std::optional<boost::system::error_code> failed;
    name_lookup_result addresses;
    look_up_name(address_.host, address_.port, waiting.inbox(),
                 [&](const boost::system::error_code& ec, const name_lookup_result& found) {
                   failed = ec;
                   addresses = found;
                 });
    while (!failed) {
      const auto left = std::chrono::ceil<milliseconds>(deadline - clock::now()).count();
      if (left <= 0) throw boost::system::system_error{beast::error::timeout};
      waiting.run_round(static_cast<int>(std::min<std::int64_t>(left, std::numeric_limits<int>::max())));
    }
    if (*failed) throw boost::system::system_error{*failed};
    return addresses;
  }

  asio::awaitable<void> go(asio::io_context& io, const name_lookup_result& addresses,
                           clock::time_point deadline) {
    beast::tcp_stream stream{io};
    doing_ = "no connection";
    // It holds for the TLS handshake too.
    stream.expires_at(deadline);
    co_await stream.async_connect(addresses, asio::use_awaitable);
    result_.connected = true;
    if (!address_.tls) {
      co_await exchange(stream, stream);
      co_return;
    }
    const auto context = make_upstream_tls({request_.trust.ca_file});
    beast::ssl_stream<beast::tcp_stream> secured{std::move(stream), *context};
    if (request_.trust.nobody) {
      secured.set_verify_mode(asio::ssl::verify_none);
    } else {
      require_host(*secured.native_handle(), address_.host);
    }
    SSL_set_tlsext_host_name(secured.native_handle(), address_.host.c_str());
    doing_ = "no TLS connection";
    boost::system::error_code failed;
    co_await secured.async_handshake(asio::ssl::stream_base::client,
                                     asio::redirect_error(asio::use_awaitable, failed));
    if (failed) {
      note(failed, explain_handshake(*secured.native_handle(), address_.host, failed));
      co_return;
    }
    co_await exchange(secured, beast::get_lowest_layer(secured));
  }

  template <class Stream>
  asio::awaitable<void> exchange(Stream& stream, beast::tcp_stream& timed) {
    const auto allow = [&](std::chrono::milliseconds time) {
      if (time.count() > 0)
        timed.expires_after(time);
      else
        timed.expires_never();
    };
    http::request<http::string_body> question{http::string_to_verb(request_.method),
                                              address_.prefix + request_.path, 11};
    question.set(http::field::host, address_.host_header);
    question.set(http::field::user_agent, "llm-proxy");
    question.set(http::field::connection, "close");
    for (const auto field : request_.headers) question.set(to_beast(field.name), to_beast(field.value));
    question.body() = request_.body;
    question.prepare_payload();
    doing_ = "the request can't be sent";
    allow(request_.idle_timeout);
    co_await http::async_write(stream, question, asio::use_awaitable);

    doing_ = "no HTTP answer";
    beast::flat_buffer buffer;
    http::response_parser<http::buffer_body> answer;
    answer.body_limit(boost::none);
    co_await http::async_read_header(stream, buffer, answer, asio::use_awaitable);
    result_.status = answer.get().result_int();
    doing_ = "the answer broke off";
    std::array<char, 16 * 1024> piece{};
    while (!answer.is_done()) {
      answer.get().body().data = piece.data();
      answer.get().body().size = piece.size();
      allow(request_.idle_timeout);
      boost::system::error_code ec;
      co_await http::async_read_some(stream, buffer, answer, asio::redirect_error(asio::use_awaitable, ec));
      const auto size = piece.size() - answer.get().body().size;
      if (size > 0) on_body_(result_.status, {piece.data(), size});
      if (ec && ec != http::error::need_buffer) throw boost::system::system_error{ec};
    }
  }

  static beast::string_view to_beast(std::string_view text) { return {text.data(), text.size()}; }

  void note(const std::exception_ptr& thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (const boost::system::system_error& error) {
      note(error.code(), error.code().message());
    } catch (const std::exception& error) {
      result_.fault = error.what();
    }
  }

  /// `words` says what `ec` means.
  void note(const boost::system::error_code& ec, const std::string& words) {
    const bool late =
        ec == beast::error::timeout || (result_.status == 0 && ec == asio::error::operation_aborted);
    result_.fault = std::string{doing_} + ": " + (late ? "it took too long" : words);
  }

  const fetch_request& request_;
  const upstream_address& address_;
  const body_handler& on_body_;
  std::string_view doing_;  // what the result says if this step fails
  fetch_result result_;
};

}  // namespace

fetch_result fetch(const fetch_request& request, const body_handler& on_body) {
  const auto address = parse_upstream_address(request.url);
  if (!address) return {0, "not an address of the form http(s)://host[:port][/path]", false};
  return errand{request, *address, on_body}.run();
}

}  // namespace llm_proxy
