# unit tests of src/cli
CLI_LIBS = libpailcli.la $(UNIT_LIBS)

CLI_TESTS = \
	tests/unit/cli/test_progress \
	tests/unit/cli/test_table \
	tests/unit/cli/test_prompt \
	tests/unit/cli/test_s3backer \
	tests/unit/cli/test_words \
	tests/unit/cli/test_copy
check_PROGRAMS += $(CLI_TESTS)
TESTS += $(CLI_TESTS)
tests_unit_cli_test_progress_SOURCES = tests/unit/cli/test_progress.c
tests_unit_cli_test_progress_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_cli_test_progress_LDADD = $(CLI_LIBS)
tests_unit_cli_test_table_SOURCES = tests/unit/cli/test_table.c
tests_unit_cli_test_table_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_cli_test_table_LDADD = $(CLI_LIBS)
tests_unit_cli_test_prompt_SOURCES = tests/unit/cli/test_prompt.c
tests_unit_cli_test_prompt_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_cli_test_prompt_LDADD = $(CLI_LIBS)
tests_unit_cli_test_words_SOURCES = tests/unit/cli/test_words.c
tests_unit_cli_test_words_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_cli_test_words_LDADD = $(CLI_LIBS)
tests_unit_cli_test_copy_SOURCES = tests/unit/cli/test_copy.c
tests_unit_cli_test_copy_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_cli_test_copy_LDADD = $(CLI_LIBS)
tests_unit_cli_test_s3backer_SOURCES = tests/unit/cli/test_s3backer.c
tests_unit_cli_test_s3backer_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_cli_test_s3backer_LDADD = $(CLI_LIBS)

# The manual against --help, and the tools on a directory; by the program.
TESTS += tests/unit/cli/manual tests/unit/cli/misuse \
	tests/unit/cli/tools tests/unit/cli/stores
EXTRA_DIST += tests/unit/cli/manual tests/unit/cli/misuse \
	tests/unit/cli/tools tests/unit/cli/stores
