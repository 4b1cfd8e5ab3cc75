# Unit tests: cmocka programs, in folders that mirror src/.  Each folder has
# its own local.mk which adds to check_PROGRAMS and TESTS and sets
# NAME_SOURCES and NAME_LDADD = $(UNIT_LIBS).
UNIT_LIBS = libpail.la $(CMOCKA_LIBS)
UNIT_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) -I$(srcdir)/tests

# To fail the n'th allocation or system call: see tests/lib/fault.h.
FAULT_FILES = tests/lib/fault.c tests/lib/fault.h
FAULT_WRAP = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc \
	-Wl,--wrap=reallocarray,--wrap=aligned_alloc,--wrap=posix_memalign \
	-Wl,--wrap=strdup,--wrap=strndup,--wrap=asprintf,--wrap=vasprintf \
	-Wl,--wrap=epoll_create1,--wrap=epoll_ctl,--wrap=eventfd \
	-Wl,--wrap=signalfd,--wrap=pthread_create,--wrap=fstat,--wrap=read \
	-Wl,--wrap=io_uring_queue_init_params \
	-Wl,--wrap=io_uring_register_eventfd

if CMOCKA
include tests/unit/base/local.mk
include tests/unit/loop/local.mk
include tests/unit/http/local.mk
include tests/unit/s3/local.mk
include tests/unit/raw/local.mk
include tests/unit/store/local.mk
include tests/unit/codec/local.mk
include tests/unit/layout/local.mk
include tests/unit/journal/local.mk
include tests/unit/cache/local.mk
include tests/unit/volume/local.mk
include tests/unit/front/local.mk
include tests/unit/cli/local.mk
endif
