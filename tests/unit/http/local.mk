# unit tests of src/http
http_unit = tests/unit/http/test_answer tests/unit/http/test_engine
check_PROGRAMS += $(http_unit)
TESTS += $(http_unit)

tests_unit_http_test_answer_SOURCES = tests/unit/http/test_answer.c
tests_unit_http_test_answer_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_http_test_answer_LDADD = $(UNIT_LIBS)

# A server that does what a test says; s3's tests use it too.
fake_SOURCES = tests/unit/http/fake.c tests/unit/http/fake.h
tests_unit_http_test_engine_SOURCES = tests/unit/http/test_engine.c \
	$(fake_SOURCES)
tests_unit_http_test_engine_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_http_test_engine_LDADD = $(UNIT_LIBS)
