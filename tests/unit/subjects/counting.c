// Writes a word four times and ends with status 7.
#include <unistd.h>

volatile int counter;

static void count(void) {
    counter++;
}

int main(void) {
    for (int i = 0; i < 4; i++)
        count();
    _exit(7);
}
