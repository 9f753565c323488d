// How functions and stacks of C++ are shown: short names, and the program's own part of a std::thread's stack.
#include "replayer/names/short_name.h"
#include "replayer/names/stack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

// What std::thread puts below a lambda is not shown; a thread that was given a function of the library keeps it.
static void own_part(void **state) {
    (void)state;
    char app[] = "server", libstdcxx[] = "libstdc++.so.6", libc[] = "libc.so.6";
    char wait[] = "pthread_mutex_lock", lock[] = "std::mutex::lock()",
         lambda[] = "main::{lambda()#1}::operator()() const";
    char impl[] =
        "int std::__invoke_impl<int, main::{lambda()#1}>(std::__invoke_other, main::{lambda()#1}&&)";
    char invoker[] = "std::thread::_Invoker<std::tuple<main::{lambda()#1}> >::operator()()";
    char native[] = "execute_native_thread_routine", start[] = "start_thread";
    struct frame frames[] = {
        {.function = wait, .module = libc},   {.function = lock, .module = app},
        {.function = lambda, .module = app},  {.function = impl, .module = app},
        {.function = invoker, .module = app}, {.function = native, .module = libstdcxx},
        {.function = start, .module = libc},
    };
    struct stack s = {frames, sizeof frames / sizeof *frames};
    size_t first, last;
    stack_own_part(&s, &first, &last);
    assert_int_equal(first, 1);
    assert_int_equal(last, 3);
    frames[5].function = NULL; // without symbols
    stack_own_part(&s, &first, &last);
    assert_int_equal(last, 3);
    frames[2].function = invoker;
    stack_own_part(&s, &first, &last);
    assert_int_equal(first, 1);
    assert_int_equal(last, 6);   // all are the library's: nothing is left out
    frames[5].function = lambda; // a stack that no thread of the library began
    stack_own_part(&s, &first, &last);
    assert_int_equal(last, 6);
}

static void short_names(void **state) {
    (void)state;
    static const char *const names[][3] = {
        {"app::get(std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> > const&)",
         "app::get(std::string const&)", "app::get(std::string const&)"},
        {"std::__1::vector<std::__1::basic_string<char, std::__1::char_traits<char>, "
         "std::__1::allocator<char>>>::push_back(char)",
         "std::vector<std::string>::push_back(char)", "std::vector<std::string>::push_back(char)"},
        {"other::std::__cxx11::f()", "other::std::__cxx11::f()", "other::std::__cxx11::f()"},
        {"std::map<int, long, std::less<int>, std::allocator<std::pair<int const, long> > >::find(int "
         "const&)",
         "std::map<int, long, std::less<int>, std::allocator<std::pair<int const, long> > >::find(int "
         "const&)",
         "std::map<...>::find(int const&)"},
        {"log_line", "log_line", "log_line"},
        {"", "", ""},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[200];
        snprintf(name, sizeof name, "%s", names[i][0]);
        plain_name(name);
        assert_string_equal(name, names[i][1]);
        short_name(name, SHORT_NAME_COLUMNS);
        assert_string_equal(name, names[i][2]);
    }
}

static void same_functions(void **state) {
    (void)state;
    static const char *const same[][2] = {
        {"log_line", "log_line"},
        {"log_line(int)", "log_line"},
        {"info<char [7], int>",
         "void app::(anonymous namespace)::info<char [7], int>(char const (&) [7], int const&)"},
        {"~Guard", "Guard<int>::~Guard()"},
    };
    static const char *const others[][2] = {
        {"log_line(int)", "log_line(long)"}, {"log_line", "log_lines"},
        {"log_line(int)", "line"},           {"line(int)", "log_line"},
        {"app::info(int)", "other::info"},   {"main::{lambda()#1}::operator()() const", "operator()"},
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        assert_true(same_function(same[i][0], same[i][1]));
        assert_true(same_function(same[i][1], same[i][0]));
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_false(same_function(others[i][0], others[i][1]));
        assert_false(same_function(others[i][1], others[i][0]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(own_part), cmocka_unit_test(short_names),
                                       cmocka_unit_test(same_functions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
