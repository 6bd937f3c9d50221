/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * The zones of an Azure subscription, or of one resource group of it.
 *
 * They are listed where that is allowed.  A role may be as narrow as one
 * record set; then, with the resource group known, each zone that the name
 * could be in is asked for, and at last the set itself in each of them.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "azure.h"

#define API_VERSION "api-version=2018-05-01"
#define PAGES_MOST 200
#define LABELS_MOST 128

/* ---- paths ---- */

static void
path_zones(struct pl_buf *b, const struct azure *self, const char *group)
{
	pl_buf_adds(b, "/subscriptions/");
	pl_url_escape(b, self->subscription, false);
	if (group != NULL) {
		pl_buf_adds(b, "/resourceGroups/");
		pl_url_escape(b, group, false);
	}
	pl_buf_adds(b, "/providers/Microsoft.Network/dnsZones");
}

char *
azure_zone_target(const struct azure *self, const char *group,
    const char *zone, enum pl_kind kind, const char *relative)
{
	struct pl_buf b;

	pl_buf_init(&b, PL_LIM_LINE);
	path_zones(&b, self, group);
	if (zone != NULL) {
		pl_buf_addc(&b, '/');
		pl_url_escape(&b, zone, false);
	}
	if (relative != NULL) {
		pl_buf_addf(&b, "/%s/", pl_kind_name(kind));
		pl_url_escape(&b, relative, false);
	}
	pl_buf_adds(&b, "?" API_VERSION);
	return pl_buf_take(&b);
}

char *
azure_relative(const char *zone, const char *name)
{
	size_t n = strlen(name), z = strlen(zone);

	return n > z + 1 ? pl_strndup(name, n - z - 1) : pl_strdup("@");
}

/* ---- what is known ---- */

void
azure_zones_forget(struct azure *self)
{
	size_t i;

	for (i = 0; i < self->nzones; i++) {
		free(self->zones[i].name);
		free(self->zones[i].group);
		free(self->zones[i].other);
	}
	free(self->zones);
	self->zones = NULL;
	self->nzones = 0;
	self->zones_at = 0;
	self->listed = false;
}

static struct azure_zone *
zone_known(const struct azure *self, const char *name)
{
	size_t i;

	for (i = 0; i < self->nzones; i++)
		if (strcmp(self->zones[i].name, name) == 0)
			return &self->zones[i];
	return NULL;
}

static void
zone_add(struct azure *self, const char *name, const char *group, size_t len)
{
	struct azure_zone *z;
	char *lower = pl_strdup(name);
	size_t i, n = strlen(lower);

	if (n > 0 && lower[n - 1] == '.')
		lower[n - 1] = '\0';
	for (i = 0; lower[i] != '\0'; i++)
		if (lower[i] >= 'A' && lower[i] <= 'Z')
			lower[i] = (char)(lower[i] + 32);
	z = zone_known(self, lower);
	if (z != NULL) {
		if (z->other == NULL && (strlen(z->group) != len ||
		    strncasecmp(z->group, group, len) != 0))
			z->other = pl_strndup(group, len);
		free(lower);
		return;
	}
	self->zones = pl_grow(self->zones, self->nzones + 1,
	    sizeof(*self->zones));
	self->zones[self->nzones++] = (struct azure_zone){ .name = lower,
		.group = pl_strndup(group, len) };
}

/* Takes one zone of an answer.  Old private ones may be among them. */
static enum pl_code
zone_take(struct azure *self, const json_t *j, struct pl_err *err)
{
	static const char mark[] = "/resourceGroups/";
	const char *name = pl_json_str(pl_json_get(j, "name"));
	const char *id = pl_json_str(pl_json_get(j, "id"));
	const char *type = pl_json_str(pl_json_get(pl_json_get(j,
	    "properties"), "zoneType"));
	const char *group = id != NULL ? strcasestr(id, mark) : NULL;
	size_t n;

	if (name == NULL || *name == '\0' || group == NULL)
		return pl_fail(err, PL_EPROTO, "zones: one without its name "
		    "or resource group");
	group += sizeof(mark) - 1;
	n = strcspn(group, "/");
	if (type == NULL || strcasecmp(type, "Private") != 0)
		zone_add(self, name, group, n);
	return PL_OK;
}

/* ---- listing ---- */

static enum pl_code
zones_page(struct azure *self, const json_t *doc, char **next,
    struct pl_err *err)
{
	const json_t *list = pl_json_get(doc, "value");
	const char *link = pl_json_str(pl_json_get(doc, "nextLink"));
	enum pl_code code = PL_OK;
	struct pl_buf b;
	size_t i;

	*next = NULL;
	if (!pl_json_is_array(list))
		return pl_fail(err, PL_EPROTO, "zones: answer is no list");
	for (i = 0; i < pl_json_count(list) && code == PL_OK; i++)
		code = zone_take(self, pl_json_at(list, i), err);
	if (code != PL_OK || link == NULL || *link == '\0')
		return code;
	pl_buf_init(&b, PL_LIM_LINE);
	code = pl_http_same_host(self->arm, link, &b, err);
	if (code != PL_OK) {
		(void)pl_prefix(err, "zones");
		pl_buf_clear(&b);
	} else {
		*next = pl_buf_take(&b);
	}
	return code;
}

enum pl_code
azure_zones_list(struct azure *self, const struct pl_call *call,
    bool *denied, struct pl_err *err)
{
	struct azure_req q = { .what = "zones", .method = "GET" };
	struct azure_res r;
	enum pl_code code = PL_OK;
	unsigned pages = 0;
	char *next;

	*denied = false;
	if (self->listed && pl_mono_ms() - self->zones_at <= AZURE_KNOWN_MS)
		return PL_OK;
	azure_zones_forget(self);
	q.target = azure_zone_target(self, self->group, NULL, PL_TXT, NULL);
	while (code == PL_OK && q.target != NULL) {
		if (pages++ == PAGES_MOST) {
			code = pl_fail(err, PL_EPROTO, "zones: no end of "
			    "them");
			break;
		}
		azure_send(self, call, &q, &r, 1);
		azure_req_clear(&q, 1);
		q.target = next = NULL;
		code = r.code;
		if (code == PL_OK && r.doc != NULL)
			code = zones_page(self, r.doc, &next, err);
		else if (code == PL_OK)
			code = pl_fail(err, PL_EREMOTE, "zones: not found");
		else if (err != NULL)
			*err = r.err;
		*denied = r.denied;
		azure_res_clear(&r, 1);
		q.target = next;
	}
	azure_req_clear(&q, 1);
	self->zones_at = pl_mono_ms();
	self->listed = code == PL_OK;
	if (code != PL_OK && !*denied)
		azure_zones_forget(self);
	return code;
}

/* ---- asking for one ---- */

enum pl_code
azure_zone_there(struct azure *self, const struct pl_call *call,
    const char *group, const char *zone, struct pl_err *err)
{
	struct azure_req q = { .what = "zone", .method = "GET",
		.target = azure_zone_target(self, group, zone, PL_TXT, NULL) };
	struct azure_res r;
	enum pl_code code;

	azure_send(self, call, &q, &r, 1);
	code = r.code;
	if (code == PL_OK && r.doc == NULL)
		code = PL_ENOZONE;
	if (code == PL_ENOZONE)
		(void)pl_fail(err, code, "zone %s: not in resource group %s",
		    zone, group);
	else if (code != PL_OK && err != NULL)
		*err = r.err;
	azure_req_clear(&q, 1);
	azure_res_clear(&r, 1);
	return code;
}

/* All that the name could be in, the longest first; lends parts of name. */
static size_t
candidates(const char *name, const char **out)
{
	const char *p = name;
	size_t n = 0;

	for (; p != NULL && strchr(p, '.') != NULL && n < LABELS_MOST;
	    p = strchr(p, '.') + 1)
		out[n++] = p;
	return n;
}

/*
 * Asks for each zone that the name could be in (or, with `sets`, for the
 * name's TXT set in each).  *found: the longest that is there.  *denied:
 * none was found, and some may not be asked for.
 */
static enum pl_code
walk_ask(struct azure *self, const struct pl_call *call, const char *name,
    const char **list, size_t n, bool sets, const char **found,
    bool *denied, struct pl_err *err)
{
	struct azure_req *q = pl_array(n + 1, sizeof(*q));
	struct azure_res *r = pl_array(n + 1, sizeof(*r));
	enum pl_code code = PL_OK;
	char *relative;
	size_t i;

	*found = NULL;
	*denied = false;
	for (i = 0; i < n; i++) {
		relative = sets ? azure_relative(list[i], name) : NULL;
		q[i] = (struct azure_req){ .what = sets ? name : "zone",
			.method = "GET", .target = azure_zone_target(self,
			self->group, list[i], PL_TXT, relative) };
		free(relative);
	}
	azure_send(self, call, q, r, n);
	for (i = 0; i < n && *found == NULL; i++) {
		if (r[i].code == PL_OK && (sets || r[i].doc != NULL)) {
			*found = list[i];
		} else if (r[i].denied) {
			*denied = true;
			*err = r[i].err;
		} else if (r[i].code != PL_OK && r[i].code != PL_ENOZONE) {
			code = r[i].code;
			*err = r[i].err;
			break;
		}
	}
	*denied = *denied && *found == NULL && code == PL_OK;
	if (*found != NULL && !sets)
		code = zone_take(self, r[i - 1].doc, err);
	else if (*found != NULL)
		zone_add(self, *found, self->group, strlen(self->group));
	azure_req_clear(q, n);
	azure_res_clear(r, n);
	free(q);
	free(r);
	return code;
}

static enum pl_code
zones_walk(struct azure *self, const struct pl_call *call, const char *name,
    const struct azure_zone **zone, struct pl_err *err)
{
	const char *list[LABELS_MOST], *found;
	size_t n = candidates(name, list);
	enum pl_code code;
	bool denied;

	code = walk_ask(self, call, name, list, n, false, &found, &denied,
	    err);
	if (denied)
		code = walk_ask(self, call, name, list, n, true, &found,
		    &denied, err);
	/* Where rights were enough for another name, this one is just not
	 * among those that they are for. */
	if (denied)
		code = err->code = self->nzones > 0 ? PL_EREMOTE : PL_EAUTH;
	if (code != PL_OK)
		return code;
	*zone = found != NULL ? zone_known(self, found) : NULL;
	return PL_OK;
}

static void
find_known(const struct azure *self, const char *name,
    const struct azure_zone **zone)
{
	const struct azure_zone *z;
	size_t i;

	for (i = 0; i < self->nzones; i++) {
		z = &self->zones[i];
		if (pl_suffix_of(z->name, name) && (*zone == NULL ||
		    strlen((*zone)->name) < strlen(z->name)))
			*zone = z;
	}
}

static enum pl_code
zone_single(const struct azure_zone *z, struct pl_err *err)
{
	if (z->other == NULL)
		return PL_OK;
	return pl_fail(err, PL_EINVAL, "zone %s: in the resource groups %s "
	    "and %s: resource-group tells which", z->name, z->group,
	    z->other);
}

enum pl_code
azure_find(struct azure *self, const struct pl_call *call, const char *name,
    const struct azure_zone **zone, struct pl_err *err)
{
	bool denied;
	enum pl_code code = PL_OK;

	*zone = NULL;
	/* Not listed but with a time: that was denied. */
	denied = !self->listed && self->zones_at != 0 &&
	    pl_mono_ms() - self->zones_at <= AZURE_KNOWN_MS;
	if (!denied)
		code = azure_zones_list(self, call, &denied, err);
	if (denied && self->group != NULL)
		code = zones_walk(self, call, name, zone, err);
	else if (code == PL_OK && self->listed)
		find_known(self, name, zone);
	else if (denied)
		return pl_fail(err, PL_EAUTH, "zones: no right to list those "
		    "of the subscription (resource-group would make that "
		    "needless)");
	if (code != PL_OK)
		return code;
	if (*zone == NULL)
		return pl_fail(err, PL_ENOZONE, "name %s: in no public zone "
		    "of the %s", name, self->group != NULL ?
		    "resource group" : "subscription");
	return zone_single(*zone, err);
}

enum pl_code
azure_group(struct azure *self, const struct pl_call *call,
    const char *zone, char **group, struct pl_err *err)
{
	const struct azure_zone *z;
	enum pl_code code;
	bool denied;

	*group = NULL;
	if (self->group != NULL) {
		*group = pl_strdup(self->group);
		return PL_OK;
	}
	code = azure_zones_list(self, call, &denied, err);
	if (code != PL_OK)
		return code;
	z = zone_known(self, zone);
	if (z == NULL)
		return pl_fail(err, PL_ENOZONE, "zone %s: not in the "
		    "subscription", zone);
	code = zone_single(z, err);
	if (code == PL_OK)
		*group = pl_strdup(z->group);
	return code;
}
