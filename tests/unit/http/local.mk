# unit tests of src/http
http_unit = tests/unit/http/test_answer
check_PROGRAMS += $(http_unit)
TESTS += $(http_unit)

tests_unit_http_test_answer_SOURCES = tests/unit/http/test_answer.c
tests_unit_http_test_answer_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_http_test_answer_LDADD = $(UNIT_LIBS)
