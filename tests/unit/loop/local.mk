# unit tests of src/loop
check_PROGRAMS += tests/unit/loop/test_fileio
TESTS += tests/unit/loop/test_fileio
tests_unit_loop_test_fileio_SOURCES = tests/unit/loop/test_fileio.c
tests_unit_loop_test_fileio_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_loop_test_fileio_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/loop/test_loop
TESTS += tests/unit/loop/test_loop
tests_unit_loop_test_loop_SOURCES = tests/unit/loop/test_loop.c
tests_unit_loop_test_loop_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_loop_test_loop_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/loop/test_work
TESTS += tests/unit/loop/test_work
tests_unit_loop_test_work_SOURCES = tests/unit/loop/test_work.c
tests_unit_loop_test_work_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_loop_test_work_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/loop/test_fault
TESTS += tests/unit/loop/test_fault
tests_unit_loop_test_fault_SOURCES = tests/unit/loop/test_fault.c \
	$(FAULT_FILES)
tests_unit_loop_test_fault_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_loop_test_fault_LDFLAGS = $(AM_LDFLAGS) $(FAULT_WRAP)
tests_unit_loop_test_fault_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/loop/test_prompt
TESTS += tests/unit/loop/test_prompt
tests_unit_loop_test_prompt_SOURCES = tests/unit/loop/test_prompt.c
tests_unit_loop_test_prompt_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_loop_test_prompt_LDADD = $(UNIT_LIBS)
