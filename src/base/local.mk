libpail_la_SOURCES += \
	src/base/buf.c src/base/buf.h \
	src/base/byteorder.h \
	src/base/clock.h \
	src/base/conf.c src/base/conf.h \
	src/base/conf_help.c \
	src/base/encode.c src/base/encode.h \
	src/base/err.c src/base/err.h \
	src/base/list.h \
	src/base/log.c src/base/log.h \
	src/base/map.c src/base/map.h \
	src/base/must.c src/base/must.h \
	src/base/parse.c src/base/parse.h \
	src/base/secret.c src/base/secret.h \
	src/base/stat.c src/base/stat.h \
	src/base/strbuf.c src/base/strbuf.h \
	src/base/suggest.c src/base/suggest.h
