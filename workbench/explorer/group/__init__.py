"""Groups of people on their mean brain: mean attention, differences, shares by structure."""
