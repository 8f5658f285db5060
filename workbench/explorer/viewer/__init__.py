"""The NiiVue component, what lies over a scan in it, and what has been sent to it."""
