# unit tests of src/loop
check_PROGRAMS += tests/unit/loop/test_loop
TESTS += tests/unit/loop/test_loop
tests_unit_loop_test_loop_SOURCES = tests/unit/loop/test_loop.c
tests_unit_loop_test_loop_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_loop_test_loop_LDADD = $(UNIT_LIBS)
