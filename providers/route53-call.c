/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * One request to Amazon Route 53: signed, sent, and its answer understood.
 */
#include <stdlib.h>
#include <string.h>

#include "route53.h"

#define CLOCK_SLACK_MS 60000		/* less is not why it was refused */
#define CLOCK_MOST_MS 86400000

char *
route53_host(const char *endpoint)
{
	const char *host = strstr(endpoint, "://");
	bool plain = strncmp(endpoint, "http:", 5) == 0;
	const char *port = plain ? ":80" : ":443";
	size_t n, len = strlen(port);

	host = host != NULL ? host + 3 : endpoint;
	n = strcspn(host, "/");
	/* The port that goes without saying is not said. */
	if (n > len && memcmp(host + n - len, port, len) == 0)
		n -= len;
	return pl_strndup(host, n);
}

const char *
route53_region(const char *host)
{
	static const char *const partitions[][2] = {
		{ "amazonaws.com.cn", "cn-northwest-1" },
		{ "us-gov.amazonaws.com", "us-gov-west-1" },
		{ "amazonaws.eu", "eusc-de-east-1" },
	};
	size_t i;

	for (i = 0; i < PL_NELEM(partitions); i++)
		if (pl_suffix_of(partitions[i][0], host))
			return partitions[i][1];
	return "us-east-1";
}

void
route53_fault_clear(struct route53_fault *f)
{
	pl_buf_clear(&f->messages);
}

/* ---- errors ---- */

static const char *const limits[] = { "Throttling", "ThrottlingException",
	"RequestThrottled", "RequestLimitExceeded", "TooManyRequestsException",
	"PriorRequestNotComplete", "SlowDown", NULL };
static const char *const clocks[] = { "SignatureDoesNotMatch",
	"InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed",
	"RequestInTheFuture", NULL };
static const char *const keys[] = { "InvalidClientTokenId",
	"UnrecognizedClientException", "InvalidAccessKeyId", "ExpiredToken",
	"ExpiredTokenException", "MissingAuthenticationToken",
	"MissingAuthenticationTokenException", "IncompleteSignature",
	"IncompleteSignatureException", "AuthFailure", "NotSignedUp",
	"OptInRequired", NULL };
static const char *const rights[] = { "AccessDenied",
	"AccessDeniedException", "NotAuthorized", "UnauthorizedOperation",
	NULL };

/* The messages of either shape of error, joined. */
static void
fault_messages(struct pl_buf *b, const struct pl_xml *doc)
{
	const struct pl_xml *m = pl_xml_get(doc, "Messages/Message");
	const char *one = pl_xml_text(doc, "Error/Message");

	if (one != NULL)
		pl_buf_adds(b, one);
	for (; m != NULL; m = pl_xml_next(m))
		pl_buf_addf(b, "%s%s", b->len > 0 ? ", " : "", m->text);
}

static enum pl_code
fault_code(const char *word, int status)
{
	if (pl_str_in(word, limits))
		return PL_ELIMIT;
	if (pl_str_in(word, clocks) || pl_str_in(word, keys) ||
	    pl_str_in(word, rights))
		return PL_EAUTH;
	if (strcmp(word, "InvalidChangeBatch") == 0)
		return PL_ECONFLICT;
	if (strcmp(word, "NoSuchHostedZone") == 0)
		return PL_ENOZONE;
	return pl_http_code(status);
}

/* The sentence for a code; what the service says of signatures would hold
 * the session token, so that is not repeated. */
static enum pl_code
fault_text(const struct route53_req *q, const char *word,
    const struct pl_buf *messages, const struct pl_http_res *res,
    struct pl_err *err)
{
	enum pl_code code = fault_code(word, res->status);

	if (pl_str_in(word, clocks))
		(void)pl_fail(err, code, "%s: HTTP %d: %s: the secret access "
		    "key does not fit the access key id, or the clock is off",
		    q->what, res->status, word);
	else
		(void)pl_fail(err, code, "%s: HTTP %d: %s%s%.200s", q->what,
		    res->status, word, messages->len > 0 ? ": " : "",
		    messages->data);
	return code;
}

/* What an answer other than 200 means; *clock: a wrong time may be why. */
static enum pl_code
fault_read(const struct route53_req *q, const struct pl_http_res *res,
    struct route53_fault *f, bool *clock, struct pl_err *err)
{
	struct pl_xml *doc;
	struct pl_buf messages;
	const char *word;
	enum pl_code code;

	*clock = false;
	pl_buf_init(&messages, PL_LIM_BODY);
	if (pl_xml_parse(&doc, res->body.data, res->body.len, q->what, NULL) !=
	    PL_OK) {
		code = pl_fail(err, pl_http_code(res->status), "%s: HTTP %d%s",
		    q->what, res->status, res->status / 100 == 3 ?
		    ": a redirect, which is not followed" : "");
	} else {
		word = pl_xml_text(doc, "Error/Code");
		if (word == NULL)
			word = doc->name;
		fault_messages(&messages, doc);
		code = fault_text(q, word, &messages, res, err);
		*clock = pl_str_in(word, clocks);
		f->denied = pl_str_in(word, rights);
		if (code == PL_ECONFLICT)
			pl_buf_adds(&f->messages, messages.data);
	}
	f->sent = res->status >= 500 && code == PL_ENET;
	if (err != NULL) {
		err->http = res->status;
		err->retry_after = res->retry_after;
	}
	pl_xml_free(doc);
	pl_buf_clear(&messages);
	return code;
}

/* ---- the clock ---- */

/*
 * Was it refused for our clock?  Then the difference is kept, and another
 * try may go well.  A day off and more is for people to set right.
 */
static bool
clock_correct(struct route53 *self, const struct pl_http_res *res,
    struct pl_err *err)
{
	int64_t off = res->date - (pl_wall_ms() + self->skew);
	int64_t all = self->skew + off;

	if (res->date == 0 || (off > -CLOCK_SLACK_MS && off < CLOCK_SLACK_MS))
		return false;
	if (all > CLOCK_MOST_MS || all < -CLOCK_MOST_MS) {
		(void)pl_fail(err, PL_EAUTH, "clock: %lld hours %s the "
		    "service's", (long long)((all < 0 ? -all : all) / 3600000),
		    all < 0 ? "ahead of" : "behind");
		return false;
	}
	self->skew = all;
	return true;
}

/* ---- the request ---- */

static enum pl_code
call_send(struct route53 *self, const struct pl_call *call,
    const struct route53_req *q, struct pl_http_res *res,
    struct pl_err *err)
{
	char stamp[PL_SIGV4_STAMP];
	struct pl_buf path, target, value;
	struct pl_http_header sign[5], send[4];
	struct pl_http_req req;
	struct pl_sigv4 s;
	enum pl_code code;
	size_t n = 0;

	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_init(&target, PL_LIM_LINE);
	pl_buf_init(&value, PL_LIM_LINE);
	pl_sigv4_stamp(stamp, (pl_wall_ms() + self->skew) / 1000);
	pl_buf_addf(&path, ROUTE53_PREFIX "%s", q->path);
	pl_buf_addf(&target, "%s%s%s", path.data, q->query != NULL ? "?" : "",
	    q->query != NULL ? q->query : "");

	memset(sign, 0, sizeof(sign));
	sign[n++] = (struct pl_http_header){ "x-amz-date", stamp, NULL };
	if (self->token != NULL)
		sign[n++] = (struct pl_http_header){ "x-amz-security-token",
			"", self->token };
	memset(send, 0, sizeof(send));
	memcpy(send, sign, n * sizeof(send[0]));
	sign[n] = (struct pl_http_header){ "host", self->host, NULL };
	if (q->body != NULL)
		sign[n + 1] = (struct pl_http_header){ "content-type",
			"text/xml", NULL };
	s = (struct pl_sigv4){ .method = q->method, .path = path.data,
		.query = q->query, .headers = sign, .body = q->body,
		.body_len = q->body != NULL ? strlen(q->body) : 0,
		.stamp = stamp, .region = self->region, .service = "route53",
		.secret = self->secret, .normalize = true };
	pl_sigv4_header(&value, &s, self->key_id);
	send[n] = (struct pl_http_header){ "Authorization", value.data, NULL };
	req = (struct pl_http_req){ .method = q->method,
		.target = target.data, .headers = send, .body = q->body,
		.body_len = s.body_len,
		.content_type = q->body != NULL ? "text/xml" : NULL };
	pl_http_log(self->http, call->log);
	code = pl_http_call(self->http, &req, res, call->deadline, err);
	pl_buf_clear(&path);
	pl_buf_clear(&target);
	pl_buf_clear(&value);
	return code;
}

static enum pl_code
call_parse(const struct route53_req *q, const struct pl_http_res *res,
    struct pl_xml **doc, struct pl_err *err)
{
	enum pl_code code;

	code = pl_xml_parse(doc, res->body.data, res->body.len, q->what, err);
	if (code == PL_OK && strcmp((*doc)->name, q->root) != 0) {
		code = pl_fail(err, PL_EPROTO, "%s: answer is a %.80s instead "
		    "of a %s", q->what, (*doc)->name, q->root);
		pl_xml_free(*doc);
		*doc = NULL;
	}
	return code;
}

enum pl_code
route53_call(struct route53 *self, const struct pl_call *call,
    const struct route53_req *q, struct pl_xml **doc,
    struct route53_fault *f, struct pl_err *err)
{
	struct route53_fault own;
	struct pl_http_res res;
	enum pl_code code;
	bool clock, again = false;

	*doc = NULL;
	if (f == NULL)
		f = &own;
	memset(f, 0, sizeof(*f));
	pl_buf_init(&f->messages, PL_LIM_BODY);
	do {
		clock = false;
		code = call_send(self, call, q, &res, err);
		if (code != PL_OK) {
			f->sent = res.sent;
			(void)pl_prefix(err, "%s", q->what);
		} else if (res.status == 200) {
			code = call_parse(q, &res, doc, err);
			f->sent = code != PL_OK;
		} else {
			code = fault_read(q, &res, f, &clock, err);
			/* A key that was good for a change is not refused
			 * as such. */
			if (f->denied && self->proved && code == PL_EAUTH)
				code = PL_EREMOTE;
		}
		again = clock && !again && clock_correct(self, &res, err);
		pl_http_res_clear(&res);
	} while (again);
	if (f == &own)
		route53_fault_clear(f);
	if (err != NULL)
		err->code = code;
	return code;
}
