# unit tests of src/s3 and of the store s3
s3_unit = tests/unit/s3/test_sigv4 \
	tests/unit/s3/test_xml \
	tests/unit/s3/test_error \
	tests/unit/s3/test_config \
	tests/unit/s3/test_credfile \
	tests/unit/s3/test_cred \
	tests/unit/s3/test_store \
	tests/unit/s3/contract_s3
check_PROGRAMS += $(s3_unit)
TESTS += $(s3_unit)

tests_unit_s3_test_sigv4_SOURCES = tests/unit/s3/test_sigv4.c
tests_unit_s3_test_sigv4_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_s3_test_sigv4_LDADD = $(UNIT_LIBS)
tests_unit_s3_test_xml_SOURCES = tests/unit/s3/test_xml.c
tests_unit_s3_test_xml_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_s3_test_xml_LDADD = $(UNIT_LIBS)
tests_unit_s3_test_error_SOURCES = tests/unit/s3/test_error.c
tests_unit_s3_test_error_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_s3_test_error_LDADD = $(UNIT_LIBS)
tests_unit_s3_test_config_SOURCES = tests/unit/s3/test_config.c
tests_unit_s3_test_config_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_s3_test_config_LDADD = $(UNIT_LIBS)
tests_unit_s3_test_credfile_SOURCES = tests/unit/s3/test_credfile.c
tests_unit_s3_test_credfile_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_s3_test_credfile_LDADD = $(UNIT_LIBS)
tests_unit_s3_contract_s3_SOURCES = tests/unit/s3/contract_s3.c \
	tests/unit/store/contract.c tests/unit/store/contract.h
tests_unit_s3_contract_s3_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_s3_contract_s3_LDADD = $(UNIT_LIBS)
tests_unit_s3_test_cred_SOURCES = tests/unit/s3/test_cred.c $(fake_SOURCES)
tests_unit_s3_test_cred_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_s3_test_cred_LDADD = $(UNIT_LIBS)
tests_unit_s3_test_store_SOURCES = tests/unit/s3/test_store.c $(fake_SOURCES)
tests_unit_s3_test_store_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_s3_test_store_LDADD = $(UNIT_LIBS)
