// Does what its stdin says: `obey FOLDER`, with one of the words below of eight bytes. Recorded with
// "nothing!"; an edited trace then makes the replay try the others, which must have no effect
// (tests/checks/edited.sh).
#include "program.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char **argv) {
    char word[9] = "", path[256];
    CHECK(argc == 2 && read(STDIN_FILENO, word, 8) == 8);
    snprintf(path, sizeof path, "%s/touched", argv[1]);
    if (!strcmp(word, "openat!!")) {
        CHECK(open(path, O_CREAT | O_WRONLY, 0644) >= 0);
    } else if (!strcmp(word, "connect!")) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        snprintf(address.sun_path, sizeof address.sun_path, "%.90s/socket", argv[1]);
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
        CHECK(write(fd, "reached", 7) == 7);
    } else if (!strcmp(word, "execve!!")) {
        execl("/bin/touch", "touch", path, (char *)NULL);
        CHECK(!"execve");
    } else if (!strcmp(word, "int0x80!")) {
        // The 32-bit gate takes 32-bit pointers.
        static char low[256] __attribute__((aligned(16)));
        strcpy(low, path);
        long result;
        __asm__ volatile("int $0x80"
                         : "=a"(result)
                         : "a"(8 /* creat */), "b"(low), "c"(0644)
                         : "memory", "r8", "r9", "r10", "r11");
        CHECK(result >= 0);
    } else
        CHECK(!strcmp(word, "nothing!"));
    puts(word);
    return 0;
}
