/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * placard hook through placardd, so that the user of the other client needs
 * no key, no state and no configuration of its own.  A call of the hook is a
 * job, named TOOL-GROUP-VALUES so that the call that cleans up, in another
 * process, finds it: GROUP is a run of certbot, or an owner name or path.
 */
#include "command.h"
#include "hook.h"

#include <sys/signalfd.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SLACK_MS 5000		/* the service's own word comes first */
#define STOPPED_MS 10000
#define RUN_MS 3600000		/* jobs of a run that are older have died */
#define HOLD_S 86400		/* what nobody comes to release */
#define MOST_ERRORS 20
#define LOOK_MS 20		/* between looks whether it is published */
#define AGAIN_MS 200		/* between tries to find a service that restarts */
#define AWAY_MS 30000		/* how long it may be away */

struct service {
	struct pl_cli *cli;
	struct pl_hook *h;
	struct pl_config *config;
	struct pl_client *c;
	char *group;			/* TOOL-GROUP- */
	char *id;
	int64_t timeout;		/* ms */
	int64_t ends;			/* the jobs' deadline, wall ms */
	int64_t deadline;		/* mono ms */
	int sigfd;
	size_t errors;
};

/* ---- names and documents --------------------------------------------------- */

static void
add_sum(struct pl_buf *b, const char *text)
{
	unsigned char sum[32];

	pl_sha256(sum, text, strlen(text));
	pl_hex(b, sum, 8);
}

static void
name_jobs(struct service *s)
{
	const struct pl_job *job = &s->h->job;
	struct pl_buf b, all;

	pl_buf_init(&b, PL_LIM_LINE);
	if (s->h->rest_of > 0)
		pl_buf_adds(&b, job->id);
	else {
		pl_buf_addf(&b, "%s-", s->h->tool);
		add_sum(&b, job->challenges[0].record);
	}
	pl_buf_addc(&b, '-');
	s->group = pl_strdup(b.data);
	pl_buf_init(&all, PL_LIM_JOB);
	for (size_t i = 0; i < job->n; i++)
		pl_buf_addf(&all, "%s %s\n", job->challenges[i].record,
		    job->challenges[i].value);
	add_sum(&b, all.data);
	s->id = pl_buf_take(&b);
	pl_buf_clear(&all);
}

static json_t *
challenge_doc(const struct pl_cli *cli, const struct pl_challenge *ch)
{
	json_t *j = pl_json_object();
	struct pl_buf name;

	pl_json_sets(j, "domain", ch->domain);
	if (ch->kind == PL_FILE) {
		pl_json_sets(j, "method", "http-01");
		pl_json_sets(j, "token", strrchr(ch->record, '/') + 1);
		pl_json_sets(j, "key-authorization", ch->value);
	} else {
		pl_json_sets(j, "value", ch->value);
		pl_buf_init(&name, PL_LIM_LINE);
		pl_buf_addf(&name, "_acme-challenge.%s", ch->domain);
		/* One that its tool has followed to where an alias leads. */
		if (strcmp(name.data, ch->record) != 0)
			pl_json_sets(j, "name", ch->record);
		pl_json_sets(j, "method", strcmp(name.data, ch->record) != 0 ?
		    "dns-txt" : "dns-01");
		if (ch->key_authorization != NULL)
			pl_json_sets(j, "key-authorization",
			    ch->key_authorization);
		pl_buf_clear(&name);
	}
	if (cli->account != NULL)
		pl_json_sets(j, "account", cli->account);
	if (cli->ttl != 0)
		pl_json_seti(j, "ttl", cli->ttl);
	return j;
}

static json_t *
job_doc(const struct service *s)
{
	json_t *j = pl_json_object(), *list = pl_json_array();
	char text[PL_TIME_TEXT];

	pl_time_format(text, s->ends);
	pl_json_sets(j, "job", s->id);
	pl_json_sets(j, "deadline", text);
	pl_json_seti(j, "hold", HOLD_S);
	for (size_t i = 0; i < s->h->job.n; i++)
		pl_json_append(list, challenge_doc(s->cli,
		    &s->h->job.challenges[i]));
	pl_json_set(j, "challenges", list);
	return j;
}

/* ---- what is told ------------------------------------------------------------ */

static void
say(struct service *s, json_t *report)
{
	const json_t *list = pl_json_get(report, "challenges");
	const char *text;

	if (s->cli->json) {
		pl_cli_print_json(pl_json_share(report));
		return;
	}
	for (size_t i = 0; i < pl_json_count(list); i++) {
		text = pl_json_str(pl_json_get(pl_json_get(pl_json_at(list,
		    i), "error"), "text"));
		/* A thousand times the same sentence helps nobody. */
		if (text != NULL && s->errors++ < MOST_ERRORS)
			fprintf(stderr, "placard: %s\n", text);
	}
}

static const char *
text_of(const json_t *j, const char *member)
{
	const char *t = pl_json_str(pl_json_get(j, member));

	return t != NULL ? t : "";
}

/* ---- requests ------------------------------------------------------------------ */

static enum pl_code
ask(struct service *s, const char *what, const char *id, const char *member,
    json_t **out, struct pl_err *err)
{
	json_t *answer;
	enum pl_code code;

	*out = NULL;
	code = pl_client_ask(s->c, pl_client_request(what, id), member,
	    &answer, err);
	if (code == PL_OK)
		*out = pl_client_member(answer, member);
	return code;
}

/* At rest, or as it stands when there is no more time. */
static enum pl_code
wait_for(struct service *s, const char *id, json_t **report,
    struct pl_err *err)
{
	enum pl_code code;

	code = pl_client_wait(&s->c, s->config, id, s->deadline, report, err);
	if (code != PL_EABSENT)
		return code;
	/* This connection's next answer is to what was asked before. */
	pl_client_close(s->c);
	code = pl_client_open(&s->c, s->config, err);
	return code == PL_OK ? ask(s, "show", id, "report", report, err) :
	    code;
}

/* Takes back what a job has published; its last report, or NULL. */
static enum pl_code
release(struct service *s, const char *id, bool *gone, json_t **report,
    struct pl_err *err)
{
	enum pl_code code;

	code = ask(s, "release", id, "report", report, err);
	if (code != PL_OK)
		return code;
	*gone = strcmp(text_of(*report, "state"), "removed") == 0;
	pl_json_free(*report);
	return wait_for(s, id, report, err);
}

/* ---- add ------------------------------------------------------------------------ */

static void
pause_ms(int64_t ms)
{
	const struct timespec gap = { .tv_nsec = (long)ms * 1000000L };

	nanosleep(&gap, NULL);
}

/* Whether one that went away has taken the job or not: it may be told again. */
static enum pl_code
tell(struct service *s, json_t **report, struct pl_err *err)
{
	int64_t away = pl_mono_ms() + AWAY_MS;
	enum pl_code code;

	code = pl_client_submit(s->c, s->id, job_doc(s), report, err);
	while (code == PL_ENET && pl_mono_ms() < away) {
		pause_ms(AGAIN_MS);
		pl_client_close(s->c);
		code = pl_client_open(&s->c, s->config, err);
		if (code != PL_OK)
			continue;
		pl_client_wake(s->c, s->sigfd);
		code = pl_client_submit(s->c, s->id, job_doc(s), report, err);
	}
	if (code == PL_OK)
		pl_err_clear(err);
	return code;
}

static enum pl_code
submit(struct service *s, json_t **report, struct pl_err *err)
{
	enum pl_code code;
	struct pl_err why;
	bool gone;

	code = tell(s, report, err);
	if (code != PL_EINVAL || ask(s, "show", s->id, "report", report,
	    &why) != PL_OK)
		return code;
	/* The same from an earlier try of the tool. */
	pl_json_free(*report);
	code = release(s, s->id, &gone, report, err);
	pl_json_free(*report);
	*report = NULL;
	return code != PL_OK ? code : tell(s, report, err);
}

static int
take_back(struct service *s, int64_t ms)
{
	json_t *report = NULL;
	struct pl_err err;
	enum pl_code code;
	bool gone;

	pl_client_close(s->c);
	s->deadline = pl_mono_ms() + ms;
	code = pl_client_open(&s->c, s->config, &err);
	if (code == PL_OK)
		code = release(s, s->id, &gone, &report, &err);
	pl_json_free(report);
	return code == PL_OK ? 0 : pl_cli_fail(s->cli, &err);
}

/* Until it is more than queued. */
static enum pl_code
wait_published(struct service *s, json_t **report, struct pl_err *err)
{
	enum pl_code code = PL_OK;

	while (code == PL_OK && pl_mono_ms() < s->deadline &&
	    strcmp(text_of(*report, "state"), "queued") == 0) {
		pause_ms(LOOK_MS);
		pl_json_free(*report);
		code = ask(s, "show", s->id, "report", report, err);
	}
	return code;
}

static int
published_exit(const json_t *report)
{
	const json_t *list = pl_json_get(report, "challenges");
	const char *state;

	for (size_t i = 0; i < pl_json_count(list); i++) {
		state = text_of(pl_json_at(list, i), "state");
		if (strcmp(state, "published") != 0 &&
		    strcmp(state, "visible") != 0)
			return pl_report_exit(report, false);
	}
	return 0;
}

/* One job of this run of certbot; a status. */
static int
join_one(struct service *s, const char *id, int status)
{
	json_t *report = NULL;
	struct pl_err err;
	int one;

	if (wait_for(s, id, &report, &err) != PL_OK)
		one = pl_cli_fail(s->cli, &err);
	else if (strcmp(text_of(report, "state"), "removed") == 0)
		one = status;
	else {
		one = pl_report_exit(report, false);
		say(s, report);
	}
	pl_json_free(report);
	return pl_status_join(status, one);
}

static bool
of_run(const struct service *s, const json_t *job)
{
	const char *id = text_of(job, "job");
	int64_t created = 0;

	pl_time_parse(&created, text_of(job, "created"), NULL);
	return strncmp(id, s->group, strlen(s->group)) == 0 &&
	    strcmp(id, s->id) != 0 && created > pl_wall_ms() - RUN_MS;
}

/* What else the run has asked for: its youngest jobs, one a challenge. */
static int
join_rest(struct service *s, int status)
{
	size_t left = s->h->rest_of > 0 ? s->h->rest_of - 1 : 0;
	json_t *list = NULL;
	struct pl_err err;

	if (left == 0)
		return status;
	if (ask(s, "list", NULL, "jobs", &list, &err) != PL_OK)
		return pl_cli_fail(s->cli, &err);
	for (size_t i = pl_json_count(list); i > 0 && left > 0; i--) {
		const json_t *job = pl_json_at(list, i - 1);

		if (!of_run(s, job))
			continue;
		status = join_one(s, text_of(job, "job"), status);
		left--;
	}
	pl_json_free(list);
	return status;
}

static int
add_wait(struct service *s, json_t **report, struct pl_err *err)
{
	enum pl_code code;
	bool published = s->cli->no_wait;
	int status;

	if (published)
		code = wait_published(s, report, err);
	else {
		pl_json_free(*report);
		code = wait_for(s, s->id, report, err);
	}
	if (code != PL_OK)
		return pl_cli_fail(s->cli, err);
	pl_err_clear(err);
	status = published ? published_exit(*report) :
	    pl_report_exit(*report, false);
	say(s, *report);
	return s->h->rest && !published ? join_rest(s, status) : status;
}

static int
service_add(struct service *s)
{
	json_t *report = NULL;
	struct pl_err err;
	int status = 0;

	pl_err_clear(&err);
	if (s->h->said != NULL && !s->cli->json)
		pl_cli_print("%s\n", s->h->said);
	pl_cli_flush(0);
	if (submit(s, &report, &err) != PL_OK)
		status = pl_cli_fail(s->cli, &err);
	/* The last call of the run waits for what the others have begun. */
	else if (s->h->wait)
		status = add_wait(s, &report, &err);
	pl_json_free(report);
	if (err.code == PL_ECANCEL) {
		fprintf(stderr, "placard: what was published is taken "
		    "back\n");
		take_back(s, STOPPED_MS);
	} else if (status != 0 && err.code == PL_OK && !s->h->keep)
		take_back(s, s->timeout);
	return status;
}

/* ---- remove ------------------------------------------------------------------------ */

/* Could this user do it without placardd? */
static bool
can_alone(const struct service *s)
{
	const char *state = s->config->state_directory;

	return !s->config->unreadable && (access(state, W_OK | X_OK) == 0 ||
	    errno == ENOENT);
}

static int
removed_exit(struct service *s, json_t *report)
{
	const char *state = text_of(report, "state");

	say(s, report);
	if (strcmp(state, "removed") == 0 || strcmp(state, "failed") == 0 ||
	    pl_report_exit(report, true) == 0)
		return 0;
	if (!s->cli->json)
		fprintf(stderr, "placard: job %s: not removed yet, placardd "
		    "goes on with it\n", text_of(report, "job"));
	return pl_code_exit(PL_ENET);
}

static int
service_remove(struct service *s)
{
	json_t *report = NULL;
	struct pl_err err;
	enum pl_code code;
	bool gone = false;
	int status;

	code = release(s, s->id, &gone, &report, &err);
	/* Published while placardd was away, or gone already, which is fine. */
	if (code == PL_EREMOTE || (code == PL_OK && gone))
		status = can_alone(s) ? -1 : 0;
	else
		status = code == PL_OK ? removed_exit(s, report) :
		    pl_cli_fail(s->cli, &err);
	pl_json_free(report);
	return status;
}

/* mod_md 1 names no value: all jobs that its setups have left at the name. */
static int
service_remove_name(struct service *s)
{
	json_t *list = NULL, *report;
	struct pl_err err;
	int status = 0;
	bool gone;

	if (ask(s, "list", NULL, "jobs", &list, &err) != PL_OK)
		return pl_cli_fail(s->cli, &err);
	for (size_t i = 0; i < pl_json_count(list); i++) {
		const json_t *job = pl_json_at(list, i);
		const char *id = text_of(job, "job");
		int one;

		if (strncmp(id, s->group, strlen(s->group)) != 0 ||
		    strcmp(text_of(job, "phase"), "done") == 0)
			continue;
		one = release(s, id, &gone, &report, &err) == PL_OK ?
		    removed_exit(s, report) : pl_cli_fail(s->cli, &err);
		pl_json_free(report);
		status = status == 0 ? one : pl_status_join(status, one);
	}
	pl_json_free(list);
	return status == 0 && can_alone(s) ? -1 : status;
}

/* ---- all ----------------------------------------------------------------------------- */

static int
begin(struct service *s)
{
	struct pl_err err;
	enum pl_code code;
	sigset_t set;

	code = pl_client_open(&s->c, s->config, &err);
	if (code != PL_OK && s->config->unreadable) {
		pl_prefix(&err, "the configuration is not for this user to "
		    "read");
		err.code = code == PL_ENET ? PL_EINVAL : code;
		return pl_cli_fail(s->cli, &err);
	}
	if (code == PL_ENET) {
		pl_logf(&s->cli->log, PL_LOG_INFO, "hook", "placardd=no "
		    "error=\"%s\"", err.text);
		return -1;
	}
	if (code != PL_OK)
		return pl_cli_fail(s->cli, &err);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	pl_client_wake(s->c, s->sigfd);
	s->timeout = s->cli->timeout_ms > 0 ? s->cli->timeout_ms :
	    s->config->verify.timeout_ms;
	s->ends = pl_wall_ms() + s->timeout;
	s->deadline = pl_mono_ms() + s->timeout + SLACK_MS;
	name_jobs(s);
	pl_logf(&s->cli->log, PL_LOG_INFO, "hook", "placardd=%s job=%s",
	    pl_client_path(s->c), s->id);
	return 0;
}

/* The direct way has its own descriptor for signals, which stay blocked. */
static void
end(struct service *s)
{
	if (s->sigfd != -1)
		close(s->sigfd);
	pl_client_close(s->c);
	pl_config_free(s->config);
	free(s->group);
	free(s->id);
}

int
pl_hook_service(struct pl_cli *cli, struct pl_hook *h)
{
	struct service s = { .cli = cli, .h = h, .sigfd = -1 };
	int status;

	/* Only this process knows what these options say. */
	if (cli->dry_run || cli->nservers > 0 || cli->nresolvers > 0)
		return -1;
	status = pl_cli_config(cli, &s.config);
	if (status != -1)
		return status;
	status = begin(&s);
	if (status == 0 && h->act == PL_HOOK_ADD)
		status = service_add(&s);
	else if (status == 0 && h->act == PL_HOOK_REMOVE)
		status = service_remove(&s);
	else if (status == 0)
		status = service_remove_name(&s);
	end(&s);
	return status;
}
