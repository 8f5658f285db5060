"""What is run: the cells of a study, what each waits for, and the processes that run them."""
