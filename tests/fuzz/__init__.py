"""Seeded fuzzers: small ones with the tests, large ones by `make fuzz N=…`. What came out: docs/faults.md."""
