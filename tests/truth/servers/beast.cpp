// Boost.Asio's coroutines and Beast's HTTP on two threads: a request waits for timers, and goes on afterwards on
// whichever thread is free.
// flags: -std=c++20 -O1 -fno-builtin
#include "truth.h"

#include <utility> // Asio 1.74's awaitable.hpp needs it, and doesn't include it

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <string>
#include <thread>

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;

static asio::awaitable<void> pass(unsigned long microseconds) {
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::microseconds(microseconds));
    co_await timer.async_wait(asio::use_awaitable);
}

static asio::awaitable<void> work_awaiting(request request) {
    unsigned long time = 200 + mixed(&request) % 800, before = (mixed(&request) >> 16) % time;
    use_clean();
    co_await pass(before);
    keep_for(&request);
    co_await pass(time - before);
}

static asio::awaitable<void> serve_awaiting(tcp::socket &socket, const http::request<http::empty_body> &asked) {
    request request = parsed(std::string(asked.target()).c_str());
    co_await work_awaiting(request);
    bool fails = request.kind == STATUS && request.number % 4 == 3;
    http::response<http::string_body> response(fails ? http::status::internal_server_error : http::status::ok, 11);
    response.body() = fails ? "no" : "ok";
    response.prepare_payload();
    co_await http::async_write(socket, response, asio::use_awaitable);
}

static asio::awaitable<void> converse(tcp::socket socket) {
    try {
        boost::beast::flat_buffer buffer;
        for (;;) {
            http::request<http::empty_body> asked;
            co_await http::async_read(socket, buffer, asked, asio::use_awaitable);
            co_await serve_awaiting(socket, asked);
        }
    } catch (const boost::system::system_error &) {
        // The client has closed.
    }
}

static asio::awaitable<void> accept_all() {
    auto executor = co_await asio::this_coro::executor;
    tcp::acceptor acceptor(executor, tcp::v4(), listener);
    for (;;) {
        tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
        socket.set_option(tcp::no_delay(true));
        asio::co_spawn(executor, converse(std::move(socket)), asio::detached);
    }
}

int main(int count, char **arguments) {
    start(count, arguments);
    start_background();
    asio::io_context context(2);
    asio::co_spawn(context, accept_all(), asio::detached);
    std::thread second([&] { context.run(); });
    context.run();
}
