"""The app's state and its views over the run folders. Run it with ``workbench explore RUNS`` or ``panel serve``."""
