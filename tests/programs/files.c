// Files and folders, in a temporary one: contents, offsets, metadata, listings, links, locks, copies inside
// the kernel.
#include "program.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>

static int use_file(const char *folder) {
    int fd = open("a", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    struct iovec parts[3] = {{"one ", 4}, {"two ", 4}, {"three\n", 6}};
    CHECK(fd >= 0 && writev(fd, parts, 3) == 14 && pwrite(fd, "T", 1, 4) == 1);
    char text[64] = "";
    CHECK(lseek(fd, 4, SEEK_SET) == 4 && read(fd, text, sizeof text) == 10 && !strcmp(text, "Two three\n"));
    CHECK(ftruncate(fd, 100000) == 0 && posix_fallocate(fd, 0, 4096) == 0 && fsync(fd) == 0);
    struct stat st;
    CHECK(fstat(fd, &st) == 0 && st.st_size == 100000 && (st.st_mode & 0777) == 0640);
    printf("%s: inode %lu, mtime %ld.%09ld\n", folder, st.st_ino, (long)st.st_mtim.tv_sec,
           st.st_mtim.tv_nsec);
    CHECK(link("a", "b") == 0 && symlink("b", "c") == 0 && rename("b", "d") == 0);
    CHECK(stat("c", &st) == -1 && errno == ENOENT && lstat("c", &st) == 0 && S_ISLNK(st.st_mode));
    CHECK(readlink("c", text, sizeof text) == 1 && text[0] == 'b');
    CHECK(access("d", R_OK) == 0 && chmod("d", 0600) == 0 && utimensat(AT_FDCWD, "d", NULL, 0) == 0);
    struct statx sx;
    CHECK(statx(AT_FDCWD, "d", 0, STATX_BASIC_STATS, &sx) == 0 && sx.stx_nlink == 2);
    return fd;
}

static void use_folder(void) {
    char text[64];
    CHECK(mkdir("e", 0755) == 0);
    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof text, "e/file-with-a-longer-name-%d", i);
        int f = open(text, O_WRONLY | O_CREAT, 0644);
        CHECK(f >= 0 && close(f) == 0);
    }
    DIR *dir = opendir("e");
    CHECK(dir);
    uint64_t h = 0xcbf29ce484222325ull;
    int entries = 0;
    for (struct dirent *e; (e = readdir(dir)); entries++)
        h = hash_bytes(h, e->d_name, strlen(e->d_name));
    closedir(dir);
    CHECK(entries == 302);
    printf("e: order %016llx\n", (unsigned long long)h);
    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof text, "e/file-with-a-longer-name-%d", i);
        CHECK(unlink(text) == 0);
    }
}

static int copy_from(int fd) {
    char text[64];
    int copy = open("f", O_RDWR | O_CREAT, 0644);
    off_t from = 0;
    CHECK(copy >= 0 && sendfile(copy, fd, &from, 14) == 14 && from == 14);
    loff_t in = 0;
    CHECK(copy_file_range(fd, &in, copy, NULL, 4, 0) == 4);
    CHECK(pread(copy, text, 18, 0) == 18 && !memcmp(text, "one Two three\none ", 18));
    int again = dup(copy);
    CHECK(again >= 0 && dup2(again, 77) == 77 && fcntl(77, F_GETFL) >= 0 &&
          fcntl(77, F_SETFD, FD_CLOEXEC) == 0);
    return copy;
}

static void lock_both(int fd, int copy) {
    CHECK(flock(copy, LOCK_EX) == 0);
    struct flock region = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};
    CHECK(fcntl(fd, F_SETLK, &region) == 0);
    pid_t child = fork();
    if (child == 0) {
        region = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};
        CHECK(fcntl(fd, F_GETLK, &region) == 0 && region.l_pid == getppid());
        region = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};
        CHECK(fcntl(fd, F_SETLKW, &region) == 0); // until the parent gives it back
        _exit(0);
    }
    until_asleep(child);
    region.l_type = F_UNLCK;
    CHECK(fcntl(fd, F_SETLK, &region) == 0);
    CHECK(reap(child) == 0);
}

int main(void) {
    char folder[] = "/tmp/refork-files-XXXXXX";
    CHECK(mkdtemp(folder) && chdir(folder) == 0);
    char cwd[256];
    CHECK(getcwd(cwd, sizeof cwd) && !strcmp(cwd, folder));
    int fd = use_file(folder);
    use_folder();
    lock_both(fd, copy_from(fd));
    const char *rest[] = {"a", "c", "d", "f"};
    for (size_t i = 0; i < 4; i++)
        CHECK(unlink(rest[i]) == 0);
    CHECK(rmdir("e") == 0 && chdir("/") == 0 && rmdir(folder) == 0);
    umask(022);
    puts("files: good");
    return 0;
}
