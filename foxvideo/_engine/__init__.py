"""From a request to an outcome: jobs, submissions, polls, and the money."""
