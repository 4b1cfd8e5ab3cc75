# unit tests of src/journal
journal_tests = \
	tests/unit/journal/test_journal \
	tests/unit/journal/test_power \
	tests/unit/journal/test_reread
check_PROGRAMS += $(journal_tests)
TESTS += $(journal_tests)

tests_unit_journal_test_power_SOURCES = tests/unit/journal/test_power.c \
	tests/lib/simdisk.c tests/lib/simdisk.h
tests_unit_journal_test_power_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_journal_test_power_LDADD = $(UNIT_LIBS)
tests_unit_journal_test_journal_SOURCES = tests/unit/journal/test_journal.c \
	tests/lib/simdisk.c tests/lib/simdisk.h
tests_unit_journal_test_journal_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_journal_test_journal_LDADD = $(UNIT_LIBS)
tests_unit_journal_test_reread_SOURCES = tests/unit/journal/test_reread.c \
	tests/lib/simdisk.c tests/lib/simdisk.h
tests_unit_journal_test_reread_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_journal_test_reread_LDADD = $(UNIT_LIBS)
