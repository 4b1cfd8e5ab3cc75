libpail_la_SOURCES += src/store/store.h src/store/open.h \
	src/store/store.c src/store/meta.c src/store/page.c \
	src/store/url.c src/store/open.c src/store/stack.c \
	src/store/mem.h src/store/mem.c src/store/rnd.h \
	src/store/dir.h src/store/dir.c src/store/dirops.c \
	src/store/dirlist.c src/store/dirfmt.h src/store/dirfmt.c \
	src/store/filter.h src/store/filter.c \
	src/store/limit.h src/store/limit.c \
	src/store/yield.h src/store/yield.c \
	src/store/retry.h src/store/retry.c \
	src/store/stat.h src/store/stat.c \
	src/store/diskcache.h src/store/diskcache.c \
	src/store/dcfile.h src/store/dcfile.c \
	src/store/dcfmt.h src/store/dcfmt.c \
	src/store/late.h src/store/late.c \
	src/store/delay.h src/store/delay.c \
	src/store/fault.h src/store/fault.c \
	src/store/check.h src/store/check.c
libpail_la_SOURCES += src/store/s3.h src/store/s3.c src/store/s3int.h \
	src/store/s3list.c src/store/s3cond.c \
	src/store/raw.c src/store/raw.h
