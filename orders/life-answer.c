/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/* What answers of the store mean for an order in the book.  Pure. */
#include "book.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FOLDER "/.well-known/pki-validation/"
#define MOST_CHALLENGES 1000

/* ---- challenges ------------------------------------------------------------ */

struct collect {
	struct pl_order_challenge *list;
	size_t n;
	const char *common;
};

static void
lower(char *s)
{
	for (; *s != '\0'; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s + 'a' - 'A');
}

/* Gives a name as our own are written: lower case, without final dots. */
static char *
name_text(const json_t *from, const char *member)
{
	char *text = pl_store_text(from, member);
	size_t n = text != NULL ? strlen(text) : 0;

	while (n > 0 && text[n - 1] == '.')
		text[--n] = '\0';
	if (n == 0) {
		free(text);
		return NULL;
	}
	lower(text);
	return text;
}

static const char *
bare(const char *name)
{
	return strncmp(name, "*.", 2) == 0 ? name + 2 : name;
}

/* Does the record end in the domain, or in a parent that is its own? */
static bool
is_whole(const char *record, const char *domain)
{
	const char *own = pl_name_registrable(domain);

	if (own == NULL)
		own = domain;
	for (const char *d = domain; d != NULL; d = strchr(d, '.')) {
		d += *d == '.';
		if (pl_suffix_of(d, record))
			return true;
		if (strlen(d) <= strlen(own))
			break;
	}
	return false;
}

/* An owner name as stores write it: maybe short, maybe with a final dot. */
static char *
owner_name(const char *text, const char *domain)
{
	char *name = pl_strdup(text);
	struct pl_buf b;
	size_t n = strlen(name);

	while (n > 0 && name[n - 1] == '.')
		name[--n] = '\0';
	lower(name);
	if (n == 0 || is_whole(name, domain))
		return name;
	pl_buf_init(&b, PL_LIM_LINE);
	pl_buf_addf(&b, "%s.%s", name, domain);
	free(name);
	return pl_buf_take(&b);
}

/* A record: CNAME, or TXT where the word says so and the value is no name. */
static void
set_record(struct pl_order_challenge *c, const char *name, const char *value)
{
	const char *domain = bare(c->domain);
	size_t n = strlen(value);
	bool txt = c->word != NULL && (strcasecmp(c->word, "DNS") == 0 ||
	    strcasestr(c->word, "txt") != NULL);

	if (txt && strstr(value, ".dcv.") == NULL &&
	    strstr(value, ".sectigo.com") == NULL)
		c->kind = PL_TXT;
	else if (name == NULL)
		return;
	else
		c->kind = PL_CNAME;
	c->record = name != NULL ? owner_name(name, domain) :
	    pl_strdup(domain);
	if (c->kind == PL_CNAME && n > 0 && value[n - 1] == '.')
		n--;
	c->value = pl_strndup(value, n);
	c->len = n;
	if (c->kind == PL_CNAME)
		lower(c->value);
	if (c->method < 0)
		c->method = PL_DCV_DNS;
}

static void
set_file(struct pl_order_challenge *c, const char *name,
    const json_t *content)
{
	const char *slash = strrchr(name, '/');
	struct pl_buf path;

	pl_buf_init(&path, PL_LIM_LINE);
	pl_buf_addf(&path, FOLDER "%s", slash != NULL ? slash + 1 : name);
	c->kind = PL_FILE;
	c->record = pl_buf_take(&path);
	if (c->record == NULL)
		c->record = pl_strdup("");
	c->len = pl_json_strlen(content);
	c->value = pl_strndup(pl_json_str(content), c->len);
	if (c->method < 0)
		c->method = PL_DCV_FILE;
}

static void
set_pair(struct pl_order_challenge *c, const json_t *from,
    const char *const members[4])
{
	char *dns = pl_store_text(from, members[0]);
	char *entry = pl_store_text(from, members[1]);
	char *file = pl_store_text(from, members[2]);
	const json_t *content = pl_json_get(from, members[3]);

	c->kind = PL_NOTHING;
	if (c->method == PL_DCV_EMAIL)
		;
	else if (file != NULL && pl_json_strlen(content) > 0 &&
	    c->method != PL_DCV_DNS)
		set_file(c, file, content);
	else if (entry != NULL)
		set_record(c, dns, entry);
	if (c->record == NULL)
		c->record = pl_strdup("");
	if (c->value == NULL)
		c->value = pl_strdup("");
	free(dns);
	free(entry);
	free(file);
}

static struct pl_order_challenge *
add(struct collect *l)
{
	if (l->n == MOST_CHALLENGES)
		return NULL;
	l->list = pl_grow(l->list, l->n + 1, sizeof(*l->list));
	l->list[l->n] = (struct pl_order_challenge){ .method = -1 };
	return &l->list[l->n++];
}

static void
add_entry(struct collect *l, const json_t *entry)
{
	static const char *const members[] = { "DNSName", "DNSEntry",
		"FileName", "FileContents" };
	struct pl_order_challenge *c = add(l);
	enum pl_dcv m;

	if (c == NULL)
		return;
	c->domain = name_text(entry, "domain");
	if (c->domain == NULL)
		c->domain = pl_strdup(l->common);
	c->word = pl_store_text(entry, "dcvMethod");
	if (c->word != NULL && pl_dcv_of_word(&m, c->word))
		c->method = (int)m;
	c->status = pl_store_text(entry, "dcvStatus");
	c->approved = c->status != NULL &&
	    strcasecmp(c->status, "Approved") == 0;
	set_pair(c, entry, members);
}

static struct pl_order_challenge *
find_domain(const struct collect *l, const char *domain)
{
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->list[i].domain, domain) == 0)
			return &l->list[i];
	}
	return NULL;
}

/* The order's own copy, of the main domain. */
static void
add_main(struct collect *l, const json_t *answer)
{
	static const char *const members[] = { "CNAMEAuthName",
		"CNAMEAuthValue", "AuthFileName", "AuthFileContent" };
	struct pl_order_challenge *have = find_domain(l, l->common);
	struct pl_order_challenge c = { .method = have != NULL ?
		have->method : -1 };

	if (have != NULL && (have->kind != PL_NOTHING ||
	    have->method == PL_DCV_EMAIL))
		return;
	c.domain = pl_strdup(l->common);
	c.word = have != NULL ? pl_strdup(have->word) : NULL;
	set_pair(&c, answer, members);
	if (c.kind == PL_NOTHING) {
		free(c.domain);
		free(c.word);
		free(c.record);
		free(c.value);
		return;
	}
	if (have == NULL)
		have = add(l);
	else {
		c.status = have->status;
		c.approved = have->approved;
		free(have->domain);
		free(have->word);
		free(have->record);
		free(have->value);
	}
	*have = c;
}

/*
 * Where the answer has no word on the other names, Sectigo's rule gives
 * their challenges: the same label and target, the same file.
 */
static void
add_like_main(struct collect *l, const struct pl_order_name *name)
{
	const struct pl_order_challenge *main = find_domain(l, l->common);
	struct pl_order_challenge *c;
	const char *dot;
	struct pl_buf owner;
	struct pl_order_challenge m;

	if (main == NULL || main->kind == PL_NOTHING ||
	    main->method != name->method ||
	    find_domain(l, name->name) != NULL)
		return;
	m = *main;
	dot = strchr(m.record, '.');
	c = add(l);
	if (c == NULL)
		return;
	c->domain = pl_strdup(name->name);
	c->method = m.method;
	c->kind = m.kind;
	c->value = pl_strndup(m.value, m.len);
	c->len = m.len;
	if (m.kind != PL_CNAME || dot == NULL) {
		c->record = pl_strdup(m.record);
		return;
	}
	pl_buf_init(&owner, PL_LIM_LINE);
	pl_buf_addf(&owner, "%.*s.%s", (int)(dot - m.record), m.record,
	    bare(name->name));
	c->record = pl_buf_take(&owner);
}

static bool
is_sectigo(const char *product)
{
	struct pl_product p;

	return product != NULL &&
	    pl_product_find(&p, product, NULL) == PL_OK &&
	    pl_product_sectigo(&p);
}

enum pl_code
pl_life_challenges(struct pl_order_challenge **out, size_t *n,
    const json_t *answer, const char *product,
    const struct pl_order_name *names, size_t nnames, struct pl_err *err)
{
	const json_t *status = pl_store_object(answer, "OrderStatus");
	const json_t *vetting = pl_store_list(status,
	    "DomainAuthVettingStatus");
	struct collect l = { .common = nnames > 0 ? names[0].name : "" };

	*out = NULL;
	*n = 0;
	if (pl_json_count(vetting) > MOST_CHALLENGES)
		return pl_fail(err, PL_EPROTO, "sslstore: more than %d "
		    "challenges in an order", MOST_CHALLENGES);
	for (size_t i = 0; i < pl_json_count(vetting); i++) {
		if (pl_json_is_object(pl_json_at(vetting, i)))
			add_entry(&l, pl_json_at(vetting, i));
	}
	add_main(&l, answer);
	if (pl_json_count(vetting) == 0 && is_sectigo(product)) {
		for (size_t i = 1; i < nnames; i++)
			add_like_main(&l, &names[i]);
	}
	*out = l.list;
	*n = l.n;
	return PL_OK;
}

/* ---- an order response over the order ---------------------------------------- */

/* Takes a text that is there; gives whether it is another one. */
static bool
take_text(char **at, const json_t *from, const char *name)
{
	char *text = pl_store_text(from, name);
	bool other;

	if (text == NULL)
		return false;
	other = !pl_streq(*at, text);
	free(*at);
	*at = text;
	return other;
}

static void
take_date(int64_t *at, const json_t *from, const char *name)
{
	int64_t ms = pl_store_date(from, name);

	if (ms != 0)
		*at = ms;
}

static void
drop_names(struct pl_order *o)
{
	for (size_t i = 0; i < o->nnames; i++) {
		free(o->names[i].name);
		free(o->names[i].approver);
	}
	free(o->names);
	o->names = NULL;
	o->nnames = 0;
}

static void
add_name(struct pl_order *o, const char *name)
{
	for (size_t i = 0; i < o->nnames; i++) {
		if (strcmp(o->names[i].name, name) == 0)
			return;
	}
	o->names = pl_grow(o->names, o->nnames + 1, sizeof(*o->names));
	o->names[o->nnames++] = (struct pl_order_name){
		.name = pl_strdup(name), .method = -1 };
}

/* Names of an order that was placed elsewhere are as the store has them. */
static void
take_names(struct pl_order *o, const json_t *answer)
{
	char *common = name_text(answer, "CommonName");
	char **list = NULL;
	size_t n;

	if (common == NULL || (o->ours && o->nnames > 0)) {
		free(common);
		return;
	}
	n = pl_store_names(&list, answer, "DNSNames");
	drop_names(o);
	add_name(o, common);
	for (size_t i = 0; i < n; i++) {
		add_name(o, list[i]);
		free(list[i]);
	}
	free(list);
	free(common);
}

static void
name_methods(struct pl_order *o)
{
	for (size_t i = 0; i < o->nnames; i++) {
		struct pl_order_name *name = &o->names[i];

		for (size_t k = 0; k < o->nchallenges; k++) {
			const struct pl_order_challenge *c =
			    &o->challenges[k];

			if (strcmp(c->domain, name->name) == 0 &&
			    (name->method < 0 || !o->ours))
				name->method = c->method;
		}
	}
}

/* ApproverEmail: one address for all, or a place for each name. */
static void
name_approvers(struct pl_order *o, const json_t *answer)
{
	char *text = pl_store_text(answer, "ApproverEmail"), *at, *next;
	size_t places = 1, i = 0;

	for (at = text; at != NULL && *at != '\0'; at++)
		places += *at == ',';
	for (at = text; at != NULL && i < o->nnames; i++) {
		next = strchr(at, ',');
		if (next != NULL)
			*next++ = '\0';
		for (size_t k = 0; k < o->nnames; k++) {
			if ((places == 1 || k == i) &&
			    o->names[k].approver == NULL &&
			    strchr(at, '@') != NULL)
				o->names[k].approver = pl_strdup(at +
				    strspn(at, " "));
		}
		at = next;
	}
	free(text);
}

/* Is there a word on challenges in it?  Elements of lists may have none. */
static bool
tells_challenges(const json_t *answer)
{
	static const char *const members[] = { "CNAMEAuthValue",
		"AuthFileContent" };
	const json_t *status = pl_store_object(answer, "OrderStatus");

	if (pl_store_list(status, "DomainAuthVettingStatus") != NULL)
		return true;
	for (size_t i = 0; i < PL_NELEM(members); i++) {
		if (pl_json_strlen(pl_json_get(answer, members[i])) > 0)
			return true;
	}
	return false;
}

static size_t
approvals(const struct pl_order *o)
{
	size_t n = 0;

	for (size_t i = 0; i < o->nchallenges; i++)
		n += o->challenges[i].approved;
	return n;
}

static enum pl_code
take_challenges(struct pl_order *o, const json_t *answer, bool *moved,
    struct pl_err *err)
{
	struct pl_order_challenge *list;
	size_t n, before = approvals(o);
	enum pl_code code;

	if (!tells_challenges(answer))
		return PL_OK;
	code = pl_life_challenges(&list, &n, answer, o->product, o->names,
	    o->nnames, err);
	if (code != PL_OK)
		return code;
	if (pl_life_differs(o->challenges, o->nchallenges, list, n))
		*moved = true;
	pl_order_challenges_clear(o->challenges, o->nchallenges);
	o->challenges = list;
	o->nchallenges = n;
	if (approvals(o) != before)
		*moved = true;
	return PL_OK;
}

/* The code that users say: with an organisation of DigiCert's the -EO one. */
static void
take_product(struct pl_order *o, const json_t *answer)
{
	char *code = pl_store_text(answer, "ProductCode");
	struct pl_product p;
	struct pl_buf eo;

	if (code == NULL || o->ours) {
		free(code);
		return;
	}
	pl_buf_init(&eo, PL_LIM_LINE);
	pl_buf_addf(&eo, "%s-EO", code);
	free(o->product);
	if (pl_store_int(answer, "TSSOrganizationId", 0) > 0 &&
	    pl_product_find(&p, eo.data, NULL) == PL_OK) {
		o->product = pl_strdup(p.code);
		free(code);
	} else
		o->product = code;
	pl_buf_clear(&eo);
}

static void
take_state(struct pl_order *o, const json_t *answer, bool *moved)
{
	const json_t *words = pl_store_object(answer, "OrderStatus");
	enum pl_order_state was = o->state;

	take_text(&o->major, words, "MajorStatus");
	if (words != NULL && !take_text(&o->minor, words, "MinorStatus") &&
	    pl_json_is_null(pl_json_get(words, "MinorStatus"))) {
		free(o->minor);
		o->minor = NULL;
	}
	if (take_text(&o->serial, answer, "SerialNumber"))
		o->revoked = false;
	o->state = pl_life_state(o->major, o->minor, o->revoked);
	if (pl_store_bool(answer, "isRefundApproved", false))
		o->state = PL_O_CANCELLED;
	if (o->state != was)
		*moved = true;
}

enum pl_code
pl_life_apply(struct pl_order *o, const json_t *answer, bool *moved,
    struct pl_err *err)
{
	int64_t months = pl_store_int(answer, "Validity", 0);
	enum pl_code code;

	*moved = false;
	take_text(&o->store_id, answer, "TheSSLStoreOrderID");
	if (o->store_id == NULL)
		return pl_fail(err, PL_EPROTO, "sslstore: an order without "
		    "TheSSLStoreOrderID");
	if (take_text(&o->partner_id, answer, "PartnerOrderID"))
		*moved = true;
	take_text(&o->vendor_id, answer, "VendorOrderID");
	if (o->custom_id == NULL)
		take_text(&o->custom_id, answer, "CustomOrderID");
	take_text(&o->refund_id, answer, "RefundRequestID");
	take_product(o, answer);
	take_names(o, answer);
	if (months > 0 && months < 1000)
		o->months = (unsigned)months;
	take_date(&o->purchased, answer, "PurchaseDate");
	take_date(&o->expires, answer, "OrderExpiryDate");
	take_date(&o->not_before, answer, "CertificateStartDate");
	take_date(&o->not_after, answer, "CertificateEndDate");
	take_state(o, answer, moved);
	code = take_challenges(o, answer, moved, err);
	name_methods(o);
	name_approvers(o, answer);
	return code;
}

static const struct pl_order_challenge *
challenge_for(const struct pl_order *o, const char *name)
{
	const struct pl_order_challenge *near = NULL;

	for (size_t i = 0; i < o->nchallenges; i++) {
		const struct pl_order_challenge *c = &o->challenges[i];

		if (strcmp(c->domain, name) == 0)
			return c;
		if (strcmp(bare(c->domain), bare(name)) == 0)
			near = c;
	}
	return near;
}

enum pl_code
pl_life_downgraded(const struct pl_order *o, struct pl_err *err)
{
	for (size_t i = 0; i < o->nnames; i++) {
		const struct pl_order_name *name = &o->names[i];
		const struct pl_order_challenge *c;
		char id[PL_ORDER_ID * 2];

		if (name->method < 0 || pl_life_final(o->state))
			continue;
		c = challenge_for(o, name->name);
		if (c == NULL && (i > 0 || name->method == PL_DCV_EMAIL))
			continue;
		if (c != NULL && (c->approved || c->method < 0 ||
		    c->method == name->method))
			continue;
		pl_order_id(id, sizeof(id), o);
		return pl_fail(err, PL_EREMOTE, "order %s: %s: %s was asked "
		    "for, the store made it %s%s%s", id, name->name,
		    pl_dcv_name((enum pl_dcv)name->method), c == NULL ?
		    "something else, probably e-mail" :
		    pl_dcv_name((enum pl_dcv)c->method),
		    c != NULL && c->word != NULL ? ": " : "",
		    c != NULL && c->word != NULL ? c->word : "");
	}
	return PL_OK;
}

bool
pl_life_whole(const json_t *element)
{
	const json_t *words = pl_store_object(element, "OrderStatus");
	char *code = pl_store_text(element, "ProductCode");
	char *major = pl_store_text(words, "MajorStatus");
	char *minor = pl_store_text(words, "MinorStatus");
	char *serial = pl_store_text(element, "SerialNumber");
	enum pl_order_state state = pl_life_state(major, minor, false);
	bool whole;

	whole = code != NULL && major != NULL &&
	    (pl_life_final(state) || pl_store_list(words,
	    "DomainAuthVettingStatus") != NULL) &&
	    (state != PL_O_ISSUED || (serial != NULL &&
	    pl_store_date(element, "CertificateEndDate") != 0));
	free(serial);
	free(code);
	free(major);
	free(minor);
	return whole;
}

/* ---- certificates ------------------------------------------------------------- */

bool
pl_life_same_serial(const char *a, const char *b)
{
	for (; *a == '0' || *a == ':'; a++)
		continue;
	for (; *b == '0' || *b == ':'; b++)
		continue;
	for (; *a != '\0' && *b != '\0'; a++, b++) {
		a += *a == ':';
		b += *b == ':';
		if (toupper((unsigned char)*a) != toupper((unsigned char)*b))
			return false;
	}
	return *a == *b;
}

size_t
pl_life_pem(struct pl_buf *out, const json_t *download)
{
	const json_t *files = pl_store_list(download, "Certificates");
	size_t n = 0;

	for (size_t i = 0; i < pl_json_count(files); i++) {
		const json_t *text = pl_json_get(pl_json_at(files, i),
		    "FileContent");

		if (pl_json_is_string(text))
			n += pl_store_pem(out, pl_json_str(text),
			    pl_json_strlen(text));
	}
	return n;
}

static void
keep_cert(struct pl_book_cert *out, const struct pl_cert *leaf,
    const struct pl_cert *const *chain, size_t n)
{
	struct pl_buf mid, hex;

	pl_buf_init(&mid, PL_LIM_BODY);
	pl_buf_init(&hex, PL_LIM_LINE);
	pl_hex(&hex, leaf->sha256, sizeof(leaf->sha256));
	memcpy(out->sha256, hex.data, sizeof(out->sha256));
	pl_buf_clear(&hex);
	out->serial = pl_strdup(leaf->serial);
	out->leaf = pl_strdup(leaf->pem);
	out->not_before = leaf->not_before;
	out->not_after = leaf->not_after;
	for (size_t i = 1; i < n; i++) {
		if (!chain[i]->self_issued)
			pl_buf_adds(&mid, chain[i]->pem);
		else if (out->root == NULL)
			out->root = pl_strdup(chain[i]->pem);
	}
	if (out->root == NULL)
		out->root = pl_strdup("");
	out->chain = pl_buf_take(&mid);
	if (out->chain == NULL)
		out->chain = pl_strdup("");
}

enum pl_code
pl_life_cert(struct pl_book_cert *out, const char *pem, size_t n,
    const unsigned char *spki, bool server, const struct pl_trust *trust,
    int64_t now, struct pl_err *err)
{
	const struct pl_cert *chain[PL_CERTS_MOST], *leaf;
	struct pl_cert **certs;
	size_t count;
	enum pl_code code;

	*out = (struct pl_book_cert){ 0 };
	if (n == 0)
		return pl_fail(err, PL_EABSENT, "no certificate in the "
		    "download yet");
	code = pl_certs_parse(&certs, &count, pem, n, err);
	if (code != PL_OK)
		return code;
	leaf = pl_certs_leaf(certs, count, spki);
	if (leaf == NULL) {
		code = pl_fail(err, PL_EABSENT, "%s", spki != NULL ?
		    "no certificate in the download has the key of the CSR" :
		    "no end-entity certificate in the download");
		goto out;
	}
	keep_cert(out, leaf, chain, pl_certs_chain(chain, certs, count,
	    leaf));
	code = pl_certs_verify(certs, count, leaf, trust, server, now,
	    &out->trusted, err);
out:
	pl_certs_free(certs, count);
	return code;
}
