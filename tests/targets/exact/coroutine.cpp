// live at exit: 6 blocks, 72744 bytes
// flags: -std=c++20
#include <coroutine>
#include <exception>

struct Task {
    struct promise_type {
        Task get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_always initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::terminate(); }
    };
    std::coroutine_handle<promise_type> handle;
};

static Task work() {
    delete new long;
    co_await std::suspend_always{};
    new char[8];
}

int main() {
    for (int i = 0; i < 5; i++) {
        Task task = work();
        while (!task.handle.done())
            task.handle.resume();
        task.handle.destroy();
    }
    return 0;
}
