libpail_la_SOURCES += src/layout/layout.h
