// checks/locks.sh: a library that comes by dlopen and goes again, with a lock of its own.
#include <stdatomic.h>

static atomic_int spin;

int use(int turns) {
    for (int i = 0; i < turns; i++) {
        while (atomic_exchange(&spin, 1)) {
        }
        atomic_store_explicit(&spin, 0, memory_order_release);
    }
    return turns;
}
