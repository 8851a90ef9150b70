"""Files on their way, up and down."""
