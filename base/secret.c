/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "base.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_WORDS 64

/* Head of the pages; a page that nobody may touch lies behind them. */
struct pl_secret {
	size_t map;		/* octets mapped, with the page behind */
	size_t open;		/* octets that may be touched */
	size_t len;
	char data[];
};

struct pl_secret *
pl_secret_new(const void *p, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), open;
	struct pl_secret *s;

	assert(n <= PL_LIM_SECRET);
	open = (sizeof(*s) + n + 1 + page - 1) / page * page;
	s = mmap(NULL, open + page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED ||
	    mprotect((char *)s + open, page, PROT_NONE) != 0) {
		static const char line[] = "placard: no memory for a secret\n";
		ssize_t done = write(2, line, sizeof(line) - 1);

		(void)done;
		abort();
	}
	/* Best effort: RLIMIT_MEMLOCK may be low, the kernel old. */
	(void)mlock(s, open);
	(void)madvise(s, open, MADV_DONTDUMP);
	(void)madvise(s, open, MADV_WIPEONFORK);
	s->map = open + page;
	s->open = open;
	s->len = n;
	if (n > 0)
		memcpy(s->data, p, n);
	s->data[n] = '\0';
	return s;
}

void
pl_secret_free(struct pl_secret *s)
{
	size_t map;

	if (s == NULL)
		return;
	map = s->map;
	explicit_bzero(s, s->open);
	munmap(s, map);
}

size_t
pl_secret_len(const struct pl_secret *s)
{
	return s != NULL ? s->len : 0;
}

const char *
pl_secret_expose(const struct pl_secret *s)
{
	return s != NULL ? s->data : "";
}

void
pl_secret_hide(const struct pl_secret *s, char *text)
{
	/* What is as short as this stands in any text. */
	if (s == NULL || s->len < 4)
		return;
	while ((text = strstr(text, s->data)) != NULL) {
		memset(text, '*', s->len);
		text += s->len;
	}
}

/* Keeps the first line of b, or all of it. */
static enum pl_code
secret_keep(struct pl_secret **out, const struct pl_buf *b, bool whole,
    const char *what, struct pl_err *err)
{
	size_t n = b->len;
	const char *end;

	if (!whole) {
		end = n > 0 ? memchr(b->data, '\n', n) : NULL;
		if (end != NULL)
			n = (size_t)(end - b->data);
		if (n > 0 && b->data[n - 1] == '\r')
			n--;
		if (n > 0 && memchr(b->data, '\0', n) != NULL)
			return pl_fail(err, PL_EINVAL,
			    "%s: a zero octet in a secret", what);
	}
	if (n == 0)
		return pl_fail(err, PL_EINVAL, "%s: holds no secret", what);
	*out = pl_secret_new(b->data, n);
	return PL_OK;
}

/* Only the owner may use it, and the owner is us or root. */
static enum pl_code
secret_check(int fd, const char *path, struct pl_err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return pl_fail_sys(err, PL_EINVAL, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return pl_fail(err, PL_EINVAL, "%s: not a regular file", path);
	if ((st.st_mode & 077) != 0)
		return pl_fail(err, PL_EINVAL,
		    "%s: group or others can %s it: chmod 600 %s", path,
		    (st.st_mode & 044) != 0 ? "read" :
		    (st.st_mode & 022) != 0 ? "write" : "execute", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return pl_fail(err, PL_EINVAL,
		    "%s: owned by user %lu, neither us nor root", path,
		    (unsigned long)st.st_uid);
	if (st.st_size > PL_LIM_SECRET)
		return pl_fail(err, PL_EINVAL, "%s: longer than %u octets",
		    path, PL_LIM_SECRET);
	return PL_OK;
}

static enum pl_code
secret_load(struct pl_buf *b, int fd, const char *path, struct pl_err *err)
{
	char chunk[4096];
	enum pl_code code = PL_OK;
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			code = pl_fail_sys(err, PL_EIO, errno, "%s", path);
			break;
		}
		pl_buf_add(b, chunk, (size_t)n);
		if (b->failed) {
			code = pl_fail(err, PL_EINVAL,
			    "%s: longer than %u octets", path, PL_LIM_SECRET);
			break;
		}
	}
	explicit_bzero(chunk, sizeof(chunk));
	return code;
}

enum pl_code
pl_secret_read(struct pl_secret **out, const char *path, bool whole,
    struct pl_err *err)
{
	struct pl_buf b;
	enum pl_code code;
	int fd;

	*out = NULL;
	pl_buf_init(&b, PL_LIM_SECRET);
	/* O_NONBLOCK: a FIFO must not hold us up before it is refused. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		code = pl_fail_sys(err, PL_EINVAL, errno, "%s", path);
		goto out;
	}
	code = secret_check(fd, path, err);
	if (code == PL_OK)
		code = secret_load(&b, fd, path, err);
	if (code == PL_OK)
		code = secret_keep(out, &b, whole, path, err);
out:
	if (fd >= 0)
		close(fd);
	pl_buf_clear(&b);
	return code;
}

/* Parts *p into one word, in place; NULL at the end or where *bad. */
static char *
secret_word(char **p, bool *bad)
{
	char *in = *p, *word, *out, quote;

	*bad = false;
	in += strspn(in, " \t");
	if (*in == '\0')
		return NULL;
	word = out = in;
	while (*in != '\0' && *in != ' ' && *in != '\t') {
		if (*in != '\'' && *in != '"') {
			*out++ = *in++;
			continue;
		}
		for (quote = *in++; *in != quote; *out++ = *in++)
			if (*in == '\0') {
				*bad = true;
				return NULL;
			}
		in++;
	}
	if (*in != '\0')
		in++;
	*out = '\0';
	*p = in;
	return word;
}

/* What a program that failed says may hold the secret: it is not shown. */
static enum pl_code
secret_status(int status, const char *program, struct pl_err *err)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return PL_OK;
	if (WIFEXITED(status))
		return pl_fail(err, PL_EINVAL, "%s: exit status %d", program,
		    WEXITSTATUS(status));
	return pl_fail(err, PL_EINVAL, "%s: killed by signal %d", program,
	    WTERMSIG(status));
}

enum pl_code
pl_secret_run(struct pl_secret **out, const char *line, bool whole,
    int64_t timeout_ms, struct pl_err *err)
{
	const char *argv[MAX_WORDS + 1];
	struct pl_run run = { .argv = argv, .timeout_ms = timeout_ms };
	struct pl_buf b;
	enum pl_code code;
	char *copy = pl_strdup(line), *rest = copy;
	size_t n = 0;
	int status = 0;
	bool bad = false;

	*out = NULL;
	pl_buf_init(&b, PL_LIM_SECRET);
	while (n < MAX_WORDS && (argv[n] = secret_word(&rest, &bad)) != NULL)
		n++;
	argv[n] = NULL;
	if (bad || n == 0 || n == MAX_WORDS || argv[0][0] != '/') {
		code = pl_fail(err, PL_EINVAL, "\"%.60s\": %s", line,
		    bad ? "a quote is not closed" :
		    n == MAX_WORDS ? "too many words" :
		    "does not begin with a program's absolute path");
		goto out;
	}
	code = pl_run(&run, &b, NULL, &status, err);
	if (code == PL_OK)
		code = secret_status(status, argv[0], err);
	if (code == PL_OK)
		code = secret_keep(out, &b, whole, argv[0], err);
out:
	pl_buf_clear(&b);
	free(copy);
	return code;
}
