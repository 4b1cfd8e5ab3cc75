# unit tests of src/base
check_PROGRAMS += tests/unit/base/test_conf
TESTS += tests/unit/base/test_conf
tests_unit_base_test_conf_SOURCES = tests/unit/base/test_conf.c
tests_unit_base_test_conf_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_base_test_conf_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/base/test_encode
TESTS += tests/unit/base/test_encode
tests_unit_base_test_encode_SOURCES = tests/unit/base/test_encode.c
tests_unit_base_test_encode_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_base_test_encode_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/base/test_map
TESTS += tests/unit/base/test_map
tests_unit_base_test_map_SOURCES = tests/unit/base/test_map.c
tests_unit_base_test_map_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_base_test_map_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/base/test_parse
TESTS += tests/unit/base/test_parse
tests_unit_base_test_parse_SOURCES = tests/unit/base/test_parse.c
tests_unit_base_test_parse_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_base_test_parse_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/base/test_stat
TESTS += tests/unit/base/test_stat
tests_unit_base_test_stat_SOURCES = tests/unit/base/test_stat.c
tests_unit_base_test_stat_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_base_test_stat_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/base/test_secret
TESTS += tests/unit/base/test_secret
tests_unit_base_test_secret_SOURCES = tests/unit/base/test_secret.c
tests_unit_base_test_secret_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_base_test_secret_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/base/test_fault
TESTS += tests/unit/base/test_fault
tests_unit_base_test_fault_SOURCES = tests/unit/base/test_fault.c \
	$(FAULT_FILES)
tests_unit_base_test_fault_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_base_test_fault_LDFLAGS = $(AM_LDFLAGS) $(FAULT_WRAP)
tests_unit_base_test_fault_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/base/test_buf
TESTS += tests/unit/base/test_buf
tests_unit_base_test_buf_SOURCES = tests/unit/base/test_buf.c
tests_unit_base_test_buf_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_base_test_buf_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/base/test_err
TESTS += tests/unit/base/test_err
tests_unit_base_test_err_SOURCES = tests/unit/base/test_err.c
tests_unit_base_test_err_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_base_test_err_LDADD = $(UNIT_LIBS)
