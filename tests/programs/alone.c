// One thread that computes between its calls, without a library's call: nobody else wants the CPU, so it needs no landmark.
#include <unistd.h>

enum { CALLS = 30, TURNS = 15000000 }; // some 5 to 10 ms, more than the timer's tick

int main(void) {
    unsigned sum = (unsigned)getppid();
    for (int i = 0; i < CALLS; i++) {
        for (unsigned k = 0; k < TURNS; k++)
            sum = sum * 1664525 + 1013904223;
        sum += (unsigned)getpgrp();
    }
    return write(-1, &sum, sizeof sum) > 0;
}
