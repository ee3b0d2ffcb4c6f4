"""How long things are kept: retention and erasure, exports of the log."""
