/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The door of base/: what every other room stands on.  libc and POSIX only.
 *
 * Words used in every door: a function *gives* what the caller must free,
 * *lends* what stays valid until the named call, *keeps* what it takes over.
 * Functions that can fail return enum pl_code and take struct pl_err last.
 * Out-parameters are emptied before the first check.
 */
#ifndef PL_BASE_H
#define PL_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PL_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define PL_UNUSED __attribute__((unused))
#define PL_NELEM(a) (sizeof(a) / sizeof((a)[0]))

/* ---- error ---------------------------------------------------------- */

/* A code exists only where the engine or the command reacts differently. */
enum pl_code {
	PL_OK,
	PL_EUNDONE,	/* not attempted; pre-filled by the engine */
	PL_EINVAL,	/* our configuration or our caller is wrong */
	PL_EAUTH,	/* credentials refused: pause the account */
	PL_ENOZONE,	/* the account does not hold this name */
	PL_ECONFLICT,	/* somebody changed it meanwhile: again at once */
	PL_ELIMIT,	/* told to slow down: again after retry_after */
	PL_ENET,	/* no answer, deadline, TLS: again later */
	PL_EPROTO,	/* answer not understood: again, few times */
	PL_EREMOTE,	/* understood and refused for good */
	PL_EABSENT,	/* published, but not visible before the deadline */
	PL_EIO,		/* local disk or process; fatal for the journal */
	PL_ECANCEL,	/* shutting down, or withdrawn */
	PL_NCODES
};

#define PL_ERR_TEXT 320

/* Lives on the caller's stack; filled where the failure happens. */
struct pl_err {
	enum pl_code code;
	int sys;		/* errno, or 0 */
	int http;		/* HTTP status, or 0 */
	int64_t retry_after;	/* milliseconds the peer asked for, or 0 */
	char text[PL_ERR_TEXT];	/* object first, lower case, no full stop */
};

/* Empties err (NULL is allowed). */
void pl_err_clear(struct pl_err *err);

/*
 * Fills err (NULL is allowed) and returns code, so that a failure is one
 * line.  Text beyond the field is cut at a character's border; control
 * bytes become "\xNN".
 */
enum pl_code pl_fail(struct pl_err *err, enum pl_code code, const char *fmt,
    ...) PL_PRINTF(3, 4);

/* As pl_fail, with ": " and the text of errno value sys behind it. */
enum pl_code pl_fail_sys(struct pl_err *err, enum pl_code code, int sys,
    const char *fmt, ...) PL_PRINTF(4, 5);

/* Puts "context: " in front of the text; returns err's code. */
enum pl_code pl_prefix(struct pl_err *err, const char *fmt, ...)
    PL_PRINTF(2, 3);

/* The word for a code in reports ("auth", "network", ...); lends for ever. */
const char *pl_code_name(enum pl_code code);

/* Is a failure with this code worth another try?  DESIGN.md section 6. */
bool pl_code_retry(enum pl_code code);

/* The exit status of DESIGN.md section 4 that this code leads to. */
int pl_code_exit(enum pl_code code);

/* ---- memory --------------------------------------------------------- */

/*
 * Allocation failure writes one line to descriptor 2 and aborts; sizes that
 * a peer controls are bounded before they come here.  All give.
 */
void *pl_alloc(size_t size);			/* zeroed */
void *pl_array(size_t n, size_t size);		/* zeroed, checked product */
void *pl_grow(void *old, size_t n, size_t size);	/* realloc, checked; new part not zeroed */
char *pl_strdup(const char *s);			/* NULL stays NULL */
char *pl_strndup(const char *s, size_t n);
void *pl_memdup(const void *p, size_t n);	/* NULL where n is 0 */

/* ---- buffer --------------------------------------------------------- */

/* Limits of the program, in octets.  Each buffer is born with one. */
#define PL_LIM_LINE	(4u << 10)	/* log lines, messages */
#define PL_LIM_SECRET	(64u << 10)	/* a secret file */
#define PL_LIM_FILE	(64u << 10)	/* the body of a challenge file */
#define PL_LIM_CONFIG	(1u << 20)	/* a configuration file */
#define PL_LIM_BODY	(1u << 20)	/* an HTTP answer */
#define PL_LIM_FRAME	(4u << 20)	/* a frame between processes */
#define PL_LIM_JOB	(16u << 20)	/* a job file */
#define PL_LIM_REPORT	(64u << 20)	/* a report being written */

/*
 * Growing octets with a limit given at birth.  Always NUL-terminated.
 * Failure is sticky: past the limit the buffer is empty and `failed`, later
 * appends do nothing, one test at the end is enough.  Old blocks and the
 * last one are wiped.
 */
struct pl_buf {
	char *data;		/* NUL-terminated; "" while empty */
	size_t len;
	size_t cap;
	size_t limit;
	bool failed;
};

void pl_buf_init(struct pl_buf *b, size_t limit);
void pl_buf_clear(struct pl_buf *b);		/* wipe and free; limit stays */
void pl_buf_reset(struct pl_buf *b);		/* empty, keeps the memory */
void pl_buf_add(struct pl_buf *b, const void *p, size_t n);
void pl_buf_adds(struct pl_buf *b, const char *s);
void pl_buf_addc(struct pl_buf *b, char c);
void pl_buf_addf(struct pl_buf *b, const char *fmt, ...) PL_PRINTF(2, 3);
void pl_buf_vaddf(struct pl_buf *b, const char *fmt, va_list ap)
    PL_PRINTF(2, 0);
void pl_buf_drop(struct pl_buf *b, size_t n);	/* removes n octets in front */
/* Gives the string (freed with free()) and leaves b empty; NULL if failed. */
char *pl_buf_take(struct pl_buf *b);

/* ---- text ----------------------------------------------------------- */

/* Decimal text to an integer in [min, max]; no sign tricks, no blanks. */
enum pl_code pl_int_parse(int64_t *out, const char *s, int64_t min,
    int64_t max, struct pl_err *err);

/* "90", "45s", "10m", "2h", "7d", "500ms" to milliseconds; plain numbers
 * are seconds. */
enum pl_code pl_duration_parse(int64_t *ms, const char *s, struct pl_err *err);

/*
 * "ADDR[:PORT]", "[v6]:PORT", a bare IPv6 address, or "NAME[:PORT]" into
 * host (lower case, at most 255) and port (fallback where none is given).
 */
enum pl_code pl_hostport_parse(char *host, size_t size, uint16_t *port,
    const char *s, uint16_t fallback, struct pl_err *err);

bool pl_streq(const char *a, const char *b);		/* NULL equals NULL */
bool pl_str_in(const char *s, const char *const *list);	/* NULL-terminated */
bool pl_suffix_of(const char *suffix, const char *name); /* at a label border, or equal; "" is a suffix of all */

/* Appends s with everything outside printable ASCII (and \ and ") as \xNN,
 * at most max octets of input. */
void pl_escape(struct pl_buf *b, const char *s, size_t n, size_t max);

/* base64url without padding and base64; encoders append. */
void pl_base64url(struct pl_buf *b, const void *p, size_t n);
void pl_base64(struct pl_buf *b, const void *p, size_t n);
/* Decodes standard base64 (blanks skipped, padding checked) into b. */
enum pl_code pl_base64_decode(struct pl_buf *b, const char *s, size_t n,
    struct pl_err *err);
void pl_hex(struct pl_buf *b, const void *p, size_t n);	/* lower case */

/* ---- time ----------------------------------------------------------- */

int64_t pl_mono_ms(void);	/* CLOCK_MONOTONIC (BOOTTIME where it is), ms */
int64_t pl_mono_us(void);	/* the same in microseconds */
int64_t pl_wall_ms(void);	/* CLOCK_REALTIME, ms since 1970 */

#define PL_TIME_TEXT 32
/* "2026-11-21T12:00:00Z" (RFC 3339, UTC, whole seconds; milliseconds where
 * they are not 0). */
void pl_time_format(char out[PL_TIME_TEXT], int64_t wall_ms);
enum pl_code pl_time_parse(int64_t *wall_ms, const char *s,
    struct pl_err *err);

/* ---- random --------------------------------------------------------- */

void pl_random(void *p, size_t n);	/* getrandom(2); aborts without it */
uint32_t pl_random_below(uint32_t n);	/* uniform in [0, n); n > 0 */
/* n random characters of [a-z0-9] and a NUL; out holds n + 1. */
void pl_random_name(char *out, size_t n);

/* ---- secret --------------------------------------------------------- */

/* Opaque, in locked non-dumpable pages, wiped when freed. */
struct pl_secret;

/* Copies n octets; wipes nothing of the caller's. */
struct pl_secret *pl_secret_new(const void *p, size_t n);
/*
 * First line of the file (the final newline is cut), or the whole file with
 * `whole`.  PL_EINVAL with "chmod" advice where group or others can read
 * it, where it is not a regular file or is longer than PL_LIM_SECRET.
 */
enum pl_code pl_secret_read(struct pl_secret **out, const char *path,
    bool whole, struct pl_err *err);
/*
 * Runs `line` (words parted by blanks, '…' and "…" quote; absolute path
 * first) without a shell, with a cleared environment, at most timeout_ms;
 * keeps the first line of its output (all of it with `whole`).
 */
enum pl_code pl_secret_run(struct pl_secret **out, const char *line,
    bool whole, int64_t timeout_ms, struct pl_err *err);
void pl_secret_free(struct pl_secret *s);		/* NULL is allowed */
size_t pl_secret_len(const struct pl_secret *s);
/* Blots the secret out of a text, in place. */
void pl_secret_hide(const struct pl_secret *s, char *text);
/* Lends the octets (NUL-terminated) until pl_secret_free.  Called only in
 * wire/ and where a secret crosses to its worker; a check counts callers. */
const char *pl_secret_expose(const struct pl_secret *s);

/* ---- process -------------------------------------------------------- */

/* 1 in builds with LeakSanitizer, which stops its own process as a debugger
 * does, before its end: nothing may keep it from that. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define PL_LEAK_CHECK 1
#else
#define PL_LEAK_CHECK 0
#endif

/* At the start of every program: no core, not dumpable, no inherited
 * descriptors above `keep`, SIGPIPE ignored, umask 077. */
void pl_process_harden(int keep);
/* How many sockets systemd has handed down, from descriptor 3 on ($LISTEN_FDS,
 * $LISTEN_PID); marks them close-on-exec.  0: none. */
int pl_process_sockets(void);
/* Environment cleared but for PATH (fixed), LANG=C.UTF-8 and the names in
 * `keep` (NULL-terminated). */
void pl_process_clearenv(const char *const *keep);

struct pl_run {
	const char *const *argv;	/* argv[0]: absolute path */
	const char *const *env;		/* NULL-terminated, or NULL: empty */
	const void *input;		/* standard input, or NULL: /dev/null */
	size_t input_len;
	int64_t timeout_ms;		/* then SIGTERM, 2 s later SIGKILL to the group */
	const char *user;		/* run as this user (needs root), or NULL */
};
/*
 * Runs a program to its end in its own process group, without a shell;
 * appends its standard output to out and its standard error to errout (both
 * may be NULL: /dev/null), bounded by their limits (what is beyond is
 * dropped).  *status is as from waitpid(2).  PL_ENET on the deadline,
 * PL_EIO where it cannot be started.
 */
enum pl_code pl_run(const struct pl_run *run, struct pl_buf *out,
    struct pl_buf *errout, int *status, struct pl_err *err);

/* ---- log ------------------------------------------------------------ */

enum pl_level { PL_LOG_ERROR, PL_LOG_WARN, PL_LOG_INFO, PL_LOG_DEBUG };

/* Passed to who may log; no global.  fd -1 is silent. */
struct pl_log {
	int fd;
	enum pl_level level;	/* the most talkative level that is written */
	bool stamp;		/* a time in front */
	bool syslog;		/* "<N>" in front, as journald reads it */
	const char *who;	/* program or worker name */
};

/*
 * One line: the event word, then key=value pairs from the format.  Written
 * with one write(2); non-printable octets are escaped; cut at PL_LIM_LINE.
 */
void pl_logf(const struct pl_log *log, enum pl_level level,
    const char *event, const char *fmt, ...) PL_PRINTF(4, 5);

/* ---- files ---------------------------------------------------------- */

/* Appends a whole file to b, bounded by b's limit ("-" is standard input). */
enum pl_code pl_file_read(struct pl_buf *b, const char *path,
    struct pl_err *err);
/*
 * Replaces path by n octets so that it appears whole: temporary name beside
 * it, fsync, rename, fsync of the directory.
 */
enum pl_code pl_file_write(const char *path, const void *p, size_t n,
    unsigned mode, struct pl_err *err);
/* The same, but PL_EINVAL where there is something at path already. */
enum pl_code pl_file_create(const char *path, const void *p, size_t n,
    unsigned mode, struct pl_err *err);
/* mkdir -p with this mode for what is made. */
enum pl_code pl_mkdirs(const char *path, unsigned mode, struct pl_err *err);

/*
 * A directory below which all work is done by descriptor (openat2
 * RESOLVE_BENEATH | NO_SYMLINKS | NO_MAGICLINKS; where the kernel has no
 * openat2, component by component with O_NOFOLLOW).
 */
struct pl_tree;
enum pl_code pl_tree_open(struct pl_tree **out, const char *root,
    struct pl_err *err);
void pl_tree_close(struct pl_tree *t);

/*
 * Writes a file at `path` below the root ("a/b/c", components checked:
 * [A-Za-z0-9._-]{1,255}, none of them "." or ".."), making directories as
 * needed (dirmode), whole or not at all (temporary name O_EXCL, fsync, renameat2
 * RENAME_NOREPLACE, fsync of the directory).  *existed tells that the very
 * same octets were there already (success, nothing touched); other octets
 * there: PL_EREMOTE.  *made counts how many directories, from the deepest
 * up, this call made.  uid/gid (-1: leave) are set on the file before it
 * appears, and on directories made.
 */
struct pl_tree_file {
	const char *path;
	const void *data;
	size_t len;
	unsigned mode, dirmode;
	int64_t uid, gid;
};
enum pl_code pl_tree_put(struct pl_tree *t, const struct pl_tree_file *f,
    bool *existed, unsigned *made, struct pl_err *err);
/*
 * Removes the file if it holds exactly these octets, then up to `dirs`
 * directories above it, from the deepest up, while they are empty.  Gone already:
 * success.  Other octets: success, nothing removed, *gone says true (ours
 * is not there).
 */
enum pl_code pl_tree_remove(struct pl_tree *t, const char *path,
    const void *data, size_t len, unsigned dirs, bool *gone,
    struct pl_err *err);
/* Is the file there with exactly these octets?  *differs: another is. */
enum pl_code pl_tree_same(struct pl_tree *t, const char *path,
    const void *data, size_t len, bool *same, bool *differs,
    struct pl_err *err);
/*
 * How many directories above the file pl_tree_put would make now.  Written
 * down before the put, it lets who comes after a crash remove them.
 */
enum pl_code pl_tree_missing(struct pl_tree *t, const char *path,
    unsigned *dirs, struct pl_err *err);
/* Does the directory of `path` hold nothing else?  False where it cannot be
 * listed. */
bool pl_tree_alone(struct pl_tree *t, const char *path);
/* Can files be made below `path` (which need not exist)?  Leaves nothing. */
enum pl_code pl_tree_writable(struct pl_tree *t, const char *path,
    struct pl_err *err);

/*
 * For files that take the place of others (tree-place.c), in directories
 * that are there already.  What is there under a name?  `link` gets the text
 * of a symbolic link; may be NULL.
 */
enum pl_there { PL_THERE_NOTHING, PL_THERE_FILE, PL_THERE_LINK,
	PL_THERE_DIR, PL_THERE_OTHER };
enum pl_code pl_tree_look(struct pl_tree *t, const char *path,
    enum pl_there *what, unsigned *mode, struct pl_buf *link,
    struct pl_err *err);
/* Appends a plain file, bounded by b's limit. */
enum pl_code pl_tree_read(struct pl_tree *t, const char *path,
    struct pl_buf *b, struct pl_err *err);
/* Appends the names in a directory (".": the root), a NUL behind each. */
enum pl_code pl_tree_list(struct pl_tree *t, const char *path,
    struct pl_buf *names, struct pl_err *err);
/* Makes the directory and those above it where they are missing. */
enum pl_code pl_tree_mkdir(struct pl_tree *t, const char *path, unsigned mode,
    int64_t uid, int64_t gid, struct pl_err *err);
/* Puts the file in the place of whatever file or link has its name, by one
 * rename; its octets are never under rights other than 0600 or its own. */
enum pl_code pl_tree_replace(struct pl_tree *t, const struct pl_tree_file *f,
    struct pl_err *err);
/* The same for a symbolic link with this text. */
enum pl_code pl_tree_link(struct pl_tree *t, const char *path,
    const char *to, struct pl_err *err);
/* Renames a file or link in the root itself; takes the other's place. */
enum pl_code pl_tree_move(struct pl_tree *t, const char *from,
    const char *to, struct pl_err *err);
/* Removes a file, a link, or with `dir` an empty directory; gone already is
 * success. */
enum pl_code pl_tree_drop(struct pl_tree *t, const char *path, bool dir,
    struct pl_err *err);
/* Locks a file (made where it is missing) until *fd is closed; PL_ECONFLICT:
 * somebody else has it. */
enum pl_code pl_tree_lock(struct pl_tree *t, const char *path, int *fd,
    struct pl_err *err);

/* ---- frames --------------------------------------------------------- */

/*
 * What processes say to one another: u32 length (little endian, of what
 * follows), u8 type, payload.  Payloads are u32, u64 and strings (u32
 * length, octets, NUL; length 0xffffffff is NULL).  The receiver
 * treats the sender as hostile: a cursor that runs over its end turns `bad`
 * and yields zeroes from then on.
 */
void pl_put_u8(struct pl_buf *b, uint8_t v);
void pl_put_u32(struct pl_buf *b, uint32_t v);
void pl_put_u64(struct pl_buf *b, uint64_t v);
void pl_put_str(struct pl_buf *b, const char *s);
void pl_put_blob(struct pl_buf *b, const void *p, size_t n);
void pl_put_err(struct pl_buf *b, const struct pl_err *err);

struct pl_cursor {
	const unsigned char *p, *end;
	bool bad;
};
uint8_t pl_get_u8(struct pl_cursor *c);
uint32_t pl_get_u32(struct pl_cursor *c);
uint64_t pl_get_u64(struct pl_cursor *c);
/* Lends a string without NUL inside, as long as the frame lives; NULL for
 * NULL; "" where bad. */
const char *pl_get_str(struct pl_cursor *c);
const void *pl_get_blob(struct pl_cursor *c, size_t *n);
void pl_get_err(struct pl_cursor *c, struct pl_err *err);
/* A count of elements that take at least `least` octets each; bad where the
 * rest of the frame cannot hold so many. */
uint32_t pl_get_count(struct pl_cursor *c, size_t least);

struct pl_frame {
	uint8_t type;
	struct pl_cursor body;
};

/*
 * One end of a socketpair, non-blocking on the engine's side.  Frames go
 * out in order; what the socket does not take waits in `out`.
 */
struct pl_chan {
	int fd;
	struct pl_buf in, out;
	size_t used;		/* octets of `in` already handed out */
	size_t sent;		/* octets of `out` already written */
};
void pl_chan_init(struct pl_chan *ch, int fd);		/* keeps fd */
void pl_chan_clear(struct pl_chan *ch);			/* closes it */
/* Queues a frame and tries to write.  PL_EIO: the peer is gone. */
enum pl_code pl_chan_send(struct pl_chan *ch, uint8_t type,
    const struct pl_buf *payload, struct pl_err *err);
enum pl_code pl_chan_flush(struct pl_chan *ch, struct pl_err *err);
bool pl_chan_pending(const struct pl_chan *ch);	/* octets wait to go out */
/*
 * Reads what is there.  *eof where the peer has closed.  PL_EPROTO for a
 * frame over PL_LIM_FRAME.
 */
enum pl_code pl_chan_fill(struct pl_chan *ch, bool *eof, struct pl_err *err);
/* Lends the next whole frame until the next call on ch; false: none yet. */
bool pl_chan_next(struct pl_chan *ch, struct pl_frame *f);
/* Worker side, blocking: next frame, or *eof. */
enum pl_code pl_chan_wait(struct pl_chan *ch, struct pl_frame *f, bool *eof,
    struct pl_err *err);

#endif
