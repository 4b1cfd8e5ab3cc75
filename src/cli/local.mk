# The program: one verb per file.  All but main.c is a library, for the tests.
bin_PROGRAMS += pail
pail_SOURCES = src/cli/main.c
pail_LDADD = libpailcli.la libpail.la

noinst_LTLIBRARIES += libpailcli.la
libpailcli_la_SOURCES = src/cli/cli.h \
	src/cli/check.c src/cli/copy.c src/cli/create.c \
	src/cli/describe.c src/cli/describe.h \
	src/cli/erase.c src/cli/info.c src/cli/journal.c src/cli/list.c \
	src/cli/resize.c \
	src/cli/unlock.c src/cli/version.c \
	src/cli/copy_end.h src/cli/copy_file.c src/cli/copy_pipe.c \
	src/cli/copy_run.c src/cli/copy_run.h src/cli/copy_volume.c \
	src/cli/exit.c src/cli/exit.h \
	src/cli/interrupt.c src/cli/interrupt.h \
	src/cli/progress.c src/cli/progress.h \
	src/cli/prompt.c src/cli/prompt.h \
	src/cli/store.c src/cli/store.h src/cli/store_create.c \
	src/cli/store_ask.c src/cli/store_ask.h \
	src/cli/store_check.c src/cli/store_erase.c src/cli/store_list.c \
	src/cli/store_member.c \
	src/cli/store_object.c src/cli/store_scrub.c src/cli/store_status.c \
	src/cli/table.c src/cli/table.h \
	src/cli/tool.c src/cli/tool.h \
	src/cli/text.c src/cli/text.h

# The verbs of a mount, and the options that all verbs share.
libpailcli_la_SOURCES += \
	src/cli/argv.c \
	src/cli/daemon.c src/cli/daemon.h \
	src/cli/mount.c \
	src/cli/mount_run.c src/cli/mount_run.h \
	src/cli/mounted.c src/cli/mounted.h \
	src/cli/s3b_args.c src/cli/s3b_flags.c src/cli/s3b_flags.h \
	src/cli/s3b_int.h src/cli/s3b_translate.c \
	src/cli/s3backer.c \
	src/cli/settings.c src/cli/settings.h \
	src/cli/stats.c \
	src/cli/sync.c \
	src/cli/unmount.c \
	src/cli/upgrade.c
