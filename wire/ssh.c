/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * SSH sessions through libssh2, without blocking, and with the order of
 * things that matters: algorithms, host key, and only then who we are.
 */
#include "ssh-dial.h"

#include <libssh2.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define EARLY_MAX	(16u << 10)	/* of what a server says in the clear */
#define SLICE		(32u << 10)	/* octets a write */
#define IN_MOST		(1u << 20)	/* octets that are read in one go */
#define PROMPTS		8		/* questions of a server we answer */
#define IDENTITIES	6		/* keys of an agent we offer */
#define BLOB_MAX	(16u << 10)	/* of a host key */
#define RSA_SHA2_SINCE	0x010b00	/* libssh2 1.11.0 */

/* No CBC, no SHA-1, no MD5; ChaCha20-Poly1305 is left out because it is open
 * to prefix truncation where the key exchange is not strict (CVE-2023-48795). */
static const char *const wanted[] = {
	[LIBSSH2_METHOD_KEX] = "curve25519-sha256,"
	    "curve25519-sha256@libssh.org,ecdh-sha2-nistp256,"
	    "ecdh-sha2-nistp384,ecdh-sha2-nistp521,"
	    "diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,"
	    "diffie-hellman-group14-sha256,"
	    "diffie-hellman-group-exchange-sha256",
	[LIBSSH2_METHOD_HOSTKEY] = "ssh-ed25519,ecdsa-sha2-nistp256,"
	    "ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,"
	    "rsa-sha2-256",
	[LIBSSH2_METHOD_CRYPT_CS] = "aes256-gcm@openssh.com,"
	    "aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr",
	[LIBSSH2_METHOD_CRYPT_SC] = "aes256-gcm@openssh.com,"
	    "aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr",
	[LIBSSH2_METHOD_MAC_CS] = "hmac-sha2-256,hmac-sha2-512,"
	    "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com",
	[LIBSSH2_METHOD_MAC_SC] = "hmac-sha2-256,hmac-sha2-512,"
	    "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com",
};

struct pl_ssh {
	int fd;
	LIBSSH2_SESSION *session;
	LIBSSH2_CHANNEL *channel;
	char *host;
	uint16_t port;
	struct pl_buf name;		/* as in a file of known hosts */
	struct pl_buf offered[PL_KEX_LISTS];	/* by us */
	struct pl_buf early;		/* what the server said first */
	const struct pl_secret *password;	/* lent to the answers of prompts */
	unsigned prompts;
	char slice[SLICE];		/* what is being written */
	size_t slice_len, slice_at;
};

/* ---- memory of the library: wiped when it is freed ------------------------ */

#define HEAD 16		/* octets before each block, for its size */

static LIBSSH2_ALLOC_FUNC(mem_alloc)
{
	size_t *p;

	(void)abstract;
	if (count > PL_LIM_FRAME)
		return NULL;
	p = malloc(count + HEAD);
	if (p == NULL)
		return NULL;
	*p = count;
	return (char *)p + HEAD;
}

static LIBSSH2_FREE_FUNC(mem_free)
{
	size_t *p;

	(void)abstract;
	if (ptr == NULL)
		return;
	p = (void *)((char *)ptr - HEAD);
	explicit_bzero(ptr, *p);
	free(p);
}

static LIBSSH2_REALLOC_FUNC(mem_realloc)
{
	void *new = mem_alloc(count, abstract);
	size_t old;

	if (ptr == NULL || new == NULL)
		return new;
	old = *(size_t *)(void *)((char *)ptr - HEAD);
	memcpy(new, ptr, old < count ? old : count);
	mem_free(ptr, abstract);
	return new;
}

/* ---- waiting and failing -------------------------------------------------- */

/* Waits in these directions; false at the deadline. */
static bool
ssh_poll(const struct pl_ssh *s, int dir, int64_t deadline)
{
	struct pollfd p = { .fd = s->fd };
	int64_t left = deadline - pl_mono_ms();

	if (left <= 0)
		return false;
	if ((dir & LIBSSH2_SESSION_BLOCK_INBOUND) != 0 || dir == 0)
		p.events |= POLLIN;
	if ((dir & LIBSSH2_SESSION_BLOCK_OUTBOUND) != 0)
		p.events |= POLLOUT;
	(void)poll(&p, 1, left > 600000 ? 600000 : (int)left);
	return true;
}

/* Waits for what the library waits for; false at the deadline. */
static bool
ssh_turn(struct pl_ssh *s, int64_t deadline)
{
	return ssh_poll(s, libssh2_session_block_directions(s->session),
	    deadline);
}

static enum pl_code
ssh_code(int rc)
{
	switch (rc) {
	case LIBSSH2_ERROR_AUTHENTICATION_FAILED:
	case LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED:
	case LIBSSH2_ERROR_PASSWORD_EXPIRED:
	case LIBSSH2_ERROR_FILE:
	case LIBSSH2_ERROR_KEYFILE_AUTH_FAILED:
		return PL_EAUTH;
	case LIBSSH2_ERROR_CHANNEL_FAILURE:
	case LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED:
	case LIBSSH2_ERROR_REQUEST_DENIED:
		return PL_EREMOTE;
	case LIBSSH2_ERROR_PROTO:
	case LIBSSH2_ERROR_INVALID_MAC:
	case LIBSSH2_ERROR_DECRYPT:
	case LIBSSH2_ERROR_OUT_OF_BOUNDARY:
		return PL_EPROTO;
	default:
		return PL_ENET;
	}
}

/*
 * Is it the connection, and nothing that anybody has said?  While a user is
 * authenticated the library has one code for "no" and for "no answer"; what
 * it was waiting for stands in its text only.
 */
static bool
ssh_is_link(struct pl_ssh *s, int rc)
{
	char *text = NULL;

	(void)libssh2_session_last_error(s->session, &text, NULL, 0);
	if (ssh_code(rc) == PL_EAUTH && text != NULL &&
	    (strncmp(text, "Waiting", 7) == 0 ||
	    strncmp(text, "Unable to send", 14) == 0))
		return true;
	return rc == LIBSSH2_ERROR_EAGAIN || rc == LIBSSH2_ERROR_TIMEOUT ||
	    rc == LIBSSH2_ERROR_SOCKET_NONE ||
	    rc == LIBSSH2_ERROR_SOCKET_SEND ||
	    rc == LIBSSH2_ERROR_SOCKET_RECV ||
	    rc == LIBSSH2_ERROR_SOCKET_DISCONNECT ||
	    rc == LIBSSH2_ERROR_SOCKET_TIMEOUT ||
	    rc == LIBSSH2_ERROR_BAD_SOCKET;
}

static enum pl_code
ssh_fail(struct pl_ssh *s, int rc, const char *doing, struct pl_err *err)
{
	char *text = NULL;

	if (rc == LIBSSH2_ERROR_EAGAIN)
		return pl_fail(err, PL_ENET, "%s: %s: deadline passed",
		    s->name.data, doing);
	(void)libssh2_session_last_error(s->session, &text, NULL, 0);
	return pl_fail(err, ssh_is_link(s, rc) ? PL_ENET : ssh_code(rc),
	    "%s: %s: %s", s->name.data, doing,
	    text != NULL && *text != '\0' ? text : "connection lost");
}

/* ---- a session ------------------------------------------------------------- */

/* Reads for the library, and keeps what comes first. */
static LIBSSH2_RECV_FUNC(ssh_recv)
{
	struct pl_ssh *s = *abstract;
	ssize_t n;

	do
		n = recv(socket, buffer, length, flags | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	if (s->early.len + (size_t)n <= EARLY_MAX)
		pl_buf_add(&s->early, buffer, (size_t)n);
	return n;
}

/* The part of the list that this libssh2 can do, `first` in front. */
static void
ssh_offer(struct pl_ssh *s, int method, const char *first,
    struct pl_buf *out)
{
	const char *lists[2] = { first, wanted[method] };
	const char **can = NULL, *p;
	int n = libssh2_session_supported_algs(s->session, method, &can);
	size_t len;

	pl_buf_init(out, PL_LIM_LINE);
	for (int k = 0; k < 2; k++) {
		for (p = lists[k]; p != NULL && *p != '\0';
		    p += len + (p[len] == ',')) {
			bool known = false;

			len = strcspn(p, ",");
			for (int i = 0; i < n; i++)
				known = known || (strlen(can[i]) == len &&
				    memcmp(can[i], p, len) == 0);
			if (!known || !pl_list_has(wanted[method], p, len) ||
			    pl_list_has(out->data, p, len))
				continue;
			if (out->len > 0)
				pl_buf_addc(out, ',');
			pl_buf_add(out, p, len);
		}
	}
	if (n > 0)
		libssh2_free(s->session, can);
}

static enum pl_code
ssh_prefer(struct pl_ssh *s, const char *hostkeys, bool only,
    struct pl_err *err)
{
	static const int methods[PL_KEX_LISTS] = { LIBSSH2_METHOD_KEX,
		LIBSSH2_METHOD_HOSTKEY, LIBSSH2_METHOD_CRYPT_CS,
		LIBSSH2_METHOD_CRYPT_SC, LIBSSH2_METHOD_MAC_CS,
		LIBSSH2_METHOD_MAC_SC };

	for (int i = 0; i < PL_KEX_LISTS; i++) {
		struct pl_buf *b = &s->offered[i];

		ssh_offer(s, methods[i], i == PL_KEX_HOSTKEYS ? hostkeys :
		    NULL, b);
		if (i == PL_KEX_HOSTKEYS && only) {
			pl_buf_clear(b);
			pl_buf_adds(b, hostkeys);
		}
		if (b->len == 0 || libssh2_session_method_pref(s->session,
		    methods[i], b->data) != 0)
			return pl_fail(err, PL_EINVAL, "libssh2 %s: offers "
			    "none of %s", libssh2_version(0),
			    wanted[methods[i]]);
	}
	return PL_OK;
}

static bool
has_rsa_sha2(void)
{
	return libssh2_version(RSA_SHA2_SINCE) != NULL;
}

/* Why nothing was shared; PL_OK where something was. */
static enum pl_code
ssh_unshared(struct pl_ssh *s, struct pl_err *err)
{
	static const char *const what[PL_KEX_LISTS] = { "key exchange",
		"host key", "cipher", "cipher", "MAC", "MAC" };
	struct pl_kexinit k;

	if (!pl_kexinit_read(&k, s->early.data, s->early.len))
		return PL_OK;
	if (!pl_list_shares(k.list[PL_KEX_HOSTKEYS],
	    s->offered[PL_KEX_HOSTKEYS].data) && !has_rsa_sha2() &&
	    strstr(k.list[PL_KEX_HOSTKEYS], "rsa") != NULL)
		return pl_fail(err, PL_EREMOTE, "%s: shows an RSA host key "
		    "only, and this libssh2 (%s) knows RSA only with SHA-1: "
		    "rsa-sha2 needs libssh2 1.11; give the server an Ed25519 "
		    "or ECDSA host key", s->name.data, libssh2_version(0));
	for (int i = 0; i < PL_KEX_LISTS; i++) {
		if (!pl_list_shares(k.list[i], s->offered[i].data))
			return pl_fail(err, PL_EREMOTE, "%s: no %s algorithm "
			    "is shared: it offers %.160s", s->name.data,
			    what[i], k.list[i]);
	}
	return PL_OK;
}

static enum pl_code
ssh_handshake(struct pl_ssh *s, int64_t deadline, struct pl_err *err)
{
	int rc;

	do
		rc = libssh2_session_handshake(s->session, s->fd);
	while (rc == LIBSSH2_ERROR_EAGAIN && ssh_turn(s, deadline));
	if (rc == 0)
		return PL_OK;
	if (rc != LIBSSH2_ERROR_EAGAIN && ssh_unshared(s, err) != PL_OK)
		return PL_EREMOTE;
	return ssh_fail(s, rc, "key exchange", err);
}

void
pl_ssh_close(struct pl_ssh *s)
{
	int tries = 0;

	if (s == NULL)
		return;
	if (s->session != NULL) {
		if (s->fd >= 0) {
			(void)libssh2_session_disconnect(s->session, "done");
			/* Nothing can block behind this. */
			(void)shutdown(s->fd, SHUT_RDWR);
		}
		while (libssh2_session_free(s->session) ==
		    LIBSSH2_ERROR_EAGAIN && ++tries < 100)
			continue;
		libssh2_exit();
	}
	if (s->fd >= 0)
		close(s->fd);
	free(s->host);
	pl_buf_clear(&s->name);
	for (int i = 0; i < PL_KEX_LISTS; i++)
		pl_buf_clear(&s->offered[i]);
	pl_buf_clear(&s->early);
	explicit_bzero(s->slice, sizeof(s->slice));
	free(s);
}

/*
 * Connects and agrees on keys.  hostkeys: types to be offered first, with
 * `only` alone; NULL: ours.
 */
static enum pl_code
ssh_reach(struct pl_ssh **out, const char *host, uint16_t port,
    const char *hostkeys, bool only, int64_t deadline, struct pl_err *err)
{
	struct pl_ssh *s = pl_alloc(sizeof(*s));
	union {		/* the library wants a void * */
		LIBSSH2_RECV_FUNC((*fn));
		void *p;
	} cb;
	enum pl_code rc;

	*out = NULL;
	s->fd = -1;
	s->host = pl_strdup(host);
	s->port = port;
	pl_buf_init(&s->name, PL_LIM_LINE);
	pl_buf_init(&s->early, 2 * EARLY_MAX);
	pl_known_name(&s->name, host, port);
	rc = pl_ssh_dial(&s->fd, host, port, deadline, err);
	if (rc != PL_OK)
		goto fail;
	rc = PL_EIO;
	if (libssh2_init(0) != 0) {
		pl_fail(err, rc, "libssh2: cannot be started");
		goto fail;
	}
	s->session = libssh2_session_init_ex(mem_alloc, mem_free, mem_realloc,
	    s);
	if (s->session == NULL) {
		libssh2_exit();
		pl_fail(err, rc, "libssh2: no session");
		goto fail;
	}
	libssh2_session_set_blocking(s->session, 0);
	cb.fn = ssh_recv;
	(void)libssh2_session_callback_set(s->session, LIBSSH2_CALLBACK_RECV,
	    cb.p);
	rc = ssh_prefer(s, hostkeys, only, err);
	if (rc == PL_OK)
		rc = ssh_handshake(s, deadline, err);
	if (rc != PL_OK)
		goto fail;
	*out = s;
	return PL_OK;
fail:
	pl_ssh_close(s);
	return rc;
}

/* ---- the host's key ---------------------------------------------------------- */

static enum pl_code
shown_get(struct pl_ssh_shown *k, struct pl_ssh *s, struct pl_err *err)
{
	unsigned char sum[32];
	const unsigned char *p;
	size_t n;
	int type;

	*k = (struct pl_ssh_shown){ .host = s->host, .port = s->port,
		.name = s->name.data, .library = libssh2_version(0),
		.rsa_sha2 = has_rsa_sha2() };
	pl_buf_init(&k->print, PL_LIM_LINE);
	k->key = libssh2_session_hostkey(s->session, &k->len, &type);
	p = (const unsigned char *)k->key;
	if (k->key == NULL || k->len < 4 || k->len > BLOB_MAX ||
	    p[0] != 0 || p[1] != 0 || p[2] != 0 ||
	    (n = p[3]) >= sizeof(k->type) || n > k->len - 4)
		return pl_fail(err, PL_EPROTO, "%s: shows no host key that "
		    "makes sense", s->name.data);
	memcpy(k->type, k->key + 4, n);
	k->type[n] = '\0';
	pl_sha256(sum, k->key, k->len);
	pl_buf_adds(&k->print, "SHA256:");
	pl_base64(&k->print, sum, sizeof(sum));
	while (k->print.data[k->print.len - 1] == '=')
		k->print.data[--k->print.len] = '\0';
	return PL_OK;
}

static enum pl_code
ssh_judge(struct pl_ssh *s, const struct pl_ssh_opts *o,
    const struct pl_buf *text, struct pl_err *err)
{
	struct pl_ssh_shown k;
	enum pl_code rc;

	rc = shown_get(&k, s, err);
	if (rc == PL_OK)
		rc = pl_ssh_judge(&k, o, text, err);
	pl_buf_clear(&k.print);
	return rc;
}

/* A pinned key may be of any kind: tries the server's others as well. */
static enum pl_code
ssh_reach_pinned(struct pl_ssh **out, const struct pl_ssh_opts *o,
    int64_t deadline, struct pl_err *err)
{
	const char *p = wanted[LIBSSH2_METHOD_HOSTKEY];
	struct pl_kexinit seen;
	char type[64];
	enum pl_code rc;
	size_t len;

	rc = ssh_reach(out, o->host, o->port, NULL, false, deadline, err);
	if (rc != PL_OK)
		return rc;
	rc = ssh_judge(*out, o, NULL, err);
	if (rc != PL_EREMOTE || !pl_kexinit_read(&seen, (*out)->early.data,
	    (*out)->early.len))
		return rc;
	for (; *p != '\0'; p += len + (p[len] == ',')) {
		struct pl_ssh *other;

		len = strcspn(p, ",");
		memcpy(type, p, len);
		type[len] = '\0';
		if (!pl_list_has(seen.list[PL_KEX_HOSTKEYS], p, len) ||
		    !pl_list_has((*out)->offered[PL_KEX_HOSTKEYS].data, p,
		    len) || ssh_reach(&other, o->host, o->port, type, true,
		    deadline, NULL) != PL_OK)
			continue;
		if (ssh_judge(other, o, NULL, NULL) == PL_OK) {
			pl_ssh_close(*out);
			*out = other;
			pl_err_clear(err);
			return PL_OK;
		}
		pl_ssh_close(other);
	}
	return PL_EREMOTE;
}

static enum pl_code
ssh_reach_known(struct pl_ssh **out, const struct pl_ssh_opts *o,
    int64_t deadline, struct pl_err *err)
{
	struct pl_known_host h = { o->host, o->port, NULL, 0 };
	struct pl_buf text, types;
	enum pl_code rc = PL_OK;
	unsigned line;

	pl_buf_init(&text, PL_LIM_CONFIG);
	pl_buf_init(&types, PL_LIM_LINE);
	if (o->known_hosts != NULL)
		rc = pl_file_read(&text, o->known_hosts, err);
	if (rc != PL_OK) {
		pl_prefix(err, "known-hosts-file");
		rc = PL_EINVAL;
	} else {
		/* The kinds that are known come first, as ssh does it. */
		(void)pl_known_hosts(text.data, text.len, &h, &line, &types);
		if (pl_list_has(types.data, "ssh-rsa", 7))
			pl_buf_adds(&types, ",rsa-sha2-512,rsa-sha2-256");
		rc = ssh_reach(out, o->host, o->port, types.data, false,
		    deadline, err);
	}
	if (rc == PL_OK)
		rc = ssh_judge(*out, o, &text, err);
	pl_buf_clear(&text);
	pl_buf_clear(&types);
	return rc;
}

enum pl_code
pl_ssh_host_keys(struct pl_buf *text, const char *host, uint16_t port,
    int64_t deadline, struct pl_err *err)
{
	const char *p = wanted[LIBSSH2_METHOD_HOSTKEY];
	enum pl_code rc = PL_OK;
	struct pl_ssh *s;
	struct pl_ssh_shown k;
	char type[64];
	size_t len;

	for (; *p != '\0'; p += len + (p[len] == ',')) {
		len = strcspn(p, ",");
		memcpy(type, p, len);
		type[len] = '\0';
		/* The one RSA key, once; and not where the library cannot. */
		if (strcmp(type, "rsa-sha2-256") == 0 ||
		    (strncmp(type, "rsa-", 4) == 0 && !has_rsa_sha2()))
			continue;
		rc = ssh_reach(&s, host, port, type, true, deadline, err);
		if (rc == PL_EREMOTE)
			continue;
		if (rc != PL_OK)
			return rc;
		rc = shown_get(&k, s, err);
		if (rc == PL_OK) {
			pl_buf_addf(text, "%s %s\n", k.type, k.print.data);
			pl_ssh_shown_line(text, &k);
			pl_buf_addc(text, '\n');
		}
		pl_buf_clear(&k.print);
		pl_ssh_close(s);
		if (rc != PL_OK)
			return rc;
	}
	if (text->len > 0) {
		pl_err_clear(err);
		return PL_OK;
	}
	/* Once more with all of them, for the sentence. */
	rc = ssh_reach(&s, host, port, NULL, false, deadline, err);
	pl_ssh_close(s);
	return rc;
}

/* ---- the user ------------------------------------------------------------------ */

static enum pl_code
auth_key(struct pl_ssh *s, const struct pl_ssh_opts *o, int64_t deadline,
    struct pl_err *err)
{
	const char *phrase = o->passphrase != NULL ?
	    pl_secret_expose(o->passphrase) : NULL;
	int rc;

	do
		rc = libssh2_userauth_publickey_frommemory(s->session,
		    o->user, strlen(o->user), NULL, 0,
		    pl_secret_expose(o->key), pl_secret_len(o->key), phrase);
	while (rc == LIBSSH2_ERROR_EAGAIN && ssh_turn(s, deadline));
	if (rc == 0)
		return PL_OK;
	if (ssh_is_link(s, rc))
		return ssh_fail(s, rc, "authentication", err);
	if (rc != LIBSSH2_ERROR_AUTHENTICATION_FAILED &&
	    rc != LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED)
		return pl_fail(err, PL_EAUTH, "private-key: cannot be used: "
		    "%s, or it is no key that libssh2 %s reads",
		    phrase != NULL ? "the passphrase is wrong" :
		    "it wants a passphrase", libssh2_version(0));
	if (!has_rsa_sha2() && pl_ssh_key_is_rsa(o->key))
		return pl_fail(err, PL_EAUTH, "%s: user %s: RSA key refused: "
		    "this libssh2 (%s) signs RSA only with SHA-1, which "
		    "servers of today do not take: rsa-sha2 needs libssh2 "
		    "1.11; use an Ed25519 or ECDSA key", s->name.data,
		    o->user, libssh2_version(0));
	return pl_fail(err, PL_EAUTH, "%s: user %s: key refused",
	    s->name.data, o->user);
}

static enum pl_code
auth_password(struct pl_ssh *s, const struct pl_ssh_opts *o,
    int64_t deadline, struct pl_err *err)
{
	int rc;

	do
		rc = libssh2_userauth_password_ex(s->session, o->user,
		    (unsigned)strlen(o->user), pl_secret_expose(o->password),
		    (unsigned)pl_secret_len(o->password), NULL);
	while (rc == LIBSSH2_ERROR_EAGAIN && ssh_turn(s, deadline));
	if (rc == 0)
		return PL_OK;
	if (ssh_code(rc) == PL_EAUTH && !ssh_is_link(s, rc))
		return pl_fail(err, PL_EAUTH, "%s: user %s: password %s",
		    s->name.data, o->user,
		    rc == LIBSSH2_ERROR_PASSWORD_EXPIRED ? "has expired" :
		    "refused");
	return ssh_fail(s, rc, "authentication", err);
}

/* The password answers hidden questions; what a server shows stays empty. */
static LIBSSH2_USERAUTH_KBDINT_RESPONSE_FUNC(auth_answer)
{
	struct pl_ssh *s = *abstract;
	size_t len = pl_secret_len(s->password);

	(void)name;
	(void)name_len;
	(void)instruction;
	(void)instruction_len;
	for (int i = 0; i < num_prompts; i++) {
		responses[i].text = NULL;
		responses[i].length = 0;
		if (prompts[i].echo != 0 || ++s->prompts > PROMPTS)
			continue;
		responses[i].text = mem_alloc(len + 1, abstract);
		if (responses[i].text == NULL)
			continue;
		memcpy(responses[i].text, pl_secret_expose(s->password),
		    len);
		responses[i].length = (unsigned)len;
	}
}

static enum pl_code
auth_prompts(struct pl_ssh *s, const struct pl_ssh_opts *o,
    int64_t deadline, struct pl_err *err)
{
	int rc;

	s->password = o->password;
	do
		rc = libssh2_userauth_keyboard_interactive_ex(s->session,
		    o->user, (unsigned)strlen(o->user), auth_answer);
	while (rc == LIBSSH2_ERROR_EAGAIN && ssh_turn(s, deadline));
	s->password = NULL;
	if (rc == 0)
		return PL_OK;
	if (ssh_code(rc) == PL_EAUTH && !ssh_is_link(s, rc))
		return pl_fail(err, PL_EAUTH, "%s: user %s: password refused "
		    "(keyboard-interactive)", s->name.data, o->user);
	return ssh_fail(s, rc, "authentication", err);
}

static enum pl_code
agent_try(struct pl_ssh *s, LIBSSH2_AGENT *agent,
    const struct pl_ssh_opts *o, int64_t deadline, struct pl_err *err)
{
	struct libssh2_agent_publickey *key = NULL;
	int rc, tried = 0;

	while (tried < IDENTITIES &&
	    libssh2_agent_get_identity(agent, &key, key) == 0) {
		tried++;
		do
			rc = libssh2_agent_userauth(agent, o->user, key);
		while (rc == LIBSSH2_ERROR_EAGAIN && ssh_turn(s, deadline));
		if (rc == 0)
			return PL_OK;
		if (ssh_code(rc) != PL_EAUTH || ssh_is_link(s, rc))
			return ssh_fail(s, rc, "authentication", err);
	}
	return pl_fail(err, PL_EAUTH, "%s: user %s: none of the agent's %d "
	    "keys was taken%s", s->name.data, o->user, tried,
	    has_rsa_sha2() ? "" : " (RSA keys need libssh2 1.11)");
}

static enum pl_code
auth_agent(struct pl_ssh *s, const struct pl_ssh_opts *o, int64_t deadline,
    struct pl_err *err)
{
	LIBSSH2_AGENT *agent = libssh2_agent_init(s->session);
	enum pl_code rc;

	if (agent == NULL)
		return pl_fail(err, PL_EIO, "%s: no agent", o->agent);
	libssh2_agent_set_identity_path(agent, o->agent);
	if (libssh2_agent_connect(agent) != 0)
		rc = pl_fail(err, PL_EAUTH, "%s: no agent answers there",
		    o->agent);
	else if (libssh2_agent_list_identities(agent) != 0)
		rc = pl_fail(err, PL_EAUTH, "%s: the agent tells no keys",
		    o->agent);
	else
		rc = agent_try(s, agent, o, deadline, err);
	(void)libssh2_agent_disconnect(agent);
	libssh2_agent_free(agent);
	return rc;
}

/* What the server would take; "" where it let us in at once. */
static enum pl_code
auth_methods(struct pl_ssh *s, const char *user, int64_t deadline,
    char out[256], struct pl_err *err)
{
	char *list;

	do
		list = libssh2_userauth_list(s->session, user,
		    (unsigned)strlen(user));
	while (list == NULL && libssh2_session_last_errno(s->session) ==
	    LIBSSH2_ERROR_EAGAIN && ssh_turn(s, deadline));
	out[0] = '\0';
	if (list != NULL) {
		size_t n = strlen(list);

		memcpy(out, list, n < 255 ? n : 255);
		out[n < 255 ? n : 255] = '\0';
	} else if (libssh2_userauth_authenticated(s->session) == 0)
		return ssh_fail(s, libssh2_session_last_errno(s->session),
		    "authentication", err);
	return PL_OK;
}

/* Each of ours that the server takes, in turn: some want two of them. */
static enum pl_code
ssh_authenticate(struct pl_ssh *s, const struct pl_ssh_opts *o,
    int64_t deadline, struct pl_err *err)
{
	char methods[256];
	enum pl_code rc;
	bool tried = false;

	rc = auth_methods(s, o->user, deadline, methods, err);
	if (rc != PL_OK || methods[0] == '\0')
		return rc;
	if (o->key != NULL && pl_list_has(methods, "publickey", 9)) {
		tried = true;
		rc = auth_key(s, o, deadline, err);
	}
	if (o->agent != NULL && (!tried || rc == PL_EAUTH) &&
	    pl_list_has(methods, "publickey", 9)) {
		tried = true;
		rc = auth_agent(s, o, deadline, err);
	}
	if (o->password == NULL || (tried && rc != PL_EAUTH))
		goto out;
	/* A key that was one of two may have changed what is taken now. */
	if (tried && auth_methods(s, o->user, deadline, methods, NULL) !=
	    PL_OK)
		goto out;
	if (pl_list_has(methods, "password", 8)) {
		tried = true;
		rc = auth_password(s, o, deadline, err);
	} else if (pl_list_has(methods, "keyboard-interactive", 20)) {
		tried = true;
		rc = auth_prompts(s, o, deadline, err);
	}
out:
	if (!tried)
		return pl_fail(err, PL_EAUTH, "%s: user %s: the server takes "
		    "%s only", s->name.data, o->user, methods);
	return rc;
}

/* ---- the door -------------------------------------------------------------------- */

enum pl_code
pl_ssh_open(struct pl_ssh **out, const struct pl_ssh_opts *o,
    int64_t deadline, struct pl_err *err)
{
	enum pl_code rc;

	*out = NULL;
	rc = o->host_key != NULL ? ssh_reach_pinned(out, o, deadline, err) :
	    ssh_reach_known(out, o, deadline, err);
	if (rc == PL_OK)
		rc = ssh_authenticate(*out, o, deadline, err);
	if (rc != PL_OK) {
		pl_ssh_close(*out);
		*out = NULL;
	}
	return rc;
}

enum pl_code
pl_ssh_subsystem(struct pl_ssh *s, const char *name, int64_t deadline,
    struct pl_err *err)
{
	int rc;

	do
		s->channel = libssh2_channel_open_session(s->session);
	while (s->channel == NULL && libssh2_session_last_errno(s->session) ==
	    LIBSSH2_ERROR_EAGAIN && ssh_turn(s, deadline));
	if (s->channel == NULL)
		return ssh_fail(s, libssh2_session_last_errno(s->session),
		    "channel", err);
	do
		rc = libssh2_channel_subsystem(s->channel, name);
	while (rc == LIBSSH2_ERROR_EAGAIN && ssh_turn(s, deadline));
	if (rc != 0)
		return ssh_fail(s, rc, name, err);
	do
		rc = libssh2_channel_handle_extended_data2(s->channel,
		    LIBSSH2_CHANNEL_EXTENDED_DATA_IGNORE);
	while (rc == LIBSSH2_ERROR_EAGAIN && ssh_turn(s, deadline));
	return rc == 0 ? PL_OK : ssh_fail(s, rc, name, err);
}

/* Writes a slice; the library wants the same one until it is through. */
static int
ssh_write(struct pl_ssh *s, struct pl_buf *out)
{
	ssize_t n;

	if (s->slice_at == s->slice_len) {
		s->slice_len = out->len < SLICE ? out->len : SLICE;
		s->slice_at = 0;
		memcpy(s->slice, out->data, s->slice_len);
		pl_buf_drop(out, s->slice_len);
	}
	if (s->slice_len == 0)
		return LIBSSH2_ERROR_EAGAIN;
	n = libssh2_channel_write(s->channel, s->slice + s->slice_at,
	    s->slice_len - s->slice_at);
	if (n > 0)
		s->slice_at += (size_t)n;
	return (int)n;
}

static int
ssh_read(struct pl_ssh *s, struct pl_buf *in)
{
	char chunk[16384];
	ssize_t n;

	n = libssh2_channel_read(s->channel, chunk, sizeof(chunk));
	if (n > 0)
		pl_buf_add(in, chunk, (size_t)n);
	return (int)n;
}

enum pl_code
pl_ssh_move(struct pl_ssh *s, struct pl_buf *out, struct pl_buf *in,
    int64_t deadline, struct pl_err *err)
{
	bool moved = false;
	int rc, dir;

	for (;;) {
		while ((rc = ssh_write(s, out)) > 0)
			moved = true;
		dir = s->slice_at < s->slice_len ?
		    libssh2_session_block_directions(s->session) : 0;
		if (rc < 0 && rc != LIBSSH2_ERROR_EAGAIN)
			return ssh_fail(s, rc, "sending", err);
		while ((rc = ssh_read(s, in)) > 0) {
			moved = true;
			if (in->len >= IN_MOST)
				return PL_OK;
		}
		if (rc < 0 && rc != LIBSSH2_ERROR_EAGAIN)
			return ssh_fail(s, rc, "reading", err);
		if (in->failed)
			return pl_fail(err, PL_EPROTO, "%s: sends more than "
			    "was asked for", s->name.data);
		if (moved)
			return PL_OK;
		if (rc == 0 || libssh2_channel_eof(s->channel))
			return pl_fail(err, PL_ENET, "%s: the server has "
			    "closed the connection", s->name.data);
		if (!ssh_poll(s, dir | LIBSSH2_SESSION_BLOCK_INBOUND,
		    deadline))
			return ssh_fail(s, LIBSSH2_ERROR_EAGAIN, "transfer",
			    err);
	}
}

bool
pl_ssh_stale(struct pl_ssh *s)
{
	struct pl_buf in;
	int rc;

	pl_buf_init(&in, PL_LIM_SECRET);
	rc = ssh_read(s, &in);
	pl_buf_clear(&in);
	return rc != LIBSSH2_ERROR_EAGAIN ||
	    libssh2_channel_eof(s->channel) != 0;
}
