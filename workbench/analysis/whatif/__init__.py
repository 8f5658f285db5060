"""The same scan from another scanner: the job `whatif`, the changes, what is asked, the models that answer."""
