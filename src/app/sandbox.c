/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox of a running server: no_new_privs, Landlock for files, seccomp for system calls.
 *
 * Landlock (landlock(7)) denies every file but those below the places added here: the data folder to read and write;
 * and to read, the folders of the configuration and of each file it names, the system's libraries, certificates and
 * resolver files, and AWS credential files. A folder and not the file, since secrets are renewed by renaming. Newer
 * kernels also take away binding TCP ports, signals to other programs and their abstract sockets.
 *
 * seccomp (seccomp(2)) is a list of what is denied, since libraries need other calls on every machine: running
 * programs and making processes, looking into others, memory that is both written and executed, mounting, modules,
 * changing users, clocks and keys, io_uring, and sockets of unusual families. What is denied fails with EPERM, so that
 * a library that only tries goes on. The kernel keeps the answer for calls that need no look at their arguments, so
 * that a read or write costs nothing more.
 *
 * It does not restrict outgoing connections, and is not instead of a user of its own (deploy/payhook.service). It is
 * left out of instrumented builds, whose run time needs what is denied here (sandbox_none.c). */
#include "app/sandbox.h"

#include "app/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- files ---- */

/* linux/landlock.h of a kernel that knows them all; a kernel before takes the members it knows. */
struct ruleset {
    uint64_t files; /* ABI 1 */
    uint64_t ports; /* ABI 4 */
    uint64_t scope; /* ABI 6 */
};
enum { PORT_BIND = 1 << 0, SCOPE_ABSTRACT_SOCKET = 1 << 0, SCOPE_SIGNAL = 1 << 1 };

#define ACCESS_TRUNCATE  (UINT64_C(1) << 14) /* ABI 3 */
#define ACCESS_IOCTL_DEV (UINT64_C(1) << 15) /* ABI 5 */
#define ACCESS_READ      (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ACCESS_WRITE                                                                                                   \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE)
#define ACCESS_OF_A_FILE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE)

/* All that a kernel of this version can deny of files. */
static uint64_t files_of(long version) {
    unsigned bits = version < 2 ? 13 : version < 3 ? 14 : version < 5 ? 15 : 16;
    return (UINT64_C(1) << bits) - 1;
}

/* Where libraries look by themselves; what is not there is passed over. To add a place: a row. */
static const char *const SYSTEM_PLACES[] = {
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/run/systemd/resolve",
    "/sys/devices/system/cpu",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
};
/* Variables that name a file, its folder, or a folder. */
static const char *const NAMED_BY[] = {
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
};

struct fence {
    int fd;
    uint64_t handled; /* what the ruleset denies of files */
};

static bool allow(const struct fence *fence, const char *path, uint64_t rights) {
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) return false;
    struct stat info;
    bool done = fstat(fd, &info) == 0;
    if (done && !S_ISDIR(info.st_mode)) rights &= ACCESS_OF_A_FILE;
    struct landlock_path_beneath_attr rule = {.allowed_access = rights & fence->handled, .parent_fd = fd};
    done = done && syscall(SYS_landlock_add_rule, fence->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
    (void)close(fd); /* O_PATH: nothing can be lost */
    return done;
}

/* The folder of a file, or of the root folder that file alone. */
static void allow_folder_of(const struct fence *fence, const char *path) {
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    if (slash == NULL) {
        (void)allow(fence, ".", ACCESS_READ); /* what is not there needs no rule */
        return;
    }
    if (len == 0 || len >= sizeof folder) {
        (void)allow(fence, path, ACCESS_READ);
        return;
    }
    memcpy(folder, path, len);
    folder[len] = '\0';
    (void)allow(fence, folder, ACCESS_READ);
}

/* A file by its name, and where it is if that is a link. */
static void allow_named(void *context, const char *path) {
    const struct fence *fence = context;
    char real[PATH_MAX];
    allow_folder_of(fence, path);
    if (realpath(path, real) != NULL) allow_folder_of(fence, real);
}

static void allow_aws(struct fence *fence) {
    char path[PATH_MAX];
    struct writer w = writer_make(path, sizeof path - 1);
    const char *home = getenv("HOME");
    if (home != NULL) {
        writer_format(&w, "%s/.aws", home);
        if (!w.overflow) (void)allow(fence, writer_cstr(&w), ACCESS_READ);
    }
    for (size_t i = 0; i < sizeof NAMED_BY / sizeof *NAMED_BY; i++) {
        const char *named = getenv(NAMED_BY[i]);
        struct stat info;
        if (named == NULL || stat(named, &info) != 0) continue;
        if (S_ISDIR(info.st_mode))
            (void)allow(fence, named, ACCESS_READ);
        else
            allow_named(fence, named);
    }
}

/* False: some file that the server cannot do without would be out of its reach. */
static bool allow_all(struct fence *fence, const struct config *config) {
    if (!allow(fence, config->data, ACCESS_READ | ACCESS_WRITE)) return false;
    (void)allow(fence, "/etc/payhook", ACCESS_READ); /* where a configuration may appear */
    config_each_file(config, allow_named, fence);
    for (size_t i = 0; i < sizeof SYSTEM_PLACES / sizeof *SYSTEM_PLACES; i++)
        (void)allow(fence, SYSTEM_PLACES[i], ACCESS_READ);
    (void)allow(fence, "/dev/null", ACCESS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE);
    allow_aws(fence);
    return true;
}

/* The version that holds now, or 0 where none does, with errno. */
static long restrict_files(const struct config *config) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version <= 0) return 0;
    struct ruleset rules = {
        .files = files_of(version), .ports = PORT_BIND, .scope = SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL};
    size_t size = version < 4   ? offsetof(struct ruleset, ports)
                  : version < 6 ? offsetof(struct ruleset, scope)
                                : sizeof rules;
    struct fence fence = {.handled = rules.files};
    fence.fd = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
    if (fence.fd < 0) return 0;
    bool entered = allow_all(&fence, config) && syscall(SYS_landlock_restrict_self, fence.fd, 0) == 0;
    int sys = errno;
    (void)close(fence.fd); /* the rules hold without it */
    errno = sys;
    return entered ? version : 0;
}

/* ---- system calls ---- */

/* Where the calls have the numbers and arguments that the filter looks at. Elsewhere there is no filter. */
#if defined(__x86_64__)
enum { ARCHITECTURE_KNOWN = 1 };
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
enum { ARCHITECTURE_KNOWN = 1 };
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
enum { ARCHITECTURE_KNOWN = 0 };
#define ARCHITECTURE 0
#endif

static const unsigned DENIED[] = {
    /* other programs */
    SYS_execve, SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_process_madvise, SYS_kcmp,
    SYS_pidfd_getfd, SYS_pidfd_send_signal, SYS_kill, SYS_tkill, SYS_rt_sigqueueinfo, SYS_personality,
#ifdef SYS_fork
    SYS_fork, SYS_vfork,
#endif
    /* name spaces and mounts */
    SYS_unshare, SYS_setns, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_move_mount, SYS_open_tree,
    SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_fspick, SYS_mount_setattr, SYS_mknodat, SYS_open_by_handle_at,
    SYS_swapon, SYS_swapoff, SYS_quotactl, SYS_quotactl_fd, SYS_acct,
    /* the kernel */
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_bpf, SYS_perf_event_open, SYS_userfaultfd,
    SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register, SYS_add_key, SYS_request_key, SYS_keyctl, SYS_syslog,
    SYS_reboot, SYS_lookup_dcookie, SYS_vhangup,
    /* users, names and clocks */
    SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid, SYS_setgroups, SYS_setfsuid,
    SYS_setfsgid, SYS_capset, SYS_sethostname, SYS_setdomainname, SYS_settimeofday, SYS_clock_settime, SYS_adjtimex,
    SYS_clock_adjtime};
enum { DENIED_COUNT = sizeof DENIED / sizeof *DENIED };

/* Some room above what is needed, which is checked. */
enum { FILTER_SIZE_MAX = 2 * DENIED_COUNT + 64, X32_CALLS = 0x40000000 };

struct filter {
    struct sock_filter code[FILTER_SIZE_MAX];
    unsigned short size;
};

static void add(struct filter *f, struct sock_filter instruction) {
    check(f->size < FILTER_SIZE_MAX);
    f->code[f->size++] = instruction;
}

/* The shapes of seccomp(2)'s example: load a word, compare it, answer. skip: instructions to leave out where not. */
static void load(struct filter *f, size_t offset) {
    add(f, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}
static void unless(struct filter *f, unsigned short compare, uint32_t value, uint8_t skip) {
    add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | compare | BPF_K, value, 0, skip));
}
static void answer(struct filter *f, int sys) {
    uint32_t action = sys == 0 ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | (uint32_t)sys;
    add(f, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}
/* The low half of an argument, which is all that the kernel looks at in those here. Little-endian machines only. */
static size_t argument(int index) { return offsetof(struct seccomp_data, args) + 8 * (size_t)index; }

/* Threads may be made, processes not. */
static void add_clone(struct filter *f) {
    unless(f, BPF_JEQ, SYS_clone3, 1); /* its flags are out of sight; the C library then takes clone */
    answer(f, ENOSYS);
    unless(f, BPF_JEQ, SYS_clone, 4);
    load(f, argument(0));
    unless(f, BPF_JSET, CLONE_THREAD, 1);
    answer(f, 0);
    answer(f, EPERM);
}

/* Memory is written or executed. */
static void add_memory(struct filter *f) {
    static const unsigned changing[] = {SYS_mprotect, SYS_pkey_mprotect};
    for (size_t i = 0; i < 2; i++) {
        unless(f, BPF_JEQ, changing[i], 4);
        load(f, argument(2));
        unless(f, BPF_JSET, PROT_EXEC, 1);
        answer(f, EPERM);
        answer(f, 0);
    }
    unless(f, BPF_JEQ, SYS_mmap, 5);
    load(f, argument(2));
    add(f, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, PROT_WRITE | PROT_EXEC));
    unless(f, BPF_JEQ, PROT_WRITE | PROT_EXEC, 1);
    answer(f, EPERM);
    answer(f, 0);
}

static void add_sockets(struct filter *f) {
    static const uint32_t families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK}; /* netlink: the resolver */
    enum { FAMILIES = sizeof families / sizeof *families };
    unless(f, BPF_JEQ, SYS_socket, 2 + 2 * FAMILIES);
    load(f, argument(0));
    for (size_t i = 0; i < FAMILIES; i++) {
        unless(f, BPF_JEQ, families[i], 1);
        answer(f, 0);
    }
    answer(f, EAFNOSUPPORT);
}

static void filter_make(struct filter *f) {
    load(f, offsetof(struct seccomp_data, arch));
    add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0));
    answer(f, ENOSYS); /* the 32-bit calls of the same machine */
    load(f, offsetof(struct seccomp_data, nr));
    unless(f, BPF_JGE, X32_CALLS, 1);
    answer(f, ENOSYS);
    for (size_t i = 0; i < DENIED_COUNT; i++) {
        unless(f, BPF_JEQ, DENIED[i], 1);
        answer(f, EPERM);
    }
    add_clone(f);
    add_memory(f);
    add_sockets(f);
    answer(f, 0);
}

static bool restrict_calls(void) {
    struct filter filter = {.size = 0};
    if (!ARCHITECTURE_KNOWN) {
        errno = ENOSYS;
        return false;
    }
    filter_make(&filter);
    const struct sock_fprog program = {.len = filter.size, .filter = filter.code};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

/* ---- both ---- */

void sandbox_enter(const struct config *config) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) { /* both need it */
        log_format(LOG_WARNING, "sandbox: none, since this kernel has no no_new_privs: %s", strerror(errno));
        return;
    }
    long version = restrict_files(config);
    if (version == 0)
        log_format(LOG_WARNING,
                   "sandbox: this kernel offers no landlock (%s): files are protected by their permissions only",
                   strerror(errno));
    bool filtered = restrict_calls();
    if (!filtered)
        log_format(LOG_WARNING, "sandbox: this kernel offers no seccomp filter (%s): programs could be run",
                   strerror(errno));
    if (version > 0 && filtered) log_format(LOG_INFO, "sandbox: landlock (version %ld), seccomp", version);
}
