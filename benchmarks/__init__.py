"""What foxvideo costs, measured: ``python -m benchmarks NAME``.

What belongs here: programs that measure, each against a reference, and each saying what it does not measure. What
must not: checks of behaviour (``tests/``).

To add one, write a module as ``benchmarks.__main__.Benchmark`` describes and add its name to the table there.
"""
