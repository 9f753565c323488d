// test_symbols.c: a function of a template that is inlined.
namespace store {
volatile int sink;
template <typename T> __attribute__((always_inline)) inline void fill(T value) {
    sink += value;
    __asm__ volatile("int3"); // mark fill
}

struct Log {
    __attribute__((noinline)) void write(int level);
};
void Log::write(int level) {
    fill<long>(level); // mark write
}

static int counter = 3; // mark counter
int *where() {
    return &counter;
}
} // namespace store

int main() {
    store::Log log;
    log.write(2);
    return *store::where();
}
