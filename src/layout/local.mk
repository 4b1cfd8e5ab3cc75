libpail_la_SOURCES += \
	src/layout/descriptor.c src/layout/descriptor.h \
	src/layout/layout.c src/layout/layout.h \
	src/layout/present.c src/layout/present.h \
	src/layout/probe.c src/layout/probe.h \
	src/layout/s3b.h \
	src/layout/s3b_erase.c \
	src/layout/s3b_io.c \
	src/layout/s3b_name.c src/layout/s3b_name.h \
	src/layout/s3b_open.c \
	src/layout/s3b_survey.c \
	src/layout/survey.c src/layout/survey.h
