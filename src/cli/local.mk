# The program: one verb per file.
bin_PROGRAMS += pail
pail_SOURCES = src/cli/main.c src/cli/cli.h
pail_LDADD = libpail.la
