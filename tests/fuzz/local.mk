# Fuzz targets: parsers of bytes from outside.  See docs/testing.md.
#
# A target is tests/fuzz/fuzz_NAME.c with LLVMFuzzerTestOneInput, and a corpus in
# tests/fuzz/corpus/NAME/.  As a rule it is a plain program that replays its
# corpus in make check, or the files given as arguments; with --enable-fuzzers
# (and CC=clang) it searches.  To add one, add its name to FUZZ_TARGETS and the
# three lines below.
FUZZ_TARGETS = tests/fuzz/fuzz_conf tests/fuzz/fuzz_text \
	tests/fuzz/fuzz_url tests/fuzz/fuzz_dirfmt \
	tests/fuzz/fuzz_block tests/fuzz/fuzz_descriptor \
	tests/fuzz/fuzz_lease tests/fuzz/fuzz_name \
	tests/fuzz/fuzz_s3xml tests/fuzz/fuzz_httphdr \
	tests/fuzz/fuzz_credfile tests/fuzz/fuzz_journal \
	tests/fuzz/fuzz_ledger tests/fuzz/fuzz_rawformat \
	tests/fuzz/fuzz_diskcache
if CMOCKA
FUZZ_TARGETS += tests/fuzz/fuzz_rawimage tests/fuzz/fuzz_journalimage
endif

if FUZZERS
FUZZ_MAIN =
FUZZ_LINK = -fsanitize=fuzzer
else
FUZZ_MAIN = tests/fuzz/replay.c
FUZZ_LINK =
TESTS += $(FUZZ_TARGETS)
endif
check_PROGRAMS += $(FUZZ_TARGETS)
EXTRA_DIST += tests/fuzz/corpus tests/fuzz/replay.c

tests_fuzz_fuzz_conf_SOURCES = tests/fuzz/fuzz_conf.c $(FUZZ_MAIN)
tests_fuzz_fuzz_conf_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_conf_LDADD = libpail.la

tests_fuzz_fuzz_text_SOURCES = tests/fuzz/fuzz_text.c $(FUZZ_MAIN)
tests_fuzz_fuzz_text_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_text_LDADD = libpail.la

tests_fuzz_fuzz_url_SOURCES = tests/fuzz/fuzz_url.c $(FUZZ_MAIN)
tests_fuzz_fuzz_url_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_url_LDADD = libpail.la

tests_fuzz_fuzz_dirfmt_SOURCES = tests/fuzz/fuzz_dirfmt.c $(FUZZ_MAIN)
tests_fuzz_fuzz_dirfmt_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_dirfmt_LDADD = libpail.la

tests_fuzz_fuzz_block_SOURCES = tests/fuzz/fuzz_block.c $(FUZZ_MAIN)
tests_fuzz_fuzz_block_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_block_LDADD = libpail.la

tests_fuzz_fuzz_descriptor_SOURCES = tests/fuzz/fuzz_descriptor.c $(FUZZ_MAIN)
tests_fuzz_fuzz_descriptor_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_descriptor_LDADD = libpail.la

tests_fuzz_fuzz_lease_SOURCES = tests/fuzz/fuzz_lease.c $(FUZZ_MAIN)
tests_fuzz_fuzz_lease_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_lease_LDADD = libpail.la

tests_fuzz_fuzz_name_SOURCES = tests/fuzz/fuzz_name.c $(FUZZ_MAIN)
tests_fuzz_fuzz_name_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_name_LDADD = libpail.la

tests_fuzz_fuzz_s3xml_SOURCES = tests/fuzz/fuzz_s3xml.c $(FUZZ_MAIN)
tests_fuzz_fuzz_s3xml_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_s3xml_LDADD = libpail.la

tests_fuzz_fuzz_httphdr_SOURCES = tests/fuzz/fuzz_httphdr.c $(FUZZ_MAIN)
tests_fuzz_fuzz_httphdr_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_httphdr_LDADD = libpail.la

tests_fuzz_fuzz_credfile_SOURCES = tests/fuzz/fuzz_credfile.c $(FUZZ_MAIN)
tests_fuzz_fuzz_credfile_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_credfile_LDADD = libpail.la

tests_fuzz_fuzz_journal_SOURCES = tests/fuzz/fuzz_journal.c $(FUZZ_MAIN)
tests_fuzz_fuzz_journal_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_journal_LDADD = libpail.la

tests_fuzz_fuzz_ledger_SOURCES = tests/fuzz/fuzz_ledger.c $(FUZZ_MAIN)
tests_fuzz_fuzz_ledger_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_ledger_LDADD = libpail.la

tests_fuzz_fuzz_rawformat_SOURCES = tests/fuzz/fuzz_rawformat.c $(FUZZ_MAIN)
tests_fuzz_fuzz_rawformat_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_rawformat_LDADD = libpail.la

tests_fuzz_fuzz_diskcache_SOURCES = tests/fuzz/fuzz_diskcache.c $(FUZZ_MAIN)
tests_fuzz_fuzz_diskcache_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_fuzz_fuzz_diskcache_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_diskcache_LDADD = $(UNIT_LIBS)

# A whole store on simulated disks.  All of the log is read at each opening: so
# those files that know its least size are built anew, for a short one.
tests_fuzz_fuzz_rawimage_SOURCES = tests/fuzz/fuzz_rawimage.c $(RAWLAB) \
	src/raw/format.c src/raw/log.c src/raw/logread.c src/raw/pool.c \
	src/raw/replay.c \
	$(FUZZ_MAIN)
tests_fuzz_fuzz_rawimage_CPPFLAGS = $(UNIT_CPPFLAGS) -DRAW_RECORD_MAX=32768u
tests_fuzz_fuzz_rawimage_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK) $(RAWLAB_WRAP)
tests_fuzz_fuzz_rawimage_LDADD = $(UNIT_LIBS)

# A whole journal on a simulated disk.
tests_fuzz_fuzz_journalimage_SOURCES = tests/fuzz/fuzz_journalimage.c \
	tests/lib/jnlwait.c tests/lib/jnlwait.h \
	tests/lib/simdisk.c tests/lib/simdisk.h $(FUZZ_MAIN)
tests_fuzz_fuzz_journalimage_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_fuzz_fuzz_journalimage_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LINK)
tests_fuzz_fuzz_journalimage_LDADD = $(UNIT_LIBS)
