# unit tests of src/volume
volume_unit = tests/unit/volume/model \
	tests/unit/volume/test_crash tests/unit/volume/test_journal tests/unit/volume/test_fault
check_PROGRAMS += $(volume_unit)
TESTS += $(volume_unit)
EXTRA_DIST += tests/unit/volume/util.h
VOLUME_LOAD = tests/unit/volume/load.c tests/unit/volume/load.h

tests_unit_volume_model_SOURCES = tests/unit/volume/model.c
tests_unit_volume_model_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_volume_model_LDADD = $(UNIT_LIBS)
tests_unit_volume_test_fault_SOURCES = tests/unit/volume/test_fault.c \
	$(FAULT_FILES)
tests_unit_volume_test_fault_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_volume_test_fault_LDFLAGS = $(AM_LDFLAGS) $(FAULT_WRAP)
tests_unit_volume_test_fault_LDADD = $(UNIT_LIBS)
tests_unit_volume_test_crash_SOURCES = tests/unit/volume/test_crash.c \
	$(VOLUME_LOAD)
tests_unit_volume_test_crash_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_volume_test_crash_LDADD = $(UNIT_LIBS)
tests_unit_volume_test_journal_SOURCES = tests/unit/volume/test_journal.c \
	$(VOLUME_LOAD) tests/lib/simdisk.c tests/lib/simdisk.h
tests_unit_volume_test_journal_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_volume_test_journal_LDADD = $(UNIT_LIBS)
