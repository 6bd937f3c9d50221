/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Programs of the configuration that get a text on standard input.  No shell;
 * the text lies in a file without a name, so the service never waits for who
 * reads it.  A program that takes too long is killed with its children.
 */
#include "daemon.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POLL_MS 100		/* where there is no pidfd */

struct pl_program {
	struct pl_loop *loop;
	pid_t pid;
	int pidfd;
	uint64_t deadline, poll;	/* timers */
	void (*done)(void *ctx, const char *how, int number);
	void *ctx;
};

void
program_drop(struct pl_program *p)
{
	if (p == NULL)
		return;
	pl_loop_forget(p->loop, p->deadline);
	pl_loop_forget(p->loop, p->poll);
	if (p->pidfd != -1) {
		pl_loop_unwatch(p->loop, p->pidfd);
		close(p->pidfd);
	}
	free(p);
}

static void
on_end(void *arg)
{
	struct pl_program *p = arg;
	void (*done)(void *, const char *, int) = p->done;
	void *ctx = p->ctx;
	int st;

	p->poll = 0;
	if (waitpid(p->pid, &st, WNOHANG) == 0) {
		if (p->pidfd == -1)
			p->poll = pl_loop_after(p->loop, POLL_MS, on_end, p);
		return;
	}
	program_drop(p);
	if (WIFSIGNALED(st))
		done(ctx, "signal", WTERMSIG(st));
	else if (WEXITSTATUS(st) != 0)
		done(ctx, "status", WEXITSTATUS(st));
	else
		done(ctx, NULL, 0);
}

static void
on_late(void *arg)
{
	struct pl_program *p = arg;

	p->deadline = 0;
	kill(-p->pid, SIGKILL);
}

static int
text_file(const char *text)
{
	size_t n = strlen(text);
	int fd = memfd_create("text", MFD_CLOEXEC);

	if (fd == -1)
		return -1;
	for (ssize_t k; n > 0; n -= (size_t)k, text += k) {
		k = write(fd, text, n);
		if (k <= 0) {
			close(fd);
			return -1;
		}
	}
	if (write(fd, "\n", 1) != 1 || lseek(fd, 0, SEEK_SET) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int
spawn(pid_t *pid, char *const *argv, int in)
{
	char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
	    "/sbin:/bin", lang[] = "LANG=C.UTF-8";
	char *env[] = { path, lang, NULL };
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none, pipes;
	int rc;

	sigemptyset(&none);
	sigemptyset(&pipes);
	sigaddset(&pipes, SIGPIPE);
	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK |
	    POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &pipes);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawn_file_actions_adddup2(&fa, in, 0);
	posix_spawn_file_actions_addopen(&fa, 1, "/dev/null", O_WRONLY, 0);
	rc = posix_spawn(pid, argv[0], &fa, &attr, argv, env);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&attr);
	return rc;
}

struct pl_program *
program_start(struct pl_loop *loop, char *const *argv, const char *text,
    int64_t timeout_ms, void (*done)(void *ctx, const char *how, int number),
    void *ctx, int *rc)
{
	struct pl_program *p;
	pid_t pid = 0;
	int fd = text_file(text);

	*rc = fd == -1 ? errno : spawn(&pid, argv, fd);
	if (fd != -1)
		close(fd);
	if (*rc != 0)
		return NULL;
	p = pl_alloc(sizeof(*p));
	p->loop = loop;
	p->pid = pid;
	p->done = done;
	p->ctx = ctx;
	p->deadline = pl_loop_after(loop, timeout_ms, on_late, p);
	p->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (p->pidfd == -1) {
		p->poll = pl_loop_after(loop, POLL_MS, on_end, p);
		return p;
	}
	(void)fcntl(p->pidfd, F_SETFD, FD_CLOEXEC);
	pl_loop_watch(loop, p->pidfd, false, on_end, p);
	return p;
}
