# unit tests of src/store
store_unit = tests/unit/store/url tests/unit/store/meta \
	tests/unit/store/stacks tests/unit/store/filters \
	tests/unit/store/dir
check_PROGRAMS += $(store_unit)
TESTS += $(store_unit)

tests_unit_store_url_SOURCES = tests/unit/store/url.c
tests_unit_store_url_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_store_url_LDADD = $(UNIT_LIBS)
tests_unit_store_meta_SOURCES = tests/unit/store/meta.c
tests_unit_store_meta_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_store_meta_LDADD = $(UNIT_LIBS)

# The contract tests: contract.c is linked into the tests of every leaf.
tests_unit_store_stacks_SOURCES = tests/unit/store/stacks.c \
	tests/unit/store/contract.c tests/unit/store/contract.h
tests_unit_store_stacks_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_store_stacks_LDADD = $(UNIT_LIBS)
tests_unit_store_filters_SOURCES = tests/unit/store/filters.c
tests_unit_store_filters_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_store_filters_LDADD = $(UNIT_LIBS)
tests_unit_store_dir_SOURCES = tests/unit/store/dir.c \
	tests/unit/store/contract.c tests/unit/store/contract.h
tests_unit_store_dir_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_store_dir_LDADD = $(UNIT_LIBS)
