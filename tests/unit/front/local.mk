# unit tests of src/front
