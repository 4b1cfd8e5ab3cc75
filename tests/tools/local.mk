# Programs for the tests, not installed.  Each says at its top what it does.
noinst_PROGRAMS += tests/tools/faultdisk tests/tools/stamps

tests_tools_faultdisk_SOURCES = tests/tools/faultdisk.c
tests_tools_faultdisk_LDADD = $(FUSE_LIBS)

tests_tools_stamps_SOURCES = tests/tools/stamps.c
