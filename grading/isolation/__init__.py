"""Where students' code runs. The worker is seen from inside: nothing in this folder may know an answer."""
