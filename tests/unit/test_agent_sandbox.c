/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* What is still possible in each kind of worker: a child confines itself and
 * tries.  Older Landlock is played by leaving rights out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct bed {
	char dir[64], mine[96], other[96], secret[96];
	int port, listener;
	uint16_t ports[1];
};

static void
touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
}

static void
open_bed(struct bed *b)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t size = sizeof(sa);

	memset(b, 0, sizeof(*b));
	snprintf(b->dir, sizeof(b->dir), "/tmp/placard-sandbox-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->mine, sizeof(b->mine), "%s/mine", b->dir);
	snprintf(b->other, sizeof(b->other), "%s/other", b->dir);
	snprintf(b->secret, sizeof(b->secret), "%s/secret", b->dir);
	assert_int_equal(mkdir(b->mine, 0700), 0);
	assert_int_equal(mkdir(b->other, 0700), 0);
	touch(b->secret);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	b->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(b->listener, (void *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(b->listener, 8), 0);
	assert_int_equal(getsockname(b->listener, (void *)&sa, &size), 0);
	b->port = ntohs(sa.sin_port);
}

static void
close_bed(struct bed *b)
{
	char path[128];

	close(b->listener);
	snprintf(path, sizeof(path), "%s/file", b->mine);
	unlink(path);
	unlink(b->secret);
	assert_int_equal(rmdir(b->mine), 0);
	assert_int_equal(rmdir(b->other), 0);
	assert_int_equal(rmdir(b->dir), 0);
}

/* Each probe is true where the thing can be done. */
typedef bool probe(const struct bed *b);

static bool
write_at(const char *dir)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	if (fd != -1)
		close(fd);
	return fd != -1;
}

static bool
write_mine(const struct bed *b)
{
	return write_at(b->mine);
}

static bool
write_other(const struct bed *b)
{
	return write_at(b->other);
}

static bool
make_folder(const struct bed *b)
{
	char path[128];
	bool made;

	snprintf(path, sizeof(path), "%s/sub", b->other);
	made = mkdir(path, 0700) == 0;
	if (made)
		rmdir(path);
	return made;
}

static bool
remove_secret(const struct bed *b)
{
	return unlink(b->secret) == 0;
}

static bool
read_secret(const struct bed *b)
{
	int fd = open(b->secret, O_RDONLY);

	if (fd != -1)
		close(fd);
	return fd != -1;
}

static bool
read_shadow(const struct bed *b PL_UNUSED)
{
	int fd = open("/etc/shadow", O_RDONLY);

	if (fd != -1)
		close(fd);
	return fd != -1;
}

static bool
read_resolver(const struct bed *b PL_UNUSED)
{
	int fd = open("/etc/hosts", O_RDONLY);

	if (fd != -1)
		close(fd);
	return fd != -1;
}

static bool
run_program(const struct bed *b PL_UNUSED)
{
	char path[] = "/bin/true";
	char *argv[] = { path, NULL }, *env[] = { NULL };
	pid_t pid = fork();
	int st;

	if (pid == 0) {
		execve(path, argv, env);
		_exit(9);
	}
	waitpid(pid, &st, 0);
	return WIFEXITED(st) && WEXITSTATUS(st) == 0;
}

static bool
new_namespace(const struct bed *b PL_UNUSED)
{
	return unshare(CLONE_NEWUSER) == 0 || errno != EPERM;
}

static bool
clone_namespace(const struct bed *b PL_UNUSED)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL,
	    NULL, NULL);

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid((pid_t)pid, NULL, 0);
	return pid > 0 || errno != EPERM;
}

static bool
mount_something(const struct bed *b)
{
	return mount("none", b->other, "tmpfs", 0, NULL) == 0 ||
	    errno != EPERM;
}

static bool
trace(const struct bed *b PL_UNUSED)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}

static bool
family(int af, int type)
{
	int fd = socket(af, type, 0);

	if (fd != -1)
		close(fd);
	return fd != -1 || errno != EPERM;
}

static bool
packet_socket(const struct bed *b PL_UNUSED)
{
	return family(AF_PACKET, SOCK_RAW);
}

static bool
inet_socket(const struct bed *b PL_UNUSED)
{
	return family(AF_INET, SOCK_STREAM);
}

static bool
udp_socket(const struct bed *b PL_UNUSED)
{
	return family(AF_INET6, SOCK_DGRAM);
}

static bool
local_socket(const struct bed *b PL_UNUSED)
{
	return family(AF_UNIX, SOCK_STREAM);
}

static bool
connect_listener(const struct bed *b)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)b->port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool good;

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	good = fd != -1 && connect(fd, (void *)&sa, sizeof(sa)) == 0;
	if (fd != -1)
		close(fd);
	return good;
}

static bool
gain_privileges(const struct bed *b PL_UNUSED)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0L, 0L, 0L, 0L) != 1;
}

/* ---- in a child ------------------------------------------------------------------ */

static bool
possible(const struct bed *b, const struct pl_sandbox *s, probe *p)
{
	struct pl_log silent = { -1, PL_LOG_ERROR, false, false, "test" };
	pid_t pid = fork();
	int st;

	if (pid == 0) {
		pl_sandbox_apply(s, &silent, "test");
		_exit(p(b) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_true(WIFEXITED(st));
	return WEXITSTATUS(st) == 1;
}

struct expectation {
	probe *p;
	const char *name;
	bool check, net, local, exec;	/* possible in this profile? */
	bool landlock;			/* denied by Landlock, not by the filter */
};

#define ROW(p, ...) { p, #p, __VA_ARGS__ }
static const struct expectation table[] = {
	ROW(write_mine, false, false, true, true, false),
	ROW(write_other, false, false, false, true, true),
	ROW(make_folder, false, false, false, true, true),
	ROW(remove_secret, false, false, false, true, true),
	ROW(read_secret, false, false, false, true, true),
	ROW(read_shadow, false, false, false, true, true),
	ROW(read_resolver, true, true, true, true, false),
	ROW(run_program, false, false, false, true, false),
	ROW(new_namespace, false, false, false, false, false),
	ROW(clone_namespace, false, false, false, false, false),
	ROW(mount_something, false, false, false, false, false),
	ROW(trace, PL_LEAK_CHECK, PL_LEAK_CHECK, PL_LEAK_CHECK, PL_LEAK_CHECK,
	    PL_LEAK_CHECK),
	ROW(packet_socket, false, false, false, true, false),
	ROW(inet_socket, true, true, false, true, false),
	ROW(udp_socket, true, true, false, true, false),
	ROW(local_socket, true, true, true, true, false),
	ROW(gain_privileges, false, false, false, false, false),
};

static bool
expected(const struct expectation *e, enum pl_profile p)
{
	switch (p) {
	case PL_PROFILE_CHECK: return e->check;
	case PL_PROFILE_NET: return e->net;
	case PL_PROFILE_LOCAL: return e->local;
	case PL_PROFILE_EXEC: return e->exec;
	}
	return false;
}

static bool
has_landlock(void)
{
#ifdef SYS_landlock_create_ruleset
	return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 1;
#else
	return false;
#endif
}

static void
try_all(enum pl_profile profile, int abi_most)
{
	const char *write[2] = { NULL, NULL };
	struct pl_sandbox s = { .profile = profile, .write = write,
		.abi_most = abi_most };
	struct bed b;

	for (size_t i = 0; i < PL_NELEM(table); i++) {
		bool wanted = expected(&table[i], profile), got;

		if (table[i].landlock && !has_landlock())
			continue;
		open_bed(&b);
		write[0] = profile == PL_PROFILE_LOCAL ? b.mine : NULL;
		got = possible(&b, &s, table[i].p);
		if (got != wanted)
			fail_msg("%s: profile %d, Landlock %d: %s",
			    table[i].name, (int)profile, abi_most,
			    got ? "possible" : "not possible");
		if (got && table[i].p == remove_secret)
			touch(b.secret);
		if (got && table[i].p == write_other) {
			char path[128];

			snprintf(path, sizeof(path), "%s/file", b.other);
			unlink(path);
		}
		close_bed(&b);
	}
}

static void
test_profiles(void **state PL_UNUSED)
{
	for (int p = PL_PROFILE_CHECK; p <= PL_PROFILE_EXEC; p++)
		try_all((enum pl_profile)p, 0);
}

static void
test_older_landlock(void **state PL_UNUSED)
{
	static const int abis[] = { 1, 2, 4 };

	for (size_t i = 0; i < PL_NELEM(abis); i++) {
		for (int p = PL_PROFILE_CHECK; p <= PL_PROFILE_LOCAL; p++)
			try_all((enum pl_profile)p, abis[i]);
	}
}

static void
test_ports(void **state PL_UNUSED)
{
	struct pl_sandbox s = { .profile = PL_PROFILE_NET };
	struct bed b;
	uint16_t other = 443;

	if (!has_landlock() || syscall(SYS_landlock_create_ruleset, NULL, 0,
	    1) < 4)
		skip();
	open_bed(&b);
	b.ports[0] = (uint16_t)b.port;
	s.ports = b.ports;
	s.nports = 1;
	assert_true(possible(&b, &s, connect_listener));
	s.ports = &other;
	assert_false(possible(&b, &s, connect_listener));
	s.abi_most = 3;
	assert_true(possible(&b, &s, connect_listener));
	close_bed(&b);
}

static void
test_off_and_log(void **state PL_UNUSED)
{
	struct pl_sandbox s = { .profile = PL_PROFILE_CHECK };
	struct bed b;

	open_bed(&b);
	s.mode = PL_SANDBOX_LOG;
	assert_true(possible(&b, &s, run_program));
	assert_true(possible(&b, &s, read_secret));
	assert_false(possible(&b, &s, gain_privileges));
	s.mode = PL_SANDBOX_OFF;
	assert_true(possible(&b, &s, run_program));
	assert_true(possible(&b, &s, gain_privileges));
	close_bed(&b);
}

/* A worker's own settings: its root may be written, its endpoint's port may
 * be reached. */
static void
account(const struct bed *b, const char *program, const char *name,
    const char *value, probe *p, bool wanted)
{
	static const struct pl_option options[] = {
		{ .name = "root", .type = PL_OPT_PATH }, { .name = NULL } };
	static const struct pl_provider_desc desc = { .name = "test",
		.options = options };
	struct pl_log silent = { -1, PL_LOG_ERROR, false, false, "test" };
	struct pl_settings set = { .account = pl_strdup("a") };
	pid_t pid;
	int st;

	pl_settings_add(&set, name, &value, 1);
	pid = fork();
	if (pid == 0) {
		pl_sandbox_account(PL_SANDBOX_ON, &set, &desc, program,
		    &silent);
		_exit(p(b) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_true(WIFEXITED(st));
	assert_int_equal(WEXITSTATUS(st) == 1, wanted);
	pl_settings_clear(&set);
}

static void
test_accounts(void **state PL_UNUSED)
{
	struct bed b;
	char where[64];

	if (!has_landlock())
		skip();
	open_bed(&b);
	account(&b, "placard-local", "root", b.mine, write_mine, true);
	account(&b, "placard-local", "root", b.mine, write_other, false);
	account(&b, "placard-local", "root", b.mine, inet_socket, false);
	account(&b, "placard-http", "ca-file", b.secret, read_secret, true);
	account(&b, "placard-http", "ca-file", b.secret, remove_secret,
	    false);
	snprintf(where, sizeof(where), "http://127.0.0.1:%d", b.port);
	account(&b, "placard-http", "endpoint", where, connect_listener,
	    true);
	snprintf(where, sizeof(where), "127.0.0.1:%d", b.port);
	account(&b, "placard-dns", "server", where, connect_listener, true);
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 4)
		account(&b, "placard-dns", "server", "127.0.0.1",
		    connect_listener, false);
	close_bed(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_profiles),
		cmocka_unit_test(test_older_landlock),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_off_and_log),
		cmocka_unit_test(test_accounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
