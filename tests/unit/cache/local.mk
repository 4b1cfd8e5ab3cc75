# unit tests of src/cache
