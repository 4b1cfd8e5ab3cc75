# unit tests of src/volume
