# unit tests of src/layout
layout_unit = tests/unit/layout/admin \
	tests/unit/layout/descriptor \
	tests/unit/layout/fault \
	tests/unit/layout/io \
	tests/unit/layout/layout \
	tests/unit/layout/lease \
	tests/unit/layout/name \
	tests/unit/layout/nomem \
	tests/unit/layout/open \
	tests/unit/layout/present \
	tests/unit/layout/race
check_PROGRAMS += $(layout_unit)
TESTS += $(layout_unit)
EXTRA_DIST += tests/unit/layout/util.h

tests_unit_layout_admin_SOURCES = tests/unit/layout/admin.c
tests_unit_layout_admin_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_layout_admin_LDADD = $(UNIT_LIBS)
tests_unit_layout_descriptor_SOURCES = tests/unit/layout/descriptor.c
tests_unit_layout_descriptor_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_layout_descriptor_LDADD = $(UNIT_LIBS)
tests_unit_layout_fault_SOURCES = tests/unit/layout/fault.c
tests_unit_layout_fault_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_layout_fault_LDADD = $(UNIT_LIBS)
tests_unit_layout_io_SOURCES = tests/unit/layout/io.c
tests_unit_layout_io_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_layout_io_LDADD = $(UNIT_LIBS)
tests_unit_layout_layout_SOURCES = tests/unit/layout/layout.c
tests_unit_layout_layout_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_layout_layout_LDADD = $(UNIT_LIBS)
tests_unit_layout_lease_SOURCES = tests/unit/layout/lease.c
tests_unit_layout_lease_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_layout_lease_LDADD = $(UNIT_LIBS)
tests_unit_layout_name_SOURCES = tests/unit/layout/name.c
tests_unit_layout_name_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_layout_name_LDADD = $(UNIT_LIBS)
tests_unit_layout_nomem_SOURCES = tests/unit/layout/nomem.c $(FAULT_FILES)
tests_unit_layout_nomem_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_layout_nomem_LDFLAGS = $(AM_LDFLAGS) $(FAULT_WRAP)
tests_unit_layout_nomem_LDADD = $(UNIT_LIBS)
tests_unit_layout_open_SOURCES = tests/unit/layout/open.c
tests_unit_layout_open_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_layout_open_LDADD = $(UNIT_LIBS)
tests_unit_layout_present_SOURCES = tests/unit/layout/present.c
tests_unit_layout_present_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_layout_present_LDADD = $(UNIT_LIBS)
tests_unit_layout_race_SOURCES = tests/unit/layout/race.c
tests_unit_layout_race_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_layout_race_LDADD = $(UNIT_LIBS)
