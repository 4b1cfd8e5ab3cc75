# unit tests of src/cache; fake.c takes the place of src/layout
cache_unit = tests/unit/cache/test_ahead \
	tests/unit/cache/test_barrier \
	tests/unit/cache/test_cache \
	tests/unit/cache/test_due \
	tests/unit/cache/test_memory \
	tests/unit/cache/test_parts \
	tests/unit/cache/test_spill
check_PROGRAMS += $(cache_unit)
TESTS += $(cache_unit)
CACHE_FAKE = tests/unit/cache/fake.c tests/unit/cache/fake.h

tests_unit_cache_test_barrier_SOURCES = tests/unit/cache/test_barrier.c \
	$(CACHE_FAKE)
tests_unit_cache_test_barrier_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_cache_test_barrier_LDADD = $(UNIT_LIBS)
tests_unit_cache_test_cache_SOURCES = tests/unit/cache/test_cache.c \
	$(CACHE_FAKE)
tests_unit_cache_test_cache_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_cache_test_cache_LDADD = $(UNIT_LIBS)
tests_unit_cache_test_parts_SOURCES = tests/unit/cache/test_parts.c
tests_unit_cache_test_parts_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_cache_test_parts_LDADD = $(UNIT_LIBS)
tests_unit_cache_test_ahead_SOURCES = tests/unit/cache/test_ahead.c \
	$(CACHE_FAKE)
tests_unit_cache_test_ahead_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_cache_test_ahead_LDADD = $(UNIT_LIBS)
tests_unit_cache_test_memory_SOURCES = tests/unit/cache/test_memory.c \
	$(CACHE_FAKE)
tests_unit_cache_test_memory_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_cache_test_memory_LDADD = $(UNIT_LIBS)
tests_unit_cache_test_spill_SOURCES = tests/unit/cache/test_spill.c \
	$(CACHE_FAKE) tests/lib/simdisk.c tests/lib/simdisk.h $(FAULT_FILES)
tests_unit_cache_test_spill_LDFLAGS = $(AM_LDFLAGS) $(FAULT_WRAP)
tests_unit_cache_test_spill_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_cache_test_spill_LDADD = $(UNIT_LIBS)
tests_unit_cache_test_due_SOURCES = tests/unit/cache/test_due.c \
	$(CACHE_FAKE) tests/lib/simdisk.c tests/lib/simdisk.h
tests_unit_cache_test_due_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_cache_test_due_LDADD = $(UNIT_LIBS)
