/* SPDX-License-Identifier: Apache-2.0 */
/* Files, folders, locks and secret memory on a real file system, in a folder of the test's own. */
#include "base/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "abort_help.h"

static char folder[] = "/tmp/payhook-os-XXXXXX";

static int group_begin(void **state) {
    (void)state; /* there is none */
    return mkdtemp(folder) == NULL || chdir(folder) != 0 ? -1 : 0;
}

static int group_end(void **state) {
    (void)state; /* there is none */
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

/* Each test begins in an empty folder, with a usual umask. */
static int each_begin(void **state) {
    (void)state;      /* there is none */
    (void)umask(022); /* cannot fail */
    return mkdir("t", 0700) == 0 && chdir("t") == 0 ? 0 : -1;
}

static int each_end(void **state) {
    (void)state; /* there is none */
    return chdir(folder) == 0 && system("rm -rf t") == 0 ? 0 : -1;
}

static void put_file(const char *path, struct str content) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content.ptr, 1, content.len, file), content.len);
    assert_int_equal(fclose(file), 0);
}

static void assert_holds(const char *path, struct str content) {
    static char memory[65536];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t size = fread(memory, 1, sizeof memory, file);
    assert_int_equal(fclose(file), 0);
    assert_true(str_eq(str_make(memory, size), content));
}

static mode_t mode_of(const char *path) {
    struct stat info;
    assert_int_equal(lstat(path, &info), 0);
    return info.st_mode & 07777;
}

static size_t entries(void) {
    size_t count = 0;
    DIR *here = opendir(".");
    assert_non_null(here);
    while (readdir(here) != NULL)
        count++;
    assert_int_equal(closedir(here), 0);
    return count - 2; /* . and .. */
}

/* The lowest free descriptor: the same before and after where none was left open. */
static int free_descriptor(void) {
    int fd = dup(STDIN_FILENO);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    return fd;
}

/* Reading */

static void reads(void **state) {
    (void)state; /* there is none */
    static char big[10000];
    memset(big, 'b', sizeof big);
    put_file("ten", STR("0123456789"));
    put_file("nuls", STR("\0a\0"));
    put_file("empty", STR(""));
    put_file("big", str_make(big, sizeof big));
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(symlink("ten", "link"), 0);
    assert_int_equal(symlink("loop", "loop"), 0);
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    const struct {
        const char *path;
        size_t size_max;
        enum err_kind kind;
        struct str content;
    } cases[] = {
        {"ten", 10, ERR_OK, STR("0123456789")},
        {"ten", 11, ERR_OK, STR("0123456789")},
        {"ten", 1 << 20, ERR_OK, STR("0123456789")},
        {"ten", 9, ERR_INPUT, STR_NONE},
        {"ten", 1, ERR_INPUT, STR_NONE},
        {"ten", 0, ERR_INPUT, STR_NONE},
        {"link", 10, ERR_OK, STR("0123456789")},
        {"nuls", 3, ERR_OK, STR("\0a\0")},
        {"nuls", 2, ERR_INPUT, STR_NONE},
        {"empty", 0, ERR_OK, STR("")},
        {"empty", 5, ERR_OK, STR("")},
        {"big", 10000, ERR_OK, str_make(big, sizeof big)},
        {"big", 9999, ERR_INPUT, STR_NONE},
        {"absent", 10, ERR_ABSENT, STR_NONE},
        {"dangling", 10, ERR_ABSENT, STR_NONE},
        {"absent/ten", 10, ERR_ABSENT, STR_NONE},
        {"ten/ten", 10, ERR_ABSENT, STR_NONE},
        {"", 10, ERR_ABSENT, STR_NONE},
        {"loop", 10, ERR_SYSTEM, STR_NONE},
        {"folder", 1 << 20, ERR_INPUT, STR_NONE},
        {".", 1 << 20, ERR_INPUT, STR_NONE},
        {"fifo", 10, ERR_INPUT, STR_NONE}, /* nobody writes: a plain open would wait */
        {"/dev/zero", 10, ERR_INPUT, STR_NONE},
        {"/proc/self/status", 10, ERR_INPUT, STR_NONE}, /* it says 0 bytes, and then holds more */
    };
    int descriptor = free_descriptor();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str content = STR("untouched");
        print_message("%s at most %zu\n", cases[i].path, cases[i].size_max);
        struct err result = os_file_read(cases[i].path, cases[i].size_max, &content);
        assert_int_equal(result.kind, cases[i].kind);
        assert_int_equal(free_descriptor(), descriptor);
        if (err_is(result)) {
            assert_true(strlen(result.where) > 0);
            assert_true(str_eq(content, STR("untouched")));
            continue;
        }
        assert_true(str_eq(content, cases[i].content));
        assert_int_equal(content.ptr[content.len], '\0');
        free((char *)(uintptr_t)content.ptr);
    }
    if (geteuid() != 0) { /* root reads all */
        struct str content;
        assert_int_equal(chmod("ten", 0), 0);
        assert_int_equal(os_file_read("ten", 10, &content).kind, ERR_DENIED);
    }
}

/* Replacing */

static void replaces(void **state) {
    (void)state; /* there is none */
    static const mode_t umasks[] = {0, 022, 077, 0777}, modes[] = {0600, 0640, 0644, 0400, 0666};
    char absolute[64];
    (void)snprintf(absolute, sizeof absolute, "%s/t/file", folder);
    int descriptor = free_descriptor();
    for (size_t u = 0; u < sizeof umasks / sizeof *umasks; u++)
        for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
            const struct str contents[] = {STR("first, and longer"), STR("second"), STR("")};
            (void)umask(umasks[u]); /* cannot fail */
            for (size_t c = 0; c < 3; c++) {
                struct err result = os_file_replace(c == 1 ? absolute : "file", modes[m], contents[c]);
                assert_int_equal(result.kind, ERR_OK);
                assert_holds("file", contents[c]);
                assert_int_equal(mode_of("file"), modes[m]);
                assert_int_equal(entries(), 1);
                assert_int_equal(free_descriptor(), descriptor);
            }
            assert_int_equal(unlink("file"), 0);
        }
    (void)umask(022); /* cannot fail */
    /* The file is another one: who has the old one open reads on in it. */
    put_file("file", STR("old"));
    struct stat before, after;
    assert_int_equal(stat("file", &before), 0);
    assert_int_equal(link("file", "keeps the number"), 0);
    assert_int_equal(os_file_replace("file", 0600, STR("\0new\n")).kind, ERR_OK);
    assert_int_equal(stat("file", &after), 0);
    assert_int_not_equal(before.st_ino, after.st_ino);
    assert_holds("keeps the number", STR("old"));
    assert_holds("file", STR("\0new\n"));
    /* A link is replaced itself; what it names stays as it is. */
    assert_int_equal(symlink("keeps the number", "link"), 0);
    assert_int_equal(os_file_replace("link", 0600, STR("new")).kind, ERR_OK);
    assert_holds("keeps the number", STR("old"));
    assert_holds("link", STR("new"));
}

static void replaces_nothing(void **state) {
    (void)state; /* there is none */
    put_file("plain", STR("plain"));
    assert_int_equal(mkdir("empty", 0700), 0);
    assert_int_equal(mkdir("full", 0700), 0);
    put_file("full/x", STR("x"));
    static const struct {
        const char *path;
        enum err_kind kind;
        int sys;
    } cases[] = {
        {"empty", ERR_SYSTEM, EISDIR},
        {"full", ERR_SYSTEM, EISDIR},
        {"absent/file", ERR_ABSENT, ENOENT},
        {"plain/file", ERR_ABSENT, ENOTDIR},
    };
    int descriptor = free_descriptor();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        print_message("%s\n", cases[i].path);
        struct err result = os_file_replace(cases[i].path, 0600, STR("new"));
        assert_int_equal(result.kind, cases[i].kind);
        assert_int_equal(result.sys, cases[i].sys);
        assert_int_equal(entries(), 3); /* no temporary */
        assert_holds("plain", STR("plain"));
        assert_holds("full/x", STR("x"));
        assert_int_equal(free_descriptor(), descriptor);
    }
}

/* A file that may not grow beyond ten bytes stands for a full disk. */
static void written_in_part(void **state) {
    (void)state; /* there is none */
    struct rlimit before, small;
    put_file("file", STR("old"));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 10;
    (void)signal(SIGXFSZ, SIG_IGN); /* cannot fail */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct err result = os_file_replace("file", 0600, STR("longer than ten bytes"));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_DFL); /* cannot fail */
    assert_int_equal(result.kind, ERR_SYSTEM);
    assert_int_equal(result.sys, EFBIG);
    assert_holds("file", STR("old"));
    assert_int_equal(entries(), 1);
}

/* Folders */

static void makes_folders(void **state) {
    (void)state; /* there is none */
    static const mode_t umasks[] = {0, 022, 077};
    static const char *const paths[] = {"a", "a/", "a/b/c", "./a//b/c", "a/b/c/", "."};
    char absolute[64];
    (void)snprintf(absolute, sizeof absolute, "%s/t/a/b", folder);
    int descriptor = free_descriptor();
    for (size_t u = 0; u < sizeof umasks / sizeof *umasks; u++) {
        (void)umask(umasks[u]); /* cannot fail */
        for (size_t i = 0; i <= sizeof paths / sizeof *paths; i++) {
            const char *path = i < sizeof paths / sizeof *paths ? paths[i] : absolute;
            print_message("%s\n", path);
            assert_int_equal(os_private_dir(path).kind, ERR_OK);
            assert_int_equal(os_private_dir(path).kind, ERR_OK); /* it is there */
            assert_int_equal(mode_of(path), 0700);
            if (access("a/b", F_OK) == 0) assert_int_equal(mode_of("a/b"), 0700); /* parents too */
            if (access("a", F_OK) == 0) assert_int_equal(mode_of("a"), 0700);
            assert_int_equal(free_descriptor(), descriptor);
            (void)rmdir("a/b/c"), (void)rmdir("a/b"), (void)rmdir("a"); /* whichever there are */
            assert_int_equal(entries(), 0);
        }
    }
}

static void refuses_folders(void **state) {
    (void)state; /* there is none */
    static const mode_t open_modes[] = {0755, 0750, 0705, 0710, 0701, 0720, 0702, 0740, 0704, 0777, 01777};
    for (size_t i = 0; i < sizeof open_modes / sizeof *open_modes; i++) {
        assert_int_equal(mkdir("open", 0700), 0);
        assert_int_equal(chmod("open", open_modes[i]), 0);
        assert_int_equal(os_private_dir("open").kind, ERR_DENIED);
        assert_int_equal(mode_of("open"), open_modes[i]);            /* looked at, not changed */
        assert_int_equal(os_private_dir("open/inner").kind, ERR_OK); /* ours alone, wherever it is */
        assert_int_equal(rmdir("open/inner"), 0);
        assert_int_equal(rmdir("open"), 0);
    }
    put_file("file", STR(""));
    assert_int_equal(chmod("file", 0600), 0);
    assert_int_equal(os_private_dir("file").kind, ERR_DENIED);
    assert_true(err_is(os_private_dir("file/inner")));
    assert_true(err_is(os_private_dir("")));
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    assert_true(err_is(os_private_dir("dangling")));
    assert_int_equal(access("nowhere", F_OK), -1);
    if (geteuid() == 0) { /* else nobody can give a folder away */
        assert_int_equal(mkdir("theirs", 0700), 0);
        assert_int_equal(chown("theirs", 12345, 12345), 0);
        assert_int_equal(os_private_dir("theirs").kind, ERR_DENIED);
    }
}

/* Locks */

static enum err_kind lock_in_another_process(const char *path) {
    int status, fd;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit((int)os_lock(path, &fd).kind);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return (enum err_kind)WEXITSTATUS(status);
}

static void locks(void **state) {
    (void)state; /* there is none */
    int fd = -7, other = -7, descriptor = free_descriptor();
    (void)umask(0); /* cannot fail */
    assert_int_equal(os_lock("lock", &fd).kind, ERR_OK);
    assert_int_equal(mode_of("lock"), 0600);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(lock_in_another_process("lock"), ERR_BUSY);
    assert_int_equal(lock_in_another_process("other lock"), ERR_OK);
    assert_int_equal(os_lock("lock", &other).kind, ERR_BUSY); /* nor twice in one */
    assert_int_equal(other, -7);
    assert_int_equal(close(fd), 0);
    assert_int_equal(free_descriptor(), descriptor);
    assert_int_equal(lock_in_another_process("lock"), ERR_OK);
    assert_int_equal(os_lock("lock", &fd).kind, ERR_OK); /* the other process has ended */
    assert_int_equal(close(fd), 0);

    assert_int_equal(symlink("lock", "link"), 0);
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(os_lock("link", &other).kind, ERR_SYSTEM);
    assert_int_equal(os_lock("folder", &other).kind, ERR_SYSTEM);
    assert_int_equal(os_lock("absent/lock", &other).kind, ERR_ABSENT);
    assert_int_equal(other, -7);
    assert_int_equal(free_descriptor(), descriptor);
}

/* Secrets */

/* The flags of the mapping that holds this address; "" where the kernel does not say. */
static void mapping_flags(const void *address, char *ret_flags, size_t size) {
    char line[512];
    bool inside = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    ret_flags[0] = '\0';
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) inside = (uintptr_t)address >= from && (uintptr_t)address < to;
        if (inside && strncmp(line, "VmFlags:", 8) == 0) (void)snprintf(ret_flags, size, "%s", line + 8);
    }
    if (maps != NULL) assert_int_equal(fclose(maps), 0);
}

static void freed_by_another_size(void) { os_secret_free(os_secret_alloc(10), 11); }

static void secret_memory(void **state) {
    (void)state; /* there is none */
    static const size_t sizes[] = {0, 1, 16, 64, 4079, 4080, 4081, 4096, 100000};
    char flags[512];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *memory = os_secret_alloc(sizes[i]);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 16, 0);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(memory[k], 0);
        memset(memory, 0xa5, sizes[i]);
        mapping_flags(memory, flags, sizeof flags);
        if (flags[0] != '\0') assert_non_null(strstr(flags, " dd")); /* left out of core dumps */
        os_secret_free(memory, sizes[i]);
    }
    os_secret_free(NULL, 0);
    os_secret_free(NULL, 10);
    assert_null(os_secret_alloc(SIZE_MAX));
    assert_null(os_secret_alloc(SIZE_MAX - 8));
    assert_null(os_secret_alloc(SIZE_MAX / 2));
    assert_true(aborts(freed_by_another_size));
}

static void wipes(void **state) {
    (void)state; /* there is none */
    char memory[] = "secret", nothing[6] = {0};
    os_wipe(memory + 1, 5);
    assert_int_equal(memory[0], 's');
    assert_memory_equal(memory + 1, nothing, 5);
    os_wipe(memory, 0);
    assert_int_equal(memory[0], 's');
    os_wipe(NULL, 0);
}

/* Clock, randomness, name */

static void clocks(void **state) {
    (void)state; /* there is none */
    int64_t before = time(NULL), wall = os_wall_us(), after = time(NULL), mono = os_mono_us();
    assert_true(wall / 1000000 >= before);
    assert_true(wall / 1000000 <= after + 1); /* time() may be of the last tick */
    for (int i = 0; i < 1000; i++) {
        int64_t next = os_mono_us();
        assert_true(next >= mono);
        mono = next;
    }
}

static void randomness(void **state) {
    (void)state; /* there is none */
    unsigned char one[34] = {0}, two[34] = {0}, none[34] = {0};
    os_random(one + 1, 0);
    assert_memory_equal(one, none, 34);
    os_random(one + 1, 32);
    os_random(two + 1, 32);
    assert_int_equal(one[0] | one[33] | two[0] | two[33], 0);
    assert_memory_not_equal(one, two, 34);
    assert_memory_not_equal(one, none, 34);
    static unsigned char large[1000]; /* more than one system call is sure to give at once */
    bool seen[256] = {false};
    int different = 0;
    os_random(large, sizeof large);
    for (size_t i = 0; i < sizeof large; i++) {
        different += !seen[large[i]];
        seen[large[i]] = true;
    }
    assert_true(different > 128);
}

static void name_of_the_host(void **state) {
    (void)state; /* there is none */
    char whole[256], cut[256], real[256];
    os_host_name(whole, sizeof whole);
    assert_true(strlen(whole) > 0);
    if (gethostname(real, sizeof real) == 0 && real[0] != '\0') assert_string_equal(whole, real);
    for (size_t size = 1; size <= strlen(whole) + 1; size++) {
        memset(cut, '!', sizeof cut);
        os_host_name(cut, size);
        assert_int_equal(strlen(cut), size - 1);
        assert_memory_equal(cut, whole, size - 1);
        assert_int_equal(cut[size], '!');
    }
}

#define each(test) cmocka_unit_test_setup_teardown(test, each_begin, each_end)

int main(void) {
    const struct CMUnitTest tests[] = {
        each(reads),           each(replaces),      each(replaces_nothing),
        each(written_in_part), each(makes_folders), each(refuses_folders),
        each(locks),           each(secret_memory), each(wipes),
        each(clocks),          each(randomness),    each(name_of_the_host),
    };
    return cmocka_run_group_tests(tests, group_begin, group_end);
}
