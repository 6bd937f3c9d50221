/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

#include "challenge.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN 100	/* octets of a member that errors repeat */
#define TOKEN_MAX 128
#define URI_MAX 1024

/* Members that only some methods take. */
enum {
	VALUE = 1 << 0, TOKEN = 1 << 1, KEYAUTH = 1 << 2, NAME = 1 << 3,
	PATH = 1 << 4, CONTENT = 1 << 5, ACCOUNT_URL = 1 << 6,
	ISSUER = 1 << 7, POLICY = 1 << 8, UNTIL = 1 << 9
};

static const struct {
	unsigned bit;
	const char *name;
} members[] = {
	{ VALUE, "value" }, { TOKEN, "token" },
	{ KEYAUTH, "key-authorization" }, { NAME, "name" }, { PATH, "path" },
	{ CONTENT, "content" }, { ACCOUNT_URL, "account-url" },
	{ ISSUER, "issuer" }, { POLICY, "policy" },
	{ UNTIL, "persist-until" },
};

/* Works out record and value of a challenge whose domain is known. */
typedef enum pl_code method_fill(struct pl_challenge *c,
    const struct pl_challenge_args *a, struct pl_err *err);

static method_fill fill_dns, fill_dns_account, fill_persist, fill_txt,
    fill_cname, fill_http, fill_file, fill_email;

static const struct {
	const char *name;
	enum pl_kind kind;
	unsigned takes, needs;
	method_fill *fill;
} methods[] = {
	[PL_DNS_01] = { "dns-01", PL_TXT, VALUE | TOKEN | KEYAUTH, 0,
	    fill_dns },
	[PL_DNS_ACCOUNT_01] = { "dns-account-01", PL_TXT,
	    VALUE | TOKEN | KEYAUTH | ACCOUNT_URL, ACCOUNT_URL,
	    fill_dns_account },
	[PL_DNS_PERSIST_01] = { "dns-persist-01", PL_TXT,
	    VALUE | ACCOUNT_URL | ISSUER | POLICY | UNTIL, 0, fill_persist },
	[PL_DNS_TXT_TOKEN] = { "dns-txt", PL_TXT, VALUE | NAME, VALUE,
	    fill_txt },
	[PL_DNS_CNAME_TOKEN] = { "dns-cname", PL_CNAME, VALUE | NAME,
	    VALUE | NAME, fill_cname },
	[PL_HTTP_01] = { "http-01", PL_FILE, TOKEN | KEYAUTH,
	    TOKEN | KEYAUTH, fill_http },
	[PL_HTTP_FILE] = { "http-file", PL_FILE, PATH | CONTENT,
	    PATH | CONTENT, fill_file },
	[PL_EMAIL] = { "email", PL_NOTHING, 0, 0, fill_email },
};
static_assert(PL_NELEM(methods) == PL_NMETHODS, "a method has no row");

/* ---- words ------------------------------------------------------------- */

const char *
pl_method_name(enum pl_method m)
{
	return m < PL_NMETHODS ? methods[m].name : "unknown";
}

bool
pl_method_parse(enum pl_method *m, const char *name)
{
	size_t i;

	*m = PL_NMETHODS;
	for (i = 0; i < PL_NMETHODS; i++)
		if (strcmp(name, methods[i].name) == 0)
			*m = (enum pl_method)i;
	return *m != PL_NMETHODS;
}

enum pl_kind
pl_method_kind(enum pl_method m)
{
	return m < PL_NMETHODS ? methods[m].kind : PL_NOTHING;
}

const char *
pl_kind_name(enum pl_kind k)
{
	static const char *const names[] = {
		[PL_TXT] = "TXT", [PL_CNAME] = "CNAME", [PL_FILE] = "FILE",
		[PL_NOTHING] = "NONE",
	};
	static_assert(PL_NELEM(names) == PL_NKINDS, "a kind has no name");

	return k < PL_NKINDS ? names[k] : "unknown";
}

const char *
pl_state_name(enum pl_state s)
{
	static const char *const names[] = {
		[PL_QUEUED] = "queued", [PL_PUBLISHED] = "published",
		[PL_VISIBLE] = "visible", [PL_REMOVED] = "removed",
		[PL_FAILED] = "failed", [PL_PARTIAL] = "partial",
	};
	static_assert(PL_NELEM(names) == PL_NSTATES, "a state has no name");

	return s < PL_NSTATES ? names[s] : "unknown";
}

/* ---- members ----------------------------------------------------------- */

static unsigned
members_given(const struct pl_challenge_args *a)
{
	return (a->value != NULL ? VALUE : 0) |
	    (a->token != NULL ? TOKEN : 0) |
	    (a->key_authorization != NULL ? KEYAUTH : 0) |
	    (a->name != NULL ? NAME : 0) | (a->path != NULL ? PATH : 0) |
	    (a->content != NULL ? CONTENT : 0) |
	    (a->account_url != NULL ? ACCOUNT_URL : 0) |
	    (a->issuer != NULL ? ISSUER : 0) |
	    (a->policy != NULL ? POLICY : 0) |
	    (a->persist_until != 0 ? UNTIL : 0);
}

static enum pl_code
members_check(enum pl_method m, unsigned given, struct pl_err *err)
{
	size_t i;

	for (i = 0; i < PL_NELEM(members); i++) {
		if (given & ~methods[m].takes & members[i].bit)
			return pl_fail(err, PL_EINVAL,
			    "%s: does not belong to %s", members[i].name,
			    methods[m].name);
		if (methods[m].needs & ~given & members[i].bit)
			return pl_fail(err, PL_EINVAL,
			    "%s: missing, %s needs it", members[i].name,
			    methods[m].name);
	}
	return PL_OK;
}

/* Octets at the start of s that base64url has. */
static size_t
base64url_span(const char *s)
{
	return strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789-_");
}

/* Names the first octet of s that `good` octets are in front of. */
static enum pl_code
wrong_octet(const char *member, const char *s, size_t good,
    const char *wanted, struct pl_err *err)
{
	return pl_fail(err, PL_EINVAL,
	    "%s: octet %zu (0x%02x) cannot be there: %s", member, good + 1,
	    (unsigned)(unsigned char)s[good], wanted);
}

static enum pl_code
token_check(const char *token, struct pl_err *err)
{
	size_t good = base64url_span(token);

	if (token[good] != '\0')
		return wrong_octet("token", token, good,
		    "a token has A-Z a-z 0-9 - _", err);
	if (good == 0 || good > TOKEN_MAX)
		return pl_fail(err, PL_EINVAL,
		    "token: %zu characters, 1 to %d are possible", good,
		    TOKEN_MAX);
	return PL_OK;
}

/* RFC 8555 section 8.1: token, dot, thumbprint. */
static enum pl_code
keyauth_check(const char *k, struct pl_err *err)
{
	size_t token = base64url_span(k), thumb;

	if (k[token] == '.') {
		thumb = base64url_span(k + token + 1);
		if (k[token + 1 + thumb] != '\0')
			return wrong_octet("key-authorization", k,
			    token + 1 + thumb, "TOKEN.THUMBPRINT, both of "
			    "A-Z a-z 0-9 - _", err);
		if (token > 0 && token <= TOKEN_MAX && thumb > 0 &&
		    thumb <= TOKEN_MAX)
			return PL_OK;
	} else if (k[token] != '\0') {
		return wrong_octet("key-authorization", k, token,
		    "TOKEN.THUMBPRINT, both of A-Z a-z 0-9 - _", err);
	}
	return pl_fail(err, PL_EINVAL, "key-authorization: must be "
	    "TOKEN.THUMBPRINT with 1 to %d characters each", TOKEN_MAX);
}

/* Checks both where given, and that they belong together. */
static enum pl_code
token_pair(const struct pl_challenge_args *a, struct pl_err *err)
{
	const char *k = a->key_authorization, *t = a->token;
	enum pl_code code = PL_OK;

	if (t != NULL)
		code = token_check(t, err);
	if (code == PL_OK && k != NULL)
		code = keyauth_check(k, err);
	if (code == PL_OK && t != NULL && k != NULL &&
	    (strlen(t) != strcspn(k, ".") || strncmp(t, k, strlen(t)) != 0))
		code = pl_fail(err, PL_EINVAL, "token: is not the part of "
		    "key-authorization before the dot");
	return code;
}

/* A URI that can stand in a parameter value of RFC 8659 section 4.2. */
static enum pl_code
uri_check(const char *member, const char *uri, struct pl_err *err)
{
	size_t i, scheme;

	for (i = 0; uri[i] != '\0'; i++)
		if (uri[i] < 0x21 || uri[i] > 0x7e || uri[i] == ';')
			return wrong_octet(member, uri, i,
			    "a URI has printable ASCII without blanks and ;",
			    err);
	if (i > URI_MAX)
		return pl_fail(err, PL_EINVAL,
		    "%s: %zu octets, %d at most are possible", member, i,
		    URI_MAX);
	scheme = strspn(uri, "abcdefghijklmnopqrstuvwxyz0123456789+.-");
	if (scheme == 0 || uri[scheme] != ':' || uri[scheme + 1] == '\0')
		return pl_fail(err, PL_EINVAL,
		    "%s: %.*s: is not a URI", member, SHOWN, uri);
	return PL_OK;
}

/* ---- the domain -------------------------------------------------------- */

static bool
domain_is_address(const char *domain)
{
	const char *top = strrchr(domain, '.');

	top = top != NULL ? top + 1 : domain;
	return top[strspn(top, "0123456789")] == '\0';
}

static enum pl_code
domain_fill(struct pl_challenge *c, const char *in, struct pl_err *err)
{
	char name[PL_NAME_MAX];
	struct pl_buf shown;

	if (in == NULL)
		return pl_fail(err, PL_EINVAL, "domain: missing");
	c->wildcard = strncmp(in, "*.", 2) == 0;
	if (pl_name_ascii(name, in + (c->wildcard ? 2 : 0), false, err) !=
	    PL_OK)
		return pl_prefix(err, "domain");
	if (domain_is_address(name))
		return pl_fail(err, PL_EINVAL,
		    "domain: %s: is an address, not a name", name);
	if (pl_name_is_suffix(name))
		return pl_fail(err, PL_EINVAL,
		    "domain: %s: is a public suffix", name);
	if (c->wildcard && c->kind == PL_FILE)
		return pl_fail(err, PL_EINVAL,
		    "domain: *.%s: a file cannot prove a wildcard", name);
	pl_buf_init(&shown, PL_NAME_MAX + 2);
	pl_buf_addf(&shown, "%s%s", c->wildcard ? "*." : "", name);
	c->shown = pl_buf_take(&shown);
	c->domain = pl_strdup(name);
	return PL_OK;
}

/* Gives "label.domain", NULL with an error where that is no name. */
static char *
owner_name(const char *label, const char *domain, struct pl_err *err)
{
	struct pl_buf b;

	if (strlen(label) + 1 + strlen(domain) >= PL_NAME_MAX) {
		pl_fail(err, PL_EINVAL,
		    "domain: %.*s…: too long with %s in front of it", SHOWN,
		    domain, label);
		return NULL;
	}
	pl_buf_init(&b, PL_NAME_MAX);
	pl_buf_addf(&b, "%s.%s", label, domain);
	return pl_buf_take(&b);
}

/* Keeps n octets as the value, with a NUL behind them. */
static void
value_keep(struct pl_challenge *c, const char *p, size_t n)
{
	c->value = pl_alloc(n + 1);
	memcpy(c->value, p, n);
	c->value_len = n;
}

/* ---- dns-01 and dns-account-01 ------------------------------------------ */

static enum pl_code
digest_fill(struct pl_challenge *c, const struct pl_challenge_args *a,
    struct pl_err *err)
{
	const char *k = a->key_authorization;
	unsigned char sum[32];
	enum pl_code code;
	struct pl_buf b;
	size_t good;

	code = token_pair(a, err);
	if (code != PL_OK)
		return code;
	if (a->value == NULL && k == NULL)
		return pl_fail(err, PL_EINVAL,
		    "value: missing, and no key-authorization to make it of");
	if (a->value != NULL) {
		good = base64url_span(a->value);
		if (a->value[good] != '\0')
			return wrong_octet("value", a->value, good,
			    "a digest has A-Z a-z 0-9 - _", err);
		if (good != 43)
			return pl_fail(err, PL_EINVAL, "value: %zu "
			    "characters, a digest in base64url has 43", good);
	}
	if (k == NULL) {
		value_keep(c, a->value, strlen(a->value));
		return PL_OK;
	}
	pl_buf_init(&b, 64);
	pl_sha256(sum, k, strlen(k));
	pl_base64url(&b, sum, sizeof(sum));
	c->value_len = b.len;
	c->value = pl_buf_take(&b);
	if (a->value != NULL && strcmp(a->value, c->value) != 0)
		return pl_fail(err, PL_EINVAL,
		    "value: is not the digest of key-authorization");
	return PL_OK;
}

static enum pl_code
fill_dns(struct pl_challenge *c, const struct pl_challenge_args *a,
    struct pl_err *err)
{
	c->record = owner_name("_acme-challenge", c->domain, err);
	return c->record != NULL ? digest_fill(c, a, err) : PL_EINVAL;
}

/* draft-ietf-acme-dns-account-label: base32 of ten octets of the digest. */
static void
account_label(char label[40], const char *url)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	unsigned char sum[32];
	unsigned bits = 0, acc = 0;
	size_t i, n = 1;

	pl_sha256(sum, url, strlen(url));
	label[0] = '_';
	for (i = 0; i < 10; i++) {
		acc = (acc << 8 | sum[i]) & 0xfff;
		for (bits += 8; bits >= 5; bits -= 5)
			label[n++] = digits[acc >> (bits - 5) & 31];
	}
	memcpy(label + n, "._acme-challenge", 17);
}

static enum pl_code
fill_dns_account(struct pl_challenge *c, const struct pl_challenge_args *a,
    struct pl_err *err)
{
	enum pl_code code;
	char label[40];

	code = uri_check("account-url", a->account_url, err);
	if (code != PL_OK)
		return code;
	account_label(label, a->account_url);
	c->record = owner_name(label, c->domain, err);
	return c->record != NULL ? digest_fill(c, a, err) : PL_EINVAL;
}

/* ---- dns-persist-01 ------------------------------------------------------ */

/* One "issuer; tag=value; tag=value", taken apart; all lent from the text. */
struct part {
	const char *p;
	size_t n;
};
struct persist {
	struct part issuer, accounturi, policy, until;
};

static struct part
part_trim(const char *p, const char *end)
{
	while (p < end && *p == ' ')
		p++;
	while (p < end && end[-1] == ' ')
		end--;
	return (struct part){ p, (size_t)(end - p) };
}

static bool
part_is(const struct part *part, const char *s)
{
	return part->p != NULL && part->n == strlen(s) &&
	    memcmp(part->p, s, part->n) == 0;
}

/* Parameters that nobody knows are left alone, as at the CA. */
static enum pl_code
persist_parameter(struct persist *v, struct part part, struct pl_err *err)
{
	const char *eq = memchr(part.p, '=', part.n);
	struct part tag, value, *place = NULL;

	if (eq == NULL || eq == part.p ||
	    memchr(part.p, ' ', part.n) != NULL)
		return pl_fail(err, PL_EINVAL,
		    "value: %.*s: is not a parameter (tag=value)",
		    (int)(part.n > SHOWN ? SHOWN : part.n), part.p);
	tag = (struct part){ part.p, (size_t)(eq - part.p) };
	value = (struct part){ eq + 1, part.n - tag.n - 1 };
	if (part_is(&tag, "accounturi"))
		place = &v->accounturi;
	else if (part_is(&tag, "policy"))
		place = &v->policy;
	else if (part_is(&tag, "persistUntil"))
		place = &v->until;
	if (place == NULL)
		return PL_OK;
	if (place->p != NULL)
		return pl_fail(err, PL_EINVAL, "value: %.*s is there twice",
		    (int)tag.n, tag.p);
	*place = value;
	return PL_OK;
}

/* The grammar is that of an issue property, RFC 8659 section 4.2. */
static enum pl_code
persist_parse(struct persist *v, const char *text, struct pl_err *err)
{
	const char *p = text, *end;
	enum pl_code code = PL_OK;
	struct part part;

	memset(v, 0, sizeof(*v));
	for (;; p = end + 1) {
		end = p + strcspn(p, ";");
		part = part_trim(p, end);
		if (p == text)
			v->issuer = part;
		else if (part.n > 0 || *end != '\0')
			code = persist_parameter(v, part, err);
		if (code != PL_OK || *end == '\0')
			return code;
	}
}

static enum pl_code
issuer_ascii(char out[PL_NAME_MAX], const char *member, const char *issuer,
    struct pl_err *err)
{
	if (pl_name_ascii(out, issuer, false, err) != PL_OK)
		return pl_prefix(err, "%s", member);
	return PL_OK;
}

/* Checks the parts of a value that was given whole. */
static enum pl_code
persist_check(const struct persist *v, char issuer[PL_NAME_MAX],
    int64_t *until, struct pl_err *err)
{
	enum pl_code code;
	char *text;

	*until = 0;
	text = pl_strndup(v->issuer.p, v->issuer.n);
	code = issuer_ascii(issuer, "value", text, err);
	free(text);
	if (code != PL_OK)
		return code;
	if (v->accounturi.p == NULL)
		return pl_fail(err, PL_EINVAL, "value: accounturi is missing");
	text = pl_strndup(v->accounturi.p, v->accounturi.n);
	code = uri_check("value: accounturi", text, err);
	free(text);
	if (code != PL_OK || v->until.p == NULL)
		return code;
	text = pl_strndup(v->until.p, v->until.n);
	code = pl_int_parse(until, text, 0, INT64_MAX, err);
	free(text);
	return code == PL_OK ? PL_OK :
	    pl_prefix(err, "value: persistUntil");
}

/* Members that are given beside a whole value must say the same. */
static enum pl_code
persist_agree(const struct pl_challenge_args *a, struct pl_err *err)
{
	char issuer[PL_NAME_MAX], wanted[PL_NAME_MAX];
	const char *differs = NULL;
	enum pl_code code;
	struct persist v;
	int64_t until;

	code = persist_parse(&v, a->value, err);
	if (code == PL_OK)
		code = persist_check(&v, issuer, &until, err);
	if (code == PL_OK && a->issuer != NULL)
		code = issuer_ascii(wanted, "issuer", a->issuer, err);
	if (code != PL_OK)
		return code;
	if (a->issuer != NULL && strcmp(wanted, issuer) != 0)
		differs = "issuer";
	else if (a->account_url != NULL &&
	    !part_is(&v.accounturi, a->account_url))
		differs = "account-url";
	else if (a->policy != NULL && !part_is(&v.policy, a->policy))
		differs = "policy";
	else if (a->persist_until != 0 && a->persist_until != until)
		differs = "persist-until";
	if (differs != NULL)
		return pl_fail(err, PL_EINVAL,
		    "%s: is not what value says", differs);
	return PL_OK;
}

/* Composes the value of its parts. */
static enum pl_code
persist_compose(struct pl_challenge *c, const struct pl_challenge_args *a,
    struct pl_err *err)
{
	char issuer[PL_NAME_MAX];
	enum pl_code code;
	struct pl_buf b;

	if (a->issuer == NULL)
		return pl_fail(err, PL_EINVAL, "issuer: missing, and no value");
	if (a->account_url == NULL)
		return pl_fail(err, PL_EINVAL,
		    "account-url: missing, and no value");
	code = issuer_ascii(issuer, "issuer", a->issuer, err);
	if (code == PL_OK)
		code = uri_check("account-url", a->account_url, err);
	if (code != PL_OK)
		return code;
	if (a->policy != NULL && strcmp(a->policy, "wildcard") != 0)
		return pl_fail(err, PL_EINVAL,
		    "policy: %.*s: only \"wildcard\" is known", SHOWN,
		    a->policy);
	if (a->persist_until < 0)
		return pl_fail(err, PL_EINVAL,
		    "persist-until: %lld: must be seconds since 1970",
		    (long long)a->persist_until);
	pl_buf_init(&b, PL_TXT_MAX + 1);
	pl_buf_addf(&b, "%s; accounturi=%s", issuer, a->account_url);
	if (a->policy != NULL || c->wildcard)
		pl_buf_adds(&b, "; policy=wildcard");
	if (a->persist_until > 0)
		pl_buf_addf(&b, "; persistUntil=%lld",
		    (long long)a->persist_until);
	c->value_len = b.len;
	c->value = pl_buf_take(&b);
	return PL_OK;
}

static enum pl_code
fill_persist(struct pl_challenge *c, const struct pl_challenge_args *a,
    struct pl_err *err)
{
	enum pl_code code;

	c->standing = true;
	c->record = owner_name("_validation-persist", c->domain, err);
	if (c->record == NULL)
		return PL_EINVAL;
	if (a->value == NULL)
		return persist_compose(c, a, err);
	code = pl_record_value(PL_TXT, c->record, a->value, strlen(a->value),
	    err);
	if (code != PL_OK)
		return pl_prefix(err, "value");
	value_keep(c, a->value, strlen(a->value));
	return persist_agree(a, err);
}

/* ---- tokens of resellers and CAs ----------------------------------------- */

/* A name that is the domain or below it. */
static enum pl_code
name_fill(struct pl_challenge *c, const char *in, struct pl_err *err)
{
	char name[PL_NAME_MAX];

	if (pl_name_ascii(name, in, true, err) != PL_OK)
		return pl_prefix(err, "name");
	if (!pl_suffix_of(c->domain, name))
		return pl_fail(err, PL_EINVAL,
		    "name: %.*s: is not %.*s or below it", SHOWN, name, SHOWN,
		    c->domain);
	c->record = pl_strdup(name);
	return PL_OK;
}

static enum pl_code
fill_txt(struct pl_challenge *c, const struct pl_challenge_args *a,
    struct pl_err *err)
{
	enum pl_code code;

	code = name_fill(c, a->name != NULL ? a->name : c->domain, err);
	if (code != PL_OK)
		return code;
	if (pl_record_value(PL_TXT, c->record, a->value, strlen(a->value),
	    err) != PL_OK)
		return pl_prefix(err, "value");
	value_keep(c, a->value, strlen(a->value));
	return PL_OK;
}

static enum pl_code
fill_cname(struct pl_challenge *c, const struct pl_challenge_args *a,
    struct pl_err *err)
{
	char target[PL_NAME_MAX];
	enum pl_code code;

	code = name_fill(c, a->name, err);
	if (code != PL_OK)
		return code;
	if (strcmp(c->record, c->domain) == 0)
		return pl_fail(err, PL_EINVAL, "name: %.*s: is the domain "
		    "itself, where a CNAME would hide everything else",
		    SHOWN, c->record);
	if (pl_name_ascii(target, a->value, true, err) != PL_OK ||
	    pl_record_value(PL_CNAME, c->record, target, strlen(target),
	    err) != PL_OK)
		return pl_prefix(err, "value");
	value_keep(c, target, strlen(target));
	return PL_OK;
}

/* ---- files ------------------------------------------------------------- */

static enum pl_code
fill_http(struct pl_challenge *c, const struct pl_challenge_args *a,
    struct pl_err *err)
{
	enum pl_code code;
	struct pl_buf b;

	code = token_pair(a, err);
	if (code != PL_OK)
		return code;
	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, "/.well-known/acme-challenge/%s", a->token);
	c->record = pl_buf_take(&b);
	value_keep(c, a->key_authorization, strlen(a->key_authorization));
	return PL_OK;
}

static enum pl_code
fill_file(struct pl_challenge *c, const struct pl_challenge_args *a,
    struct pl_err *err)
{
	struct pl_buf b;

	if (strstr(a->path, "://") != NULL)
		return pl_fail(err, PL_EINVAL, "path: %.*s: is a URL; give "
		    "the part behind the host, or the file name alone", SHOWN,
		    a->path);
	if (strlen(a->path) > PL_LIM_LINE / 2)
		return pl_fail(err, PL_EINVAL, "path: %zu octets: too long",
		    strlen(a->path));
	pl_buf_init(&b, PL_LIM_LINE);
	if (strchr(a->path, '/') == NULL)
		pl_buf_adds(&b, "/.well-known/pki-validation/");
	pl_buf_adds(&b, a->path);
	c->record = pl_buf_take(&b);
	if (pl_record_path(c->record, err) != PL_OK)
		return pl_prefix(err, "path");
	if (pl_record_value(PL_FILE, c->record, a->content, a->content_len,
	    err) != PL_OK)
		return pl_prefix(err, "content");
	value_keep(c, a->content, a->content_len);
	return PL_OK;
}

static enum pl_code
fill_email(struct pl_challenge *c, const struct pl_challenge_args *a,
    struct pl_err *err)
{
	(void)a;
	(void)err;
	c->record = pl_strdup("");
	c->value = pl_strdup("");
	return PL_OK;
}

/* ---- all of it ---------------------------------------------------------- */

static enum pl_code
method_fill_in(struct pl_challenge *c, const char *name, struct pl_err *err)
{
	if (name == NULL)
		return pl_fail(err, PL_EINVAL, "method: missing");
	if (!pl_method_parse(&c->method, name))
		return pl_fail(err, PL_EINVAL, "method: %.*s: is none of "
		    "dns-01, dns-account-01, dns-persist-01, dns-txt, "
		    "dns-cname, http-01, http-file, email", SHOWN, name);
	c->kind = methods[c->method].kind;
	return PL_OK;
}

static enum pl_code
account_fill(struct pl_challenge *c, const char *account, struct pl_err *err)
{
	size_t i;

	if (account == NULL)
		return PL_OK;
	for (i = 0; account[i] != '\0'; i++)
		if ((unsigned char)account[i] < 0x20 || account[i] == 0x7f)
			return wrong_octet("account", account, i,
			    "an account's name has no control octets", err);
	if (i == 0 || i > 128)
		return pl_fail(err, PL_EINVAL,
		    "account: %zu octets, 1 to 128 are possible", i);
	c->account = pl_strdup(account);
	return PL_OK;
}

enum pl_code
pl_challenge_make(struct pl_challenge *c, const struct pl_challenge_args *a,
    struct pl_err *err)
{
	enum pl_code code;
	struct pl_err own;

	memset(c, 0, sizeof(*c));
	err = err != NULL ? err : &own;
	code = method_fill_in(c, a->method, err);
	if (code == PL_OK)
		code = members_check(c->method, members_given(a), err);
	if (code == PL_OK)
		code = domain_fill(c, a->domain, err);
	if (code == PL_OK)
		code = account_fill(c, a->account, err);
	/* RFC 2181 section 8: a TTL has 31 bits. */
	if (code == PL_OK && a->ttl > INT32_MAX)
		code = pl_fail(err, PL_EINVAL,
		    "ttl: %u: more than %d seconds", (unsigned)a->ttl,
		    INT32_MAX);
	c->ttl = a->ttl;
	if (code == PL_OK)
		code = methods[c->method].fill(c, a, err);
	c->key_authorization = pl_strdup(a->key_authorization);
	if (code != PL_OK)
		pl_challenge_clear(c);
	return code;
}

void
pl_challenge_clear(struct pl_challenge *c)
{
	free(c->domain);
	free(c->shown);
	free(c->record);
	free(c->value);
	free(c->account);
	free(c->key_authorization);
	memset(c, 0, sizeof(*c));
}
