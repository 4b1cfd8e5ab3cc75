# Unit tests: cmocka programs, in folders that mirror src/.  Each folder has
# its own local.mk which adds to check_PROGRAMS and TESTS and sets
# NAME_SOURCES and NAME_LDADD = $(UNIT_LIBS).
UNIT_LIBS = libpail.la $(CMOCKA_LIBS)
UNIT_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) -I$(srcdir)/tests

if CMOCKA
include tests/unit/base/local.mk
include tests/unit/loop/local.mk
include tests/unit/http/local.mk
include tests/unit/s3/local.mk
include tests/unit/store/local.mk
include tests/unit/codec/local.mk
include tests/unit/layout/local.mk
include tests/unit/cache/local.mk
include tests/unit/volume/local.mk
include tests/unit/front/local.mk
include tests/unit/cli/local.mk
endif
