// test_elf_module.c: a function with a landing pad and one without.
void t(int);
extern "C" int with(int n) {
    try {
        t(n);
    } catch (int e) {
        return e;
    }
    return 0;
}

extern "C" int without(int n) {
    return n * 7;
}

void t(int n) {
    if (n > 1) throw n;
}

int main(int c, char **) {
    return with(c) + without(c);
}
