# unit tests of src/s3 and of the store s3
s3_unit = tests/unit/s3/contract_s3
check_PROGRAMS += $(s3_unit)
TESTS += $(s3_unit)

tests_unit_s3_contract_s3_SOURCES = tests/unit/s3/contract_s3.c \
	tests/unit/store/contract.c tests/unit/store/contract.h
tests_unit_s3_contract_s3_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_s3_contract_s3_LDADD = $(UNIT_LIBS)
