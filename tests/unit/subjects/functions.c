// test_elf_module.c: functions that are known by .eh_frame_hdr, .eh_frame or the symbols alone.
int f(int x) {
    return x * 3 + 1;
}

int g(int x) {
    return f(x) - 1;
}

int main(int c, char **v) {
    (void)v;
    return g(c);
}
