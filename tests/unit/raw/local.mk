# unit tests of src/raw
raw_tests = \
	tests/unit/raw/test_crash \
	tests/unit/raw/test_damage \
	tests/unit/raw/test_ec \
	tests/unit/raw/test_fail \
	tests/unit/raw/test_faults \
	tests/unit/raw/test_foreign \
	tests/unit/raw/test_full \
	tests/unit/raw/test_index \
	tests/unit/raw/test_members \
	tests/unit/raw/test_model \
	tests/unit/raw/test_pool \
	tests/unit/raw/test_quorum \
	tests/unit/raw/test_rdev \
	tests/unit/raw/test_regress \
	tests/unit/raw/test_rebuild \
	tests/unit/raw/test_reopen \
	tests/unit/raw/test_scrub \
	tests/unit/raw/test_silent \
	tests/unit/raw/test_small \
	tests/unit/raw/test_threads
check_PROGRAMS += $(raw_tests)
TESTS += $(raw_tests)

tests_unit_raw_test_ec_SOURCES = tests/unit/raw/test_ec.c
tests_unit_raw_test_ec_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_raw_test_ec_LDADD = $(UNIT_LIBS)
tests_unit_raw_test_index_SOURCES = tests/unit/raw/test_index.c
tests_unit_raw_test_index_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_raw_test_index_LDADD = $(UNIT_LIBS)
tests_unit_raw_test_pool_SOURCES = tests/unit/raw/test_pool.c \
	tests/lib/simdisk.c tests/lib/simdisk.h
tests_unit_raw_test_pool_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_raw_test_pool_LDADD = $(UNIT_LIBS)

# A pool on simulated disks, with a model of it: tests/lib/rawlab.h.
RAWLAB = tests/lib/rawlab.c tests/lib/rawlab.h \
	tests/lib/simdisk.c tests/lib/simdisk.h
RAWLAB_WRAP = -Wl,--wrap=getrandom,--wrap=log_msg

tests_unit_raw_test_members_SOURCES = tests/unit/raw/test_members.c \
	tests/unit/raw/memberlab.c tests/unit/raw/memberlab.h $(RAWLAB)
tests_unit_raw_test_members_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_raw_test_members_LDFLAGS = $(AM_LDFLAGS) $(RAWLAB_WRAP)
tests_unit_raw_test_members_LDADD = $(UNIT_LIBS)
tests_unit_raw_test_foreign_SOURCES = tests/unit/raw/test_foreign.c \
	tests/unit/raw/memberlab.c tests/unit/raw/memberlab.h $(RAWLAB)
tests_unit_raw_test_foreign_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_raw_test_foreign_LDFLAGS = $(AM_LDFLAGS) $(RAWLAB_WRAP)
tests_unit_raw_test_foreign_LDADD = $(UNIT_LIBS)
tests_unit_raw_test_quorum_SOURCES = tests/unit/raw/test_quorum.c \
	tests/unit/raw/memberlab.c tests/unit/raw/memberlab.h $(RAWLAB)
tests_unit_raw_test_quorum_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_raw_test_quorum_LDFLAGS = $(AM_LDFLAGS) $(RAWLAB_WRAP)
tests_unit_raw_test_quorum_LDADD = $(UNIT_LIBS)
tests_unit_raw_test_rebuild_SOURCES = tests/unit/raw/test_rebuild.c \
	tests/unit/raw/memberlab.c tests/unit/raw/memberlab.h $(RAWLAB)
tests_unit_raw_test_rebuild_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_raw_test_rebuild_LDFLAGS = $(AM_LDFLAGS) $(RAWLAB_WRAP)
tests_unit_raw_test_rebuild_LDADD = $(UNIT_LIBS)
tests_unit_raw_test_faults_SOURCES = tests/unit/raw/test_faults.c \
	tests/unit/raw/memberlab.c tests/unit/raw/memberlab.h $(RAWLAB)
tests_unit_raw_test_faults_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_raw_test_faults_LDFLAGS = $(AM_LDFLAGS) $(RAWLAB_WRAP)
tests_unit_raw_test_faults_LDADD = $(UNIT_LIBS)
tests_unit_raw_test_silent_SOURCES = tests/unit/raw/test_silent.c \
	tests/unit/raw/memberlab.c tests/unit/raw/memberlab.h $(RAWLAB)
tests_unit_raw_test_silent_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_raw_test_silent_LDFLAGS = $(AM_LDFLAGS) $(RAWLAB_WRAP)
tests_unit_raw_test_silent_LDADD = $(UNIT_LIBS)
tests_unit_raw_test_model_SOURCES = tests/unit/raw/test_model.c $(RAWLAB)
tests_unit_raw_test_model_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_raw_test_model_LDFLAGS = $(AM_LDFLAGS) $(RAWLAB_WRAP)
tests_unit_raw_test_model_LDADD = $(UNIT_LIBS)
RAWCRASH = tests/lib/rawcrash.c tests/lib/rawcrash.h
tests_unit_raw_test_crash_SOURCES = tests/unit/raw/test_crash.c $(RAWLAB) \
	$(RAWCRASH)
tests_unit_raw_test_crash_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_raw_test_crash_LDFLAGS = $(AM_LDFLAGS) $(RAWLAB_WRAP)
tests_unit_raw_test_crash_LDADD = $(UNIT_LIBS)
tests_unit_raw_test_small_SOURCES = tests/unit/raw/test_small.c $(RAWLAB) \
	$(RAWCRASH)
tests_unit_raw_test_small_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_raw_test_small_LDFLAGS = $(AM_LDFLAGS) $(RAWLAB_WRAP)
tests_unit_raw_test_small_LDADD = $(UNIT_LIBS)
tests_unit_raw_test_reopen_SOURCES = tests/unit/raw/test_reopen.c $(RAWLAB)
tests_unit_raw_test_reopen_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_raw_test_reopen_LDFLAGS = $(AM_LDFLAGS) $(RAWLAB_WRAP)
tests_unit_raw_test_reopen_LDADD = $(UNIT_LIBS)
tests_unit_raw_test_full_SOURCES = tests/unit/raw/test_full.c $(RAWLAB)
tests_unit_raw_test_full_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_raw_test_full_LDFLAGS = $(AM_LDFLAGS) $(RAWLAB_WRAP)
tests_unit_raw_test_full_LDADD = $(UNIT_LIBS)
tests_unit_raw_test_rdev_SOURCES = tests/unit/raw/test_rdev.c $(FAULT_FILES)
tests_unit_raw_test_rdev_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_raw_test_rdev_LDFLAGS = $(AM_LDFLAGS) $(FAULT_WRAP)
tests_unit_raw_test_rdev_LDADD = $(UNIT_LIBS)
tests_unit_raw_test_damage_SOURCES = tests/unit/raw/test_damage.c $(RAWLAB)
tests_unit_raw_test_damage_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_raw_test_damage_LDFLAGS = $(AM_LDFLAGS) $(RAWLAB_WRAP)
tests_unit_raw_test_damage_LDADD = $(UNIT_LIBS)
tests_unit_raw_test_scrub_SOURCES = tests/unit/raw/test_scrub.c \
	tests/unit/raw/memberlab.c tests/unit/raw/memberlab.h $(RAWLAB)
tests_unit_raw_test_scrub_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_raw_test_scrub_LDFLAGS = $(AM_LDFLAGS) $(RAWLAB_WRAP)
tests_unit_raw_test_scrub_LDADD = $(UNIT_LIBS)
tests_unit_raw_test_fail_SOURCES = tests/unit/raw/test_fail.c \
	tests/unit/raw/memberlab.c tests/unit/raw/memberlab.h $(RAWLAB) \
	$(FAULT_FILES)
tests_unit_raw_test_fail_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_raw_test_fail_LDFLAGS = $(AM_LDFLAGS) $(RAWLAB_WRAP) $(FAULT_WRAP)
tests_unit_raw_test_fail_LDADD = $(UNIT_LIBS)
tests_unit_raw_test_regress_SOURCES = tests/unit/raw/test_regress.c $(RAWLAB)
tests_unit_raw_test_regress_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_raw_test_regress_LDFLAGS = $(AM_LDFLAGS) $(RAWLAB_WRAP)
tests_unit_raw_test_regress_LDADD = $(UNIT_LIBS)
EXTRA_DIST += tests/golden
tests_unit_raw_test_threads_SOURCES = tests/unit/raw/test_threads.c
tests_unit_raw_test_threads_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_raw_test_threads_LDADD = $(UNIT_LIBS)
