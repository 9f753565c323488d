#include "replayer/locks/rows.h"

#include <stdlib.h>

// ---- which are copies of one

struct copy {
    uint32_t root; // the image that the space is a copy of, or LOCK_SHARED
    const struct lock *lock;
};

static int compare_words(const struct copy *a, const struct copy *b) {
    if (a->root != b->root) return a->root < b->root ? -1 : 1;
    if (a->lock->identity != b->lock->identity) return a->lock->identity < b->lock->identity ? -1 : 1;
    if (a->lock->address != b->lock->address) return a->lock->address < b->lock->address ? -1 : 1;
    return (int)a->lock->family - (int)b->lock->family;
}

static int compare_copies(const void *left, const void *right) {
    const struct copy *a = left, *b = right;
    int word = compare_words(a, b);
    if (word) return word;
    return a->lock->space == b->lock->space  ? (a->lock < b->lock ? -1 : 1)
           : a->lock->space < b->lock->space ? -1
                                             : 1;
}

static struct copy *copies_of(const struct lock_history *h, size_t *count) {
    struct copy *v = malloc((h->words.count + 1) * sizeof *v);
    uint32_t *roots = lock_history_roots(h);
    rf_assert(v);
    *count = 0;
    for (size_t i = 0; i < h->words.count; i++) {
        const struct lock *l = &h->words.locks[i];
        if (!l->confirmed || !(l->acquired || l->waits || l->failed)) continue;
        v[(*count)++] = (struct copy){l->space == LOCK_SHARED ? LOCK_SHARED : roots[l->space], l};
    }
    if (*count) qsort(v, *count, sizeof *v, compare_copies);
    free(roots);
    return v;
}

// ---- rows

uint64_t lock_longest_hold(const struct lock *l) {
    uint64_t longest = l->longest.to - l->longest.holder.event;
    uint64_t still = l->still_held ? l->last_event - l->still.event : 0;
    return still > longest ? still : longest;
}

static uint64_t longest_hold(const struct lock_row *row) {
    uint64_t longest = 0;
    for (size_t i = 0; i < row->count; i++) {
        uint64_t one = lock_longest_hold(row->copies[i]);
        if (one > longest) longest = one;
    }
    return longest;
}

static int compare_rows(const void *left, const void *right) {
    const struct lock_row *a = left, *b = right;
    if (a->waits != b->waits) return a->waits > b->waits ? -1 : 1;
    if (!a->still != !b->still) return a->still ? -1 : 1;
    uint64_t x = longest_hold(a), y = longest_hold(b);
    if (x != y) return x > y ? -1 : 1;
    if (a->acquired != b->acquired) return a->acquired > b->acquired ? -1 : 1;
    return a->copies[0] < b->copies[0] ? -1 : a->copies[0] > b->copies[0];
}

static void add_copy(struct lock_row *row, const struct lock *l) {
    row->copies[row->count++] = l;
    if (row->name < 0) row->name = l->name;
    row->acquired += l->acquired;
    row->failed += l->failed;
    row->waits += l->waits;
    row->waiters += l->waiter_count;
    uint64_t hold = l->longest.to - l->longest.holder.event;
    if (hold && (!row->held || hold > row->held->longest.to - row->held->longest.holder.event)) row->held = l;
    if (l->longest_wait && (!row->waited || l->longest_wait > row->waited->longest_wait)) row->waited = l;
    if (l->still_held && !row->still) row->still = l;
}

struct lock_row *lock_rows(const struct lock_history *h, size_t *count) {
    size_t copies;
    struct copy *v = copies_of(h, &copies);
    struct lock_row *rows = NULL;
    *count = 0;
    for (size_t i = 0, n; i < copies; i += n) {
        for (n = 1; i + n < copies && !compare_words(&v[i], &v[i + n]); n++)
            continue;
        struct lock_row *row = array_add(rows, *count);
        row->name = -1;
        row->copies = malloc(n * sizeof *row->copies);
        rf_assert(row->copies);
        for (size_t k = 0; k < n; k++)
            add_copy(row, v[i + k].lock);
    }
    free(v);
    if (*count) qsort(rows, *count, sizeof *rows, compare_rows);
    return rows;
}

void lock_rows_free(struct lock_row *rows, size_t count) {
    for (size_t i = 0; i < count; i++)
        free(rows[i].copies);
    free(rows);
}

// ---- who took them

int lock_rows_ask(struct timeline *t, struct lock_history *h, const struct lock_functions *functions,
                  struct lock_row *rows, size_t count, struct rf_error *err) {
    struct lock_taker *takers = NULL;
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < rows[i].count; k++) {
            uint32_t index = (uint32_t)(rows[i].copies[k] - h->words.locks);
            struct lock *l = &h->words.locks[index];
            if (l == rows[i].held) array_push(takers, n, (struct lock_taker){index, &l->longest.holder});
            if (l->still_held) array_push(takers, n, (struct lock_taker){index, &l->still});
            // One that was never held for long was taken somewhere, too.
            if (!k && !rows[i].held && !rows[i].still && l->taken.event)
                array_push(takers, n, (struct lock_taker){index, &l->taken});
        }
    int failed = lock_history_takers(t, h, functions, takers, n, err);
    free(takers);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < rows[i].count && rows[i].name < 0; k++)
            rows[i].name = rows[i].copies[k]->name;
    return failed;
}

int lock_rows_ask_first(struct timeline *t, struct lock_history *h, const struct lock_functions *functions,
                        struct rf_error *err) {
    size_t count;
    struct lock_row *rows = lock_rows(h, &count);
    int failed = lock_rows_ask(t, h, functions, rows, count < LOCK_ROWS_FIRST ? count : LOCK_ROWS_FIRST, err);
    lock_rows_free(rows, count);
    return failed;
}
