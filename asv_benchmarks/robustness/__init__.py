"""Small problems of many kinds, on which the default must not fail without a warning."""
