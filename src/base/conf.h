/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Options: one table says what there is; the command line, `-o key=value` of
 * mount and fstab, defaults, checks, error sentences and --help come from it.
 *
 *	struct settings { uint64_t block_size; bool read_only; char *region; };
 *	static const struct conf_opt opts[] = {
 *		{"block-size", 0, CONF_SIZE, CONF_AT(struct settings, block_size),
 *		    .def = "128K", .min = 4096, .max = 16 << 20, .pow2 = true,
 *		    .group = "Volume", .help = "bytes in a block"},
 *		...
 *		{NULL}};
 *
 * Every error names the option as it was written, the value, the reason and
 * what is accepted.  Unknown options are answered with the nearest known one.
 */
struct err;
struct strbuf;

enum conf_type {
	CONF_FLAG,     /* bool: --name, --name=yes, --name=no */
	CONF_UINT,     /* uint64_t */
	CONF_SIZE,     /* uint64_t: 128K (parse_size) */
	CONF_DURATION, /* int64_t, ns: 30s (parse_duration) */
	CONF_STRING,   /* char *, owned by the settings; NULL without default */
	CONF_PATH,     /* the same, not empty, made absolute when parsed: a daemon
			* leaves its directory */
	CONF_ENUM,     /* int: the index of the word in words */
	CONF_OPTIONS   /* "-o name,name=value,...": options of the same table */
};

/* flags of an option */
#define CONF_HIDDEN 1u /* not in --help, not suggested */
#define CONF_INVERT 2u /* CONF_FLAG: stores the contrary ("rw" for read_only) */
/* Accepted and not used.  With a help text a warning is logged, which ends with
 * it ("--x has no effect: HELP"); without, nothing ("_netdev" in fstab). */
#define CONF_UNUSED 4u

struct conf_opt {
	const char *name; /* "block-size"; "x-systemd.*": all that begin so */
	char letter;	  /* 'f' for -f, or 0 */
	enum conf_type type;
	size_t offset; /* of the field, by CONF_AT; not of OPTIONS and UNUSED */
	const char *def;  /* as a person would write it; NULL: 0, no, NULL, the
			   * first word */
	uint64_t min;	  /* UINT, SIZE, DURATION (ns) */
	uint64_t max;	  /* 0: no limit */
	bool pow2;
	const char *const *words; /* ENUM; ends with NULL */
	const char *alias;	  /* another name, or NULL */
	const char *arg;   /* in --help; NULL: from the type ("SIZE", "A|B") */
	const char *group; /* heading in --help; NULL: as the row before */
	const char *help;  /* a sentence without its full stop */
	unsigned flags;
};

#define CONF_AT(type, field) offsetof(type, field)
#define CONF_OPTS_MAX 192

struct conf {
	const struct conf_opt *opts; /* ends with a name of NULL; borrowed */
	void *settings;		     /* borrowed; strings in it are owned */
	uint64_t given[CONF_OPTS_MAX / 64];
};

/* Zero nothing, set all defaults: settings is zeroed memory.  -ENOMEM. */
int conf_init(struct conf *c, const struct conf_opt *opts, void *settings,
    struct err *e);
/* Free the strings of the settings and set them to NULL.  Also after a failed
 * conf_init, and on zeroed memory. */
void conf_fini(struct conf *c);

/*
 * Parse a command line: argv[0] is the program or the verb.  Options and
 * operands may be mixed; "--" ends the options; "-" is an operand; "-fd" is -f
 * -d, "-s1T" and "-s 1T" are the same.  Returns the number of operands and puts
 * them in order at argv[1] ... ; or a negative errno.  What was parsed before an
 * error stays set.
 */
int conf_args(struct conf *c, int argc, char **argv, struct err *e);

/* Parse "name,name=value,..." ("\," is a comma in a value).  "_" and "-" in a
 * name are the same here, and on a command line too. */
int conf_options(struct conf *c, const char *text, struct err *e);

/* Set one option by name; value NULL: none (a flag). */
int conf_set(
    struct conf *c, const char *name, const char *value, struct err *e);

/* The field of the settings was given, by whichever of its options: true too if
 * it was given its default.  conf_given(&c, &settings.block_size) */
bool conf_given(const struct conf *c, const void *field);

/* The word of an ENUM's value, for messages. */
const char *conf_word(const struct conf_opt *opts, const char *name, int value);

/* An option's argument as --help shows it, for messages: "SIZE", "on|off". */
void conf_put_arg(const struct conf_opt *o, struct strbuf *out);

/* The options for --help, in groups, at most 80 columns wide. */
void conf_help(const struct conf_opt *opts, struct strbuf *out);

#endif
