// What it does depends on one variable of its environment, and on the others not.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(void) {
    const char *used = getenv("USED");
    for (const char *p = used; p && *p; p++)
        if (write(1, p, 1) != 1) return 1;
    return used ? (int)strlen(used) : 0;
}
