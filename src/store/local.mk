libpail_la_SOURCES += src/store/store.h src/store/open.h \
	src/store/store.c src/store/meta.c
