# unit tests of src/codec
