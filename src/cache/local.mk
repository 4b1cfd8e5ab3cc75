libpail_la_SOURCES += \
	src/cache/ahead.c \
	src/cache/arena.c src/cache/arena.h \
	src/cache/barrier.c \
	src/cache/bits.h \
	src/cache/cache.c src/cache/cache.h \
	src/cache/due.c \
	src/cache/entry.c \
	src/cache/erase.c \
	src/cache/evict.c \
	src/cache/fetch.c \
	src/cache/internal.h \
	src/cache/jnl.c \
	src/cache/pace.c \
	src/cache/ranges.c src/cache/ranges.h \
	src/cache/read.c \
	src/cache/seek.c \
	src/cache/spill.c \
	src/cache/write.c \
	src/cache/writeback.c
