/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The placard authors */

/*
 * Generations.  What may be killed at any moment, and what is then there:
 *
 *   1. sweep        temporary names and generations above the one in force:
 *                   of somebody who was killed; nobody looks at them
 *   2. write        a new generation; nobody looks at it
 *   3. adopt        plain files that were there before us: a generation is
 *                   made of what they hold, and `current` leads to it; then
 *                   each becomes a link, behind which are the same octets
 *   4. link         names that are not there: they lead nowhere as long as
 *                   `current` is not there
 *   5. switch       rename of `current`: all files change at once
 *
 * With layout "files" 3 only makes the generation, for the way back, and 4
 * and 5 are temporary files for all, a rename for each, a look at them, and
 * `current`, which is a file that holds the number.
 */
#include "orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASE_DIR ".placard"
#define LEAF ".placard.pem"	/* in each generation: the certificate alone */
#define FILE_MOST (256u << 10)
#define TEMP ".placard-"
#define TEMP_TAIL 12
#define GENERATIONS_MOST 1000000000
#define PATH_MOST 1024

/* One piece of work on one place. */
struct work {
	const struct pl_place *p;
	const struct pl_deploy_spec *spec;
	struct pl_err *err;
	char dir[PATH_MOST];		/* ".placard/BASE" */
	unsigned current;		/* 0: none */
	unsigned *list;			/* generations that are there, ascending */
	size_t n;
};

/* ---- paths -------------------------------------------------------------------- */

static enum pl_code
begin(struct work *w, const struct pl_place *p,
    const struct pl_deploy_spec *spec, struct pl_err *err)
{
	*w = (struct work){ .p = p, .spec = spec, .err = err };
	if (strlen(spec->base) > PATH_MOST / 4)
		return pl_fail(err, PL_EINVAL, "%.80s: too long a name",
		    spec->base);
	snprintf(w->dir, sizeof(w->dir), BASE_DIR "/%s", spec->base);
	return PL_OK;
}

static void
end(struct work *w)
{
	free(w->list);
}

/* ".placard/BASE/12" or, with a name, that file in it. */
static void
path_in(const struct work *w, char out[PATH_MOST], unsigned generation,
    const char *name)
{
	snprintf(out, PATH_MOST, "%.300s/%u%s%.255s", w->dir, generation,
	    name != NULL ? "/" : "", name != NULL ? name : "");
}

static void
path_current(const struct work *w, char out[PATH_MOST])
{
	snprintf(out, PATH_MOST, "%.300s/current", w->dir);
}

/* Where the link that stands for a name leads. */
static void
link_text(const struct work *w, char out[PATH_MOST], const char *name)
{
	snprintf(out, PATH_MOST, "%.300s/current/%.255s", w->dir, name);
}

static bool
generation_of(unsigned *out, const char *text)
{
	int64_t v;

	if (pl_int_parse(&v, text, 1, GENERATIONS_MOST, NULL) != PL_OK)
		return false;
	*out = (unsigned)v;
	return true;
}

/* ---- reading ------------------------------------------------------------------ */

static enum pl_code
look(struct work *w, const char *path, enum pl_there *what, unsigned *mode,
    struct pl_buf *link)
{
	return w->p->ops->look(w->p->self, path, what, mode, link, w->err);
}

static int
by_number(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return x < y ? -1 : x > y;
}

static enum pl_code
read_current(struct work *w)
{
	char path[PATH_MOST];
	enum pl_there what;
	enum pl_code code;
	struct pl_buf to;
	unsigned mode;

	w->current = 0;
	path_current(w, path);
	pl_buf_init(&to, PL_LIM_LINE);
	code = look(w, path, &what, &mode, &to);
	if (code == PL_OK && what == PL_THERE_FILE)
		code = w->p->ops->read(w->p->self, path, &to, w->err);
	if (code == PL_OK && what != PL_THERE_NOTHING &&
	    !generation_of(&w->current, to.data))
		code = pl_fail(w->err, PL_EREMOTE, "%s/%s: is not "
		    "placard's", w->spec->directory, path);
	pl_buf_clear(&to);
	return code;
}

static enum pl_code
read_list(struct work *w)
{
	struct pl_buf names;
	enum pl_code code;
	unsigned g;

	free(w->list);
	w->list = NULL;
	w->n = 0;
	pl_buf_init(&names, PL_LIM_BODY);
	code = w->p->ops->list(w->p->self, w->dir, &names, w->err);
	for (const char *s = names.data; code == PL_OK && s < names.data +
	    names.len; s += strlen(s) + 1) {
		if (!generation_of(&g, s))
			continue;
		w->list = pl_grow(w->list, w->n + 1, sizeof(*w->list));
		w->list[w->n++] = g;
	}
	if (w->n > 1)
		qsort(w->list, w->n, sizeof(*w->list), by_number);
	pl_buf_clear(&names);
	return code;
}

/* The greatest one below, 0: none. */
static unsigned
before(const struct work *w, unsigned generation)
{
	unsigned found = 0;

	for (size_t i = 0; i < w->n; i++) {
		if (w->list[i] < generation)
			found = w->list[i];
	}
	return found;
}

/* Does a file hold this?  Not there, or no plain file: no. */
static enum pl_code
holds(struct work *w, const char *path, const struct pl_deploy_file *f,
    bool (*same)(void *ctx, const void *data, size_t len), void *ctx,
    bool *yes)
{
	enum pl_there what;
	enum pl_code code;
	struct pl_buf b;
	unsigned mode;

	*yes = false;
	code = look(w, path, &what, &mode, NULL);
	if (code != PL_OK || what != PL_THERE_FILE || mode != f->mode)
		return code;
	pl_buf_init(&b, FILE_MOST);
	code = w->p->ops->read(w->p->self, path, &b, w->err);
	if (code == PL_OK)
		*yes = f->part == PL_D_PKCS12 && same != NULL ?
		    same(ctx, b.data, b.len) : b.len == f->data.len &&
		    pl_same_octets(b.data, f->data.data, b.len);
	pl_buf_clear(&b);
	return code;
}

/* Does a name lead to `current`, or with layout "files" hold the same? */
static enum pl_code
in_place(struct work *w, const struct pl_deploy_file *f,
    bool (*same)(void *ctx, const void *data, size_t len), void *ctx,
    bool *yes)
{
	char want[PATH_MOST];
	enum pl_there what;
	enum pl_code code;
	struct pl_buf to;
	unsigned mode;

	if (!w->spec->links)
		return holds(w, f->name, f, same, ctx, yes);
	pl_buf_init(&to, PL_LIM_LINE);
	code = look(w, f->name, &what, &mode, &to);
	link_text(w, want, f->name);
	*yes = code == PL_OK && what == PL_THERE_LINK &&
	    strcmp(to.data, want) == 0;
	pl_buf_clear(&to);
	return code;
}

/* Is the generation in force exactly this one? */
static enum pl_code
all_there(struct work *w, const struct pl_deploy_file *f, size_t n,
    bool (*same)(void *ctx, const void *data, size_t len), void *ctx,
    bool *yes)
{
	char path[PATH_MOST];
	enum pl_code code = PL_OK;

	*yes = w->current != 0;
	for (size_t i = 0; i < n && *yes && code == PL_OK; i++) {
		path_in(w, path, w->current, f[i].name);
		code = holds(w, path, &f[i], same, ctx, yes);
		if (code == PL_OK && *yes)
			code = in_place(w, &f[i], same, ctx, yes);
	}
	return code;
}

/* Is this link one that may be replaced?  Refused in words otherwise. */
static enum pl_code
judge_link(struct work *w, const char *name, const char *to)
{
	char want[PATH_MOST];

	link_text(w, want, name);
	if (strcmp(to, want) == 0)
		return PL_OK;
	if (strncmp(to, BASE_DIR "/", sizeof(BASE_DIR)) == 0)
		return pl_fail(w->err, PL_EREMOTE, "%s/%s: is of the "
		    "certificate %.*s; give each its own file (%%n stands for "
		    "its name)", w->spec->directory, name, (int)strcspn(to +
		    sizeof(BASE_DIR), "/"), to + sizeof(BASE_DIR));
	return pl_fail(w->err, PL_EREMOTE, "%s/%s: a link that is not "
	    "placard's is in the way", w->spec->directory, name);
}

/* ---- sweeping and pruning -------------------------------------------------------- */

static bool
is_temp(const char *name)
{
	size_t n = sizeof(TEMP) - 1;

	return strncmp(name, TEMP, n) == 0 &&
	    strspn(name + n, "abcdefghijklmnopqrstuvwxyz0123456789") ==
	    TEMP_TAIL && name[n + TEMP_TAIL] == '\0';
}

/* Removes temporary names (all names with `all`) from a directory. */
static enum pl_code
sweep_dir(struct work *w, const char *dir, bool all)
{
	char path[PATH_MOST];
	struct pl_buf names;
	enum pl_code code;

	pl_buf_init(&names, PL_LIM_BODY);
	code = w->p->ops->list(w->p->self, dir, &names, w->err);
	for (const char *s = names.data; code == PL_OK && s < names.data +
	    names.len; s += strlen(s) + 1) {
		if (!all && !is_temp(s))
			continue;
		snprintf(path, sizeof(path), "%.500s/%.255s", dir, s);
		code = w->p->ops->drop(w->p->self, strcmp(dir, ".") == 0 ?
		    s : path, false, w->err);
	}
	pl_buf_clear(&names);
	return code;
}

static enum pl_code
drop_generation(struct work *w, unsigned generation)
{
	char path[PATH_MOST];
	enum pl_code code;

	path_in(w, path, generation, NULL);
	code = sweep_dir(w, path, true);
	if (code == PL_OK)
		code = w->p->ops->drop(w->p->self, path, true, w->err);
	return code;
}

/* All but these two; with `above` only those above the first. */
static enum pl_code
prune(struct work *w, unsigned keep, unsigned also, bool above)
{
	enum pl_code code = PL_OK;

	for (size_t i = 0; i < w->n && code == PL_OK; i++) {
		unsigned g = w->list[i];

		if (g == keep || g == also || (above && g < keep))
			continue;
		code = drop_generation(w, g);
	}
	return code == PL_OK ? read_list(w) : code;
}

static enum pl_code
sweep(struct work *w)
{
	enum pl_code code = sweep_dir(w, ".", false);

	if (code == PL_OK)
		code = sweep_dir(w, w->dir, false);
	if (code == PL_OK)
		code = read_list(w);
	if (code == PL_OK)
		code = prune(w, w->current, 0, true);
	return code;
}

/* ---- writing ------------------------------------------------------------------------ */

static enum pl_code
put(struct work *w, const char *path, const struct pl_buf *b, unsigned mode)
{
	return w->p->ops->write(w->p->self, path, b->data, b->len, mode,
	    w->err);
}

static enum pl_code
set_current(struct work *w, unsigned generation)
{
	char path[PATH_MOST], to[16];
	enum pl_code code;

	path_current(w, path);
	snprintf(to, sizeof(to), "%u", generation);
	if (w->spec->links)
		code = w->p->ops->link(w->p->self, path, to, w->err);
	else
		code = w->p->ops->write(w->p->self, path, to, strlen(to),
		    0644, w->err);
	if (code == PL_OK)
		w->current = generation;
	return code;
}

static unsigned
next_generation(const struct work *w)
{
	unsigned last = w->n > 0 ? w->list[w->n - 1] : 0;

	return (last > w->current ? last : w->current) + 1;
}

static enum pl_code
make_generation(struct work *w, unsigned *generation)
{
	char path[PATH_MOST];
	enum pl_code code;

	*generation = next_generation(w);
	path_in(w, path, *generation, NULL);
	code = w->p->ops->mkdir(w->p->self, path, w->err);
	if (code == PL_OK)
		code = read_list(w);
	return code;
}

static enum pl_code
write_generation(struct work *w, const struct pl_deploy_file *f, size_t n,
    const char *leaf, unsigned generation)
{
	char path[PATH_MOST];
	struct pl_buf b;
	enum pl_code code = PL_OK;

	for (size_t i = 0; i < n && code == PL_OK; i++) {
		path_in(w, path, generation, f[i].name);
		code = put(w, path, &f[i].data, f[i].mode);
	}
	if (code != PL_OK)
		return code;
	pl_buf_init(&b, FILE_MOST);
	pl_buf_adds(&b, leaf);
	path_in(w, path, generation, LEAF);
	code = put(w, path, &b, 0644);
	pl_buf_clear(&b);
	return code;
}

/* ---- what was there before us -------------------------------------------------------- */

/* What a name shows now: its own octets, or those behind its link. */
static enum pl_code
copy_shown(struct work *w, const char *name, unsigned to)
{
	char from[PATH_MOST], path[PATH_MOST];
	enum pl_there what;
	enum pl_code code;
	struct pl_buf b;
	unsigned mode;

	snprintf(from, sizeof(from), "%.255s", name);
	code = look(w, from, &what, &mode, NULL);
	if (code == PL_OK && what == PL_THERE_LINK && w->current != 0) {
		path_in(w, from, w->current, name);
		code = look(w, from, &what, &mode, NULL);
	}
	if (code != PL_OK || what != PL_THERE_FILE)
		return code;
	pl_buf_init(&b, FILE_MOST);
	code = w->p->ops->read(w->p->self, from, &b, w->err);
	path_in(w, path, to, name);
	if (code == PL_OK)
		code = put(w, path, &b, mode);
	pl_buf_clear(&b);
	return code;
}

/* Is there a plain file under a name that is not what `current` has? */
static enum pl_code
is_strange(struct work *w, const char *name, bool *strange)
{
	char path[PATH_MOST];
	struct pl_deploy_file now = { .name = name };
	enum pl_there what;
	struct pl_buf to;
	enum pl_code code;
	bool yes;

	pl_buf_init(&to, PL_LIM_LINE);
	code = look(w, name, &what, &now.mode, &to);
	if (code == PL_OK && what == PL_THERE_LINK)
		code = judge_link(w, name, to.data);
	else if (code == PL_OK && what != PL_THERE_FILE &&
	    what != PL_THERE_NOTHING)
		code = pl_fail(w->err, PL_EREMOTE, "%s/%s: not a plain file",
		    w->spec->directory, name);
	pl_buf_clear(&to);
	if (code != PL_OK || what != PL_THERE_FILE)
		return code;
	pl_buf_init(&now.data, FILE_MOST);
	code = w->p->ops->read(w->p->self, name, &now.data, w->err);
	yes = false;
	if (code == PL_OK && w->current != 0) {
		path_in(w, path, w->current, name);
		code = holds(w, path, &now, NULL, NULL, &yes);
	}
	*strange = *strange || !yes;
	pl_buf_clear(&now.data);
	return code;
}

/*
 * Keeps what plain files hold as a generation of its own, which `current`
 * leads to afterwards.  With layout "files" only once: later they may be half
 * changed, and what `current` leads to is a pair.
 */
static enum pl_code
adopt(struct work *w)
{
	enum pl_code code = PL_OK;
	bool strange = false;
	unsigned g;

	for (size_t i = 0; i < PL_NPARTS && code == PL_OK; i++) {
		if (w->spec->file[i] != NULL)
			code = is_strange(w, w->spec->file[i], &strange);
	}
	if (code != PL_OK || !strange || (!w->spec->links && w->current != 0))
		return code;
	code = make_generation(w, &g);
	for (size_t i = 0; i < PL_NPARTS && code == PL_OK; i++) {
		if (w->spec->file[i] != NULL)
			code = copy_shown(w, w->spec->file[i], g);
	}
	return code == PL_OK ? set_current(w, g) : code;
}

/* ---- putting in force ------------------------------------------------------------------ */

static enum pl_code
link_names(struct work *w, const struct pl_deploy_file *f, size_t n)
{
	char to[PATH_MOST];
	enum pl_code code = PL_OK;
	bool yes;

	for (size_t i = 0; i < n && code == PL_OK; i++) {
		code = in_place(w, &f[i], NULL, NULL, &yes);
		if (code != PL_OK || yes)
			continue;
		link_text(w, to, f[i].name);
		code = w->p->ops->link(w->p->self, f[i].name, to, w->err);
	}
	return code;
}

/* Plain files that are to change together: all are written under temporary
 * names before the first is renamed. */
struct swap {
	const char *name[PL_NPARTS];
	char temp[PL_NPARTS][24];	/* "": it is to go */
	size_t n;
};

static enum pl_code
swap_add(struct work *w, struct swap *s, const char *name,
    const struct pl_buf *b, unsigned mode)
{
	char *temp = s->temp[s->n];

	s->name[s->n++] = name;
	temp[0] = '\0';
	if (b == NULL)
		return PL_OK;
	memcpy(temp, TEMP, sizeof(TEMP));
	pl_random_name(temp + sizeof(TEMP) - 1, TEMP_TAIL);
	return put(w, temp, b, mode);
}

static enum pl_code
swap_commit(struct work *w, const struct swap *s)
{
	const struct pl_place_ops *o = w->p->ops;
	enum pl_code code = PL_OK;

	for (size_t i = 0; i < s->n && code == PL_OK; i++) {
		if (s->temp[i][0] == '\0')
			code = o->drop(w->p->self, s->name[i], false, w->err);
		else
			code = o->move(w->p->self, s->temp[i], s->name[i],
			    w->err);
	}
	return code;
}

static void
swap_forget(struct work *w, const struct swap *s)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->temp[i][0] != '\0')
			(void)w->p->ops->drop(w->p->self, s->temp[i], false,
			    NULL);
	}
}

/* Each name gets what a generation has of it, or goes. */
static enum pl_code
swap_to(struct work *w, unsigned generation)
{
	char path[PATH_MOST];
	struct swap s = { .n = 0 };
	enum pl_code code = PL_OK;
	enum pl_there what;
	unsigned mode;

	for (size_t i = 0; i < PL_NPARTS && code == PL_OK; i++) {
		const char *name = w->spec->file[i];
		struct pl_buf b;

		if (name == NULL)
			continue;
		pl_buf_init(&b, FILE_MOST);
		path_in(w, path, generation, name);
		code = look(w, path, &what, &mode, NULL);
		if (code == PL_OK && what == PL_THERE_FILE)
			code = w->p->ops->read(w->p->self, path, &b, w->err);
		if (code == PL_OK)
			code = swap_add(w, &s, name, what == PL_THERE_FILE ?
			    &b : NULL, mode);
		pl_buf_clear(&b);
	}
	if (code == PL_OK)
		code = swap_commit(w, &s);
	if (code != PL_OK)
		swap_forget(w, &s);
	return code;
}

/* The pair is looked at behind it: somebody else may write there, too. */
static enum pl_code
rename_files(struct work *w, const struct pl_deploy_file *f, size_t n,
    unsigned generation)
{
	enum pl_code code = swap_to(w, generation);
	bool yes;

	for (size_t i = 0; i < n && code == PL_OK; i++) {
		code = holds(w, f[i].name, &f[i], NULL, NULL, &yes);
		if (code == PL_OK && !yes)
			code = pl_fail(w->err, PL_ECONFLICT, "%s/%s: was "
			    "changed by somebody else meanwhile",
			    w->spec->directory, f[i].name);
	}
	return code;
}

/* What failed leaves nothing behind, and err as it is. */
static void
give_up(struct work *w, unsigned generation)
{
	struct pl_err *err = w->err, ignored;

	w->err = &ignored;
	pl_err_clear(&ignored);
	if (!w->spec->links && w->current != 0 && w->current != generation)
		(void)swap_to(w, w->current);
	if (w->current != generation)
		(void)drop_generation(w, generation);
	w->err = err;
}

static enum pl_code
install_new(struct work *w, const struct pl_deploy_file *f, size_t n,
    const char *leaf, struct pl_installed *out)
{
	enum pl_code code;
	unsigned g;

	code = adopt(w);
	if (code == PL_OK)
		code = make_generation(w, &g);
	if (code != PL_OK)
		return code;
	code = write_generation(w, f, n, leaf, g);
	out->previous = w->current;
	if (code == PL_OK)
		code = w->spec->links ? link_names(w, f, n) :
		    rename_files(w, f, n, g);
	if (code == PL_OK)
		code = set_current(w, g);
	if (code != PL_OK) {
		give_up(w, g);
		return code;
	}
	out->generation = g;
	return prune(w, g, out->previous, false);
}

/* Ready for work: the directories are there and what is there is known. */
static enum pl_code
enter(struct work *w)
{
	enum pl_code code;

	code = w->p->ops->mkdir(w->p->self, w->dir, w->err);
	if (code == PL_OK)
		code = read_current(w);
	if (code == PL_OK)
		code = sweep(w);
	return code;
}

enum pl_code
pl_place_install(const struct pl_place *p, const struct pl_deploy_spec *spec,
    const char *leaf, const struct pl_deploy_file *f, size_t n,
    bool (*same)(void *ctx, const void *data, size_t len), void *ctx,
    struct pl_installed *out, struct pl_err *err)
{
	struct work w;
	enum pl_code code;

	*out = (struct pl_installed){ 0 };
	code = begin(&w, p, spec, err);
	if (code == PL_OK)
		code = enter(&w);
	if (code == PL_OK)
		code = all_there(&w, f, n, same, ctx, &out->same);
	if (code == PL_OK && out->same) {
		out->generation = w.current;
		out->previous = before(&w, w.current);
		/* Somebody was killed before he had cleaned up. */
		code = prune(&w, w.current, out->previous, false);
	} else if (code == PL_OK)
		code = install_new(&w, f, n, leaf, out);
	end(&w);
	return code;
}

/* ---- the way back ------------------------------------------------------------------------ */

/* There was nothing before: `current` goes first, so that no name is seen
 * without the others. */
static enum pl_code
take_away(struct work *w)
{
	char path[PATH_MOST];
	enum pl_code code = PL_OK;

	path_current(w, path);
	if (w->spec->links)
		code = w->p->ops->drop(w->p->self, path, false, w->err);
	for (size_t i = 0; i < PL_NPARTS && code == PL_OK; i++) {
		if (w->spec->file[i] != NULL)
			code = w->p->ops->drop(w->p->self, w->spec->file[i],
			    false, w->err);
	}
	if (code == PL_OK && !w->spec->links)
		code = w->p->ops->drop(w->p->self, path, false, w->err);
	if (code == PL_OK)
		w->current = 0;
	return code;
}

enum pl_code
pl_place_rollback(const struct pl_place *p, const struct pl_deploy_spec *spec,
    unsigned generation, unsigned *now, struct pl_err *err)
{
	struct work w;
	unsigned back = 0;
	enum pl_code code;

	*now = 0;
	code = begin(&w, p, spec, err);
	if (code == PL_OK)
		code = enter(&w);
	/* Somebody has put another one in force meanwhile: that stays. */
	if (code != PL_OK || w.current != generation) {
		*now = w.current;
		goto out;
	}
	back = before(&w, generation);
	if (back == 0)
		code = take_away(&w);
	else {
		if (!spec->links)
			code = swap_to(&w, back);
		if (code == PL_OK)
			code = set_current(&w, back);
	}
	if (code == PL_OK)
		code = drop_generation(&w, generation);
	*now = w.current;
out:
	end(&w);
	return code;
}

/* ---- what is in force --------------------------------------------------------------------- */

enum pl_code
pl_place_current(const struct pl_place *p, const struct pl_deploy_spec *spec,
    struct pl_buf *b, struct pl_err *err)
{
	static const enum pl_deploy_part of[] = { PL_D_CERT, PL_D_FULLCHAIN,
		PL_D_COMBINED };
	char path[PATH_MOST];
	enum pl_there what = PL_THERE_NOTHING;
	struct work w;
	enum pl_code code;
	unsigned mode;

	code = begin(&w, p, spec, err);
	if (code == PL_OK)
		code = read_current(&w);
	if (code == PL_OK && w.current != 0) {
		path_in(&w, path, w.current, LEAF);
		code = look(&w, path, &what, &mode, NULL);
	}
	for (size_t i = 0; code == PL_OK && what != PL_THERE_FILE &&
	    i < PL_NELEM(of); i++) {
		if (spec->file[of[i]] == NULL)
			continue;
		snprintf(path, sizeof(path), "%.255s", spec->file[of[i]]);
		code = look(&w, path, &what, &mode, NULL);
	}
	if (code == PL_OK && what == PL_THERE_FILE)
		code = p->ops->read(p->self, path, b, err);
	end(&w);
	return code;
}
