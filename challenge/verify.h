/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * What the files of the verifier share; nobody else includes it.
 *
 *   verify.c      checks, timers, the loop, what is told to the caller
 *   verify-net.c  servers' addresses ("peers"), their sockets, questions
 *   verify-doh.c  resolvers by HTTPS
 *   verify-zone.c resolvers, zone cuts, server sets, serials
 *   verify-dns.c  a record: aliases, one answer of each server
 *   verify-weigh.c what they come to
 *   verify-judge.c what an answer means; no state, no network
 *   verify-http.c a file: one fetch from each address
 *   verify-policy.c DNSSEC, CAA, the delegation: what else a CA looks at
 *
 * Nothing here calls back while its caller is in the middle of something:
 * a peer with work is put on v->busy and a check that learnt something on
 * v->ripe, and both lists are emptied by pl_verifier_run.
 */
#ifndef PL_VERIFY_H
#define PL_VERIFY_H

#include <sys/queue.h>
#include <sys/socket.h>

#include "challenge.h"

#define V_INFLIGHT	64	/* questions under way to one address */
#define V_SOCKS		8	/* UDP sockets to one address */
#define V_SLOTS		16	/* questions under way on one socket */
#define V_SOCK_USES	512	/* questions after which a port is given up */
#define V_SOCK_AGE	10000	/* ms after which it is */
#define V_FDS		400	/* UDP sockets in all */
#define V_TCPS		128	/* TCP connections in all */
#define V_PEER_TCPS	16	/* to one address */
#define V_HOPS		8	/* aliases followed */
#define V_CUTS		8	/* delegations followed below the first zone */
#define V_SERVERS	64	/* addresses of one zone */
#define V_UDP_MS	1000	/* until a datagram counts as lost */
#define V_TCP_MS	3000	/* a whole exchange by TCP */
#define V_GAP		100	/* first gap between looks, ms */
#define V_GAP_MAX	5000
#define V_RX		4096	/* of a datagram; more is cut and not believed */
#define V_TELL_MS	200	/* least time between two reports of a check */

#define v_of(ptr, type, member) \
	((type *)(void *)((char *)(ptr) - offsetof(type, member)))

struct pl_verifier;

/* ---- tables by name, timers, descriptors -------------------------------- */

struct entry {
	struct entry *next;
	uint32_t hash;
	const char *key;	/* the owner's */
};
struct table {
	struct entry **bucket;
	size_t n, cap;
	uint32_t seed;
};
struct entry *table_get(const struct table *t, const char *key);
void table_add(struct table *t, struct entry *e, const char *key);
void table_del(struct table *t, struct entry *e);
/* Takes some entry out; NULL where there is none. */
struct entry *table_pop(struct table *t);
/* Takes out those that old() says yes to, and gives them to drop(). */
void table_sweep(struct pl_verifier *v, struct table *t,
    bool (*old)(const struct pl_verifier *v, struct entry *e),
    void (*drop)(struct pl_verifier *v, struct entry *e));

struct timer {
	int64_t at;		/* pl_mono_ms */
	size_t pos;		/* 1-based place in the heap; 0: not set */
	void (*fire)(struct pl_verifier *v, struct timer *t);
};
void timer_set(struct pl_verifier *v, struct timer *t, int64_t at);
void timer_stop(struct pl_verifier *v, struct timer *t);

struct watch {
	int fd;
	void (*ready)(struct pl_verifier *v, struct watch *w, uint32_t events);
};
/* False where the descriptor cannot be watched. */
bool watch_add(struct pl_verifier *v, struct watch *w, uint32_t events);
void watch_change(struct pl_verifier *v, struct watch *w, uint32_t events);
/* Closes the descriptor and forgets what epoll has said of it. */
void watch_close(struct pl_verifier *v, struct watch *w);

/* ---- questions ------------------------------------------------------------ */

enum q_end {
	Q_ANSWER,
	Q_TIMEOUT,
	Q_CLOSED,	/* nothing listens there */
	Q_NOROUTE,	/* this host cannot reach that family or network */
	Q_GARBAGE,	/* answers came, none that belongs to the question */
};
struct reply {
	enum q_end end;
	const struct pl_dns_msg *msg;	/* Q_ANSWER */
	uint32_t ms;
	bool tcp;
	bool truncated;		/* by UDP; end tells of TCP */
	bool rested;		/* not asked: it has been silent lately */
};

struct usock {
	struct watch w;
	struct peer *peer;
	unsigned n, used, wrong;
	int64_t born;
	struct query *q[V_SLOTS];
};
struct tconn;

TAILQ_HEAD(queries, query);
struct peer {
	struct entry entry;	/* by text */
	TAILQ_ENTRY(peer) busy;
	bool is_busy;
	struct sockaddr_storage sa;
	socklen_t salen;
	char text[64];		/* "192.0.2.1", "192.0.2.1:5353" */
	uint16_t port;
	char *url;		/* DNS over HTTPS (RFC 8484), or NULL */
	char addr[64];		/* of its host */
	struct pl_verifier *v;
	struct queries waiting;
	struct usock *sock[V_SOCKS];
	unsigned inflight, tcps;
	unsigned fails;		/* questions in a row without an answer */
	int64_t rest_until;	/* not asked before */
	int64_t rest;
	int64_t heard;		/* us, last answer */
	bool noedns;		/* FORMERR to EDNS, an answer without */
	uint32_t srtt_us;
};

typedef void query_done(struct pl_verifier *v, struct query *q,
    const struct reply *r);
struct query {
	TAILQ_ENTRY(query) link;
	struct peer *peer;
	const char *name;	/* lent by the owner */
	uint16_t type;
	uint8_t flags;		/* PL_DNS_… */
	bool quick;		/* two datagrams, then give up */
	bool noedns;
	uint8_t tries, garbage;
	query_done *done;
	void *owner;
	unsigned index;		/* the owner's */
	struct timer timer;
	struct usock *sock;
	struct tconn *tcp;
	struct pl_fetch *fetch;
	bool loose;		/* on none of these, nor waiting */
	bool want_tcp, truncated;
	unsigned char *pkt;
	size_t len;
	int64_t first, sent;	/* us */
};
/* Lends the peer for the verifier's life; NULL where text is no address. */
struct peer *peer_get(struct pl_verifier *v, const char *addr, uint16_t port);
/* A resolver by its URL: https, or http on loopback.  A host that is a name
 * is looked up here and now, as the system does. */
enum pl_code peer_doh(struct pl_verifier *v, struct peer **out,
    const char *url, struct pl_err *err);
/* Asks; done() is called once, later, unless the query is cancelled. */
struct query *query_ask(struct pl_verifier *v, struct peer *p,
    const char *name, unsigned type, unsigned flags, query_done *done,
    void *owner);
void query_cancel(struct pl_verifier *v, struct query *q);	/* or NULL */
/* verify-net.c for verify-doh.c: p has work; q's message is written; it ends
 * without an answer; a message that matches it has come. */
void peer_busy(struct pl_verifier *v, struct peer *p);
void query_build(struct query *q, bool tcp);
void query_fail(struct pl_verifier *v, struct query *q, enum q_end end);
void query_answer(struct pl_verifier *v, struct query *q,
    const unsigned char *p, size_t n, bool tcp);
bool doh_start(struct pl_verifier *v, struct query *q);
void peers_pump(struct pl_verifier *v);
void peer_free(struct pl_verifier *v, struct peer *p);

/* ---- resolvers -------------------------------------------------------------- */

/* Somebody who waits for something that is looked up for many. */
struct want {
	TAILQ_ENTRY(want) link;
	struct wants *list;	/* NULL: waits for nothing */
	void (*ready)(struct pl_verifier *v, struct want *w);
};
TAILQ_HEAD(wants, want);
void want_stop(struct want *w);
void wants_wake(struct pl_verifier *v, struct wants *l);

/* One question to the resolvers and its answer, kept for a while. */
struct lookup {
	struct entry entry;
	char *key;		/* "TYPE name" */
	const char *name;	/* within key */
	unsigned type;
	bool done;
	bool failed;		/* no resolver gave an answer */
	unsigned rcode;
	bool alias;		/* an alias stands at the name */
	char **text;		/* NS names, addresses, or the owner of the SOA */
	struct pl_caa_rr *caa;	/* CAA; tag and value are its own */
	size_t n;
	size_t next;		/* resolver to ask next */
	unsigned left;		/* attempts left */
	struct query *q;
	int64_t expires;
	struct wants wants;
};
/*
 * Lends an answer that is at hand; else NULL, and w->ready is called when
 * the time has come to call again.
 */
struct lookup *lookup_get(struct pl_verifier *v, const char *name,
    unsigned type, struct want *w);
void lookup_free(struct pl_verifier *v, struct lookup *l);

/* ---- zones ------------------------------------------------------------------- */

struct zserver {
	char *name;		/* of the server; its address where it has none */
	struct peer *peer;
	bool known;		/* serial is */
	uint32_t serial;
	int64_t bumped;		/* when looks were last hurried by a new serial */
	bool bump;		/* they are to be */
	bool lacks;		/* somebody waits for a value here */
	struct query *soa;
};
struct nsaddr {
	char *name;
	char **glue;		/* addresses that a referral gave */
	size_t nglue;
	bool done_a, done_aaaa;
	struct want a, aaaa;
	struct zone *zone;
};
LIST_HEAD(hops, hop);
struct zone {
	struct entry entry;
	bool listed;		/* in the table */
	unsigned refs;
	char *name;		/* NULL: servers given, zone not known yet */
	bool given;		/* the configuration names the servers */
	bool recursive;		/* they are the resolvers */
	bool done, failed;
	struct pl_err err;
	struct zserver *s;
	size_t n;
	struct want ns;
	bool named;		/* addr is filled, addresses are looked up */
	struct nsaddr *addr;
	size_t naddr;
	int64_t expires;
	struct wants wants;
	struct hops hops;	/* checks that look here */
	size_t nhops;
	struct timer watch;	/* serials, while somebody waits for a value */
	int64_t asked;		/* serials, last */
	int64_t watch_since;
	unsigned asking;	/* serials under way */
	struct wants serials;	/* who waits for them */
};
/*
 * The zone that `start` lies in (start: a name that may be asked of a
 * resolver) with a reference for the caller, ready to be asked; else NULL:
 * err->code is PL_OK where w->ready will be called when it is worth to call
 * again, or says why there is none.
 */
struct zone *zone_find(struct pl_verifier *v, const char *start,
    struct want *w, struct pl_err *err);
/* Is z ready?  As above. */
bool zone_ready(struct zone *z, struct want *w, struct pl_err *err);
void zone_unref(struct pl_verifier *v, struct zone *z);
/* A zone on the servers that the configuration gives; with a reference. */
struct zone *zone_given(struct pl_verifier *v, const char *name);
/* The resolvers, for want of a server that can be reached; with a reference. */
struct zone *zone_resolvers(struct pl_verifier *v);
/* The zone whose servers a referral has named, with their addresses where
 * it gave them; with a reference; may not be ready yet. */
struct zone *zone_referral(struct pl_verifier *v, const char *name,
    const struct pl_dns_msg *m);
void zone_serial(struct pl_verifier *v, struct zone *z, size_t i,
    uint32_t serial);
/* Asks all servers for their serial unless that was done after `since`;
 * false where nothing is under way. */
bool zone_serials(struct pl_verifier *v, struct zone *z, int64_t since);
bool zone_behind(const struct zone *z, size_t i);
void zone_watch(struct pl_verifier *v, struct zone *z);
void zones_free(struct pl_verifier *v);
/* Forgets what has expired: nobody may ask for it again. */
void zones_sweep(struct pl_verifier *v);
int serial_cmp(uint32_t a, uint32_t b);		/* RFC 1982 */

/* ---- what an answer means ----------------------------------------------------- */

struct judged {
	enum pl_answer answer;	/* NONE: alias or referral instead */
	char alias[PL_DNS_TEXT];	/* target, or "" */
	bool dname;
	char cut[PL_DNS_TEXT];	/* the delegation it refers to, or "" */
	char apex[PL_DNS_TEXT];	/* owner of the SOA it carried, or "" */
	bool serial_known;
	uint32_t serial;
	bool exists;		/* the name does: not NXDOMAIN */
	char note[160];
};
/*
 * What an authoritative answer to (name, type) means for one who looks for
 * value; type SOA looks for the zone only.  zone: where the server was
 * found to serve, or NULL.
 */
void judge(struct judged *j, const struct pl_dns_msg *m, const char *name,
    unsigned type, const char *zone, const void *value, size_t len);

/* ---- checks ----------------------------------------------------------------------- */

struct seen {			/* what one server has said */
	struct query *q;
	char *note;
	uint32_t ms;
	uint8_t answer;
	bool asked;		/* WHERE: has had its turn */
	bool cname;		/* SERVFAIL: asked whether it is an alias */
	bool nowhere;		/* the name does not exist there */
};
struct hop {
	LIST_ENTRY(hop) link;	/* in its zone */
	struct check *check;
	char *name;
	struct zone *zone;	/* NULL: not found yet */
	bool own;		/* do not use the given servers: they know nothing */
	unsigned cuts;
	struct seen *seen;	/* as many as the zone has servers */
	char *target;		/* alias, or NULL */
	char *apex;		/* the zone, as an answer has named it, or NULL */
	struct query *learn;	/* asks for the zone, or its servers */
	bool learnt;		/* the zone was asked for, once */
	struct want want;
	struct want serials;
	bool zone_only;		/* WHERE: name is the record's parent */
	struct query *probe;	/* is the alias a wildcard's? */
	char *sibling, *maybe;	/* the name asked for, the alias in question */
	bool probed, wild;
	bool given_up;		/* its servers cannot be reached */
};

enum policy { POLICY_OFF, POLICY_WARN, POLICY_REQUIRE };

/* Whether a name validates; shared by all who ask. */
struct secure {
	struct entry entry;
	char *key;		/* "TYPE name" */
	struct pl_verifier *v;
	bool done;
	enum pl_secure state;
	char *why;
	int64_t signed_until;	/* Unix seconds, or 0 */
	int64_t expires;
	struct pl_question *q;
	struct timer timer;
	struct wants wants;
};

/* The parent's view of the zone, for CHECK. */
struct cutview {
	bool begun, done;
	struct zone *zone;	/* the parent */
	struct want want;
	struct query *up, *down;
	char *name;		/* of the zone */
	char **ns[2];		/* as the parent, as the zone has them */
	size_t n[2];
	bool told[2];
	size_t tried;		/* servers of the parent that were asked */
	struct check *check;
};

struct site;
struct check {
	struct entry entry;
	char key[12];
	TAILQ_ENTRY(check) ripe;
	bool is_ripe;
	uint32_t id;
	enum pl_look look;
	enum pl_kind kind;
	char *record, *domain, *value;
	size_t value_len;
	int64_t started, deadline;
	int64_t next;		/* look, ms; INT64_MAX: none planned */
	int64_t gap;
	struct timer timer;
	bool begun;
	bool again;		/* ripe because a look is due */
	bool planned;		/* the look after this one is */
	bool late;		/* the deadline has come */
	uint32_t looks;
	struct hop *hop[V_HOPS + 1];
	unsigned nhops;
	struct pl_err err;	/* the last reason why nothing could be asked */
	bool fatal;		/* err is for good */
	int64_t told;		/* last report */
	bool news;		/* verdicts changed since */
	struct site *site;	/* FILE */
	size_t nsite;
	struct want a, aaaa;
	char *url;		/* FILE: final */
	char *ca, *account_uri, *methods;
	bool wildcard;
	bool https;		/* FILE: how it is fetched first */
	struct want caa, sec;
	bool caa_done, sec_done, forbidden;
	bool ended;		/* the looks are: only policy is waited for */
	char *bogus;		/* the name that does not validate, or NULL */
	struct cutview cut;
	size_t size;		/* largest answer */
	struct pl_finding *finding;
	size_t nfinding;
};

struct pl_verifier {
	int epoll;
	struct table checks, peers, lookups, zones, cuts, groups;
	struct timer **heap;
	size_t nheap, cheap;
	TAILQ_HEAD(, peer) busy;
	TAILQ_HEAD(, check) ripe;
	struct epoll_event *event;	/* what is being handled */
	int nevent;
	unsigned nsock, ntcp;
	struct timer starved;		/* no descriptor was to be had */
	struct timer sweep;		/* while checks are open */
	int64_t now;			/* ms, of this turn */
	unsigned char *rx;		/* V_SLOTS datagrams */
	struct peer **resolver;
	size_t nresolver;
	struct peer **server;		/* given */
	size_t nserver;
	unsigned quorum;
	char **http_server, **https_server;
	bool site_local;
	size_t watched;			/* zones whose serials are watched */
	struct pl_web *web;
	struct watch web_watch;
	struct timer web_timer;
	unsigned fetches;
	TAILQ_HEAD(sites, site) sites;	/* fetches that wait */
	enum policy dnssec, caa;
	char *anchor;
	struct pl_resolve *resolve;
	bool no_resolve;		/* it does not start */
	struct watch resolve_watch;
	struct table secures;
	void (*found)(void *ctx, const struct pl_sighting *s);
	void *ctx;
};
void check_ripe(struct pl_verifier *v, struct check *c);
/* This look is over: plans the next one. */
void check_plan(struct pl_verifier *v, struct check *c);
/* Tells the end; c is gone afterwards. */
void check_end(struct pl_verifier *v, struct check *c, bool visible,
    enum pl_code code);

/* Looks at a record, or a file: asks whom it has not seen it from yet. */
void dns_look(struct pl_verifier *v, struct check *c);
/* Draws the conclusion from what came in.  May end the check. */
void dns_weigh(struct pl_verifier *v, struct check *c);
/* The deadline has come: ends the check with what is known. */
void dns_late(struct pl_verifier *v, struct check *c);
void dns_fail(struct pl_verifier *v, struct check *c);
void dns_drop(struct pl_verifier *v, struct check *c);
void dns_verdicts(const struct check *c, struct pl_sighting *s);
void dns_hurry(struct pl_verifier *v, struct zone *z, size_t i);

void http_look(struct pl_verifier *v, struct check *c);
void http_weigh(struct pl_verifier *v, struct check *c);
void http_late(struct pl_verifier *v, struct check *c);
void http_fail(struct pl_verifier *v, struct check *c);
void http_drop(struct pl_verifier *v, struct check *c);
void http_verdicts(const struct check *c, struct pl_sighting *s);
void http_close(struct pl_verifier *v);
/* Starts the fetching room where that has not been done; sees to it that
 * it runs. */
bool web_start(struct pl_verifier *v, struct pl_err *err);
void web_kick(struct pl_verifier *v);

/* Looks at what else a CA looks at; false: not known yet.  A reason why it
 * must not go on is in c->err, with c->forbidden. */
bool policy_weigh(struct pl_verifier *v, struct check *c);
/* The deadline has come and the value is visible: will that do?  Else c->err
 * tells why not. */
bool policy_late(struct pl_verifier *v, struct check *c);
/* What can be looked at while the record is not yet there. */
void policy_start(struct pl_verifier *v, struct check *c);
void policy_drop(struct pl_verifier *v, struct check *c);
void policy_close(struct pl_verifier *v);
void policy_sweep(struct pl_verifier *v);
void check_find(struct check *c, const char *topic, enum pl_mark mark,
    const char *fmt, ...) PL_PRINTF(4, 5);
/* verify-dns.c for verify-weigh.c: which hop of its check it is; the zone of
 * given servers is known now; the name lives in z (kept), or NULL: is to be
 * looked for again; one more server is asked for the zone. */
unsigned hop_index(const struct hop *h);
void hop_name_zone(struct pl_verifier *v, struct hop *h, const char *apex);
void hop_rezone(struct pl_verifier *v, struct hop *h, struct zone *z);
void hop_where(struct pl_verifier *v, struct hop *h);
/* The name of the zone that a hop is in; NULL: not known. */
const char *hop_zone(const struct hop *h);

/* One vote a server: names of servers and what came from their addresses. */
struct vote {
	const char *server;
	enum pl_answer answer;
};
/* Is it visible, by the rule of DESIGN.md section 7, 4? */
bool votes_visible(const struct vote *vote, size_t n, unsigned quorum);

#endif
