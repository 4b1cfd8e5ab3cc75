libpail_la_SOURCES += \
	src/codec/cipher.c src/codec/cipher.h \
	src/codec/codec.c src/codec/codec.h \
	src/codec/compress.c src/codec/compress.h
