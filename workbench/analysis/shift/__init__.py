"""How far sites are apart: the job `shift`, what is measured, in which spaces, and what it costs a task."""
