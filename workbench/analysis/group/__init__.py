"""Attention of groups of people in a common frame: the job `group`, its frames, who is in which group, what differs."""
