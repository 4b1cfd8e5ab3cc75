libpail_la_SOURCES += \
	src/layout/layout.h \
	src/layout/present.c src/layout/present.h \
	src/layout/s3b_name.c src/layout/s3b_name.h
