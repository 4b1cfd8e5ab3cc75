# Programs for the tests, not installed.  Each says at its top what it does.
noinst_PROGRAMS += tests/tools/faultdisk

tests_tools_faultdisk_SOURCES = tests/tools/faultdisk.c
tests_tools_faultdisk_LDADD = $(FUSE_LIBS)
