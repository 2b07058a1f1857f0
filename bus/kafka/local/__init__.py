"""Apache Kafka on this machine, one broker on loopback, without Docker: for development, tests and the demo (FAUST 3)."""
