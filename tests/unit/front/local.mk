# unit tests of src/front
front_unit = tests/unit/front/control tests/unit/front/ending \
	tests/unit/front/holder tests/unit/front/kept \
	tests/unit/front/ledger \
	tests/unit/front/mounts tests/unit/front/status \
	tests/unit/front/storedoor tests/unit/front/wire
check_PROGRAMS += $(front_unit)
TESTS += $(front_unit)

tests_unit_front_control_SOURCES = tests/unit/front/control.c
tests_unit_front_control_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_front_control_LDADD = $(UNIT_LIBS)
tests_unit_front_ending_SOURCES = tests/unit/front/ending.c
tests_unit_front_ending_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_front_ending_LDADD = $(UNIT_LIBS)
tests_unit_front_mounts_SOURCES = tests/unit/front/mounts.c
tests_unit_front_mounts_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_front_mounts_LDADD = $(UNIT_LIBS)
tests_unit_front_status_SOURCES = tests/unit/front/status.c
tests_unit_front_status_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_front_status_LDADD = $(UNIT_LIBS)
tests_unit_front_storedoor_SOURCES = tests/unit/front/storedoor.c
tests_unit_front_storedoor_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_front_storedoor_LDADD = $(UNIT_LIBS) $(JANSSON_LIBS)
tests_unit_front_holder_SOURCES = tests/unit/front/holder.c
tests_unit_front_holder_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_front_holder_LDADD = $(UNIT_LIBS)
tests_unit_front_kept_SOURCES = tests/unit/front/kept.c
tests_unit_front_kept_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_front_kept_LDADD = $(UNIT_LIBS)
tests_unit_front_wire_SOURCES = tests/unit/front/wire.c
tests_unit_front_wire_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_front_wire_LDADD = $(UNIT_LIBS)
tests_unit_front_ledger_SOURCES = tests/unit/front/ledger.c
tests_unit_front_ledger_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_front_ledger_LDADD = $(UNIT_LIBS)
