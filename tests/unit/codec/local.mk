# unit tests of src/codec
codec_unit = tests/unit/codec/codec
check_PROGRAMS += $(codec_unit)
TESTS += $(codec_unit)

tests_unit_codec_codec_SOURCES = tests/unit/codec/codec.c
tests_unit_codec_codec_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_codec_codec_LDADD = $(UNIT_LIBS)
