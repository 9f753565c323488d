// What accesses to a word say about who holds it, and which words are no locks.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/atomic_emulate.h"
#include "replayer/locks/kinds.h"
#include "replayer/locks/words.h"

#include <string.h>

static struct lock_words words;
static const uint32_t roots[] = {0, 0};

static int empty(void **state) {
    (void)state;
    lock_words_release(&words);
    return 0;
}

static struct lock *word(int family, uint64_t value) {
    return lock_words_add(&words, (struct word_place){0, 0, 0x1000}, family, 4, value);
}

static void does(struct lock *l, uint64_t event, int tid, int operation, uint64_t before, uint64_t after) {
    const struct lock_access a = {.event = event,
                                  .tid = tid,
                                  .before = before,
                                  .after = after,
                                  .operation = (uint8_t)operation,
                                  .failed = operation == ATOMIC_CMPXCHG && before == after};
    lock_accessed(&words, l, &a);
}

static void end(void) {
    lock_words_finish(&words, roots);
}

static void test_mutex(void **state) {
    (void)state;
    struct lock *l = word(LOCK_WORD, 0);
    does(l, 10, 1, ATOMIC_CMPXCHG, 0, 1);
    does(l, 12, 2, ATOMIC_CMPXCHG, 1, 1); // fails
    does(l, 12, 2, ATOMIC_XCHG, 1, 2);    // marks: the holder stays the same
    assert_int_equal(l->holder_count, 1);
    assert_int_equal(l->holders[0].tid, 1);
    lock_wait_begins(&words, l, 2, 12);
    does(l, 20, 1, ATOMIC_XCHG, 2, 0);
    lock_wait_ended(l, 2, 12, 21, 700);
    does(l, 22, 2, ATOMIC_XCHG, 0, 2); // takes it as one that has waiters
    assert_int_equal(l->holders[0].tid, 2);
    does(l, 22, 2, ATOMIC_XCHG, 2, 0);
    does(l, 30, 2, ATOMIC_CMPXCHG, 0, 1);
    end();
    assert_true(l->confirmed && l->still_held);
    assert_int_equal(l->still.tid, 2);
    assert_int_equal(l->acquired, 3);
    assert_int_equal(l->released, 2);
    assert_int_equal(l->failed, 1);
    assert_int_equal(l->waits, 1);
    assert_int_equal(l->longest_wait, 9);
    assert_int_equal(l->longest.to - l->longest.holder.event, 10);
    assert_int_equal(words.span_count, 2); // the one within event 22's slice is counted only
}

static void test_plain_release(void **state) {
    (void)state;
    struct lock *l = word(LOCK_WORD, 0);
    for (unsigned i = 0; i < 3; i++)
        does(l, 5, 1, ATOMIC_XCHG, 0, 1); // freed in between, in the same slice: by the same task
    assert_int_equal(l->released, 2);
    assert_int_equal(l->between, 2);
    assert_int_equal(l->released_by_other, 0);
    l->watched = false;
    does(l, 9, 2, ATOMIC_XCHG, 0, 1); // freed since: by whom is not known
    assert_int_equal(l->released, 3);
    assert_int_equal(l->holders[0].tid, 2);
    l->watched = false;
    does(l, 11, 3, ATOMIC_CMPXCHG, 0, 0); // (not even tried)
    does(l, 15, 3, ATOMIC_CMPXCHG, 1, 1); // somebody took it unseen
    assert_int_equal(l->holder_count, 1);
    assert_int_equal(l->holders[0].tid, 0);
    end();
}

static void test_counters(void **state) {
    (void)state;
    struct lock_access first = {.tid = 5, .after = 1, .operation = ATOMIC_XADD};
    assert_false(lock_may_begin(&first)); // 0 -> 1 by addition
    first.operation = ATOMIC_CMPXCHG;
    assert_true(lock_may_begin(&first));
    first.after = 0x7fff12345678; // a pointer: the head of a list
    assert_false(lock_may_begin(&first));
    first.after = 5;
    assert_true(lock_may_begin(&first));
    first.before = 1;
    assert_false(lock_may_begin(&first));
    // Counted above 1.
    struct lock *l = word(LOCK_WORD, 0);
    for (int i = 0; i < 5; i++) {
        does(l, 1, 1, ATOMIC_CMPXCHG, 0, 1);
        does(l, 2, 2, ATOMIC_XADD, 1, 2);
        does(l, 3, 2, ATOMIC_XADD, 2, 1);
        does(l, 4, 1, ATOMIC_XADD, 1, 0);
    }
    // A flag that one task sets and another one resets.
    struct lock *flag = lock_words_add(&words, (struct word_place){0, 0, 0x2000}, LOCK_WORD, 4, 0);
    for (int i = 0; i < 5; i++) {
        does(flag, 1, 1, ATOMIC_CMPXCHG, 0, 1);
        does(flag, 2, 2, ATOMIC_XCHG, 1, 0);
    }
    // One that is set once.
    struct lock *once = lock_words_add(&words, (struct word_place){0, 0, 0x3000}, LOCK_WORD, 4, 0);
    does(once, 1, 1, ATOMIC_CMPXCHG, 0, 1);
    end();
    assert_false(words.locks[0].confirmed || words.locks[1].confirmed || words.locks[2].confirmed);
    assert_int_equal(words.span_count, 0);
    assert_int_equal(words.op_count, 0);
}

static void test_owner(void **state) {
    (void)state;
    struct lock *l = word(LOCK_MUTEX, 0);
    does(l, 1, 1000, ATOMIC_CMPXCHG, 0, 1000);
    does(l, 2, 1001, ATOMIC_CMPXCHG, 1000, 1000 | 0x80000000);
    const struct lock_access handed = {
        .event = 3, .tid = 1000, .before = 1000 | 0x80000000, .after = 1001 | 0x80000000, .unseen = true};
    l->watched = true;
    lock_accessed(&words, l, &handed);
    assert_int_equal(l->holders[0].tid, 1001);
    const struct lock_access died = {
        .event = 5, .tid = 1001, .before = 1001 | 0x80000000, .after = 0x40000000, .unseen = true};
    lock_accessed(&words, l, &died);
    assert_int_equal(l->holder_count, 0);
    end();
    assert_int_equal(words.span_count, 2);
}

static void test_rwlock_and_semaphore(void **state) {
    (void)state;
    struct lock *l = word(LOCK_RWLOCK, 0);
    does(l, 1, 1, ATOMIC_XADD, 0, 8);
    does(l, 1, 2, ATOMIC_XADD, 8, 16);
    does(l, 2, 1, ATOMIC_CMPXCHG, 16, 8);
    assert_int_equal(l->holder_count, 1);
    assert_true(l->holders[0].tid == 2 && l->holders[0].reader);
    does(l, 3, 2, ATOMIC_CMPXCHG, 8, 0);
    does(l, 4, 3, ATOMIC_CMPXCHG, 0, 2);
    does(l, 4, 3, ATOMIC_CMPXCHG, 2, 3);
    assert_true(l->holder_count == 1 && l->holders[0].tid == 3 && !l->holders[0].reader);
    does(l, 6, 3, ATOMIC_CMPXCHG, 3, 0);
    assert_int_equal(l->holder_count, 0);
    struct lock *sem = lock_words_add(&words, (struct word_place){0, 0, 0x2000}, LOCK_SEMAPHORE, 8, 1);
    does(sem, 1, 1, ATOMIC_CMPXCHG, 1, 0);
    does(sem, 2, 2, ATOMIC_XADD, 0, 1ull << 32); // a waiter
    assert_true(sem->holder_count == 1 && sem->holders[0].tid == 1);
    does(sem, 3, 1, ATOMIC_CMPXCHG, 1ull << 32, (1ull << 32) + 1);
    assert_int_equal(sem->holder_count, 0);
    // Posted by others only: a signal.
    struct lock *signal = lock_words_add(&words, (struct word_place){0, 0, 0x3000}, LOCK_SEMAPHORE, 8, 1);
    for (int i = 0; i < 9; i++) {
        does(signal, 1, 1, ATOMIC_CMPXCHG, 1, 0);
        does(signal, 2, 2, ATOMIC_CMPXCHG, 0, 1);
    }
    end();
    assert_true(words.locks[0].confirmed && words.locks[1].confirmed && !words.locks[2].confirmed);
}

// glibc's: bit 0 write phase, bit 1 write-locked, readers from bit 3. Who comes while others have it holds nothing yet.
static void test_rwlock_claims(void **state) {
    (void)state;
    struct lock *l = word(LOCK_RWLOCK, 0);
    does(l, 1, 1, ATOMIC_XADD, 0, 8);        // a reader
    does(l, 2, 2, ATOMIC_CMPXCHG, 8, 8 | 2); // a writer comes, and waits
    assert_int_equal(l->holder_count, 1);
    assert_true(l->holders[0].tid == 1 && l->holders[0].reader);
    does(l, 5, 1, ATOMIC_CMPXCHG, 8 | 2, 2 | 1); // the last reader lets it in
    assert_int_equal(l->holder_count, 1);
    assert_true(l->holders[0].tid == 2 && !l->holders[0].reader);
    assert_true(l->holders[0].event == 5 && l->holders[0].asked == 2);
    does(l, 6, 3, ATOMIC_XADD, 3, 3 + 8); // two readers come, one of them gives up
    does(l, 6, 4, ATOMIC_XADD, 3 + 8, 3 + 16);
    does(l, 7, 3, ATOMIC_CMPXCHG, 3 + 16, 3 + 8);
    assert_int_equal(l->holder_count, 1);
    does(l, 9, 2, ATOMIC_CMPXCHG, 3 + 8, 8); // the writer lets the other one in
    assert_int_equal(l->holder_count, 1);
    assert_true(l->holders[0].tid == 4 && l->holders[0].reader && l->holders[0].asked == 6);
    does(l, 10, 5, ATOMIC_CMPXCHG, 8, 8 | 2); // a writer gives up
    does(l, 11, 5, ATOMIC_CMPXCHG, 8 | 2, 8);
    does(l, 12, 4, ATOMIC_CMPXCHG, 8, 1);
    assert_true(!l->holder_count && !l->claim_count);
    does(l, 13, 6, ATOMIC_XADD, 1, 8 | 1); // the phase is left from the last one: this reader changes it
    assert_int_equal(l->holder_count, 0);
    does(l, 13, 6, ATOMIC_CMPXCHG, 8 | 1, 8);
    assert_true(l->holder_count == 1 && l->holders[0].tid == 6);
    end();
    assert_int_equal(l->acquired, 4);
}

static void test_musl_rwlock(void **state) {
    (void)state;
    struct lock *l = word(LOCK_MUSL_RWLOCK, 0);
    does(l, 1, 1, ATOMIC_CMPXCHG, 0, 1);
    does(l, 2, 2, ATOMIC_CMPXCHG, 1, 2);
    assert_int_equal(l->holder_count, 2);
    does(l, 3, 1, ATOMIC_CMPXCHG, 2, 1);
    does(l, 4, 2, ATOMIC_CMPXCHG, 1, 0);
    assert_int_equal(l->holder_count, 0);
    does(l, 5, 3, ATOMIC_CMPXCHG, 0, 0x7fffffff);
    does(l, 6, 4, ATOMIC_CMPXCHG, 0x7fffffff, 0xffffffff); // with waiters
    assert_true(l->holder_count == 1 && l->holders[0].tid == 3 && !l->holders[0].reader);
    does(l, 7, 3, ATOMIC_CMPXCHG, 0xffffffff, 0);
    assert_int_equal(l->holder_count, 0);
}

// One layout for both witnesses.
static void test_layout(void **state) {
    (void)state;
    static const struct {
        enum lock_rule rule;
        int family;
        uint32_t value;
        bool held;
    } rows[] = {
        {RULE_RWLOCK, LOCK_RWLOCK, 0, false},
        {RULE_RWLOCK, LOCK_RWLOCK, 1, false}, // the write phase of one who has left
        {RULE_RWLOCK, LOCK_RWLOCK, 2, false}, // a writer that comes
        {RULE_RWLOCK, LOCK_RWLOCK, 3, true},
        {RULE_RWLOCK, LOCK_RWLOCK, 8, true},
        {RULE_RWLOCK, LOCK_RWLOCK, 8 | 1, false}, // a reader that comes
        {RULE_RWLOCK, LOCK_RWLOCK, 8 | 2, true},  // a reader, and a writer that waits for it
        {RULE_RWLOCK, LOCK_RWLOCK, 4, false},     // readers sleep
        {RULE_MUSL_RWLOCK, LOCK_MUSL_RWLOCK, 0x80000000, false},
        {RULE_MUSL_RWLOCK, LOCK_MUSL_RWLOCK, 2, true},
        {RULE_MUSL_RWLOCK, LOCK_MUSL_RWLOCK, 0x7fffffff, true},
        {RULE_SEMAPHORE, LOCK_SEMAPHORE, 0, true},
        {RULE_SEMAPHORE, LOCK_SEMAPHORE, 1, false},
        {RULE_SPIN, LOCK_SPIN, 1, false},
        {RULE_SPIN, LOCK_SPIN, 0, true},
        {RULE_GUARD, LOCK_GUARD, 1, false},
        {RULE_GUARD, LOCK_GUARD, 0x10100, true},
        {RULE_ONCE, LOCK_ONCE, 2, false},
        {RULE_ONCE, LOCK_ONCE, 5, true},
        {RULE_MUTEX, LOCK_MUTEX, 2, true},
        {RULE_MUTEX, LOCK_MUTEX, 0x40000000, false},
        {RULE_MUTEX, LOCK_MUTEX, 0x80000000 | 1000, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (lock_is_held(rows[i].rule, rows[i].value) != rows[i].held ||
            lock_value_held(rows[i].family, rows[i].value) != rows[i].held)
            fail_msg("row %zu: value 0x%x", i, rows[i].value);
    }
}

static void test_once(void **state) {
    (void)state;
    struct lock *l = word(LOCK_WORD, 0);
    does(l, 1, 1, ATOMIC_CMPXCHG, 0, 1);
    lock_wait_begins(&words, l, 2, 3);
    does(l, 6, 1, ATOMIC_XCHG, 1, 2); // done: nobody holds it any more, and nobody ever will
    assert_int_equal(l->holder_count, 0);
    does(l, 8, 2, ATOMIC_CMPXCHG, 2, 2);
    assert_int_equal(l->failed, 0);
    end();
    assert_true(l->confirmed && !l->still_held);
}

static void test_spin(void **state) {
    (void)state;
    struct lock *flag = word(LOCK_WORD, 0), *lock;
    does(flag, 1, 1, ATOMIC_CMPXCHG, 0, 1);
    for (uint64_t i = 0; i < 40; i++)
        does(flag, 2 + i, 2, ATOMIC_CMPXCHG, 1, 1); // asks, once each time
    lock = lock_words_add(&words, (struct word_place){0, 0, 0x2000}, LOCK_WORD, 4, 0);
    does(lock, 1, 1, ATOMIC_CMPXCHG, 0, 1);
    for (int i = 0; i < 40; i++)
        does(lock, 2, 2, ATOMIC_CMPXCHG, 1, 1); // waits
    end();
    assert_true(!words.locks[0].confirmed && words.locks[1].confirmed);
}

static void test_fork(void **state) {
    (void)state;
    word(LOCK_WORD, 0);
    does(&words.locks[0], 1, 1, ATOMIC_CMPXCHG, 0, 1);
    lock_inherited(&words, 0, 1, 4);
    struct lock *child = lock_words_find(&words, (struct word_place){1, 0, 0x1000});
    assert_non_null(child);
    assert_true(child->holder_count == 1 && child->holders[0].tid == 1 && child->holders[0].inherited);
    // That the child waits for it says what the parent's word is.
    lock_wait_begins(&words, child, 9, 7);
    end();
    assert_true(words.locks[0].confirmed && words.locks[1].confirmed);
    assert_int_equal(words.span_count, 2);
}

static void test_many(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 20000; i++)
        lock_words_add(&words, (struct word_place){i % 3, i % 5, i * 8}, LOCK_WORD, 4, i);
    for (uint64_t i = 0; i < 20000; i++)
        assert_int_equal(lock_words_find(&words, (struct word_place){i % 3, i % 5, i * 8})->value, i);
    assert_null(lock_words_find(&words, (struct word_place){0, 0, 20000 * 8}));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_mutex, empty),
        cmocka_unit_test_setup(test_plain_release, empty),
        cmocka_unit_test_setup(test_counters, empty),
        cmocka_unit_test_setup(test_owner, empty),
        cmocka_unit_test_setup(test_rwlock_and_semaphore, empty),
        cmocka_unit_test_setup(test_rwlock_claims, empty),
        cmocka_unit_test_setup(test_musl_rwlock, empty),
        cmocka_unit_test(test_layout),
        cmocka_unit_test_setup(test_once, empty),
        cmocka_unit_test_setup(test_spin, empty),
        cmocka_unit_test_setup(test_fork, empty),
        cmocka_unit_test_setup_teardown(test_many, empty, empty),
    };
    return cmocka_run_group_tests(tests, NULL, empty);
}
