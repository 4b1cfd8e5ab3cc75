# unit tests of src/layout
