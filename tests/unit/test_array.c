// core/array.h against the plain thing: arrays that grow by one, are cut and lose elements; an index over an array
// whose keys collide on purpose. core/path.h's one function.
#include "core/array.h"
#include "core/path.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_an_array_grows(void **state) {
    (void)state;
    uint64_t *v = NULL;
    size_t count = 0;
    for (uint64_t i = 0; i < 5000; i++) {
        uint64_t *new = array_add(v, count);
        assert_ptr_equal(new, &v[i]);
        assert_int_equal(*new, 0);
        *new = i;
    }
    assert_int_equal(count, 5000);
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(v[i], i);
    free(v);
}

// A new element is zeroed also where an old one was.
static void test_an_array_is_cut(void **state) {
    (void)state;
    struct pair {
        int a, b;
    } *v = NULL;
    unsigned count = 0;
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < round % 37; i++)
            array_push(v, count, (struct pair){round, i});
        count /= 3;
        struct pair *new = array_add(v, count);
        assert_int_equal(new->a, 0);
        assert_int_equal(new->b, 0);
        new->b = round;
        assert_int_equal(v[count - 1].b, round);
    }
    free(v);
}

static void test_elements_are_put_in(void **state) {
    (void)state;
    int *v = NULL;
    size_t count = 0;
    for (int i = 0; i < 100; i++) // the odd ones before the even ones, each in order
        array_insert(v, count, i % 2 ? (size_t)i / 2 : count, i);
    assert_int_equal(count, 100);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(v[i], 2 * i + 1);
        assert_int_equal(v[50 + i], 2 * i);
    }
    free(v);
}

static void test_an_element_is_removed(void **state) {
    (void)state;
    int *v = NULL;
    int count = 0;
    for (int i = 0; i < 9; i++)
        array_push(v, count, i);
    array_remove(v, count, 8); // the last
    array_remove(v, count, 0); // the first
    array_remove(v, count, 3); // was 4
    assert_int_equal(count, 6);
    static const int left[] = {1, 2, 3, 5, 6, 7};
    assert_memory_equal(v, left, sizeof left);
    free(v);
}

// Sorted with equal elements; each place of each length.
static void test_a_place_is_found(void **state) {
    (void)state;
    static const struct { int key; } v[] = {{1}, {3}, {3}, {3}, {4}, {9}, {9}};
    for (size_t count = 0; count <= sizeof v / sizeof *v; count++)
        for (int key = 0; key <= 10; key++) {
            size_t below = 0, up_to = 0;
            for (size_t i = 0; i < count; i++) {
                below += v[i].key < key;
                up_to += v[i].key <= key;
            }
            assert_int_equal(array_before(v, count, it, it->key < key), below);
            assert_int_equal(array_before(v, count, it, it->key <= key), up_to);
        }
}

// No memory for the next doubling: the array is as it was, and nothing was lost.
static void test_memory_ends(void **state) {
    (void)state;
    struct huge {
        char bytes[1ull << 58];
    } *v = NULL;
    size_t count = 4; // as if four were in
    assert_null(array_try_add(v, count));
    assert_null(v);
    assert_int_equal(count, 4);
}

struct task {
    int tid, space;
};
struct tasks {
    struct task *v;
    size_t count;
    unsigned bits; // of the mixed key that are used: few make keys collide
    struct hash by_key;
};

static uint64_t mixed(const struct tasks *all, const struct task *t) {
    return hash_mix((uint64_t)t->tid ^ hash_mix((uint64_t)t->space)) & ((1ull << all->bits) - 1);
}

static uint64_t task_key(const void *all, size_t i) {
    return mixed(all, &((const struct tasks *)all)->v[i]);
}

static bool task_same(const void *all, size_t i, const void *key) {
    const struct task *a = &((const struct tasks *)all)->v[i], *b = key;
    return a->tid == b->tid && a->space == b->space;
}

static size_t find(const struct tasks *all, struct task key) {
    return hash_find(&all->by_key, mixed(all, &key), task_same, all, &key);
}

static void test_a_hash_finds(void **state) {
    (void)state;
    static const unsigned widths[] = {32, 5, 0};
    for (size_t w = 0; w < 3; w++) {
        struct tasks all = {.bits = widths[w]};
        assert_int_equal(find(&all, (struct task){1, 1}), 0); // an empty one has no slots
        for (int i = 0; i < 1000; i++) {
            struct task t = {i % 100, i / 100};
            assert_int_equal(find(&all, t), 0);
            assert_true(hash_room(&all.by_key, all.count, task_key, &all));
            uint32_t *slot = hash_slot(&all.by_key, mixed(&all, &t), task_same, &all, &t);
            assert_int_equal(*slot, 0);
            array_push(all.v, all.count, t);
            *slot = (uint32_t)all.count;
        }
        for (int i = 0; i < 1000; i++)
            assert_int_equal(find(&all, (struct task){i % 100, i / 100}), i + 1);
        assert_int_equal(find(&all, (struct task){100, 0}), 0);
        free(all.v);
        hash_release(&all.by_key);
        assert_int_equal(all.by_key.size, 0);
    }
}

static void test_base_names(void **state) {
    (void)state;
    assert_string_equal(base_name("/usr/bin/sort"), "sort");
    assert_string_equal(base_name("sort"), "sort");
    assert_string_equal(base_name("/"), "/");
    assert_string_equal(base_name("build/"), "build/");
    assert_string_equal(base_name(""), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_array_grows),      cmocka_unit_test(test_an_array_is_cut),
        cmocka_unit_test(test_elements_are_put_in), cmocka_unit_test(test_an_element_is_removed),
        cmocka_unit_test(test_a_place_is_found),    cmocka_unit_test(test_memory_ends),
        cmocka_unit_test(test_a_hash_finds),        cmocka_unit_test(test_base_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
