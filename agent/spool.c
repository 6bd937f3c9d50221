/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The spool: a job file renamed into incoming/ is taken, and a report appears
 * beside it as NAME.report, with one line for each job of the file; each
 * change makes a new one.  A file that is there has not been taken:
 * it goes when its jobs are in the journal.  What cannot be taken is moved to
 * rejected/, with NAME.reason beside it.
 */
#include "daemon.h"

#include <sys/inotify.h>
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REPORT_MS 50		/* changes of this long make one report */
#define YOUNG_MS 2000		/* who writes in place gets this long */
#define AT_ONCE 64		/* files between two looks at other work */
#define NAME_LEN 200

struct pl_spool {
	struct pl_daemon *d;
	char *dir;
	int in, out;			/* incoming/, rejected/ */
	int inotify;
	uint64_t scan, write;		/* timers */
	char **dirty;			/* files whose reports have to be written */
	size_t ndirty;
};

static void scan(void *spool);

static void
scan_in(struct pl_spool *s, int64_t ms)
{
	if (s->scan == 0)
		s->scan = pl_loop_after(s->d->loop, ms, scan, s);
}

static bool
ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n >= m && strcmp(name + n - m, end) == 0;
}

/* Is it a job file by its name?  Names in the making and answers are not. */
static bool
is_job_name(const char *name)
{
	return name[0] != '.' && !ends_with(name, ".report") &&
	    !ends_with(name, ".tmp") && !ends_with(name, ".part") &&
	    !ends_with(name, "~");
}

/* ---- writing --------------------------------------------------------------------- */

/* A file that appears whole.  It can be made again, so it is not synced. */
static void
put_file(int dir, const char *name, const struct pl_buf *text, unsigned mode,
    int64_t uid)
{
	char tmp[32] = ".placard-";
	ssize_t n = -1;
	int fd;

	pl_random_name(tmp + 9, 12);
	fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC |
	    O_NOFOLLOW, 0600);
	if (fd == -1)
		return;
	for (size_t done = 0; done < text->len; done += (size_t)n) {
		n = write(fd, text->data + done, text->len - done);
		if (n <= 0)
			break;
	}
	/* Whoever asked may read it: root can give it away, others share
	 * the folder's group. */
	if (uid != -1 && geteuid() == 0)
		(void)!fchown(fd, (uid_t)uid, (gid_t)-1);
	(void)fchmod(fd, mode);
	close(fd);
	if (n <= 0 || renameat(dir, tmp, dir, name) == -1)
		unlinkat(dir, tmp, 0);
}

static void
reject(struct pl_spool *s, const char *name, int64_t uid,
    const struct pl_err *err)
{
	char reason[NAME_MAX + 1];
	struct pl_buf text;

	pl_logf(&s->d->log, PL_LOG_WARN, "rejected", "file=%s error=\"%s\"",
	    name, err->text);
	if (renameat(s->in, name, s->out, name) == -1) {
		pl_logf(&s->d->log, PL_LOG_ERROR, "spool", "file=%s error=\""
		    "cannot be moved aside: %s\"", name, strerror(errno));
		return;
	}
	snprintf(reason, sizeof(reason), "%.*s.reason", NAME_LEN, name);
	pl_buf_init(&text, PL_LIM_LINE);
	pl_buf_addf(&text, "%s\n", err->text);
	put_file(s->out, reason, &text, 0640, uid);
	pl_buf_clear(&text);
}

/* ---- reports ----------------------------------------------------------------------- */

struct lines {
	struct pl_spool *s;
	struct pl_buf text;
	int64_t uid;
};

static void
add_report(void *arg, const struct pl_job_row *r)
{
	struct lines *l = arg;
	const struct pl_djob *j = work_find(l->s->d, r->id);
	json_t *report;

	l->uid = r->uid;
	if (j != NULL && j->run != NULL && r->phase == PL_J_ACTIVE) {
		report = pl_run_json(j->run);
		pl_json_dump(&l->text, report);
		pl_json_free(report);
	} else
		pl_buf_adds(&l->text, r->report != NULL ? r->report : "{}");
	pl_buf_addc(&l->text, '\n');
}

static void
write_report(struct pl_spool *s, const char *source)
{
	struct lines l = { .s = s, .uid = -1 };
	char name[NAME_MAX + 1];
	struct pl_err err;

	pl_buf_init(&l.text, PL_LIM_REPORT);
	snprintf(name, sizeof(name), "%.*s.report", NAME_LEN, source);
	if (pl_journal_job_each(s->d->journal, source, add_report, &l,
	    &err) == PL_OK && l.text.len > 0)
		put_file(s->in, name, &l.text, 0640, l.uid);
	pl_buf_clear(&l.text);
}

static void
write_reports(void *arg)
{
	struct pl_spool *s = arg;

	s->write = 0;
	spool_flush(s);
}

void
spool_flush(struct pl_spool *s)
{
	for (size_t i = 0; i < s->ndirty; i++) {
		write_report(s, s->dirty[i]);
		free(s->dirty[i]);
	}
	s->ndirty = 0;
}

void
spool_report(struct pl_spool *s, const char *source)
{
	if (s == NULL)
		return;
	for (size_t i = s->ndirty; i > 0; i--) {
		if (strcmp(s->dirty[i - 1], source) == 0)
			return;
	}
	s->dirty = pl_grow(s->dirty, s->ndirty + 1, sizeof(char *));
	s->dirty[s->ndirty++] = pl_strdup(source);
	if (s->write == 0)
		s->write = pl_loop_after(s->d->loop, REPORT_MS, write_reports,
		    s);
}

/* ---- taking ---------------------------------------------------------------------------- */

struct file {
	const char *name;
	int64_t uid;
	bool young;
	ino_t ino;
	uint64_t mark;		/* of this very file */
};

static uint64_t
mix(uint64_t h, uint64_t v)
{
	return (h ^ v) * 1099511628211u;
}

static enum pl_code
read_job_file(struct pl_spool *s, struct file *f, struct pl_buf *text,
    struct pl_err *err)
{
	char block[65536];
	struct stat st;
	int64_t age;
	ssize_t n = -1;
	int fd;

	fd = openat(s->in, f->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW |
	    O_NONBLOCK | O_NOCTTY);
	if (fd == -1)
		return errno == ENOENT ? PL_EUNDONE :
		    pl_fail_sys(err, PL_EINVAL, errno, "%s", f->name);
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		close(fd);
		return pl_fail(err, PL_EINVAL, "%s: no regular file",
		    f->name);
	}
	f->uid = st.st_uid;
	f->ino = st.st_ino;
	age = pl_wall_ms() - (int64_t)st.st_mtim.tv_sec * 1000;
	f->young = age >= 0 && age < YOUNG_MS;
	f->mark = mix(mix(mix(14695981039346656037u, st.st_ino),
	    (uint64_t)st.st_mtim.tv_sec), (uint64_t)st.st_mtim.tv_nsec);
	while ((n = read(fd, block, sizeof(block))) > 0)
		pl_buf_add(text, block, (size_t)n);
	close(fd);
	if (n == -1)
		return pl_fail_sys(err, PL_EINVAL, errno, "%s", f->name);
	if (text->failed)
		return pl_fail(err, PL_EINVAL, "%s: longer than %u octets",
		    f->name, PL_LIM_JOB);
	return PL_OK;
}

/* A job without a name gets one that is the same when the same file is read
 * again. */
static void
name_jobs(const struct file *f, struct pl_job *jobs, size_t n)
{
	uint64_t h = f->mark;
	struct pl_buf id;

	for (const char *p = f->name; *p != '\0'; p++)
		h = mix(h, (unsigned char)*p);
	for (size_t i = 0; i < n; i++) {
		struct pl_err err;
		json_t *doc;
		bool named = true;

		if (pl_json_parse(&doc, jobs[i].doc, strlen(jobs[i].doc),
		    f->name, &err) == PL_OK) {
			named = pl_json_get(doc, "job") != NULL;
			pl_json_free(doc);
		}
		if (named)
			continue;
		pl_buf_init(&id, PL_LIM_LINE);
		pl_buf_addf(&id, "spool-%016llx-%zu", (unsigned long long)h,
		    i);
		free(jobs[i].id);
		jobs[i].id = pl_buf_take(&id);
	}
}

/* All jobs of a file, or none of them. */
static enum pl_code
admit(struct pl_spool *s, const struct file *f, struct pl_job *jobs, size_t n,
    struct pl_djob **taken, size_t *ntaken, struct pl_err *err)
{
	struct pl_daemon *d = s->d;
	enum pl_code code = PL_OK;
	size_t first = *ntaken;
	struct pl_djob *j;
	bool fresh;

	/* The report is about this file, not about one before it. */
	daemon_ok(d, pl_journal_job_leave(d->journal, f->name, err), err);
	for (size_t i = 0; i < n; i++) {
		if (code == PL_OK)
			code = work_admit(d, &jobs[i], f->uid, f->name, &j,
			    &fresh, err);
		else
			pl_job_clear(&jobs[i]);
		if (code == PL_OK && fresh)
			taken[(*ntaken)++] = j;
	}
	if (code == PL_OK)
		return PL_OK;
	while (*ntaken > first)
		work_refuse(taken[--*ntaken]);
	return code;
}

/* One file; then it is taken (to be unlinked), over, or must be looked at
 * again. */
enum fate { TAKEN, OVER, AGAIN };

static enum fate
take_file(struct pl_spool *s, const char *name, ino_t *ino,
    struct pl_djob ***taken, size_t *ntaken)
{
	struct file f = { .name = name, .uid = -1 };
	struct pl_job *jobs = NULL;
	struct pl_buf text;
	struct pl_err err;
	enum pl_code code;
	size_t n = 0;

	pl_err_clear(&err);
	pl_buf_init(&text, PL_LIM_JOB);
	code = strlen(name) > NAME_LEN ? pl_fail(&err, PL_EINVAL, "%.40s...: "
	    "a name of at most %d octets is expected", name, NAME_LEN) :
	    read_job_file(s, &f, &text, &err);
	if (code == PL_OK)
		code = pl_jobs_read(&jobs, &n, text.data, text.len, name,
		    true, &err);
	pl_buf_clear(&text);
	if (code == PL_OK) {
		name_jobs(&f, jobs, n);
		*taken = pl_grow(*taken, *ntaken + n,
		    sizeof(struct pl_djob *));
		code = admit(s, &f, jobs, n, *taken, ntaken, &err);
		free(jobs);
		f.young = false;
	}
	*ino = f.ino;
	if (code == PL_OK)
		return TAKEN;
	if (code == PL_EUNDONE)
		return OVER;
	/* Trouble of our own, or somebody still writes it. */
	if (code == PL_EIO || code == PL_ELIMIT || code == PL_ENET || f.young)
		return AGAIN;
	reject(s, name, f.uid, &err);
	return OVER;
}

/* Removes the file that was taken, not one that has come in its place. */
static void
unlink_taken(struct pl_spool *s, const char *name, ino_t ino)
{
	char tmp[32] = ".placard-";
	struct stat st;

	pl_random_name(tmp + 9, 12);
	if (renameat(s->in, name, s->in, tmp) == -1)
		return;
	if (fstatat(s->in, tmp, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_ino != ino)
		(void)renameat(s->in, tmp, s->in, name);
	else
		unlinkat(s->in, tmp, 0);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t
list_names(struct pl_spool *s, char ***names)
{
	size_t n = 0, cap = 0;
	struct dirent *e;
	int fd = openat(s->in, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd == -1 ? NULL : fdopendir(fd);

	*names = NULL;
	while (dir != NULL && (e = readdir(dir)) != NULL) {
		if (!is_job_name(e->d_name))
			continue;
		if (n == cap) {
			cap = cap * 2 + 64;
			*names = pl_grow(*names, cap, sizeof(char *));
		}
		(*names)[n++] = pl_strdup(e->d_name);
	}
	if (dir != NULL)
		closedir(dir);
	if (n > 0)
		qsort(*names, n, sizeof(char *), by_name);
	return n;
}

/* Some files in one commit; then they go, and their jobs begin. */
static bool
take_some(struct pl_spool *s, char *const *names, size_t n)
{
	struct pl_daemon *d = s->d;
	struct pl_djob **taken = NULL;
	enum fate *fate = pl_array(n, sizeof(*fate));
	ino_t *ino = pl_array(n, sizeof(*ino));
	bool all = true;
	size_t ntaken = 0;
	struct pl_err err;

	daemon_ok(d, pl_journal_begin(d->journal, &err), &err);
	for (size_t i = 0; i < n; i++) {
		fate[i] = take_file(s, names[i], &ino[i], &taken, &ntaken);
		all = all && fate[i] != AGAIN;
	}
	if (d->broken.code == PL_OK)
		daemon_ok(d, pl_journal_commit(d->journal, &err), &err);
	if (d->broken.code != PL_OK) {
		/* The table is read anew when the journal works again. */
		pl_journal_rollback(d->journal);
		ntaken = 0;
		all = false;
	}
	for (size_t i = 0; d->broken.code == PL_OK && i < n; i++) {
		if (fate[i] == TAKEN)
			unlink_taken(s, names[i], ino[i]);
	}
	for (size_t i = 0; i < ntaken; i++)
		work_start(taken[i]);
	free(taken);
	free(fate);
	free(ino);
	return all;
}

static void
scan(void *arg)
{
	struct pl_spool *s = arg;
	char **names;
	size_t n, m;
	bool all;

	s->scan = 0;
	if (s->d->broken.code != PL_OK || s->d->stopping ||
	    s->d->engine == NULL)
		return;
	n = list_names(s, &names);
	m = n < AT_ONCE ? n : AT_ONCE;
	all = m == 0 || take_some(s, names, m);
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
	if (n > m)
		scan_in(s, 1);
	else if (!all)
		scan_in(s, YOUNG_MS / 4);
}

void
spool_scan(struct pl_spool *s)
{
	if (s != NULL)
		scan_in(s, 0);
}

/* What has come does not matter: the folder is looked at. */
static void
on_inotify(void *arg)
{
	struct pl_spool *s = arg;
	char block[8192] __attribute__((aligned(8)));

	while (read(s->inotify, block, sizeof(block)) > 0)
		continue;
	scan_in(s, 0);
}

/* ---- the folders ------------------------------------------------------------------------- */

static enum pl_code
open_folder(int *fd, const char *dir, const char *name, unsigned mode,
    struct pl_err *err)
{
	struct pl_buf path;
	bool made;

	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_addf(&path, "%s/%s", dir, name);
	made = mkdir(path.data, 0700) == 0;
	*fd = open(path.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd == -1)
		pl_fail_sys(err, PL_EIO, errno, "%s", path.data);
	else if (made)
		(void)fchmod(*fd, mode);
	pl_buf_clear(&path);
	return *fd == -1 ? err->code : PL_OK;
}

static enum pl_code
watch_folder(struct pl_spool *s, struct pl_err *err)
{
	struct pl_buf path;

	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_addf(&path, "%s/incoming", s->dir);
	s->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (s->inotify == -1 || inotify_add_watch(s->inotify, path.data,
	    IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR) == -1)
		pl_fail_sys(err, PL_EIO, errno, "%s: inotify", path.data);
	pl_buf_clear(&path);
	if (s->inotify == -1)
		return err->code;
	pl_loop_watch(s->d->loop, s->inotify, false, on_inotify, s);
	return PL_OK;
}

enum pl_code
spool_new(struct pl_spool **out, struct pl_daemon *d, const char *dir,
    struct pl_err *err)
{
	struct pl_spool *s = pl_alloc(sizeof(*s));
	enum pl_code code;

	*out = NULL;
	s->d = d;
	s->dir = pl_strdup(dir);
	s->in = s->out = s->inotify = -1;
	code = pl_mkdirs(dir, 0755, err);
	if (code == PL_OK)
		code = open_folder(&s->in, dir, "incoming", 01730, err);
	if (code == PL_OK)
		code = open_folder(&s->out, dir, "rejected", 0750, err);
	if (code == PL_OK)
		code = watch_folder(s, err);
	if (code != PL_OK) {
		spool_free(s);
		return code;
	}
	scan_in(s, 0);
	*out = s;
	return PL_OK;
}

void
spool_free(struct pl_spool *s)
{
	if (s == NULL)
		return;
	pl_loop_forget(s->d->loop, s->scan);
	pl_loop_forget(s->d->loop, s->write);
	spool_flush(s);
	if (s->inotify != -1) {
		pl_loop_unwatch(s->d->loop, s->inotify);
		close(s->inotify);
	}
	if (s->in != -1)
		close(s->in);
	if (s->out != -1)
		close(s->out);
	free(s->dirty);
	free(s->dir);
	free(s);
}
