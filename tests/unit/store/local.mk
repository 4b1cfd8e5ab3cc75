# unit tests of src/store
store_unit = tests/unit/store/url tests/unit/store/meta \
	tests/unit/store/stacks tests/unit/store/filters tests/unit/store/yield \
	tests/unit/store/diskcache tests/unit/store/dir tests/unit/store/raw tests/unit/store/nomem
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
tests_unit_store_yield_SOURCES = tests/unit/store/yield.c
tests_unit_store_yield_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_store_yield_LDADD = $(UNIT_LIBS) -lm
tests_unit_store_diskcache_SOURCES = tests/unit/store/diskcache.c \
	tests/unit/store/contract.c tests/unit/store/contract.h \
	tests/lib/simdisk.c tests/lib/simdisk.h $(FAULT_FILES)
tests_unit_store_diskcache_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_store_diskcache_LDFLAGS = $(AM_LDFLAGS) $(FAULT_WRAP)
tests_unit_store_diskcache_LDADD = $(UNIT_LIBS)
tests_unit_store_dir_SOURCES = tests/unit/store/dir.c \
	tests/unit/store/contract.c tests/unit/store/contract.h
tests_unit_store_dir_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_store_dir_LDADD = $(UNIT_LIBS)
tests_unit_store_raw_SOURCES = tests/unit/store/raw.c \
	tests/unit/store/contract.c tests/unit/store/contract.h
tests_unit_store_raw_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_store_raw_LDADD = $(UNIT_LIBS)
# Besides allocations: the system calls of the store in a directory.
tests_unit_store_nomem_SOURCES = tests/unit/store/nomem.c $(FAULT_FILES)
tests_unit_store_nomem_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_store_nomem_LDFLAGS = $(AM_LDFLAGS) $(FAULT_WRAP) \
	-Wl,--wrap=openat,--wrap=openat64,--wrap=pread,--wrap=pread64 \
	-Wl,--wrap=write,--wrap=fdatasync,--wrap=fsync,--wrap=syncfs \
	-Wl,--wrap=mkdirat,--wrap=unlinkat,--wrap=renameat \
	-Wl,--wrap=renameat2,--wrap=fstatat,--wrap=fstatat64 \
	-Wl,--wrap=getrandom,--wrap=flock
tests_unit_store_nomem_LDADD = $(UNIT_LIBS)
