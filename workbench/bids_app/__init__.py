"""`workbench-bids`: models applied to a BIDS data set, their answers as a BIDS derivative."""
