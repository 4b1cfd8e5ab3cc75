# unit tests of src/journal
journal_tests = \
	tests/unit/journal/test_journal \
	tests/unit/journal/test_power \
	tests/unit/journal/test_reread
journal_lib = tests/lib/simdisk.c tests/lib/simdisk.h \
	tests/lib/jnlwait.c tests/lib/jnlwait.h
check_PROGRAMS += $(journal_tests)
TESTS += $(journal_tests)

tests_unit_journal_test_power_SOURCES = tests/unit/journal/test_power.c \
	$(journal_lib)
tests_unit_journal_test_power_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_journal_test_power_LDADD = $(UNIT_LIBS)
tests_unit_journal_test_journal_SOURCES = tests/unit/journal/test_journal.c \
	$(journal_lib)
tests_unit_journal_test_journal_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_journal_test_journal_LDADD = $(UNIT_LIBS)
tests_unit_journal_test_reread_SOURCES = tests/unit/journal/test_reread.c \
	$(journal_lib)
tests_unit_journal_test_reread_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_journal_test_reread_LDADD = $(UNIT_LIBS)
