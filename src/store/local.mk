libpail_la_SOURCES += src/store/store.h src/store/open.h
