/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame of a tool.
 *
 * A tool runs the loop itself until each thing that it asked for is done, so
 * everything here is on one thread and in one order: options, store, volume,
 * work, close, one sentence.  What was opened is closed on every way out; the
 * lease is given up even after an error of the work, since nothing is in
 * flight then.
 */
#include "config.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "base/stat.h"
#include "base/strbuf.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/prompt.h"
#include "cli/tool.h"
#include "layout/admin.h"
#include "layout/layout.h"
#include "store/store.h"

/* --- the command line ------------------------------------------------------ */

static int
print_help(const struct tool *t)
{
	const struct tool_usage *u = t->usage;
	struct strbuf b = STRBUF_INIT;

	strbuf_printf(&b, "Usage: pail %s [OPTIONS] %s\n%s\n\n", u->verb,
	    u->operands, u->about);
	conf_help(t->opts, &b);
	strbuf_printf(&b, "\nExamples:\n%s\nMore in 'man pail-%.*s'.\n",
	    u->examples, (int)strcspn(u->verb, " "), u->verb);
	if (b.failed) {
		strbuf_fini(&b);
		fprintf(stderr, "pail %s: no memory\n", u->verb);
		return CLI_FAILED;
	}
	fputs(strbuf_text(&b), stdout);
	strbuf_fini(&b);
	return CLI_OK;
}

/* The verb's own rows, the shared ones, and at the end these. */
static void
make_table(struct tool *t)
{
	static const struct conf_opt json = {"json", 0, CONF_FLAG,
	    TOOL_AT(json), .help = "print one JSON object"};
	static const struct conf_opt help = {
	    "help", 'h', CONF_FLAG, TOOL_AT(help), .help = "print this"};
	unsigned n = 0;

	settings_table(t->opts, t->usage->groups | SETTINGS_COMMON,
	    t->usage->own);
	while (t->opts[n].name != NULL)
		n++;
	must(n + 3 <= CONF_OPTS_MAX);
	if (t->usage->json)
		t->opts[n++] = json;
	t->opts[n++] = help;
	t->opts[n] = (struct conf_opt){NULL};
}

int
tool_begin(struct tool *t, const struct tool_usage *u, int argc, char **argv)
{
	int rc;

	t->usage = u;
	make_table(t);
	rc = conf_init(&t->conf, t->opts, t, &t->err);
	if (rc == 0)
		rc = conf_args(&t->conf, argc, argv, &t->err);
	if (rc >= 0 && t->help) {
		rc = print_help(t);
		conf_fini(&t->conf);
		return rc;
	}
	if (rc < 0)
		return tool_usage_error(t, "%s", err_text(&t->err));
	if (rc < u->nmin)
		return tool_usage_error(t, "it needs %s", u->operands);
	if (rc > u->nmax)
		return tool_usage_error(t, "\"%s\" is one too many: it takes %s",
		    argv[1 + u->nmax], u->operands);
	t->noperands = rc;
	if (settings_check_urls(&t->set, &t->conf, argv + 1, rc, &t->err) < 0)
		return tool_usage_error(t, "%s", err_text(&t->err));
	return TOOL_GO;
}

int
tool_usage_error(struct tool *t, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	conf_fini(&t->conf);
	return cli_usage(t->usage->verb, "%s", text);
}

int
tool_start(struct tool *t)
{
	int rc = settings_apply(&t->set, &t->conf, &t->err);

	if (rc == -EINVAL || rc == -ERANGE)
		return tool_misuse(t, rc);
	if (rc == 0)
		rc = settings_password(&t->set, t->new_password, &t->err);
	return rc < 0 ? rc : settings_start(&t->set, &t->err);
}

int
tool_misuse(struct tool *t, int rc)
{
	t->misuse = true;
	return rc;
}

int
tool_url(struct tool *t, struct url *u, const char *text, struct err *e)
{
	int rc = url_parse(u, text, e);

	if (rc == 0) {
		rc = url_check(u, e);
		if (rc < 0)
			url_fini(u);
	}
	return rc == -EINVAL || rc == -ERANGE || rc == -EOPNOTSUPP ?
	    tool_misuse(t, rc) : rc;
}

int
tool_end(struct tool *t, int rc)
{
	progress_erase();
	settings_stop(&t->set);
	settings_fini(&t->set);
	conf_fini(&t->conf);
	if (rc >= 0)
		return rc;
	if (t->misuse)
		return cli_usage(t->usage->verb, "%s", err_text(&t->err));
	if (t->err.rc != rc)
		err_set(&t->err, rc, "%s", err_text(&t->err));
	return cli_fail(t->usage->verb, &t->err);
}

/* --- store and volume ---------------------------------------------------------- */

int
tool_store(struct tool *t, struct tool_place *p, const char *url,
    enum tool_access access, struct err *e)
{
	struct store_env env = t->set.env;
	struct store *leaf;
	int rc;

	*p = (struct tool_place){0};
	env.read_only = access == TOOL_READS;
	rc = tool_url(t, &p->url, url, e);
	if (rc < 0)
		return rc;
	p->stats = calloc(1, sizeof(*p->stats));
	if (p->stats == NULL)
		rc = err_set(e, -ENOMEM, "no memory");
	if (rc == 0)
		rc = store_open(&env, &p->url, access == TOOL_CREATES, &leaf,
		    e);
	if (rc == 0)
		rc = store_stack(leaf, &t->set.volume.store, p->stats,
		    &p->store, e);
	if (rc < 0)
		tool_place_close(p, rc, e);
	return rc;
}

/* Bar of a listing: how many there will be is not known. */
static void
listing_progress(void *arg, uint64_t keys)
{
	progress_set(arg, keys, 0);
}

static int
wait_for_survey(struct tool *t, struct tool_place *p, const char *title,
    struct err *e)
{
	struct progress bar;
	int rc;

	progress_start(&bar, progress_stderr(t->set.quiet), title, "objects",
	    0, 0);
	rc = layout_survey_wait(p->layout, listing_progress, &bar, e);
	progress_end(&bar);
	return rc;
}

static int
open_layout(struct tool *t, struct tool_place *p,
    const struct layout_params *params, struct err *e)
{
	return layout_open(p->store, p->url.prefix, p->url.path, params,
	    t->set.pool, p->stats, &p->layout, e);
}

/* layout_open said that there is no key: that of the volume, or those to the
 * bucket?  In the latter case looking at the volume fails as well. */
static int
need_password(struct tool *t, struct tool_place *p, struct err *e)
{
	char question[PROMPT_MAX];
	struct volume_facts f;
	struct err looking = ERR_INIT;
	int rc = layout_inspect(p->store, p->url.prefix, &f, &looking);

	if (rc < 0 || f.cipher[0] == '\0')
		return -ENOKEY;
	if (t->set.password[0] != '\0')
		return 0;
	snprintf(question, sizeof(question), "Password of %.200s: ",
	    p->url.text);
	rc = prompt_password(question, false, "--password-file FILE",
	    t->set.password, e);
	return rc < 0 ? err_wrap(e, rc, "%s is encrypted", p->url.text) : 0;
}

int
tool_layout(struct tool *t, struct tool_place *p, struct layout_params *params,
    const char *title, struct err *e)
{
	t->guard = (struct volume_guard){ .env = &t->set.env,
		.dir = t->set.volume.journal.dir };
	params->found = volume_guard_found;
	params->found_arg = &t->guard;

	int rc = open_layout(t, p, params, e);

	if (rc == -ENOKEY && params->password == NULL) {
		rc = need_password(t, p, e);
		if (rc < 0)
			return rc;
		err_clear(e);
		params->password = t->set.password;
		rc = open_layout(t, p, params, e);
	}
	if (rc == 0 && params->survey && title != NULL)
		rc = wait_for_survey(t, p, title, e);
	return rc;
}

int
tool_place_close(struct tool_place *p, int rc, struct err *e)
{
	struct err closing = ERR_INIT;

	if (p->layout != NULL) {
		int rc2 = layout_close(p->layout, true, &closing);

		if (rc2 < 0 && rc >= 0) {
			rc = rc2;
			err_copy(e, &closing);
		}
	}
	store_free(p->store);
	free(p->stats);
	url_fini(&p->url);
	*p = (struct tool_place){0};
	return rc;
}

int
tool_print_json(struct json_t *j, void *f, struct err *e)
{
	int rc = 0;

	if (j == NULL)
		return err_set(e, -ENOMEM, "no memory for the JSON");
	if (json_dumpf(j, f, JSON_INDENT(2)) != 0 || fputc('\n', f) == EOF)
		rc = err_set(e, -EIO, "the JSON could not be written");
	json_decref(j);
	return rc;
}
