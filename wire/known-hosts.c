/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Files of known hosts as OpenSSH keeps them (sshd(8)).  They are the
 * administrator's, but a line that we do not understand is passed over, as ssh
 * does, and never taken for a match.
 */
#include "wire.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define HASHED "|1|"
#define SHA1_LEN 20

/* One word of a line; lent from the text. */
struct word {
	const char *p;
	size_t n;
};

static struct word
word_next(const char **p, const char *end)
{
	struct word w;

	while (*p < end && (**p == ' ' || **p == '\t' || **p == '\r'))
		(*p)++;
	w.p = *p;
	while (*p < end && **p != ' ' && **p != '\t' && **p != '\r')
		(*p)++;
	w.n = (size_t)(*p - w.p);
	return w;
}

static bool
word_is(struct word w, const char *s)
{
	return w.n == strlen(s) && memcmp(w.p, s, w.n) == 0;
}

void
pl_known_name(struct pl_buf *b, const char *host, uint16_t port)
{
	if (port == 22)
		pl_buf_adds(b, host);
	else
		pl_buf_addf(b, "[%s]:%u", host, (unsigned)port);
}

/* '*' and '?' as in a file name; letter case does not count. */
static bool
pattern_fits(const char *p, size_t n, const char *name)
{
	const char *star = NULL, *back = NULL, *end = p + n;

	while (*name != '\0') {
		if (p < end && *p == '*') {
			star = ++p;
			back = name;
		} else if (p < end && (*p == '?' ||
		    tolower((unsigned char)*p) ==
		    tolower((unsigned char)*name))) {
			p++;
			name++;
		} else if (star != NULL) {
			p = star;
			name = ++back;
		} else
			return false;
	}
	while (p < end && *p == '*')
		p++;
	return p == end;
}

/* "|1|SALT|HASH": HMAC-SHA1 of the name under the salt. */
static bool
hashed_fits(struct word w, const char *name)
{
	const char *salt = w.p + strlen(HASHED), *end = w.p + w.n,
	    *bar = memchr(salt, '|', (size_t)(end - salt));
	struct pl_part part = { name, strlen(name) };
	struct pl_buf key, want;
	struct pl_hmac *h = NULL;
	unsigned char sum[64];
	bool fits = false;

	if (bar == NULL)
		return false;
	pl_buf_init(&key, PL_LIM_LINE);
	pl_buf_init(&want, PL_LIM_LINE);
	if (pl_base64_decode(&key, salt, (size_t)(bar - salt), NULL) ==
	    PL_OK && pl_base64_decode(&want, bar + 1,
	    (size_t)(end - bar - 1), NULL) == PL_OK &&
	    key.len == SHA1_LEN && want.len == SHA1_LEN &&
	    pl_hmac_new(&h, "sha1", key.data, key.len, NULL) == PL_OK) {
		pl_hmac_sum(h, sum, &part, 1);
		fits = pl_same_octets(sum, want.data, SHA1_LEN);
	}
	pl_hmac_free(h);
	pl_buf_clear(&key);
	pl_buf_clear(&want);
	return fits;
}

/* The first field: one hash, or patterns parted by commas. */
static bool
hosts_fit(struct word w, const char *name)
{
	const char *p = w.p, *end = w.p + w.n, *comma;
	bool fits = false;

	if (w.n > strlen(HASHED) && memcmp(p, HASHED, strlen(HASHED)) == 0)
		return hashed_fits(w, name);
	for (; p < end; p = comma + 1) {
		bool not = *p == '!';

		comma = memchr(p, ',', (size_t)(end - p));
		if (comma == NULL)
			comma = end;
		if (pattern_fits(p + not, (size_t)(comma - p) - not, name)) {
			if (not)
				return false;
			fits = true;
		}
	}
	return fits;
}

/* Is that the type which the key's blob begins with? */
static bool
blob_typed(const struct pl_buf *blob, struct word type)
{
	const unsigned char *p = (const unsigned char *)blob->data;

	return blob->len >= 4 + type.n && p[0] == 0 && p[1] == 0 &&
	    ((size_t)p[2] << 8 | p[3]) == type.n &&
	    memcmp(p + 4, type.p, type.n) == 0;
}

static void
types_add(struct pl_buf *types, struct word type)
{
	if (types == NULL)
		return;
	if (types->len > 0)
		pl_buf_addc(types, ',');
	pl_buf_add(types, type.p, type.n);
}

static enum pl_known
line_says(const char *p, const char *end, const char *name,
    const struct pl_known_host *h, struct pl_buf *types)
{
	struct word first = word_next(&p, end), hosts = first, type, key;
	bool revoked = word_is(first, "@revoked");
	enum pl_known says = PL_KNOWN_NOT;
	struct pl_buf blob;
	size_t same;

	if (first.n == 0 || first.p[0] == '#')
		return PL_KNOWN_NOT;
	if (first.p[0] == '@' && !revoked)
		return PL_KNOWN_NOT;
	if (revoked)
		hosts = word_next(&p, end);
	type = word_next(&p, end);
	key = word_next(&p, end);
	if (key.n == 0 || !hosts_fit(hosts, name))
		return PL_KNOWN_NOT;
	pl_buf_init(&blob, PL_LIM_SECRET);
	if (pl_base64_decode(&blob, key.p, key.n, NULL) != PL_OK ||
	    !blob_typed(&blob, type))
		goto out;
	if (!revoked)
		types_add(types, type);
	if (h->key != NULL && blob.len == h->len &&
	    memcmp(blob.data, h->key, h->len) == 0)
		says = revoked ? PL_KNOWN_REVOKED : PL_KNOWN_SAME;
	else if (!revoked && h->key != NULL) {
		/* Of the same kind: the types before the keys are equal. */
		same = 4 + type.n;
		if (h->len >= same && memcmp(blob.data, h->key, same) == 0)
			says = PL_KNOWN_OTHER;
	}
out:
	pl_buf_clear(&blob);
	return says;
}

enum pl_known
pl_known_hosts(const char *text, size_t n, const struct pl_known_host *h,
    unsigned *line, struct pl_buf *types)
{
	const char *p = text, *end = text + n, *stop;
	enum pl_known all = PL_KNOWN_NOT, says;
	struct pl_buf name;
	unsigned at = 0;

	*line = 0;
	pl_buf_init(&name, PL_LIM_LINE);
	pl_known_name(&name, h->host, h->port);
	for (; p < end; p = stop + 1) {
		at++;
		stop = memchr(p, '\n', (size_t)(end - p));
		if (stop == NULL)
			stop = end;
		says = line_says(p, stop, name.data, h, types);
		/* Revoked beats known, known beats another. */
		if (says == PL_KNOWN_REVOKED ||
		    (says == PL_KNOWN_SAME && all != PL_KNOWN_REVOKED &&
		    all != PL_KNOWN_SAME) ||
		    (says == PL_KNOWN_OTHER && all == PL_KNOWN_NOT)) {
			all = says;
			*line = at;
		}
		if (stop == end)
			break;
	}
	pl_buf_clear(&name);
	return all;
}
