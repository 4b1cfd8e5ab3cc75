libpail_la_SOURCES += src/store/store.h src/store/open.h \
	src/store/store.c src/store/meta.c src/store/page.c \
	src/store/url.c src/store/open.c \
	src/store/mem.h src/store/mem.c
