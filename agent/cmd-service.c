/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* placard service: makes this host run placardd, and undoes it. */
#include "service.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ETC "/etc/placard"
#define CONFIG ETC "/placard.conf"
#define AGENT_KEY ETC "/agent.key"
#define MADE ETC "/.installed"
#define STATE "/var/lib/placard"
#define USER "placard"
#define RUN_MS 90000

static const struct {
	const char *from, *to, *folder, *vendor[3];
} unit_files[] = {
	{ "placard.sysusers", "/etc/sysusers.d/placard.conf",
	    "/etc/sysusers.d", { "/usr/lib/sysusers.d/placard.conf", NULL } },
	{ "placard.tmpfiles", "/etc/tmpfiles.d/placard.conf",
	    "/etc/tmpfiles.d", { "/usr/lib/tmpfiles.d/placard.conf", NULL } },
	{ "placardd.service", "/etc/systemd/system/placardd.service", NULL,
	    { "/lib/systemd/system/placardd.service",
	    "/usr/lib/systemd/system/placardd.service", NULL } },
};
enum { SYSUSERS, UNIT = 2 };

/* ---- other programs -------------------------------------------------------------- */

/* Lends the path of a system program in `out`, or NULL. */
static const char *
find_program(char *out, size_t size, const char *name)
{
	static const char *const dirs[] = { "/usr/bin", "/bin", "/usr/sbin",
		"/sbin" };

	for (size_t i = 0; i < PL_NELEM(dirs); i++) {
		snprintf(out, size, "%s/%s", dirs[i], name);
		if (access(out, X_OK) == 0)
			return out;
	}
	return NULL;
}

/* The last line of what a program said is the error, the others go before. */
static enum pl_code
failed(const char *name, const char *word, struct pl_buf *text,
    struct pl_err *err)
{
	char *last;

	while (text->len > 0 && text->data[text->len - 1] == '\n')
		text->data[--text->len] = '\0';
	last = strrchr(text->data, '\n');
	if (last != NULL) {
		*last++ = '\0';
		fprintf(stderr, "%s\n", text->data);
	} else
		last = text->data;
	return pl_fail(err, PL_EIO, "%s %s: %s", name, word,
	    last[0] != '\0' ? last : "failed");
}

/* Runs a program of the system, as this user or as root. */
static enum pl_code
run_as(const char *user, const char *name, const char *const *words,
    struct pl_err *err)
{
	static const char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:"
	    "/bin", "LANG=C.UTF-8", NULL };
	const char *argv[10] = { NULL };
	char path[128];
	struct pl_run r = { .argv = argv, .env = env, .timeout_ms = RUN_MS,
		.user = user };
	struct pl_buf text;
	enum pl_code code;
	int st = 0;

	argv[0] = name[0] == '/' ? name :
	    find_program(path, sizeof(path), name);
	if (argv[0] == NULL)
		return pl_fail(err, PL_EIO, "%s: not installed", name);
	for (size_t i = 0; i < 8 && words[i] != NULL; i++)
		argv[i + 1] = words[i];
	pl_buf_init(&text, PL_LIM_FILE);
	code = pl_run(&r, NULL, &text, &st, err);
	if (code == PL_OK && (!WIFEXITED(st) || WEXITSTATUS(st) != 0))
		code = failed(name, words[0], &text, err);
	pl_buf_clear(&text);
	return code;
}

static enum pl_code
run(const char *name, const char *const *words, struct pl_err *err)
{
	return run_as(NULL, name, words, err);
}

static bool
has_systemd(void)
{
	char path[128];

	return access("/run/systemd/system", F_OK) == 0 &&
	    find_program(path, sizeof(path), "systemctl") != NULL;
}

static enum pl_code
systemctl(const char *word, const char *flag, struct pl_err *err)
{
	const char *words[4] = { word, flag != NULL ? flag : "placardd",
		flag != NULL ? "placardd" : NULL, NULL };

	return run("systemctl", words, err);
}

/* ---- steps of install ---------------------------------------------------------------- */

static enum pl_code
read_data(struct pl_buf *text, const char *name, struct pl_err *err)
{
	struct pl_buf path;
	enum pl_code code;

	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_addf(&path, PL_DATADIR "/%s", name);
	code = pl_file_read(text, path.data, err);
	pl_buf_clear(&path);
	return code;
}

/* Where the file of this kind is: a package's, or ours. */
static const char *
place_of(size_t i)
{
	for (const char *const *v = unit_files[i].vendor; *v != NULL; v++) {
		if (access(*v, F_OK) == 0)
			return *v;
	}
	return unit_files[i].to;
}

static enum pl_code
put_data(struct service_list *l, size_t i, struct pl_err *err)
{
	struct service_file f = { .path = place_of(i), .mode = 0644 };
	struct pl_buf text;
	enum pl_code code;

	if (f.path != unit_files[i].to)
		return PL_OK;
	pl_buf_init(&text, PL_LIM_FILE);
	f.text = &text;
	code = read_data(&text, unit_files[i].from, err);
	if (code == PL_OK && unit_files[i].folder != NULL)
		code = service_mkdir(l, unit_files[i].folder, 0755, err);
	if (code == PL_OK)
		code = service_put(l, &f, err);
	pl_buf_clear(&text);
	return code;
}

static enum pl_code
make_user(struct service_list *l, struct pl_err *err)
{
	const char *with_sysusers[] = { place_of(SYSUSERS), NULL };
	const char *with_useradd[] = { "--system", "--user-group",
		"--no-create-home", "--home-dir=" STATE,
		"--shell=/usr/sbin/nologin", USER, NULL };
	char path[128];
	enum pl_code code;

	if (getpwnam(USER) != NULL)
		return PL_OK;
	if (has_systemd() && find_program(path, sizeof(path),
	    "systemd-sysusers") != NULL)
		code = run("systemd-sysusers", with_sysusers, err);
	else
		code = run("useradd", with_useradd, err);
	if (code == PL_OK)
		service_list_add(l, USER, "user");
	return code;
}

/* By descriptor: what the service's user may change may not lead elsewhere. */
static enum pl_code
make_folder(struct service_list *l, const char *path, unsigned mode,
    struct pl_err *err)
{
	const struct passwd *pw = getpwnam(USER);
	enum pl_code code = service_mkdir(l, path, mode, err);
	int fd;

	if (code != PL_OK || pw == NULL)
		return code;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 || fchown(fd, pw->pw_uid, pw->pw_gid) == -1 ||
	    fchmod(fd, mode) == -1)
		code = pl_fail_sys(err, PL_EIO, errno, "%s", path);
	if (fd != -1)
		close(fd);
	return code;
}

static enum pl_code
make_folders(struct service_list *l, struct pl_err *err)
{
	enum pl_code code;

	code = make_folder(l, STATE, 0750, err);
	if (code == PL_OK)
		code = make_folder(l, STATE "/incoming", 03730, err);
	if (code == PL_OK)
		code = make_folder(l, STATE "/rejected", 0750, err);
	if (code == PL_OK)
		code = service_mkdir(l, ETC "/conf.d", 0755, err);
	return code;
}

static enum pl_code
check_config(const char *path, const char *user, struct pl_err *err)
{
	const char *words[] = { "-t", "-q", "-c", path, NULL };
	enum pl_code code = run_as(user, PL_SBINDIR "/placardd", words, err);

	return code == PL_OK ? PL_OK : (err->code = PL_EINVAL);
}

/* May the configuration be written?  It is not there, or is as we made it. */
static bool
config_is_ours(const struct service_list *l)
{
	return access(CONFIG, F_OK) != 0 || service_same(l, CONFIG);
}

/*
 * The file that was given, or the template where there is none; what somebody
 * has written stays.
 */
static enum pl_code
make_config(struct service_list *l, const char *given, struct pl_err *err)
{
	struct service_file f = { .path = CONFIG, .owner = USER,
		.group_only = true, .mode = 0640 };
	struct pl_buf text, now;
	enum pl_code code;

	if (given == NULL && access(CONFIG, F_OK) == 0)
		return PL_OK;
	pl_buf_init(&text, PL_LIM_CONFIG);
	pl_buf_init(&now, PL_LIM_CONFIG);
	f.text = &text;
	code = given != NULL ? pl_file_read(&text, given, err) :
	    read_data(&text, "placard.conf", err);
	if (code == PL_OK && config_is_ours(l))
		code = service_put(l, &f, err);
	else if (code == PL_OK) {
		code = pl_file_read(&now, CONFIG, err);
		if (code == PL_OK && strcmp(now.data, text.data) != 0)
			code = pl_fail(err, PL_EINVAL, CONFIG ": is there, "
			    "and is not the same as %s", given);
	}
	pl_buf_clear(&text);
	pl_buf_clear(&now);
	return code;
}

static enum pl_code
make_key(struct service_list *l, const char *from, struct pl_err *err)
{
	struct service_file f = { .path = AGENT_KEY, .owner = USER,
		.mode = 0400 };
	struct pl_buf text;
	enum pl_code code;

	if (from == NULL)
		return PL_OK;
	pl_buf_init(&text, PL_LIM_SECRET);
	f.text = &text;
	code = pl_file_read(&text, from, err);
	if (code == PL_OK)
		code = service_put(l, &f, err);
	pl_buf_clear(&text);
	return code;
}

static enum pl_code
make_all(struct service_list *l, const char *config, const char *key,
    struct pl_err *err)
{
	struct pl_secret *secret = NULL;
	enum pl_code code;

	/* What is wrong with what was given is told before anything is made. */
	code = config != NULL ? check_config(config, NULL, err) : PL_OK;
	if (code == PL_OK && key != NULL) {
		code = pl_secret_read(&secret, key, true, err);
		pl_secret_free(secret);
	}
	if (code == PL_OK)
		code = service_mkdir(l, ETC, 0755, err);
	for (size_t i = 0; code == PL_OK && has_systemd() &&
	    i < PL_NELEM(unit_files); i++)
		code = put_data(l, i, err);
	if (code == PL_OK)
		code = make_user(l, err);
	if (code == PL_OK)
		code = make_folders(l, err);
	if (code == PL_OK)
		code = make_config(l, config, err);
	if (code == PL_OK)
		code = make_key(l, key, err);
	return code;
}

static enum pl_code
start_it(struct pl_err *err)
{
	enum pl_code code;
	const char *words[] = { "daemon-reload", NULL };

	code = run("systemctl", words, err);
	if (code == PL_OK)
		code = systemctl("enable", "--quiet", err);
	if (code == PL_OK)
		code = systemctl("reload-or-restart", NULL, err);
	return code;
}

/* With --json an object {key: value}, else the sentence. */
static void
say(const struct pl_cli *cli, const char *key, const char *value,
    const char *text)
{
	json_t *j;

	if (!cli->json) {
		pl_cli_print("%s", text);
		return;
	}
	j = pl_json_object();
	pl_json_sets(j, key, value);
	pl_cli_print_json(j);
}

static void
say_how(const struct pl_cli *cli)
{
	say(cli, "run", PL_SBINDIR "/placardd", "There is no systemd here.  Have your supervisor run, as "
	    "the user " USER ":\n\n    " PL_SBINDIR "/placardd\n\n"
	    "It stays in the foreground, logs to standard error, reads its\n"
	    "configuration again on SIGHUP and ends within 5 s on SIGTERM.\n"
	    "It needs /run/placard, writable for " USER ", or another socket\n"
	    "in section service of " CONFIG ".\n"
	    "runit:   exec chpst -u " USER " " PL_SBINDIR "/placardd 2>&1\n"
	    "s6:      exec s6-setuidgid " USER " " PL_SBINDIR "/placardd\n"
	    "OpenRC:  command=" PL_SBINDIR "/placardd command_user=" USER
	    " command_background=yes\n");
}

static int
install(struct pl_cli *cli)
{
	struct service_list l;
	struct pl_err err, saved;
	enum pl_code code;

	pl_err_clear(&err);
	service_list_load(&l, MADE);
	code = make_all(&l, cli->config, pl_cli_opt(cli, "agent-key-file"),
	    &err);
	/* What was made is remembered even where something failed. */
	if (l.n > 0 && service_list_save(&l, &saved) != PL_OK &&
	    code == PL_OK) {
		err = saved;
		code = saved.code;
	}
	service_list_clear(&l);
	if (code == PL_OK)
		code = check_config(CONFIG, USER, &err);
	if (code == PL_OK && has_systemd())
		code = start_it(&err);
	if (code != PL_OK)
		return pl_cli_fail(cli, &err);
	if (!has_systemd())
		say_how(cli);
	else if (!cli->quiet || cli->json)
		say(cli, "running", CONFIG, "placardd is running; its "
		    "configuration is " CONFIG "\n");
	return 0;
}

/* ---- uninstall ----------------------------------------------------------------------------- */

/* What is in a folder, by descriptor: its owner may swap it meanwhile. */
static void
empty_folder(int fd, int depth)
{
	DIR *dir = fdopendir(fd);
	struct dirent *e;
	int sub;

	if (dir == NULL) {
		close(fd);
		return;
	}
	while ((e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0 ||
		    unlinkat(fd, e->d_name, 0) == 0)
			continue;
		sub = depth == 0 ? -1 : openat(fd, e->d_name, O_RDONLY |
		    O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub != -1)
			empty_folder(sub, depth - 1);
		unlinkat(fd, e->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
}

static void
remove_state(void)
{
	int fd = open(STATE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd == -1)
		return;
	empty_folder(fd, 4);
	if (rmdir(STATE) == -1)
		fprintf(stderr, "placard: " STATE ": %s\n", strerror(errno));
}

static bool
is_state(const char *path)
{
	return strncmp(path, STATE, strlen(STATE)) == 0;
}

/* Made by us, now or before an uninstall that left it; not by a package. */
static bool
user_is_ours(void)
{
	const struct passwd *pw = getpwnam(USER);

	return pw != NULL && strcmp(pw->pw_dir, STATE) == 0 &&
	    place_of(SYSUSERS) == unit_files[SYSUSERS].to;
}

/* Last made, first removed.  The journal and its user stay together. */
static void
remove_made(const struct service_list *l, bool purge)
{
	const char *words[] = { USER, NULL };
	struct pl_err err;

	for (size_t i = l->n; i > 0; i--) {
		const struct service_made *m = &l->made[i - 1];

		if (is_state(m->path) || strcmp(m->digest, "user") == 0 ||
		    strcmp(m->path, ETC) == 0)
			continue;
		/* A folder that others use too just stays. */
		if (service_remove(m->path, m->digest, purge) ||
		    strcmp(m->digest, "folder") == 0)
			continue;
		fprintf(stderr, "placard: %s: left, it was changed\n",
		    m->path);
	}
	if (!purge)
		return;
	remove_state();
	if (user_is_ours() && run("userdel", words, &err) != PL_OK)
		fprintf(stderr, "placard: %s\n", err.text);
}

static int
uninstall(struct pl_cli *cli)
{
	bool purge = pl_cli_opt(cli, "purge") != NULL;
	const char *reload[] = { "daemon-reload", NULL };
	const char *forget[] = { "reset-failed", "placardd", NULL };
	struct service_list l;
	struct pl_err err;

	if (has_systemd() && access(place_of(UNIT), F_OK) == 0) {
		pl_err_clear(&err);
		if (systemctl("disable", "--now", &err) != PL_OK)
			return pl_cli_fail(cli, &err);
	}
	service_list_load(&l, MADE);
	remove_made(&l, purge);
	unlink(MADE);
	if (purge || service_list_has(&l, ETC))
		rmdir(ETC);
	service_list_clear(&l);
	if (has_systemd()) {
		(void)run("systemctl", reload, &err);
		(void)run("systemctl", forget, &err);
	}
	if ((!cli->quiet || cli->json) && !purge &&
	    access(STATE, F_OK) == 0)
		say(cli, "left", STATE, STATE " is left, with the journal; "
		    "--purge removes it\n");
	return 0;
}

/* ---- start, stop, status ----------------------------------------------------------------------- */

static int
control(struct pl_cli *cli, const char *word)
{
	struct pl_err err;

	if (!has_systemd()) {
		pl_fail(&err, PL_EINVAL, "service %s: there is no systemd "
		    "here; ask the supervisor that runs placardd", word);
		return pl_cli_fail(cli, &err);
	}
	return systemctl(word, NULL, &err) == PL_OK ? 0 :
	    pl_cli_fail(cli, &err);
}

static int
status(struct pl_cli *cli)
{
	struct pl_config *config;
	struct pl_client *c = NULL;
	json_t *answer = NULL;
	const json_t *j;
	struct pl_err err;
	char *text;
	int rc;

	rc = pl_cli_config(cli, &config);
	if (rc != -1)
		return rc;
	if (pl_client_open(&c, config, &err) != PL_OK || pl_client_ask(c,
	    pl_client_request("status", NULL), "status", &answer, &err) !=
	    PL_OK)
		rc = pl_cli_fail(cli, &err);
	else {
		j = pl_json_get(answer, "status");
		rc = pl_json_is_null(pl_json_get(j, "trouble")) ? 0 : 8;
		if (cli->json) {
			text = pl_json_text(j);
			pl_cli_print("%s\n", text);
			free(text);
		} else
			pl_cli_print("placardd %s runs as process %lld: %lld "
			    "jobs, %lld challenges not yet visible%s%s\n",
			    pl_json_str(pl_json_get(j, "version")),
			    (long long)pl_json_num(pl_json_get(j, "pid")),
			    (long long)pl_json_num(pl_json_get(j, "jobs")),
			    (long long)pl_json_num(pl_json_get(j,
			    "waiting")), rc != 0 ? "; no new jobs: " : "",
			    rc != 0 ? pl_json_str(pl_json_get(j,
			    "trouble")) : "");
		pl_json_free(answer);
	}
	pl_client_close(c);
	pl_config_free(config);
	return rc;
}

int
pl_cmd_service(struct pl_cli *cli)
{
	const char *word = cli->args[0];
	struct pl_err err;

	if (strcmp(word, "install") != 0 &&
	    pl_cli_opt(cli, "agent-key-file") != NULL)
		return pl_cli_usage(cli, "service %s: --agent-key-file goes "
		    "with install", word);
	if (strcmp(word, "uninstall") != 0 &&
	    pl_cli_opt(cli, "purge") != NULL)
		return pl_cli_usage(cli, "service %s: --purge goes with "
		    "uninstall", word);
	if (strcmp(word, "status") == 0)
		return status(cli);
	if (strcmp(word, "install") != 0 && strcmp(word, "uninstall") != 0 &&
	    strcmp(word, "start") != 0 && strcmp(word, "stop") != 0)
		return pl_cli_usage(cli, "service: install, uninstall, start, "
		    "stop or status expected");
	if (geteuid() != 0) {
		pl_fail(&err, PL_EINVAL, "service %s: only root can do that",
		    word);
		return pl_cli_fail(cli, &err);
	}
	/* What is written here others have to read. */
	umask(022);
	if (strcmp(word, "install") == 0)
		return install(cli);
	if (strcmp(word, "uninstall") == 0)
		return uninstall(cli);
	return control(cli, word);
}
