libpail_la_SOURCES += \
	src/layout/admin.h \
	src/layout/admin_check.c \
	src/layout/admin_inspect.c \
	src/layout/admin_size.c \
	src/layout/descriptor.c src/layout/descriptor.h \
	src/layout/layout.c src/layout/layout.h \
	src/layout/lease.c src/layout/lease.h \
	src/layout/lease_owner.c src/layout/lease_owner.h \
	src/layout/present.c src/layout/present.h \
	src/layout/probe.c src/layout/probe.h \
	src/layout/s3b.h \
	src/layout/s3b_create.c \
	src/layout/s3b_decide.c \
	src/layout/s3b_erase.c \
	src/layout/s3b_io.c \
	src/layout/s3b_keys.c \
	src/layout/s3b_name.c src/layout/s3b_name.h \
	src/layout/s3b_open.c src/layout/s3b_open.h \
	src/layout/s3b_survey.c \
	src/layout/survey.c src/layout/survey.h
