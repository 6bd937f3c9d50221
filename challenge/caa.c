/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Certification Authority Authorization: RFC 8659 (climb, issue, issuewild,
 * critical flag), RFC 8657 (accounturi, validationmethods), labels of
 * Baseline Requirements 2.2.8.
 */

#include "challenge.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CRITICAL 128

/* An issue or issuewild value taken apart; all point into it. */
struct issue {
	bool valid;
	const char *ca;
	size_t ca_len;
	const char *uri, *methods;
	size_t uri_len, methods_len;
	unsigned nuri, nmethods;
};

const char *
pl_caa_label(enum pl_method m)
{
	static const char *const labels[] = {
		[PL_DNS_01] = "dns-01",
		[PL_DNS_ACCOUNT_01] = "dns-account-01",
		[PL_DNS_PERSIST_01] = "dns-persist-01",
		[PL_DNS_TXT_TOKEN] = "ca-tbr-7",
		[PL_DNS_CNAME_TOKEN] = "ca-tbr-7",
		[PL_HTTP_01] = "http-01",
		[PL_HTTP_FILE] = "ca-tbr-18",
		[PL_EMAIL] = "ca-tbr-4",
	};

	return (unsigned)m < PL_NELEM(labels) ? labels[m] : NULL;
}

/* ---- values ------------------------------------------------------------------ */

static bool
alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9');
}

static size_t
blanks(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n && (s[i] == ' ' || s[i] == '\t'))
		i++;
	return i;
}

/* "tag=value" of RFC 8659 section 4.2; false: malformed. */
static bool
issue_parameter(struct issue *is, const char *s, size_t n)
{
	size_t tag = 0, val;

	while (tag < n && (alnum(s[tag]) || (s[tag] == '-' && tag > 0)))
		tag++;
	if (tag == 0)
		return false;
	val = tag + blanks(s + tag, n - tag);
	if (val >= n || s[val] != '=')
		return false;
	val++;
	val += blanks(s + val, n - val);
	for (size_t i = val; i < n; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	if (tag == 10 && strncasecmp(s, "accounturi", 10) == 0) {
		is->nuri++;
		is->uri = s + val;
		is->uri_len = n - val;
	} else if (tag == 17 && strncasecmp(s, "validationmethods", 17) == 0) {
		is->nmethods++;
		is->methods = s + val;
		is->methods_len = n - val;
	}
	return true;
}

static void
issue_parse(struct issue *is, const char *s, size_t n)
{
	size_t i, len;

	memset(is, 0, sizeof(*is));
	i = blanks(s, n);
	is->ca = s + i;
	while (i < n && (alnum(s[i]) || s[i] == '-' || s[i] == '.'))
		i++;
	is->ca_len = (size_t)(s + i - is->ca);
	if (is->ca_len > 0 && is->ca[is->ca_len - 1] == '.')
		is->ca_len--;
	i += blanks(s + i, n - i);
	while (i < n) {
		if (s[i] != ';')
			return;
		i++;
		i += blanks(s + i, n - i);
		for (len = 0; i + len < n && s[i + len] != ';'; len++)
			;
		while (len > 0 && (s[i + len - 1] == ' ' ||
		    s[i + len - 1] == '\t'))
			len--;
		if (len > 0 && !issue_parameter(is, s + i, len))
			return;
		i += len;
		i += blanks(s + i, n - i);
	}
	is->valid = true;
}

/* Is some word of list a also one of list b (both parted by commas)? */
static bool
lists_meet(const char *a, size_t an, const char *b, size_t bn)
{
	size_t i = 0;

	while (i <= an) {
		size_t la = 0, k = 0;

		while (i + la < an && a[i + la] != ',')
			la++;
		while (k <= bn) {
			size_t lb = 0;

			while (k + lb < bn && b[k + lb] != ',')
				lb++;
			if (la > 0 && la == lb &&
			    strncasecmp(a + i, b + k, la) == 0)
				return true;
			k += lb + 1;
		}
		i += la + 1;
	}
	return false;
}

enum fit { FITS, OTHER_CA, MALFORMED, OTHER_ACCOUNT, OTHER_METHOD };

static enum fit
issue_fits(const struct pl_caa_ask *a, const struct issue *is)
{
	if (!is->valid)
		return MALFORMED;
	if (is->ca_len == 0 ||
	    !lists_meet(a->ca, strlen(a->ca), is->ca, is->ca_len))
		return OTHER_CA;
	/* RFC 8657 sections 3 and 4: twice is as good as unmatched. */
	if (is->nuri > 1 || (is->nuri == 1 && a->account_uri != NULL &&
	    (strlen(a->account_uri) != is->uri_len ||
	    memcmp(a->account_uri, is->uri, is->uri_len) != 0)))
		return OTHER_ACCOUNT;
	if (is->nmethods > 1 || (is->nmethods == 1 && a->methods != NULL &&
	    !lists_meet(a->methods, strlen(a->methods), is->methods,
	    is->methods_len)))
		return OTHER_METHOD;
	return FITS;
}

/* ---- sets -------------------------------------------------------------------------- */

static bool
tag_known(const char *tag)
{
	static const char *const known[] = { "issue", "issuewild", "iodef",
		"contactemail", "contactphone", "issuemail", "issuevmc",
		NULL };

	return pl_str_in(tag, known);
}

static void
say_rr(struct pl_buf *b, const struct pl_caa_rr *rr)
{
	pl_buf_addf(b, "%s \"", rr->tag);
	pl_escape(b, rr->value, rr->len, 200);
	pl_buf_adds(b, "\"");
}

/* The record that would do. */
static void
say_remedy(struct pl_buf *b, const struct pl_caa_ask *a, const char *name,
    const char *tag, enum fit why)
{
	size_t n = strcspn(a->ca, ",");

	pl_buf_addf(b, "; this would allow it: %s. CAA 0 %s \"%.*s", name, tag,
	    (int)n, a->ca);
	if (why == OTHER_ACCOUNT && a->account_uri != NULL)
		pl_buf_addf(b, "; accounturi=%s", a->account_uri);
	if (why == OTHER_METHOD && a->methods != NULL)
		pl_buf_addf(b, "; validationmethods=%s", a->methods);
	pl_buf_adds(b, "\"");
}

static void
say_allowed(struct pl_buf *b, const struct pl_caa_ask *a, const char *name,
    const struct pl_caa_rr *rr, const struct issue *is)
{
	pl_buf_adds(b, "allowed by ");
	say_rr(b, rr);
	pl_buf_addf(b, " at %s", name);
	if (is->nuri == 1 && a->account_uri == NULL)
		pl_buf_adds(b, ", for that account only");
	if (is->nmethods == 1 && a->methods == NULL)
		pl_buf_adds(b, ", by those methods only");
}

static const char *
fit_text(enum fit f)
{
	switch (f) {
	case MALFORMED:
		return " (malformed)";
	case OTHER_ACCOUNT:
		return " (another account)";
	case OTHER_METHOD:
		return " (another method)";
	default:
		return "";
	}
}

static enum pl_caa
set_judge(const struct pl_caa_ask *a, const char *name,
    const struct pl_caa_set *set, struct pl_buf *b)
{
	const char *tag = "issue";
	enum fit worst = OTHER_CA;
	struct pl_buf why;
	size_t n = 0;

	for (size_t i = 0; i < set->n; i++) {
		if ((set->rr[i].flags & CRITICAL) != 0 &&
		    !tag_known(set->rr[i].tag)) {
			pl_buf_addf(b, "forbidden at %s: critical tag %s, "
			    "which CAs do not know", name, set->rr[i].tag);
			return PL_CAA_FORBIDDEN;
		}
		if (a->wildcard && strcmp(set->rr[i].tag, "issuewild") == 0)
			tag = "issuewild";
	}
	if (a->ca == NULL) {
		pl_buf_addf(b, "records at %s: ", name);
		for (size_t i = 0; i < set->n && i < 8; i++) {
			pl_buf_adds(b, i > 0 ? ", " : "");
			say_rr(b, &set->rr[i]);
		}
		return PL_CAA_ALLOWED;
	}
	pl_buf_init(&why, PL_LIM_LINE);
	for (size_t i = 0; i < set->n; i++) {
		const struct pl_caa_rr *rr = &set->rr[i];
		struct issue is;
		enum fit fit;

		if (strcmp(rr->tag, tag) != 0)
			continue;
		issue_parse(&is, rr->value, rr->len);
		fit = issue_fits(a, &is);
		if (fit == FITS) {
			say_allowed(b, a, name, rr, &is);
			pl_buf_clear(&why);
			return PL_CAA_ALLOWED;
		}
		if (fit > worst)
			worst = fit;
		if (n++ < 4) {
			pl_buf_adds(&why, n > 1 ? ", " : "");
			say_rr(&why, rr);
			pl_buf_adds(&why, fit_text(fit));
		}
	}
	if (n == 0)
		pl_buf_addf(b, "allowed: the CAA records at %s restrict "
		    "nobody here", name);
	else {
		pl_buf_addf(b, "forbidden at %s by %s", name, why.data);
		say_remedy(b, a, name, tag, worst);
	}
	pl_buf_clear(&why);
	return n == 0 ? PL_CAA_ALLOWED : PL_CAA_FORBIDDEN;
}

enum pl_caa
pl_caa_climb(const struct pl_caa_ask *a,
    bool (*lookup)(void *ctx, const char *name, struct pl_caa_set *set),
    void *ctx, struct pl_buf *text)
{
	const char *name = a->domain;

	while (name != NULL && name[0] != '\0') {
		struct pl_caa_set set;

		memset(&set, 0, sizeof(set));
		if (!lookup(ctx, name, &set))
			return PL_CAA_WAIT;
		if (set.failed != NULL) {
			pl_buf_addf(text, "CAA of %s cannot be looked up (%s): "
			    "a CA does not issue then", name, set.failed);
			return PL_CAA_FAILED;
		}
		if (set.n > 0)
			return set_judge(a, name, &set, text);
		name = strchr(name, '.');
		if (name != NULL)
			name++;
	}
	pl_buf_addf(text, a->ca == NULL ? "no CAA record at %s or above" :
	    "allowed: no CAA record at %s or above", a->domain);
	return PL_CAA_ALLOWED;
}
