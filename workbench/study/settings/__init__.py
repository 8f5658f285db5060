"""What is asked: the settings of a study, the directions of transfer, and whether the comparison is fair."""
