libpail_la_SOURCES += \
	src/s3/client.c src/s3/client.h \
	src/s3/config.c src/s3/config.h \
	src/s3/cred.c src/s3/cred.h src/s3/credint.h \
	src/s3/credfile.c src/s3/credfile.h \
	src/s3/credhttp.c src/s3/credlocal.c src/s3/credproc.c \
	src/s3/encode.c src/s3/encode.h \
	src/s3/error.c src/s3/error.h \
	src/s3/place.c src/s3/place.h \
	src/s3/resolve.c src/s3/resolve.h \
	src/s3/sigv4.c src/s3/sigv4.h \
	src/s3/xml.c src/s3/xml.h
