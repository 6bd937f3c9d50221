/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * How control of a domain may be proven for a product, and how that is said
 * to the store: three indicators for the main domain, words or addresses in
 * the order of the names for the others.
 */
#include "orders.h"

#include <string.h>
#include <strings.h>

static const struct {
	const char *name;
	const char *indicator;		/* or NULL: none of them */
	const char *sectigo, *digicert;	/* words in the list of a mixed order */
} methods[] = {
	[PL_DCV_DNS] = { "dns", "CNAMEAuthDVIndicator", "DNS",
	    "dns_cname_token" },
	[PL_DCV_FILE] = { "file", "FileAuthDVIndicator", "HTTP", "HTTP" },
	[PL_DCV_HTTPS_FILE] = { "https-file", "HTTPSFileAuthDVIndicator",
	    "HTTPS", "HTTPS" },
	[PL_DCV_EMAIL] = { "email", NULL, NULL, "EMAIL" },
};
_Static_assert(PL_NELEM(methods) == PL_NDCV, "a row for each method");

static const struct {
	const char *word;
	enum pl_dcv method;
} words[] = {
	{ "EMAIL", PL_DCV_EMAIL },
	{ "HTTP_CSR_HASH", PL_DCV_FILE },
	{ "HTTPS_CSR_HASH", PL_DCV_HTTPS_FILE },
	{ "CNAME_CSR_HASH", PL_DCV_DNS },
	{ "DNS_CNAME_TOKEN", PL_DCV_DNS },
	{ "DNS_TXT_TOKEN", PL_DCV_DNS },
	{ "DNS", PL_DCV_DNS },
	{ "CNAME", PL_DCV_DNS },
	{ "FILE", PL_DCV_FILE },
	{ "HTTP", PL_DCV_FILE },
	{ "HTTP_TOKEN", PL_DCV_FILE },
	{ "HTTPS", PL_DCV_HTTPS_FILE },
};

const char *
pl_dcv_name(enum pl_dcv m)
{
	return methods[m].name;
}

bool
pl_dcv_parse(enum pl_dcv *m, const char *text)
{
	for (size_t i = 0; i < PL_NELEM(methods); i++) {
		if (strcmp(methods[i].name, text) == 0) {
			*m = (enum pl_dcv)i;
			return true;
		}
	}
	return false;
}

/* "dns-cname-token" is DigiCert's own spelling. */
static bool
same_word(const char *a, const char *b)
{
	for (; *a != '\0' && *b != '\0'; a++, b++)
		if (strncasecmp(a, b, 1) != 0 && !(*a == '_' && *b == '-'))
			return false;
	return *a == *b;
}

bool
pl_dcv_of_word(enum pl_dcv *m, const char *word)
{
	for (size_t i = 0; word != NULL && i < PL_NELEM(words); i++) {
		if (same_word(words[i].word, word)) {
			*m = words[i].method;
			return true;
		}
	}
	return false;
}

enum pl_code
pl_dcv_check(const struct pl_product *p, enum pl_dcv m, const char *name,
    struct pl_err *err)
{
	bool file = m == PL_DCV_FILE || m == PL_DCV_HTTPS_FILE;

	if (file && strncmp(name, "*.", 2) == 0)
		return pl_fail(err, PL_EINVAL, "%s: a file cannot prove a "
		    "wildcard name: use dns or email", name);
	if (m == PL_DCV_HTTPS_FILE && !pl_product_sectigo(p))
		return pl_fail(err, PL_EINVAL, "%s: https-file is not for %s "
		    "products: use file, dns or email", name,
		    pl_vendor_name(p->vendor));
	return PL_OK;
}

/* ---- saying it ---------------------------------------------------------------- */

static void
add_place(struct pl_buf *b, const char *text)
{
	pl_buf_addf(b, "%s%s", b->len > 0 ? "," : "", text);
}

/* Is the address among the places of the list already? */
static bool
listed(const char *list, const char *mail)
{
	size_t n, len = strlen(mail);

	for (; *list != '\0'; list += n + (list[n] == ',')) {
		n = strcspn(list, ",");
		if (n == len && strncasecmp(list, mail, n) == 0)
			return true;
	}
	return false;
}

static enum pl_code
need_mail(const char *name, const char *mail, struct pl_err *err)
{
	if (mail != NULL && mail[0] != '\0' && strchr(mail, ',') == NULL)
		return PL_OK;
	return pl_fail(err, PL_EINVAL, "%s: an approver address is needed "
	    "for e-mail", name);
}

/* One place for each name. */
static enum pl_code
place_each(const struct pl_product *p, struct pl_buf *b,
    const char *const *names, const enum pl_dcv *m, const char *const *mails,
    size_t n, struct pl_err *err)
{
	enum pl_code code = PL_OK;

	for (size_t i = 0; i < n && code == PL_OK; i++) {
		const char *word = pl_product_sectigo(p) ?
		    methods[m[i]].sectigo : methods[m[i]].digicert;

		if (word == NULL)
			code = need_mail(names[i], mails[i], err);
		if (code == PL_OK)
			add_place(b, word != NULL ? word : mails[i]);
	}
	return code;
}

static enum pl_code
place_mails(struct pl_buf *b, const char *const *names,
    const char *const *mails, size_t n, struct pl_err *err)
{
	enum pl_code code = PL_OK;

	for (size_t i = 0; i < n && code == PL_OK; i++) {
		code = need_mail(names[i], mails[i], err);
		if (code == PL_OK && !listed(b->data, mails[i]))
			add_place(b, mails[i]);
	}
	return code;
}

enum pl_code
pl_dcv_fill(const struct pl_product *p, json_t *request, bool reissue,
    const char *const *names, const enum pl_dcv *m, const char *const *mails,
    size_t n, const char *lone, struct pl_err *err)
{
	struct pl_buf places;
	enum pl_code code = PL_OK;
	bool same = true;

	for (size_t i = 0; i < n && code == PL_OK; i++) {
		same = same && m[i] == m[0];
		code = pl_dcv_check(p, m[i], names[i], err);
	}
	if (code == PL_OK && n == 0)
		code = pl_fail(err, PL_EINVAL, "%s: no name", p->code);
	if (code == PL_OK && !same && !p->multi)
		code = pl_fail(err, PL_EINVAL, "%s: takes one method for all "
		    "of its names", p->code);
	if (code != PL_OK)
		return code;
	pl_buf_init(&places, PL_LIM_FRAME);
	if (same && m[0] == PL_DCV_EMAIL)
		code = place_mails(&places, names, mails, n, err);
	else if (p->multi && n > 1)
		code = place_each(p, &places, names, m, mails, n, err);
	else if (lone != NULL)
		add_place(&places, lone);
	for (size_t i = 0; code == PL_OK && i < PL_NELEM(methods); i++)
		if (methods[i].indicator != NULL)
			pl_json_setb(request, methods[i].indicator,
			    (enum pl_dcv)i == m[0]);
	if (code == PL_OK && places.len > 0)
		pl_json_sets(request, reissue ? "ApproverEmails" :
		    "ApproverEmail", places.data);
	pl_buf_clear(&places);
	return code;
}

/* ---- approvers ------------------------------------------------------------------ */

static bool
on_list(const json_t *list, const char *mail)
{
	const char *s;

	for (size_t i = 0; i < pl_json_count(list); i++) {
		s = pl_json_str(pl_json_at(list, i));
		if (s != NULL && strcasecmp(s, mail) == 0)
			return true;
	}
	return false;
}

static enum pl_code
off_list(const char *name, const json_t *list, struct pl_err *err)
{
	struct pl_buf b;
	const char *s;

	pl_buf_init(&b, PL_LIM_LINE);
	for (size_t i = 0; i < pl_json_count(list) && b.len < 200; i++) {
		s = pl_json_str(pl_json_at(list, i));
		if (s != NULL)
			pl_buf_addf(&b, "%s%.80s", b.len > 0 ? ", " : "", s);
	}
	pl_fail(err, PL_EINVAL, "%s: none of the approver addresses can "
	    "approve it; these can: %s", name, b.len > 0 ? b.data : "none");
	pl_buf_clear(&b);
	return PL_EINVAL;
}

enum pl_code
pl_approvers_check(const struct pl_product *p, const char *const *names,
    const json_t *const *lists, size_t n, const char *const *given,
    size_t ngiven, struct pl_err *err)
{
	bool sectigo = pl_product_sectigo(p), found;

	if (ngiven == 0)
		return pl_fail(err, PL_EINVAL, "%s: an approver address is "
		    "needed for e-mail", p->code);
	if (!sectigo && ngiven > 1)
		return pl_fail(err, PL_EINVAL, "%s: exactly one approver "
		    "address is taken, %zu are given", p->code, ngiven);
	for (size_t i = 0; i < (sectigo ? n : n > 0 ? 1 : 0); i++) {
		found = false;
		for (size_t k = 0; k < ngiven; k++)
			found = found || on_list(lists[i], given[k]);
		if (!found)
			return off_list(names[i], lists[i], err);
	}
	return PL_OK;
}
