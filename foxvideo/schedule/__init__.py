"""When to poll a task."""
