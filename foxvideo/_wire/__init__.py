"""Between values and bytes: no I/O and no clock."""
