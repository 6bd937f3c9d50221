/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Whether a host's key is the right one, and the sentences that are said where it
 * is not.  Nothing is ever learnt here.
 */
#include "ssh-dial.h"

#include <string.h>

/* The line of a file of known hosts, without its end. */
void
pl_ssh_shown_line(struct pl_buf *b, const struct pl_ssh_shown *k)
{
	pl_buf_addf(b, "%s %s ", k->name, k->type);
	pl_base64(b, k->key, k->len);
}

/* What a person has to add who has compared the fingerprint. */
static void
shown_advice(struct pl_buf *b, const struct pl_ssh_shown *k,
    const struct pl_ssh_opts *o)
{
	struct pl_buf line;

	pl_buf_init(&line, PL_LIM_SECRET);
	pl_ssh_shown_line(&line, k);
	if (o->known_hosts == NULL || line.len > 180)
		pl_buf_addf(b, "host-key = \"%s\"", k->print.data);
	else
		pl_buf_adds(b, line.data);
	pl_buf_clear(&line);
}

static enum pl_code
judge_pinned(const struct pl_ssh_shown *k,
    const struct pl_ssh_opts *o, struct pl_err *err)
{
	if (strcmp(k->print.data, o->host_key) == 0)
		return PL_OK;
	return pl_fail(err, PL_EREMOTE, "%s: host key changed: it shows %s "
	    "%s, the account says %s; if that is meant to be: host-key = "
	    "\"%s\"", k->name, k->type, k->print.data, o->host_key,
	    k->print.data);
}

/* The file has the host, but not this kind of key of it. */
static enum pl_code
judge_kind(const struct pl_ssh_shown *k,
    const char *types, struct pl_err *err)
{
	if (!k->rsa_sha2 && strcmp(types, "ssh-rsa") == 0)
		return pl_fail(err, PL_EINVAL, "%s: host key unknown: %s %s; "
		    "only its RSA key is in known-hosts-file, and this "
		    "libssh2 (%s) cannot check that one: rsa-sha2 needs "
		    "libssh2 1.11", k->name, k->type, k->print.data,
		    k->library);
	return PL_OK;
}

static enum pl_code
judge_known(const struct pl_ssh_shown *k,
    const struct pl_ssh_opts *o, const struct pl_buf *text,
    struct pl_err *err)
{
	struct pl_known_host h = { k->host, k->port, k->key, k->len };
	struct pl_buf advice, types;
	enum pl_code rc = PL_OK;
	unsigned line;

	pl_buf_init(&advice, PL_LIM_LINE);
	pl_buf_init(&types, PL_LIM_LINE);
	shown_advice(&advice, k, o);
	switch (pl_known_hosts(text->data, text->len, &h, &line, &types)) {
	case PL_KNOWN_SAME:
		break;
	case PL_KNOWN_NOT:
		rc = judge_kind(k, types.data, err);
		if (rc == PL_OK)
			rc = pl_fail(err, PL_EINVAL, "%s: host key unknown: "
			    "%s; if it is the right one, add: %s",
			    k->name, k->print.data, advice.data);
		break;
	case PL_KNOWN_OTHER:
		rc = pl_fail(err, PL_EREMOTE, "%s: host key changed: %s, not "
		    "what line %u says; if that is meant to be: %s",
		    k->name, k->print.data, line, advice.data);
		break;
	case PL_KNOWN_REVOKED:
		rc = pl_fail(err, PL_EREMOTE, "%s: host key revoked by line "
		    "%u of %s: %s %s", k->name, line, o->known_hosts,
		    k->type, k->print.data);
		break;
	}
	pl_buf_clear(&advice);
	pl_buf_clear(&types);
	return rc;
}

enum pl_code
pl_ssh_judge(const struct pl_ssh_shown *k, const struct pl_ssh_opts *o,
    const struct pl_buf *text, struct pl_err *err)
{
	return o->host_key != NULL ? judge_pinned(k, o, err) :
	    judge_known(k, o, text, err);
}

/* Is it an RSA key?  As far as that can be told without opening it. */
bool
pl_ssh_key_is_rsa(const struct pl_secret *key)
{
	static const unsigned char oid[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7,
		0x0d, 0x01, 0x01, 0x01 };
	const char *text = pl_secret_expose(key), *from, *to;
	struct pl_buf blob;
	bool rsa;

	if (strstr(text, "BEGIN RSA PRIVATE KEY") != NULL)
		return true;
	from = strstr(text, "-----\n");
	to = strstr(text, "\n-----END");
	if (from == NULL || to == NULL || to < from + 6)
		return false;
	pl_buf_init(&blob, PL_LIM_SECRET);
	if (pl_base64_decode(&blob, from + 6, (size_t)(to - from - 6),
	    NULL) != PL_OK)
		pl_buf_reset(&blob);
	/* OpenSSH's form has the public key in the clear; PKCS #8 an OID. */
	rsa = blob.len > 0 &&
	    (memmem(blob.data, blob.len, "\0\0\0\7ssh-rsa", 11) != NULL ||
	    memmem(blob.data, blob.len, oid, sizeof(oid)) != NULL);
	pl_buf_clear(&blob);
	return rsa;
}
