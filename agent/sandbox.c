/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * How a worker gives up what it does not need: capabilities, new privileges,
 * paths and ports (Landlock, as much of it as the kernel has), and system
 * calls (a filter that answers EPERM, and has the kernel log it).  The
 * filter only takes away: what is not in its lists is allowed, so that a
 * libc or an architecture that works differently still works.
 */
#include "agent.h"

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

/* ---- Landlock: numbers of its user interface, whatever the headers know ----- */

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

#define LL_VERSION		1u
#define LL_RULE_PATH		1
#define LL_RULE_PORT		2
#define LL_FS_EXECUTE		0x0001u
#define LL_FS_WRITE_FILE	0x0002u
#define LL_FS_READ_FILE		0x0004u
#define LL_FS_READ_DIR		0x0008u
#define LL_FS_REMOVE_DIR	0x0010u
#define LL_FS_REMOVE_FILE	0x0020u
#define LL_FS_MAKE_DIR		0x0080u
#define LL_FS_MAKE_REG		0x0100u
#define LL_FS_MAKE_SYM		0x1000u
#define LL_FS_TRUNCATE		0x4000u
#define LL_FS_OF_FILES		(LL_FS_EXECUTE | LL_FS_WRITE_FILE | \
				LL_FS_READ_FILE | LL_FS_TRUNCATE)
#define LL_NET_BIND		0x1u
#define LL_NET_CONNECT		0x2u
#define LL_SCOPE_ALL		0x3u	/* abstract sockets, signals */

struct ll_ruleset {
	uint64_t fs, net, scoped;
};
struct ll_path {
	uint64_t access;
	int32_t fd;
} __attribute__((packed));
struct ll_port {
	uint64_t access, port;
};

/* What version n of Landlock knows of rights to files. */
static uint64_t
fs_rights(int abi)
{
	uint64_t all = 0x1fff;

	if (abi >= 2)
		all |= 0x2000;		/* links and renames across folders */
	if (abi >= 3)
		all |= LL_FS_TRUNCATE;
	if (abi >= 5)
		all |= 0x8000;		/* ioctl on devices */
	return all;
}

static void
allow_path(int ruleset, const char *path, uint64_t rights)
{
	struct ll_path rule = { .access = rights };
	struct stat st;

	rule.fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.fd == -1)
		return;
	if (fstat(rule.fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.access &= LL_FS_OF_FILES;
	(void)syscall(SYS_landlock_add_rule, ruleset, LL_RULE_PATH, &rule, 0);
	close(rule.fd);
}

/* What name resolution, TLS and libraries that are loaded late have to
 * read. */
static const char *const common_paths[] = {
	"/etc/resolv.conf", "/run/systemd/resolve", "/etc/hosts",
	"/etc/host.conf", "/etc/gai.conf", "/etc/nsswitch.conf",
	"/etc/services", "/etc/protocols", "/etc/localtime",
	"/etc/ld.so.cache", "/etc/ssl", "/etc/ca-certificates",
	"/etc/pki/tls", "/usr/share/ca-certificates",
	"/usr/local/share/ca-certificates", "/usr/share/publicsuffix",
	"/usr/share/dns", "/usr/share/zoneinfo", "/usr/lib", "/usr/lib64",
	"/lib", "/lib64", "/dev/urandom", "/dev/random", NULL
};

static void
allow_all(int ruleset, const char *const *paths, uint64_t rights)
{
	for (; paths != NULL && *paths != NULL; paths++)
		allow_path(ruleset, *paths, rights);
}

static void
allow_paths(int ruleset, const struct pl_sandbox *s, uint64_t known)
{
	uint64_t read = (LL_FS_READ_FILE | LL_FS_READ_DIR) & known;
	uint64_t write = (read | LL_FS_WRITE_FILE | LL_FS_TRUNCATE |
	    LL_FS_REMOVE_FILE | LL_FS_REMOVE_DIR | LL_FS_MAKE_REG |
	    LL_FS_MAKE_DIR | (s->links ? LL_FS_MAKE_SYM : 0)) & known;

	allow_all(ruleset, common_paths, read);
	if (PL_LEAK_CHECK)
		allow_path(ruleset, "/proc", read);
	allow_all(ruleset, s->read, read);
	allow_path(ruleset, "/dev/null", read | LL_FS_WRITE_FILE);
	allow_all(ruleset, s->write, write);
}

static void
allow_ports(int ruleset, const struct pl_sandbox *s)
{
	for (size_t i = 0; i < s->nports; i++) {
		struct ll_port rule = { LL_NET_CONNECT, s->ports[i] };

		(void)syscall(SYS_landlock_add_rule, ruleset, LL_RULE_PORT,
		    &rule, 0);
	}
}

/* Gives the version that took effect, 0: none. */
static int
landlock(const struct pl_sandbox *s)
{
	struct ll_ruleset attr = { 0, 0, 0 };
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LL_VERSION);
	int fd, rc;

	if (s->abi_most > 0 && abi > s->abi_most)
		abi = s->abi_most;
	if (abi < 1)
		return 0;
	attr.fs = fs_rights((int)abi);
	if (abi >= 4)
		attr.net = s->nports > 0 ? LL_NET_BIND | LL_NET_CONNECT :
		    LL_NET_BIND;
	if (abi >= 6)
		attr.scoped = LL_SCOPE_ALL;
	/* What the kernel does not know yet is zero, and it takes that. */
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr),
	    0);
	if (fd == -1)
		return 0;
	allow_paths(fd, s, attr.fs);
	if (abi >= 4)
		allow_ports(fd, s);
	rc = (int)syscall(SYS_landlock_restrict_self, fd, 0);
	close(fd);
	return rc == 0 ? (int)abi : 0;
}

/* ---- the filter of system calls --------------------------------------------- */

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#else
#define ARCH 0
#endif

#define NEW_NAMESPACES 0x7e020000u	/* CLONE_NEW… of clone(2) */

/* Nobody needs these. */
static const int never[] = {
#if !PL_LEAK_CHECK
	SYS_ptrace,
#endif
	SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp,
	SYS_kexec_load, SYS_bpf, SYS_perf_event_open, SYS_userfaultfd,
	SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_unshare,
	SYS_setns, SYS_init_module, SYS_finit_module, SYS_delete_module,
	SYS_reboot, SYS_swapon, SYS_swapoff, SYS_syslog, SYS_acct,
	SYS_add_key, SYS_keyctl, SYS_request_key, SYS_settimeofday,
	SYS_clock_settime, SYS_adjtimex, SYS_clock_adjtime, SYS_sethostname,
	SYS_setdomainname, SYS_quotactl, SYS_vhangup, SYS_open_by_handle_at,
	SYS_personality, SYS_io_setup,
#ifdef SYS_kexec_file_load
	SYS_kexec_file_load,
#endif
#ifdef SYS_iopl
	SYS_iopl, SYS_ioperm, SYS_modify_ldt,
#endif
#ifdef SYS_fsopen
	SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_fspick, SYS_move_mount,
	SYS_open_tree,
#endif
#ifdef SYS_mount_setattr
	SYS_mount_setattr,
#endif
#ifdef SYS_io_uring_setup
	SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register,
#endif
#ifdef SYS_pidfd_getfd
	SYS_pidfd_getfd,
#endif
};
static const int no_exec[] = { SYS_execve, SYS_execveat };
static const int no_change[] = {
	SYS_mkdirat, SYS_unlinkat, SYS_linkat, SYS_symlinkat, SYS_renameat2,
	SYS_mknodat, SYS_truncate, SYS_ftruncate, SYS_fchmod, SYS_fchmodat,
	SYS_fchown, SYS_fchownat, SYS_setxattr, SYS_fsetxattr, SYS_openat2,
#ifdef SYS_renameat
	SYS_renameat,
#endif
#ifdef SYS_mkdir
	SYS_mkdir, SYS_rmdir, SYS_unlink, SYS_link, SYS_symlink, SYS_rename,
	SYS_mknod, SYS_chmod, SYS_chown, SYS_lchown, SYS_creat,
#endif
};
#ifdef SYS_open
static const int opens[][2] = { { SYS_openat, 2 }, { SYS_open, 1 } };
#else
static const int opens[][2] = { { SYS_openat, 2 } };
#endif

struct filter {
	struct sock_filter code[512];
	unsigned short n;
	uint32_t deny;
};

static void
emit(struct filter *f, unsigned code, unsigned jt, unsigned jf, uint32_t k)
{
	if (f->n < PL_NELEM(f->code))
		f->code[f->n++] = (struct sock_filter){ (uint16_t)code,
			(uint8_t)jt, (uint8_t)jf, k };
}

static void
load(struct filter *f, size_t offset)
{
	emit(f, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

static void
load_number(struct filter *f)
{
	load(f, offsetof(struct seccomp_data, nr));
}

/* The lower half of an argument; all machines in ARCH are little-endian. */
static void
load_argument(struct filter *f, int i)
{
	load(f, offsetof(struct seccomp_data, args) + 8 * (size_t)i);
}

static void
deny_list(struct filter *f, const int *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		emit(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, (uint32_t)list[i]);
		emit(f, BPF_RET | BPF_K, 0, 0, f->deny);
	}
}

/* Denies the call where the argument has one of these bits. */
static void
deny_bits(struct filter *f, int number, int argument, uint32_t bits)
{
	emit(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 4, (uint32_t)number);
	load_argument(f, argument);
	emit(f, BPF_JMP | BPF_JSET | BPF_K, 0, 1, bits);
	emit(f, BPF_RET | BPF_K, 0, 0, f->deny);
	emit(f, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
}

/* Sockets of these families only. */
static void
allow_families(struct filter *f, const int *families, size_t n)
{
	emit(f, BPF_JMP | BPF_JEQ | BPF_K, 0, (unsigned)(2 * n + 2),
	    SYS_socket);
	load_argument(f, 0);
	for (size_t i = 0; i < n; i++) {
		emit(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 1,
		    (uint32_t)families[i]);
		emit(f, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
	}
	emit(f, BPF_RET | BPF_K, 0, 0, f->deny);
}

static void
build(struct filter *f, const struct pl_sandbox *s)
{
	static const int inet[] = { AF_INET, AF_INET6, AF_UNIX, AF_NETLINK };
	static const int local[] = { AF_UNIX };

	f->n = 0;
	f->deny = s->mode == PL_SANDBOX_LOG ? SECCOMP_RET_LOG :
	    (SECCOMP_RET_ERRNO | EPERM);
	load(f, offsetof(struct seccomp_data, arch));
	emit(f, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, ARCH);
	emit(f, BPF_RET | BPF_K, 0, 0, f->deny);
	load_number(f);
#ifdef __x86_64__
	/* The calls of x32 would go round the lists. */
	emit(f, BPF_JMP | BPF_JGE | BPF_K, 0, 1, 0x40000000);
	emit(f, BPF_RET | BPF_K, 0, 0, f->deny);
#endif
	deny_list(f, never, PL_NELEM(never));
	/* Its flags cannot be looked at; libc then uses clone(2). */
	emit(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_clone3);
	emit(f, BPF_RET | BPF_K, 0, 0, s->mode == PL_SANDBOX_LOG ?
	    SECCOMP_RET_ALLOW : (SECCOMP_RET_ERRNO | ENOSYS));
	deny_bits(f, SYS_clone, 0, NEW_NAMESPACES);
	if (s->profile != PL_PROFILE_EXEC)
		deny_list(f, no_exec, PL_NELEM(no_exec));
	if (s->profile == PL_PROFILE_CHECK || s->profile == PL_PROFILE_NET) {
		deny_list(f, no_change, PL_NELEM(no_change));
		for (size_t i = 0; i < PL_NELEM(opens); i++)
			deny_bits(f, opens[i][0], opens[i][1], O_WRONLY |
			    O_RDWR | O_CREAT | O_TRUNC);
	}
	if (s->profile == PL_PROFILE_LOCAL)
		allow_families(f, local, PL_NELEM(local));
	else if (s->profile != PL_PROFILE_EXEC)
		allow_families(f, inet, PL_NELEM(inet));
	emit(f, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
}

static bool
filter_calls(const struct pl_sandbox *s)
{
	struct filter f;
	struct sock_fprog prog;

	if (ARCH == 0)
		return false;
	build(&f, s);
	prog.len = f.n;
	prog.filter = f.code;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	    SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_TSYNC, &prog) ==
	    0 || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) == 0;
}

/* ---- capabilities ------------------------------------------------------------ */

static bool
drop_capabilities(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0, 0, 0 }, { 0, 0, 0 } };
	struct __user_cap_data_struct have[2];

	if (syscall(SYS_capset, &head, none) == 0)
		return true;
	/* A service manager may have taken them, and capset(2) with them. */
	return syscall(SYS_capget, &head, have) == 0 &&
	    have[0].permitted == 0 && have[1].permitted == 0;
}

void
pl_sandbox_apply(const struct pl_sandbox *s, const struct pl_log *log,
    const char *role)
{
	bool privileges, calls = false, caps = false;
	int abi = 0;

	if (s->mode == PL_SANDBOX_OFF) {
		pl_logf(log, PL_LOG_WARN, "sandbox", "worker=%s off", role);
		return;
	}
	privileges = prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) == 0;
	/* Landlock has no way to only log. */
	if (s->profile != PL_PROFILE_EXEC && s->mode == PL_SANDBOX_ON)
		abi = landlock(s);
	if (s->profile == PL_PROFILE_CHECK || s->profile == PL_PROFILE_NET)
		caps = drop_capabilities();
	if (privileges)
		calls = filter_calls(s);
	pl_logf(log, PL_LOG_INFO, "sandbox", "worker=%s no-new-privs=%s "
	    "landlock=%d seccomp=%s capabilities=%s", role,
	    privileges ? "yes" : "no", abi, !calls ? "no" :
	    s->mode == PL_SANDBOX_LOG ? "log" : "yes",
	    caps ? "none" : "kept");
}
